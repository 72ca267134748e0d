"""Fills the weight memory from the seed and clears the counters."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.lfsr import DISCARDED_STEPS
from .trainer_plan import TrainerPlan
from .word_assembler import WordAssembler, entry_slot


class Initialiser(wiring.Component):
    """Seeds the generator, draws every weight, clears every counter.

    Equation: design sections 3 and 4, step 2; golden: ``Trainer``. Takes 65 cycles, one a weight,
    one a counter word.

    Members
    -------
    start : In(1), done : Out(1)
        ``done`` pulses at the end.
    seed_load, step_one, step_three : Out(1)
        The generator takes the seed; advances one step; advances three.
    state : In(16)
        The generator's state.
    write_valid, write_address, write_bank, write_data : Out
        Words of weights.
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
                "write_data": Out(2 * plan.hardware.lanes),
                "clear_valid": Out(1),
                "clear_address": Out(range(max(plan.counter_depth, 2))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        tails = [entry_slot(p.inputs, lanes, 1) for p in plan.layers]
        m.submodules.assembler = assembler = WordAssembler(
            lanes=lanes, width=2, step=1, tails=tails
        )
        steps_left = Signal(range(DISCARDED_STEPS))
        layer = Signal(range(max(len(plan.layers), 2)))
        column = Signal(range(max(2, *(p.inputs for p in plan.layers))))
        row = Signal(range(max(2, *(p.units for p in plan.layers))))
        lane = Signal(range(max(lanes, 2)))
        word = Signal(range(max(2, *(p.words for p in plan.layers))))
        bank = Signal(range(max(rows, 2)))
        base = Signal.like(self.write_address)
        last_column = column == Array([p.inputs - 1 for p in plan.layers])[layer]
        last_row = row == Array([p.units - 1 for p in plan.layers])[layer]
        words = Array([p.words for p in plan.layers])[layer]

        # A weight is decided by the state after three steps, so it enters one cycle later.
        push, complete, entry = Signal(), Signal(), Signal.like(assembler.entry)
        address_1, bank_1 = Signal.like(self.write_address), Signal.like(self.write_bank)
        m.d.sync += [
            push.eq(self.step_three),
            complete.eq(last_column | (lane == lanes - 1)),
            entry.eq(Mux(word == words - 1, Array(tails)[layer], lanes - 1)),
            address_1.eq(base + word),
            bank_1.eq(bank),
            self.write_address.eq(address_1),
            self.write_bank.eq(bank_1),
        ]
        m.d.comb += [
            assembler.push.eq(push),
            assembler.data.eq(Cat(~self.state[0], ~self.state[0] & ~self.state[1])),
            assembler.complete.eq(complete),
            assembler.entry.eq(entry),
            self.write_valid.eq(assembler.valid),
            self.write_data.eq(assembler.word),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    steps_left.eq(DISCARDED_STEPS - 1),
                    layer.eq(0),
                    column.eq(0),
                    row.eq(0),
                    lane.eq(0),
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
                m.d.comb += self.step_three.eq(1)
                m.d.sync += [column.eq(column + 1), lane.eq(lane + 1)]
                with m.If(lane == lanes - 1):
                    m.d.sync += [lane.eq(0), word.eq(word + 1)]
                with m.If(last_column):
                    m.d.sync += [column.eq(0), lane.eq(0), word.eq(0), row.eq(row + 1)]
                    if rows > 1:
                        m.d.sync += bank.eq(bank + 1)
                    with m.If((bank == rows - 1) | last_row):
                        m.d.sync += base.eq(base + words)
                    with m.If(last_row):
                        m.d.sync += [row.eq(0), bank.eq(0), layer.eq(layer + 1)]
                        with m.If(layer == len(plan.layers) - 1):
                            m.next = "COUNTERS"
            with m.State("COUNTERS"):
                m.d.comb += self.clear_valid.eq(1)
                m.d.sync += self.clear_address.eq(self.clear_address + 1)
                with m.If(self.clear_address == plan.counter_depth - 1):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m
