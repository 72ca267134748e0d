"""Errors of the units below a layer: rows of weights added or subtracted, then gated."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import signed_width
from .trainer_plan import TrainerPlan
from .trit import Trit


def error_sum_width(plan: TrainerPlan) -> int:
    """Width of δ = Σ d·W: with trits two rows of the last layer, every row of a hidden one."""
    if plan.quantises:
        largest = (1 << (plan.error_width - 1)) - 1
        bound = max([1, *(p.units for p in plan.layers[1:])]) * largest
    else:
        bound = max([2, *(p.units for p in plan.layers[1:-1])])
    return signed_width(-bound, bound)


class ErrorLanes(wiring.Component):
    """P accumulators of δ = Σ_j d[j]·W[j, :], and the trits sign(δ) that pass both gates.

    Equation: design section 4, step 5; golden: ``Trainer.error_below``.

    Members
    -------
    clear : In(1)
        The next row is the first.
    add : In(1), error : In(signed), weights : In(2·P)
        Add the row, times its error.
    confidence : In
        θ: δ passes where |δ| > θ.
    window : In(2·P)
        Trits whose ``nonzero`` says that the derivative window of the lane is open.
    errors : Out(2·P)
        Trits, combinational.
    lane : In, value : Out(signed)
        The sum of a lane, zero where it does not pass; only where errors are quantised.
    """

    def __init__(self, plan: TrainerPlan, *, confidence_width: int) -> None:
        self.lanes = plan.hardware.lanes
        self.sum_width = error_sum_width(plan)
        self.quantises = plan.quantises
        selection = {
            "lane": In(range(max(self.lanes, 2))),
            "value": Out(signed(self.sum_width)),
        }
        super().__init__(
            {
                **(selection if plan.quantises else {}),
                "clear": In(1),
                "add": In(1),
                "error": In(signed(plan.error_width)),
                "weights": In(2 * self.lanes),
                "confidence": In(confidence_width),
                "window": In(2 * self.lanes),
                "errors": Out(2 * self.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first = Signal(init=1)
        with m.If(self.clear):
            m.d.sync += first.eq(1)
        with m.Elif(self.add):
            m.d.sync += first.eq(0)

        opposite = Signal(signed(len(self.error) + 1))
        m.d.comb += opposite.eq(-self.error)
        errors, values = [], []
        for lane in range(self.lanes):
            weight = Trit(self.weights.word_select(lane, 2))
            total = Signal(signed(self.sum_width), name=f"sum{lane}")
            if self.quantises:
                term = Mux(weight.nonzero, Mux(weight.negative, opposite, self.error), 0)
            else:
                minus = weight.nonzero & (weight.negative ^ self.error[-1])
                term = Cat(weight.nonzero, minus).as_signed()
            with m.If(self.add):
                m.d.sync += total.eq(Mux(first, 0, total) + term)
            positive = total > self.confidence
            negative = total < -self.confidence
            is_open = self.window[2 * lane]
            values.append(Mux(is_open & (positive | negative), total, 0))
            errors.append(Cat(is_open & (positive | negative), is_open & negative))
        m.d.comb += self.errors.eq(Cat(errors))
        if self.quantises:
            m.d.comb += self.value.eq(Array(values)[self.lane])
        return m
