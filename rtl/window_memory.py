"""What a unit sees, gathered granule by granule into words of P trits: two rows of them."""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import ConvolutionPlan
from .ram import Ram


class WindowMemory(wiring.Component):
    """Collects granules into words, and keeps two rows of words.

    Granules of a row come in order. A word is written in the cycle after its last granule; lanes
    beyond the row are zero.

    Members
    -------
    push : In(1), data : In
        A granule, as a word of the memory of maps.
    pixels : In(1)
        Granules are those of the network's input; constant while a row is pushed.
    half : In(1), word, slot : In, word_end : In(1)
        Where it belongs (see ``TapWalker``), and whether the word ends with it.
    read_half : In(1), read_address : In; read_data : Out(2·P)
        A word of either row, ``plan.read_latency`` cycles later.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        words = range(max(plan.window_words, 2))
        super().__init__(
            {
                "push": In(1),
                "data": In(2 * plan.granule),
                "pixels": In(1),
                "half": In(1),
                "word": In(words),
                "slot": In(range(max(2, *(p.slots for p in plan.layers)))),
                "word_end": In(1),
                "read_half": In(1),
                "read_address": In(words),
                "read_data": Out(2 * plan.hardware.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes = self.plan, self.plan.hardware.lanes
        depth = plan.window_depth // 2
        m.submodules.words = words = Ram(
            2 * lanes,
            plan.window_depth,
            register=plan.hardware.memory_register,
            unchecked=True,  # a row is read when it is complete
        )
        # Trits that pixels and granules of hidden maps go to
        pixel, granule = plan.layers[0].granule, plan.granule
        pixel_lanes = plan.layers[0].slots * pixel
        granule_lanes = max([0, *(p.slots for p in plan.layers[1:])]) * granule
        row = Signal(2 * lanes)
        begins = self.slot == 0
        for lane in range(lanes):
            trit = row[2 * lane : 2 * lane + 2]
            mine: Value = Const(0)
            value: Value = Const(0, 2)
            if lane < granule_lanes:
                mine = ~self.pixels & (self.slot == lane // granule)
                value = self.data.word_select(lane % granule, 2)
            if lane < pixel_lanes:
                mine = mine | (self.pixels & (self.slot == lane // pixel))
                value = Mux(self.pixels, self.data.word_select(lane % pixel, 2), value)
            with m.If(self.push & (mine | begins)):
                m.d.sync += trit.eq(Mux(mine, value, 0))
        address = Signal(range(2 * depth))
        written = Signal()
        m.d.sync += [
            written.eq(self.push & self.word_end),
            address.eq(self.word + Mux(self.half, depth, 0)),
        ]
        m.d.comb += [
            words.write.eq(written),
            words.write_mask.eq(1),
            words.write_address.eq(address),
            words.write_data.eq(row),
            words.read_enable.eq(1),
            words.read_address.eq(self.read_address + Mux(self.read_half, depth, 0)),
            self.read_data.eq(words.read_data),
        ]
        return m
