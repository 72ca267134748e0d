"""The sample store's memory: the host fills it, the loader reads it, predictions go into it."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .host_port import host_signature
from .ram import Ram
from .trainer_plan import BUS_WIDTH, TrainerPlan

PREDICTION_BIT = 16  # of a label word


class SampleMemory(wiring.Component):
    """Words of 32 bits: records of pixels, each with a word for its label and its prediction.

    A prediction waits until the loader wants nothing.

    Members
    -------
    load_enable : In(1), load_address : In, load_data : Out(32)
        The loader's word, a cycle later; it stays while ``load_enable`` is low.
    load_hold : In(1)
        With ``memory_register`` words come two cycles later, through a register that stays in a
        cycle of ``load_hold``; low while the host has the memory.
    load_wanted : In(1)
        ``load_enable`` may be high, and the host reads nothing; known early in the cycle.
    note : In(1), note_address, label, prediction : In
        Write a label word; only while ``note_ready``.
    note_ready : Out(1)
        Every label word has been written.
    host : In(host port)
        Offset: the word.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        address, classes = range(max(plan.store_depth, 2)), range(plan.layers[-1].units)
        super().__init__(
            {
                "load_enable": In(1),
                "load_hold": In(1),
                "load_wanted": In(1),
                "load_address": In(address),
                "load_data": Out(BUS_WIDTH),
                "note": In(1),
                "note_address": In(address),
                "label": In(classes),
                "prediction": In(classes),
                "note_ready": Out(1),
                "host": In(host_signature()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        single_port = self.plan.is_single_port("samples")
        m.submodules.words = words = Ram(
            BUS_WIDTH,
            self.plan.store_depth,
            single_port=single_port,
            huge=single_port,
            column=self.plan.store_column,
            unchecked=True,
        )
        noted = Signal(BUS_WIDTH)
        write_note = Signal()
        address = Signal.like(self.note_address)
        note = Cat(self.label, Signal(PREDICTION_BIT - len(self.label)), self.prediction)
        waiting = Signal()
        with m.If(self.note):
            m.d.sync += [waiting.eq(1), noted.eq(note), address.eq(self.note_address)]
        with m.Elif(~self.load_wanted):
            m.d.sync += waiting.eq(0)
        m.d.comb += [
            write_note.eq(waiting & ~self.load_wanted),
            self.note_ready.eq(~waiting),
            words.read_enable.eq(self.load_enable | self.host.read),
            words.read_address.eq(Mux(self.load_wanted, self.load_address, self.host.offset)),
            self.host.data.eq(self.load_data),
            self.host.exists.eq(self.host.offset < self.plan.store_depth),
            words.write.eq(write_note | self.host.write),
            words.write_mask.eq(1),
            # The host has the memory only while nothing waits.
            words.write_address.eq(Mux(waiting, address, self.host.offset)),
            words.write_data.eq(Mux(waiting, noted, self.host.write_data)),
        ]
        if self.plan.hardware.memory_register:
            with m.If(~self.load_hold):
                m.d.sync += self.load_data.eq(words.read_data)
        else:
            m.d.comb += self.load_data.eq(words.read_data)
        return m
