"""Lays an image out: each word holds a pixel, or all that a unit sees of a row of pixels."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import ConvolutionPlan


class LineWriter(wiring.Component):
    """Pixel x of a row becomes a word of the pixels x − h … x + h.

    2h + 1 pixels are a granule of the plan. Padding lies outside the row.
    A row takes h cycles more than it has pixels.

    Members
    -------
    restart : In(1)
        The next pixel is the first of the first buffer.
    i_valid : In(1), i_data : In; i_ready : Out(1)
        Pixels, row by row.
    o_valid : Out(1), o_address, o_data : Out; o_ready : In(1)
        Words, from address 0 on; after two images address 0 comes again.
    busy : Out(1)
        Words of the pixels taken so far are to come.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        first = plan.layers[0]
        super().__init__(
            {
                "restart": In(1),
                "i_valid": In(1),
                "i_data": In(2 * first.shape.channels),
                "i_ready": Out(1),
                "o_valid": Out(1),
                "o_address": Out(range(max(2 * plan.pixels, 2))),
                "o_data": Out(2 * first.granule),
                "o_ready": In(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.plan.layers[0].shape
        line = self.plan.layers[0].granule // shape.channels
        half, width = line // 2, shape.width
        padding = Const(shape.padding & 3, 2).replicate(shape.channels)
        pixel = Signal(2 * shape.channels)
        before = Signal(2 * shape.channels * (line - 1))  # the oldest lowest
        x = Signal(range(width + half))
        word = Cat(Mux(x == 0, padding.replicate(line - 1), before), pixel)
        moves = Signal()
        m.d.comb += [
            self.busy.eq(x >= width),
            pixel.eq(Mux(self.busy, padding, self.i_data)),
            self.i_ready.eq(~self.busy & (self.o_ready | (x < half))),
            self.o_valid.eq((self.i_valid & (x >= half)) | self.busy),
            self.o_data.eq(word),
            moves.eq(Mux(self.busy, self.o_ready, self.i_valid & self.i_ready)),
        ]
        with m.If(moves):
            m.d.sync += [
                x.eq(Mux(x == width + half - 1, 0, x + 1)),
                before.eq(word[len(pixel) :]),
            ]
        with m.If(self.o_valid & self.o_ready):
            last = self.o_address == 2 * self.plan.pixels - 1
            m.d.sync += self.o_address.eq(Mux(last, 0, self.o_address + 1))
        with m.If(self.restart):
            m.d.sync += [self.o_address.eq(0), x.eq(0)]
        return m
