"""Fills the weight memory from the seed and clears the counters."""

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.lfsr import DISCARDED_STEPS
from .trainer_plan import TrainerPlan
from .word_assembler import WordAssembler


class Initialiser(wiring.Component):
    """Seeds the generator, draws every weight, clears every counter.

    Equation: design sections 3 and 4, step 2; golden: ``Trainer``. Takes 65 cycles, one a lane of
    every row, one a counter word, and a few.

    Members
    -------
    start : In(1), done : Out(1)
        ``done`` pulses at the end.
    seed_load, step_one, step_three : Out(1)
        The generator takes the seed; advances one step; advances three.
    state : In(16)
        The generator's state.
    write_valid, write_address, write_bank, write_data, write_mask : Out
        Chunks of ``weight_chunk`` weights, and which one of a word it is.
    clear_valid, clear_address : Out
        Counter words to be written as zero.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "start": In(1),
                "done": Out(1),
                "seed_load": Out(1),
                "step_one": Out(1),
                "step_three": Out(1),
                "state": In(16),
                "write_valid": Out(1),
                "write_address": Out(range(max(plan.weight_depth, 2))),
                "write_bank": Out(range(max(plan.hardware.rows, 2))),
                "write_data": Out(2 * plan.weight_chunk),
                "write_mask": Out(plan.weight_chunks),
                "clear_valid": Out(1),
                "clear_address": Out(range(max(plan.counter_depth, 2))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, rows = self.plan, self.plan.hardware.rows
        m.submodules.assembler = assembler = WordAssembler(lanes=plan.weight_chunk, width=2, step=1)
        steps_left = Signal(range(DISCARDED_STEPS))
        layer = Signal(range(max(len(plan.layers), 2)))
        column = Signal(range(max(2, *(p.inputs for p in plan.layers))))
        row = Signal(range(max(2, *(p.units for p in plan.layers))))
        lane = Signal(range(max(plan.weight_chunk, 2)))
        chunk = Signal(range(max(plan.weight_chunks, 2)))
        padding = Signal()  # the row has ended inside its last word
        word = Signal(range(max(2, *(p.words for p in plan.layers))))
        bank = Signal(range(max(rows, 2)))
        base = Signal.like(self.write_address)
        # Of the layer in work, loaded as it begins.
        last_input = Signal(range(max(p.inputs for p in plan.layers)))
        last_unit = Signal(range(max(p.units for p in plan.layers)))
        words = Array([p.words for p in plan.layers])[layer]
        last_lane, last_chunk = lane == plan.weight_chunk - 1, chunk == plan.weight_chunks - 1
        last_row = row == last_unit
        row_end = last_lane & last_chunk & (word == words - 1)

        # A weight is decided by the state after three steps, so it enters one cycle later.
        drawing = Signal()
        push = Signal()
        complete = Signal()
        real = Signal()
        address_1 = Signal.like(self.write_address)
        bank_1 = Signal.like(self.write_bank)
        chunk_1 = Signal.like(chunk)
        m.d.comb += self.step_three.eq(drawing & ~padding)
        m.d.sync += [
            push.eq(drawing),
            real.eq(~padding),
            complete.eq(last_lane),
            chunk_1.eq(chunk),
            self.write_mask.eq(1 << chunk_1),
            address_1.eq(base + word),
            bank_1.eq(bank),
            self.write_address.eq(address_1),
            self.write_bank.eq(bank_1),
        ]
        m.d.comb += [
            assembler.push.eq(push),
            assembler.data.eq(Cat(~self.state[0] & real, ~self.state[0] & ~self.state[1] & real)),
            assembler.complete.eq(complete),
            assembler.entry.eq(plan.weight_chunk - 1),
            self.write_valid.eq(assembler.valid),
            self.write_data.eq(assembler.word),
        ]

        m.d.sync += self.done.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    steps_left.eq(DISCARDED_STEPS - 1),
                    layer.eq(0),
                    last_input.eq(plan.layers[0].inputs - 1),
                    last_unit.eq(plan.layers[0].units - 1),
                    column.eq(0),
                    row.eq(0),
                    lane.eq(0),
                    chunk.eq(0),
                    padding.eq(0),
                    word.eq(0),
                    bank.eq(0),
                    base.eq(0),
                    self.clear_address.eq(0),
                ]
                with m.If(self.start):
                    m.next = "SEED"
            with m.State("SEED"):
                m.d.comb += self.seed_load.eq(1)
                m.next = "DISCARD"
            with m.State("DISCARD"):
                m.d.comb += self.step_one.eq(1)
                m.d.sync += steps_left.eq(steps_left - 1)
                with m.If(steps_left == 0):
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += drawing.eq(1)
                m.d.sync += [column.eq(column + 1), lane.eq(lane + 1)]
                with m.If(column == last_input):
                    m.d.sync += padding.eq(1)
                with m.If(last_lane):
                    m.d.sync += [lane.eq(0), chunk.eq(chunk + 1)]
                    with m.If(last_chunk):
                        m.d.sync += [chunk.eq(0), word.eq(word + 1)]
                with m.If(row_end):
                    m.d.sync += [column.eq(0), padding.eq(0), word.eq(0), row.eq(row + 1)]
                    if rows > 1:
                        m.d.sync += bank.eq(bank + 1)
                    with m.If((bank == rows - 1) | last_row):
                        m.d.sync += base.eq(base + words)
                    with m.If(last_row):
                        m.d.sync += [row.eq(0), bank.eq(0), layer.eq(layer + 1)]
                        for l, p in enumerate(plan.layers[1:]):
                            with m.If(layer == l):
                                m.d.sync += [last_input.eq(p.inputs - 1), last_unit.eq(p.units - 1)]
                        with m.If(layer == len(plan.layers) - 1):
                            m.d.sync += self.clear_valid.eq(1)
                            m.next = "COUNTERS"
            with m.State("COUNTERS"):
                m.d.sync += self.clear_address.eq(self.clear_address + 1)
                with m.If(self.clear_address == plan.counter_depth - 1):
                    m.d.sync += [self.done.eq(1), self.clear_valid.eq(0)]
                    m.next = "IDLE"
        return m
