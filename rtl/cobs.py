"""Consistent overhead byte stuffing, decoder: frames end with a zero that nothing else can be.

S. Cheshire, M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7(2), 1999.
A frame is blocks of a code byte n and n − 1 bytes that are not zero; each block but the last stands
for one zero more.
"""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class Decoded(data.Struct):
    """A byte of a packet, or its end: then ``error`` tells that the last block was cut short."""

    byte: 8  # type: ignore[valid-type]
    end: 1  # type: ignore[valid-type]
    error: 1  # type: ignore[valid-type]


class CobsDecoder(wiring.Component):
    """Decodes frames of packets of at most 254 bytes.

    Longer blocks of bytes other than zero would need a code without a zero after it; here the user
    has called such a packet oversized long before.

    Members
    -------
    i : In(stream of 8)
    o : Out(stream of Decoded)
        In the same cycle. The first code byte of a frame stands for nothing, and neither does a
        delimiter without a frame.
    """

    i: In(stream.Signature(8))  # type: ignore[valid-type]
    o: Out(stream.Signature(Decoded))  # type: ignore[valid-type]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inside = Signal()
        left = Signal(8, init=1)  # 1 where a code is due
        code = Signal()
        end = Signal()
        m.d.comb += [
            end.eq(self.i.payload == 0),
            code.eq(left == 1),
            self.o.payload.end.eq(end),
            self.o.payload.error.eq(~code),
            self.o.valid.eq(self.i.valid & inside),
            self.i.ready.eq(self.o.ready | ~inside),
        ]
        with m.If(~code):
            m.d.comb += self.o.payload.byte.eq(self.i.payload)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += inside.eq(~end)
            with m.If(end):
                m.d.sync += left.eq(1)
            with m.Elif(code):
                m.d.sync += left.eq(self.i.payload)
            with m.Else():
                m.d.sync += left.eq(left - 1)
        return m
