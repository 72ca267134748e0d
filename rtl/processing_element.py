"""Processing element: words of products in, one sum, trit and window flag a dot product out."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import integer
from ..golden.processing_element import ProcessingElementParameters
from .ternary_dot import BinaryDot, TernaryDot
from .trit import Trit, trit_vector


class Threshold(wiring.Component):
    """The trit of a sum, and whether the sum lies in the window of the derivative.

    Equation: trit = sign(z) where |z| > r, else 0; open where ||z| − r| ≤ a; golden:
    ``golden.processing_element.threshold``.

    Parameters
    ----------
    sum_width : int
        1 … 32 bits of z.
    threshold_width : int
        1 … 16 bits of r and a.

    Members
    -------
    sum : In(signed(sum_width))
        z.
    threshold, window : In(threshold_width)
        r and a.
    trit : Out(Trit), open : Out(1)

    Combinational. Nothing overflows: comparisons are made at full width.
    """

    LATENCY = 0
    INITIATION_INTERVAL = 1

    def __init__(self, *, sum_width: int, threshold_width: int) -> None:
        integer("sum_width", sum_width, 1, 32)
        integer("threshold_width", threshold_width, 1, 16)
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "threshold": In(threshold_width),
                "window": In(threshold_width),
                "trit": Out(Trit),
                "open": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        distance = Signal(signed(max(len(self.sum), len(self.threshold) + 1)))
        m.d.comb += [
            distance.eq(minus_size(self.threshold, self.sum)),
            self.trit.nonzero.eq(distance < 0),
            self.trit.negative.eq((distance < 0) & self.sum[-1]),
            self.open.eq(minus_size(self.window, distance) >= 0),
        ]
        return m


def minus_size(limit: Value, value: Value) -> Value:
    """``limit`` − |``value``|, limit unsigned and value signed, at full width in one adder.

    |v| = (v ^ s) + s with s the sign of v; limit − |v| = limit + ~(v ^ s) + ~s, whose last bit is
    the carry that two bits below the lowest one make.
    """
    negative = value[-1]
    low = value[:-1] ^ negative.replicate(len(value) - 1)
    return (Cat(1, limit) + Cat(~negative, ~low, 1).as_signed()) >> 1


class ProcessingElement(wiring.Component):
    """Accumulates dot products of words, then takes the threshold.

    Equation: z = Σ a·w − b over the words up to and with ``last``; the trit is sign(z) where
    |z| > r; the window is open where ||z| − r| ≤ a. Golden:
    ``golden.processing_element.processing_element``. Illegal codes read as zero.

    Parameters
    ----------
    parameters : ProcessingElementParameters

    Members
    -------
    i : In(stream of {a, w, last})
        A word of each operand: arrays of ``lanes`` Trit, or of ``lanes`` bits (1 means −1) with
        ``parameters.binary``. At most ``parameters.words`` words make a dot product.
    threshold, window : In(threshold_width), offset : In(signed(threshold_width + 1))
        r, a and b; they hold from the first word of a dot product to the transfer of its result.
    o : Out(stream of {sum: signed(sum_width), trit: Trit, window: 1})
        One transfer a dot product. ``sum`` cannot overflow: its width follows from lanes, words
        and the width of the offset.

    LATENCY cycles from the last word to the result; a word each cycle. ``i.ready`` depends on
    ``o.ready`` alone and on registers; a result that waits holds everything behind it. Reset
    discards what is under way.
    """

    INITIATION_INTERVAL = 1

    def __init__(self, parameters: ProcessingElementParameters) -> None:
        self._parameters = p = parameters
        operand = data.ArrayLayout(1, p.lanes) if p.binary else trit_vector(p.lanes)
        super().__init__(
            {
                "i": In(
                    stream.Signature(data.StructLayout({"a": operand, "w": operand, "last": 1}))
                ),
                "threshold": In(p.threshold_width),
                "window": In(p.threshold_width),
                "offset": In(signed(p.threshold_width + 1)),
                "o": Out(
                    stream.Signature(
                        data.StructLayout({"sum": signed(p.sum_width), "trit": Trit, "window": 1})
                    )
                ),
            }
        )

    @property
    def parameters(self) -> ProcessingElementParameters:
        return self._parameters

    @property
    def LATENCY(self) -> int:
        """Cycles from the transfer of the last word to the result."""
        return self._parameters.dot.latency + 2 + self._parameters.output_register

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._parameters
        dot_class = BinaryDot if p.binary else TernaryDot
        m.submodules.dot = dot = dot_class(
            p.lanes, p.structure, p.tech, levels=p.levels, pipeline=p.pipeline
        )
        m.submodules.limit = limit = Threshold(
            sum_width=p.sum_width, threshold_width=p.threshold_width
        )

        # All stages advance together, unless a result waits.
        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]
        if p.pipeline:
            m.d.comb += dot.enable.eq(advance)

        # Cycle 0: the dot product of a word, with what must keep step with it.
        m.d.comb += [dot.a.eq(self.i.payload.a), dot.w.eq(self.i.payload.w)]
        valid, last = self.i.valid, self.i.payload.last
        for stage in range(p.dot.latency + 1):
            valid = self._register(m, advance, valid, f"valid{stage}")
            last = self._register(m, advance, last, f"last{stage}")
        word = Signal(dot.sum.shape(), reset_less=True)
        with m.If(advance):
            m.d.sync += word.eq(dot.sum)

        # Cycle 1: add the word, the first one to −b = ~b + 1, whose 1 is the carry of bit −1.
        first = Signal(init=1)
        total = Signal(signed(p.sum_width), reset_less=True)
        before = Mux(first, ~self.offset, total)
        sum_valid = Signal()
        with m.If(advance):
            m.d.sync += sum_valid.eq(valid & last)
            with m.If(valid):
                m.d.sync += [
                    total.eq((Cat(first, before).as_signed() + Cat(1, word).as_signed()) >> 1),
                    first.eq(last),
                ]

        # Cycle 2: thresholds.
        m.d.comb += [
            limit.sum.eq(total),
            limit.threshold.eq(self.threshold),
            limit.window.eq(self.window),
        ]
        result = Signal.like(self.o.payload)
        m.d.comb += [
            result.sum.eq(total),
            result.trit.eq(limit.trit),
            result.window.eq(limit.open),
        ]
        if p.output_register:
            with m.If(advance):
                m.d.sync += [self.o.valid.eq(sum_valid), self.o.payload.eq(result)]
        else:
            m.d.comb += [self.o.valid.eq(sum_valid), self.o.payload.eq(result)]
        return m

    def _register(self, m: Module, advance: Signal, value: Signal, name: str) -> Signal:
        """The bit ``value`` one cycle later; reset clears it."""
        register = Signal(name=name)
        with m.If(advance):
            m.d.sync += register.eq(value)
        return register
