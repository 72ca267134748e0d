"""Errors of the units below a layer: rows of weights added or subtracted, then gated."""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import signed_width
from .trainer_plan import TrainerPlan
from .trit import Trit


def error_sum_bound(plan: TrainerPlan) -> int:
    """Largest |δ|, δ = Σ d·W: of trits two rows of the last layer, every row of a hidden one."""
    if plan.quantises:
        largest = (1 << (plan.error_width - 1)) - 1
        return max([1, *(p.units for p in plan.layers[1:])]) * largest
    return max([2, *(p.units for p in plan.layers[1:-1])])


def error_sum_width(plan: TrainerPlan) -> int:
    """Width of δ."""
    bound = error_sum_bound(plan)
    return signed_width(-bound, bound)


class ErrorLanes(wiring.Component):
    """P accumulators of δ = Σ_j d[j]·W[j, :], and the trits sign(δ) that pass both gates.

    Equation: design section 4, step 5; golden: ``Trainer.error_below``.

    Members
    -------
    clear : In(1)
        Forget every row; the next comes later.
    add : In(1), error : In(signed), weights : In(2·P)
        Add the row, times its error.
    confidence : In
        θ: δ passes where |δ| > θ. Constant from two cycles before ``errors`` are read.
    window : In(2·P)
        Trits whose ``nonzero`` says that the derivative window of the lane is open.
    errors : Out(2·P)
        Trits, combinational; ``negative`` is the sign of δ also where the trit is zero.
    lane : In, value : Out(signed)
        The sum of a lane, zero where it does not pass; only where errors are quantised.
    """

    def __init__(self, plan: TrainerPlan, *, confidence_width: int) -> None:
        self.lanes = plan.hardware.lanes
        self.bound = error_sum_bound(plan)
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
        # No sum exceeds the bound, so of θ only so many bits matter.
        limit = Signal(range(self.bound + 1))
        m.d.sync += limit.eq(Mux(self.confidence < self.bound, self.confidence, self.bound))
        passes_one = Signal()
        passes_two = Signal()
        m.d.sync += [passes_one.eq(limit < 1), passes_two.eq(limit < 2)]

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
            with m.If(self.clear):
                m.d.sync += total.eq(0)
            with m.Elif(self.add):
                m.d.sync += total.eq(total + term)
            if self.bound == 2:  # two rows of trits: no comparator needed
                passes = Mux(total[0], passes_one, total[1] & passes_two)
            else:
                passes = (total > limit) | (total < -limit)
            is_open = self.window[2 * lane]
            values.append(Mux(is_open & passes, total, 0))
            errors.append(Cat(is_open & passes, total[-1]))
        m.d.comb += self.errors.eq(Cat(errors))
        if self.quantises:
            m.d.comb += self.value.eq(Array(values)[self.lane])
        return m
