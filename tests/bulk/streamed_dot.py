"""A dot product behind the streams that the other blocks have."""

from amaranth import Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trisign.golden.ternary_dot import DotParameters
from trisign.rtl.ternary_dot import BinaryDot, TernaryDot


class StreamedDot(wiring.Component):
    """``a`` and ``w`` in, their dot product out, ``parameters.latency`` cycles later."""

    def __init__(self, parameters: DotParameters) -> None:
        self.parameters = p = parameters
        operand = data.ArrayLayout(1 if p.binary else 2, p.lanes)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"a": operand, "w": operand}))),
                "o": Out(stream.Signature(signed(p.sum_width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        kind = BinaryDot if p.binary else TernaryDot
        m.submodules.dot = dot = kind(
            p.lanes, p.structure, p.tech, levels=p.levels, pipeline=p.pipeline
        )
        advance = ~self.o.valid | self.o.ready
        valid = self.i.valid
        for stage in range(p.latency):
            register = Signal(name=f"valid{stage}")
            with m.If(advance):
                m.d.sync += register.eq(valid)
            valid = register
        if p.pipeline:
            m.d.comb += dot.enable.eq(advance)
        m.d.comb += [
            Value.cast(dot.a).eq(self.i.payload.a),
            Value.cast(dot.w).eq(self.i.payload.w),
            self.o.payload.eq(dot.sum),
            self.o.valid.eq(valid),
            self.i.ready.eq(advance if p.pipeline else self.o.ready),
        ]
        return m
