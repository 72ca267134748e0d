"""Replays the sample store: the next sample is shifted, encoded and laid out while one trains."""

from itertools import pairwise

from amaranth import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.lfsr import FALLBACK_STATE
from . import lfsr
from .trainer_plan import TrainerPlan, ceil_div
from .word_assembler import WordAssembler, entry_slot

SHIFT_STEPS = 16


def sample_layout(plan: TrainerPlan) -> data.StructLayout:
    """A sample ready in the activation memory.

    ``buffer`` which of the two, ``label``, ``record`` the store address of its label word.
    """
    return data.StructLayout(
        {
            "buffer": 1,
            "label": range(plan.layers[-1].units),
            "record": range(max(plan.store_depth, 2)),
            "last_of_epoch": 1,
        }
    )


class SampleLoader(wiring.Component):
    """Reads samples from the store in order, two samples ahead at most.

    A trit a cycle, or all trits of a pixel, which are a word then (see ``TrainerPlan.plane_sets``).

    A third is begun, and waits for a buffer when its first word is complete.

    Golden: ``golden.sample_store.SampleStore`` and ``golden.encoding.encode``.

    Members
    -------
    start, stop : In(1)
        Begin ``epochs`` times ``samples`` samples; stop after those already begun.
    epochs, samples : In(16), shift : In(1)
        Constant while busy. With ``shift`` each sample is moved by −1, 0 or +1 pixel each way.
    store_address, store_enable, store_hold : Out; store_data : In(32)
        Read port of the store (``SampleMemory``).
    store_wanted : Out(1)
        ``store_enable`` may be high in this cycle.
    write_valid, write_address, write_data : Out; write_ready : In(1)
        Words for the activation memory.
    o : Out(stream of samples); release : In(1)
        A sample is ready; ``release`` gives the oldest buffer back.
    shift_state : Out(16); load : In(1); load_state : In(16)
        The generator of the shifts.
    busy : Out(1)
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        self.word_register = plan.hardware.memory_register
        super().__init__(
            {
                "start": In(1),
                "stop": In(1),
                "epochs": In(16),
                "samples": In(16),
                "shift": In(1),
                "store_address": Out(range(max(plan.store_depth, 2))),
                "store_enable": Out(1),
                "store_wanted": Out(1),
                "store_hold": Out(1),
                "store_data": In(32),
                "write_valid": Out(1),
                "write_address": Out(range(max(plan.activation_depth, 2))),
                "write_data": Out(2 * plan.hardware.lanes),
                "write_ready": In(1),
                "o": Out(stream.Signature(sample_layout(plan))),
                "release": In(1),
                "shift_state": Out(16, init=FALLBACK_STATE),
                "load": In(1),
                "load_state": In(16),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, hardware = self.plan, self.plan.hardware
        pixels = plan.pixels
        # Planes that are encoded together, and how many of their trits a word has.
        sets, lanes = plan.plane_sets, plan.loaded_lanes
        together = len(sets[0])
        height, width = plan.image or (1, pixels)
        entries = pixels * len(sets)
        words = ceil_div(entries, lanes)
        tail = entry_slot(entries, lanes, 1)
        m.submodules.assembler = assembler = WordAssembler(
            lanes=lanes, width=2 * together, step=1, tails=[tail]
        )

        # Generator of shifts
        next_shift = Signal(16)
        m.d.comb += next_shift.eq(lfsr.advance(self.shift_state, SHIFT_STEPS))
        dy = Signal(signed(2))
        dx = Signal(signed(2))

        # Place in the data set
        epochs_left = Signal(16)
        samples_left = Signal(16)
        base = Signal.like(self.store_address)
        record = Signal.like(self.store_address)  # of the label, after the pixels
        first_record = plan.record_words - 1
        buffer = Signal()
        outstanding = Signal(2)
        begin = Signal()
        stopping = Signal()
        label = Signal.like(self.o.payload.label)
        last_of_epoch = Signal()
        m.d.comb += last_of_epoch.eq(samples_left == 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        released = Signal()
        m.d.sync += [
            released.eq(self.release),
            outstanding.eq(outstanding + begin - released),
        ]
        with m.If(self.stop & self.busy):
            m.d.sync += stopping.eq(1)

        # Place in the sample
        plane = Signal(range(max(len(sets), 2)))
        y = Signal(range(max(height, 2)))
        x = Signal(range(max(width, 2)))
        pixel = Signal(range(max(pixels, 2)))
        lane = Signal(range(max(lanes, 2)))
        word = Signal(range(max(words, 2)))

        # Cycle 0: which pixel; one from outside the image is zero.
        sub_bits = (plan.pixels_per_word - 1).bit_length()
        source = Signal(signed(len(self.store_address) + sub_bits + 1))
        offset = Signal(signed((width + 2).bit_length() + 1))
        step_y = Array([0, width, 0, -width])[dy.as_unsigned()]
        outside = (
            ((dy == 1) & (y == 0))
            | ((dy == -1) & (y == height - 1))
            | ((dx == 1) & (x == 0))
            | ((dx == -1) & (x == width - 1))
        )
        reading = Signal()
        last_pixel = Signal()
        stall = Signal()
        m.d.sync += offset.eq(step_y + dx)
        m.d.comb += last_pixel.eq((plane == len(sets) - 1) & (pixel == pixels - 1))

        # What travels with a pixel, one entry a cycle
        pixel_layout = data.StructLayout(
            {"zero": 1, "plane": len(plane), "complete": 1, "tail": 1, "sub": max(sub_bits, 1)}
        )
        stages = 3 + self.word_register
        valid = [Signal(name=f"valid{k}") for k in range(1, stages + 1)]
        info = [Signal(pixel_layout, name=f"info{k}") for k in range(1, stages + 1)]
        with m.If(~stall):
            m.d.sync += [
                Cat(valid).eq(Cat(reading, valid)),
                source.eq((base << sub_bits) + (pixel - offset)),
                info[0].zero.eq(outside),
                info[0].plane.eq(plane),
                info[0].complete.eq((lane == lanes - 1) | last_pixel),
                info[0].tail.eq(word == words - 1),
            ]
            for before, after in pairwise(info):
                m.d.sync += after.eq(before)
            m.d.sync += info[1].sub.eq(source[: max(sub_bits, 1)])

        # Cycle 1: its word is read. Then it is picked from the word, ...
        value = Signal(hardware.pixel_width)
        fields = Array(
            self.store_data.word_select(i, hardware.pixel_width)
            for i in range(plan.pixels_per_word)
        )
        with m.If(~stall):
            m.d.sync += value.eq(Mux(info[-2].zero, 0, fields[info[-2].sub]))

        # ... and its trit on this plane, or those on all planes, enter the word.
        # Tables of a value's bits are smaller than comparators.
        values = range(1 << hardware.pixel_width)
        tables: list[list[Const]] = [[] for _ in range(2 * together)]
        for planes in sets:
            for k, (lo, hi) in enumerate(planes):
                nonzero = sum(1 << v for v in values if v < lo or v >= hi)
                negative = sum(1 << v for v in values if v < lo)
                tables[2 * k].append(Const(nonzero, len(values)))
                tables[2 * k + 1].append(Const(negative, len(values)))
        m.d.comb += [
            assembler.data.eq(
                Cat(Array(table)[info[-1].plane].bit_select(value, 1) for table in tables)
            ),
            assembler.push.eq(valid[-1] & ~stall),
            assembler.complete.eq(info[-1].complete),
            assembler.entry.eq(Mux(info[-1].tail, tail, lanes - 1)),
        ]

        # A full word waits for the memory, and everything behind it with it.
        pending = Signal()
        buffer_free = Signal()
        write_word = Signal(range(2 * words))
        m.d.comb += [
            buffer_free.eq(outstanding != 3),
            self.write_valid.eq(pending & buffer_free),
            self.write_address.eq(write_word),
            self.write_data.eq(assembler.word),
            stall.eq(pending & ~(self.write_ready & buffer_free)),
        ]
        with m.If(~stall):
            m.d.sync += pending.eq(assembler.push & assembler.complete)
        with m.If(self.write_valid & self.write_ready):
            m.d.sync += write_word.eq(Mux(write_word == 2 * words - 1, 0, write_word + 1))

        with m.If(self.load):
            m.d.sync += self.shift_state.eq(
                Mux(self.load_state == 0, FALLBACK_STATE, self.load_state)
            )
        m.d.comb += [
            self.busy.eq(1),
            self.store_enable.eq(valid[0] & ~stall),
            self.store_wanted.eq(valid[0]),
            self.store_hold.eq(stall),
            self.store_address.eq(source >> sub_bits),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(self.o.valid)
                m.d.sync += [
                    epochs_left.eq(self.epochs),
                    samples_left.eq(self.samples),
                    base.eq(0),
                    record.eq(first_record),
                    stopping.eq(0),
                ]
                with m.If(self.start & (self.epochs != 0) & (self.samples != 0)):
                    m.d.sync += [buffer.eq(0), write_word.eq(0)]
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                with m.If(stopping):
                    m.next = "IDLE"
                with m.Elif(outstanding != 3):
                    m.d.comb += [
                        begin.eq(1),
                        self.store_enable.eq(1),
                        self.store_wanted.eq(1),
                        self.store_address.eq(record),
                    ]
                    m.d.sync += [dy.eq(0), dx.eq(0)]
                    with m.If(self.shift):
                        m.d.sync += [
                            self.shift_state.eq(next_shift),
                            dy.eq(((next_shift[:8] * 3) >> 8)[:2] - 1),
                            dx.eq(((next_shift[8:] * 3) >> 8)[:2] - 1),
                        ]
                    m.next = "LABEL"
            with m.State("LABEL"):
                m.next = "PIXELS"
                if self.word_register:
                    waited = Signal()
                    m.d.sync += waited.eq(~waited)
                    with m.If(~waited):
                        m.next = "LABEL"
                m.d.sync += [
                    label.eq(self.store_data),
                    plane.eq(0),
                    pixel.eq(0),
                    y.eq(0),
                    x.eq(0),
                    lane.eq(0),
                    word.eq(0),
                ]
            with m.State("PIXELS"):
                m.d.comb += reading.eq(1)
                with m.If(~stall):
                    m.d.sync += [pixel.eq(pixel + 1), x.eq(x + 1), lane.eq(lane + 1)]
                    with m.If(x == width - 1):
                        m.d.sync += [x.eq(0), y.eq(y + 1)]
                    with m.If(pixel == pixels - 1):
                        m.d.sync += [pixel.eq(0), y.eq(0), plane.eq(plane + 1)]
                    with m.If(lane == lanes - 1):
                        m.d.sync += [lane.eq(0), word.eq(word + 1)]
                    with m.If(last_pixel):
                        m.next = "FLUSH"
            with m.State("FLUSH"), m.If(~Cat(valid).any() & ~pending):
                m.next = "OFFER"
            # ``ready`` comes late in its cycle: what depends on it waits for the next one.
            with m.State("OFFER"), m.If(~self.o.valid):
                m.d.sync += [
                    self.o.valid.eq(1),
                    self.o.payload.label.eq(label),
                    self.o.payload.record.eq(record),
                    self.o.payload.buffer.eq(buffer),
                    self.o.payload.last_of_epoch.eq(last_of_epoch),
                    buffer.eq(~buffer),
                    base.eq(base + plan.record_words),
                    record.eq(record + plan.record_words),
                    samples_left.eq(samples_left - 1),
                ]
                m.next = "BEGIN"
                with m.If(last_of_epoch):
                    m.d.sync += [
                        base.eq(0),
                        record.eq(first_record),
                        samples_left.eq(self.samples),
                        epochs_left.eq(epochs_left - 1),
                    ]
                    with m.If(epochs_left == 1):
                        m.next = "IDLE"
        return m
