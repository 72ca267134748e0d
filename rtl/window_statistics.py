"""Overflow counts and quantisation error of a window, judged when it closes."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..golden.precision_controller import WORD_WIDTH, PrecisionParameters
from .quantizer import exponent_shape, sample_layout


class Verdict(data.Struct):
    """What a window says; golden: the comparisons of ``decide``.

    Members
    -------
    overflowing : unsigned(1)
        More values than permitted overflow.
    filling : unsigned(1)
        More values than permitted would overflow at half the range.
    coarse : unsigned(1)
        E·2^widen_shift > S.
    fine : unsigned(1)
        E·2^narrow_shift ≤ S.
    """

    overflowing: 1  # type: ignore[valid-type]
    filling: 1  # type: ignore[valid-type]
    coarse: 1  # type: ignore[valid-type]
    fine: 1  # type: ignore[valid-type]


def latency(parameters: PrecisionParameters) -> int:
    """Cycles from the closing sample to the verdict."""
    return 4 if parameters.width_search else 2


class WindowStatistics(wiring.Component):
    """Counts and sums over the values of a window; golden: ``PrecisionController._count``.

    Members
    -------
    sample : In
        A value; one marked ``closing`` ends the window, counted or not.
    word : In(16)
        The random word of the sample.
    exponent : In
        e, constant until the verdict.
    clear : In(1)
        Begin again, whatever is under way.
    verdict : Out(Verdict), closed : Out(1)
        The verdict on a window, in the one cycle in which ``closed`` is 1. The next window has
        begun when it is over, and no sample may arrive from ``closing`` until then.

    ``latency`` cycles from the closing sample to ``closed``: 2, or 4 with width search. Nothing
    overflows: the widths follow from the window and the input width.
    """

    def __init__(self, parameters: PrecisionParameters) -> None:
        self.parameters = parameters
        self.latency = latency(parameters)
        super().__init__(
            {
                "sample": In(sample_layout(parameters)),
                "word": In(WORD_WIDTH),
                "exponent": In(exponent_shape(parameters)),
                "clear": In(1),
                "verdict": Out(Verdict),
                "closed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        closing = Signal(self.latency)
        m.d.sync += closing.eq((closing << 1) | (self.sample.valid & self.sample.tag.closing))
        m.d.comb += self.closed.eq(closing[-1])

        self._judge_overflows(m)
        if p.width_search:
            self._judge_error(m)
        with m.If(self.clear):
            m.d.sync += closing.eq(0)
        return m

    def _judge_overflows(self, m: Module) -> None:
        p = self.parameters
        overflows = Signal(range(p.window + 1))
        half_overflows = Signal(range(p.window + 1))
        random = Signal(p.overflow_random_bits)
        permitted = Signal(range(p.permitted_max + 1))
        counted = self.sample.valid & self.sample.tag.counted

        # Cycle 0: count.
        with m.If(counted):
            m.d.sync += [
                overflows.eq(overflows + self.sample.overflow),
                half_overflows.eq(half_overflows + self.sample.half_overflow),
                random.eq(self.word),
            ]
        # Cycle 1: compare; repeated until the verdict is read.
        m.d.comb += permitted.eq(p.overflow_base + random)
        m.d.sync += [
            self.verdict.overflowing.eq(overflows > permitted),
            self.verdict.filling.eq(half_overflows > permitted),
        ]
        with m.If(self.closed | self.clear):
            m.d.sync += [overflows.eq(0), half_overflows.eq(0)]

    def _judge_error(self, m: Module) -> None:
        p = self.parameters
        absolute = p.error_measure == "absolute"
        counted = Signal()
        magnitude = Signal(p.input_width)
        quantized = Signal(p.output_width - 1)
        counted_difference = Signal()
        difference = Signal(signed(p.input_width + 1))
        error = Signal(signed(p.sum_width + 1))
        size = Signal(p.sum_width)
        total = Signal(p.sum_width)

        # Cycle 0: take the sample.
        m.d.sync += [
            counted.eq(self.sample.valid & self.sample.tag.counted),
            magnitude.eq(self.sample.magnitude),
            quantized.eq(self.sample.quantized),
        ]
        # Cycle 1: |x| − |q|·2^e, whose magnitude is at most 2^(input_width−1).
        m.d.sync += [
            counted_difference.eq(counted),
            difference.eq(magnitude - (quantized << self.exponent)),
        ]
        with m.If(counted):
            m.d.sync += total.eq(total + magnitude)
        # Cycle 2: sum.
        with m.If(counted_difference):
            if absolute:
                m.d.sync += error.eq(error + Mux(difference < 0, -difference, difference))
            else:
                m.d.sync += error.eq(error + difference)
        # Cycle 3: compare.
        m.d.comb += size.eq(error if absolute else Mux(error < 0, -error, error))
        m.d.sync += [
            self.verdict.coarse.eq((size << p.widen_shift) > total),
            self.verdict.fine.eq((size << p.narrow_shift) <= total),
        ]
        with m.If(self.closed | self.clear):
            m.d.sync += [error.eq(0), total.eq(0)]
        with m.If(self.clear):
            m.d.sync += [counted.eq(0), counted_difference.eq(0)]
