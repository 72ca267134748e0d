"""Quantiser with a shared exponent: shift, round, saturate; golden: ``quantize``."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.precision_controller import NEAREST, WORD_WIDTH, PrecisionParameters


def input_layout(parameters: PrecisionParameters) -> data.StructLayout:
    """A value, and whether it is the last of its tensor."""
    return data.StructLayout({"value": signed(parameters.input_width), "last": 1})


def output_layout(parameters: PrecisionParameters) -> data.StructLayout:
    """A quantised value, the exponent it belongs to (x ≈ value · 2^exponent), and ``last``."""
    return data.StructLayout(
        {
            "value": signed(parameters.output_width),
            "exponent": exponent_shape(parameters),
            "last": 1,
        }
    )


def exponent_shape(parameters: PrecisionParameters) -> range:
    """Shape of an exponent."""
    return range(max(parameters.exponent_max + 1, 2))


def width_shape(parameters: PrecisionParameters) -> range:
    """Shape of a bit width."""
    return range(parameters.output_width + 1)


# What the controller wants to know of a value again once it has been quantised.
TAG_LAYOUT = data.StructLayout({"counted": 1, "closing": 1})


def sample_layout(parameters: PrecisionParameters) -> data.StructLayout:
    """A value as the statistics see it; without meaning where ``valid`` is 0."""
    return data.StructLayout(
        {
            "valid": 1,
            "tag": TAG_LAYOUT,
            "overflow": 1,
            "half_overflow": 1,
            "magnitude": parameters.input_width,
            "quantized": parameters.output_width - 1,
        }
    )


class Quantizer(wiring.Component):
    """q = sign(x) · min(floor((|x| + r) / 2^e), 2^(n−1) − 1), one value a cycle.

    Golden: ``golden.precision_controller.quantize``. r is the top e bits of ``word``, or half an
    LSB where the parameters round to nearest. Saturation is symmetric; nothing wraps.

    Members
    -------
    i : In(stream of ``input_layout``)
    o : Out(stream of ``output_layout``)
    hold : In(1)
        No value is taken.
    clear : In(1)
        Values in flight are dropped and none is taken.
    tag : In
        Taken along with the value of ``i`` in its cycle.
    exponent, width : In
        e and n; constant while values are in flight.
    draw : Out(1)
        ``word`` must be another one from the next cycle on.
    word : In(16)
        The random word of the nonzero value in cycle 2.
    sample : Out
        The value that leaves cycle 2, for the statistics; valid for one cycle a value.
    idle : Out(1)
        No value is in flight or waits at ``o``.

    Latency 3 cycles, initiation interval 1. ``i.ready`` follows ``o.ready`` while ``o`` is full
    and depends on no ``valid`` of ``i``.
    """

    LATENCY = 3
    INITIATION_INTERVAL = 1

    def __init__(self, parameters: PrecisionParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(input_layout(parameters))),
                "o": Out(stream.Signature(output_layout(parameters))),
                "hold": In(1),
                "clear": In(1),
                "tag": In(TAG_LAYOUT),
                "exponent": In(exponent_shape(parameters)),
                "width": In(width_shape(parameters)),
                "draw": Out(1),
                "word": In(WORD_WIDTH),
                "sample": Out(sample_layout(parameters)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        fraction_width = max(p.exponent_max, 1)
        item = {"valid": 1, "last": 1, "negative": 1, "tag": TAG_LAYOUT, "magnitude": p.input_width}
        taken = Signal(data.StructLayout(item))
        shifted = Signal(
            data.StructLayout({**item, "integer": p.input_width, "fraction": fraction_width})
        )
        advance = Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)

        # Cycle 0: magnitude.
        value = self.i.payload.value
        with m.If(advance):
            m.d.sync += [
                taken.valid.eq(self.i.valid & ~self.hold),
                taken.last.eq(self.i.payload.last),
                taken.tag.eq(self.tag),
                taken.negative.eq(value < 0),
                taken.magnitude.eq(Mux(value < 0, -value, value)),
            ]

        # Cycle 1: integer part and left-aligned fraction of |x| / 2^e.
        m.d.comb += self.draw.eq(advance & taken.valid & taken.magnitude.any())
        with m.If(advance):
            m.d.sync += [
                Cat(shifted[name] for name in item).eq(Cat(taken[name] for name in item)),
                Cat(shifted.fraction, shifted.integer).eq(
                    Cat(Const(0, fraction_width), taken.magnitude) >> self.exponent
                ),
            ]

        # Cycle 2: round, saturate, restore the sign.
        limit = Signal(max(p.input_width, p.output_width))  # wide, so that ~limit masks |x|
        noise = Signal(fraction_width)
        carry = Signal()
        rounded = Signal(p.output_width)
        quantized = Signal(p.output_width - 1)
        overflow = Signal()
        word = self.word if p.stochastic else Const(NEAREST, WORD_WIDTH)
        m.d.comb += [
            limit.eq(Cat(self.width > bit + 1 for bit in range(p.output_width - 1))),
            noise.eq(word[WORD_WIDTH - fraction_width :]),
            carry.eq((shifted.fraction + noise)[fraction_width]),
            overflow.eq((shifted.integer & ~limit).any()),
            rounded.eq(shifted.integer[: p.output_width - 1] + carry),
            quantized.eq(Mux(overflow | (rounded > limit), limit, rounded)),
        ]
        with m.If(advance):
            m.d.sync += [
                self.o.payload.value.eq(Mux(shifted.negative, -quantized, quantized)),
                self.o.payload.exponent.eq(self.exponent),
                self.o.payload.last.eq(shifted.last),
                self.o.valid.eq(shifted.valid),
            ]
        m.d.comb += [
            self.sample.valid.eq(advance & shifted.valid),
            self.sample.tag.eq(shifted.tag),
            self.sample.overflow.eq(overflow),
            self.sample.half_overflow.eq((shifted.integer & ~(limit >> 1)).any()),
            self.sample.magnitude.eq(shifted.magnitude),
            self.sample.quantized.eq(quantized),
        ]

        # Handshake.
        m.d.comb += [
            self.i.ready.eq(advance & ~self.hold & ~self.clear),
            self.idle.eq(~(taken.valid | shifted.valid | self.o.valid)),
        ]
        with m.If(self.clear):
            m.d.sync += [taken.valid.eq(0), shifted.valid.eq(0), self.o.valid.eq(0)]
        return m
