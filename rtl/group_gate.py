"""Draws the gate of each group of lanes and passes on the words whose gate is open."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import lfsr
from .popcount import popcount
from .row_source import row_layout
from .trainer_plan import TrainerPlan, ceil_div

SEEDING_STEPS = 1
INITIAL_STEPS = 3


def groups_per_word(plan: TrainerPlan) -> int:
    """Groups that a word of P lanes holds, 1 where a group spans words."""
    return max(1, plan.hardware.lanes // plan.config.rng_group)


def word_layout(plan: TrainerPlan) -> data.StructLayout:
    """A word to update: its row, its index in the row, which of its groups are open."""
    return data.StructLayout(
        {
            "row": row_layout(plan),
            "word": range(max(2, *(p.words for p in plan.layers))),
            "open": groups_per_word(plan),
        }
    )


class GroupGate(wiring.Component):
    """The one generator of the trainer, and the gate drawn from it.

    Equation: design section 4, step 5: s + 1 LFSR steps a group; the group rests where any of the
    low s bits of the last state is set. All groups of a word draw in one cycle, each from as many
    steps further on; groups beyond the end of the row draw nothing. A word whose groups all rest
    costs that cycle alone.

    Members
    -------
    gate_shift : In
        s, 0 … gate_shift_max.
    layer : In
        Constant while rows of a layer pass, and from the cycle before the first.
    i : In(stream of rows), o : Out(stream of words)
    state : Out(16)
        State of the generator.
    load : In(1), load_state : In(16)
    step_one, step_three : In(1)
        Advance the generator for seeding and for initial weights; no rows meanwhile.
    drawn, opened : Out
        Groups that drew and groups that opened in the cycle before, for the counters.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        self.gate_shift_max = plan.hardware.gate_shift_max
        groups = range(groups_per_word(plan) + 1)
        super().__init__(
            {
                "gate_shift": In(range(max(self.gate_shift_max + 1, 2))),
                "layer": In(range(max(len(plan.layers), 2))),
                "i": In(stream.Signature(row_layout(plan))),
                "o": Out(stream.Signature(word_layout(plan))),
                "state": Out(16, init=lfsr.FALLBACK_STATE),
                "load": In(1),
                "load_state": In(16),
                "step_one": In(1),
                "step_three": In(1),
                "drawn": Out(groups),
                "opened": Out(groups),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, group = self.plan, self.plan.config.rng_group
        lanes, layers = plan.hardware.lanes, plan.layers
        in_word = groups_per_word(plan)
        words_in_group = max(1, group // lanes)

        # Place in the row
        word = Signal(range(max(2, *(p.words for p in layers))))
        follow = Signal(range(max(words_in_group, 2)))  # word within the group
        last_of_row = Array([p.words - 1 for p in layers])[self.layer]
        last_word = word == last_of_row
        in_tail = [ceil_div(p.inputs - (p.words - 1) * lanes, group) for p in layers]
        tail = Array(in_tail)[self.layer]

        # Generator: the gates of one, two, ... groups, and the state after them
        gate_shift = Signal.like(self.gate_shift)
        m.d.sync += gate_shift.eq(self.gate_shift)
        shifts = range(self.gate_shift_max + 1)

        def state_after(groups: int) -> Value:
            states = [lfsr.advance(self.state, groups * (s + 1)) for s in shifts]
            return Array(states)[gate_shift]

        mask = Array([(1 << s) - 1 for s in shifts])[gate_shift]
        is_open = [(state_after(k + 1) & mask) == 0 for k in range(in_word)]
        next_state: Value = state_after(in_word)
        in_this_word: Value = Const(in_word, len(self.drawn))
        exists: list[Value] = [Const(1)] * in_word
        if in_word > 1:
            for count in sorted({*in_tail} - {in_word}):
                next_state = Mux(last_word & (tail == count), state_after(count), next_state)
            in_this_word = Mux(last_word, tail, in_word)
            exists = [~last_word | (tail > k) for k in range(in_word)]
        draw = Signal()
        with m.If(self.load):
            m.d.sync += self.state.eq(
                Mux(self.load_state == 0, lfsr.FALLBACK_STATE, self.load_state)
            )
        with m.Elif(self.step_three):
            m.d.sync += self.state.eq(lfsr.advance(self.state, INITIAL_STEPS))
        with m.Elif(self.step_one):
            m.d.sync += self.state.eq(lfsr.advance(self.state, SEEDING_STEPS))
        with m.Elif(draw):  # comes late in the cycle
            m.d.sync += self.state.eq(next_state)

        # A word a cycle; the further words of a resting group are passed over with the first.
        free = Signal()
        gates = Signal(in_word)
        row_done = Signal()
        m.d.comb += [
            free.eq(self.i.valid & (~self.o.valid | self.o.ready)),
            draw.eq(free & (follow == 0)),
            gates.eq(Cat(a & b for a, b in zip(is_open, exists, strict=True))),
            row_done.eq(last_word),
            self.i.ready.eq(free & row_done),
        ]
        next_word: Value = word + 1
        if words_in_group > 1:
            # Where both would go is known before the gate is.
            m.d.comb += [
                gates.eq(is_open[0] | (follow != 0)),
                row_done.eq(Mux(gates, last_word, word + words_in_group > last_of_row)),
            ]
            next_word = Mux(gates, next_word, word + words_in_group)
            with m.If(free):
                m.d.sync += follow.eq(
                    Mux(~gates | row_done | (follow == words_in_group - 1), 0, follow + 1)
                )
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(free):
            m.d.sync += [
                word.eq(Mux(row_done, 0, next_word)),
                self.o.valid.eq(gates.any()),
            ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.payload.row.eq(self.i.payload),
                self.o.payload.word.eq(word),
                self.o.payload.open.eq(gates),
            ]
        m.d.sync += [
            self.drawn.eq(Mux(draw, in_this_word, 0)),
            self.opened.eq(Mux(draw, popcount(gates), 0)),
        ]
        return m
