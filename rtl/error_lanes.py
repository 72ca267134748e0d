"""Errors of the units below a layer: rows of weights added or subtracted, then gated."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import signed_width
from .trainer_plan import TrainerPlan
from .trit import Trit


def error_sum_width(plan: TrainerPlan) -> int:
    """Width of δ = Σ d·W: two rows of the last layer, every row of a hidden one."""
    bound = max([2, *(p.units for p in plan.layers[1:-1])])
    return signed_width(-bound, bound)


class ErrorLanes(wiring.Component):
    """P accumulators of δ = Σ_j d[j]·W[j, :], and the trits sign(δ) that pass both gates.

    Equation: design section 4, step 5; golden: ``Trainer.error_below``.

    Members
    -------
    clear : In(1)
        The next row is the first.
    add : In(1), negative : In(1), weights : In(2·P)
        Add the row, or subtract it.
    confidence : In
        θ: δ passes where |δ| > θ.
    window : In(2·P)
        Trits whose ``nonzero`` says that the derivative window of the lane is open.
    errors : Out(2·P)
        Trits, combinational.
    """

    def __init__(self, plan: TrainerPlan, *, confidence_width: int) -> None:
        self.lanes = plan.hardware.lanes
        self.sum_width = error_sum_width(plan)
        super().__init__(
            {
                "clear": In(1),
                "add": In(1),
                "negative": In(1),
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

        errors = []
        for lane in range(self.lanes):
            weight = Trit(self.weights.word_select(lane, 2))
            total = Signal(signed(self.sum_width), name=f"sum{lane}")
            minus = weight.nonzero & (weight.negative ^ self.negative)
            term = Cat(weight.nonzero, minus).as_signed()
            with m.If(self.add):
                m.d.sync += total.eq(Mux(first, 0, total) + term)
            positive = total > self.confidence
            negative = total < -self.confidence
            is_open = self.window[2 * lane]
            errors.append(Cat(is_open & (positive | negative), is_open & negative))
        m.d.comb += self.errors.eq(Cat(errors))
        return m
