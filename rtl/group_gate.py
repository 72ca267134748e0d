"""Draws the gate of each group of lanes and passes on the words whose gate is open."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import lfsr
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
    low s bits of the last state is set. A draw a cycle; a resting group costs that cycle alone.

    Members
    -------
    gate_shift : In
        s, 0 … gate_shift_max.
    layer : In
        Constant while rows of a layer pass.
    i : In(stream of rows), o : Out(stream of words)
    state : Out(16)
        State of the generator.
    load : In(1), load_state : In(16)
    step_one, step_three : In(1)
        Advance the generator for seeding and for initial weights; no rows meanwhile.
    drawn : Out(1), opened : Out(1)
        Pulses for the counters.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        self.gate_shift_max = plan.hardware.gate_shift_max
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
                "drawn": Out(1),
                "opened": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, group = self.plan, self.plan.config.rng_group
        lanes = plan.hardware.lanes
        in_word = groups_per_word(plan)
        words_in_group = max(1, group // lanes)

        # Generator
        drawn_state = Array(
            [lfsr.advance(self.state, s + 1) for s in range(self.gate_shift_max + 1)]
        )[self.gate_shift]
        mask = Array([(1 << s) - 1 for s in range(self.gate_shift_max + 1)])[self.gate_shift]
        is_open = Signal()
        m.d.comb += is_open.eq((drawn_state & mask) == 0)
        with m.If(self.load):
            m.d.sync += self.state.eq(
                Mux(self.load_state == 0, lfsr.FALLBACK_STATE, self.load_state)
            )
        with m.Elif(self.drawn):
            m.d.sync += self.state.eq(drawn_state)
        with m.Elif(self.step_three):
            m.d.sync += self.state.eq(lfsr.advance(self.state, INITIAL_STEPS))
        with m.Elif(self.step_one):
            m.d.sync += self.state.eq(lfsr.advance(self.state, SEEDING_STEPS))

        # Place in the row
        word = Signal(range(max(2, *(p.words for p in plan.layers))))
        part = Signal(range(max(in_word, 2)))  # group within the word
        follow = Signal(range(max(words_in_group, 2)))  # word within the group
        earlier = Signal(max(in_word - 1, 1))  # gates of this word drawn so far
        last_word = word == Array([p.words - 1 for p in plan.layers])[self.layer]
        tails = [ceil_div(p.inputs - (p.words - 1) * lanes, group) - 1 for p in plan.layers]
        last_part = (
            part == Mux(last_word, Array(tails)[self.layer], in_word - 1) if in_word > 1 else 1
        )

        # One draw, or one further word of an open group, a cycle
        free = Signal()
        advance_word = Signal()
        emit = Signal()
        step = Signal(range(max(words_in_group, 2) + 1), init=1)
        gates = Signal(in_word)
        m.d.comb += free.eq(self.i.valid & (~self.o.valid | self.o.ready))
        if in_word > 1:
            m.d.comb += gates.eq(Cat(earlier, 0)[:in_word] | (is_open << part))
        else:
            m.d.comb += gates.eq(is_open | (follow != 0))
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(free):
            m.d.comb += [
                self.drawn.eq(follow == 0),
                self.opened.eq(self.drawn & is_open),
                advance_word.eq(last_part),
                emit.eq(last_part & gates.any()),
            ]
            if in_word > 1:
                m.d.sync += part.eq(Mux(last_part, 0, part + 1))
                m.d.sync += earlier.eq(Mux(last_part, 0, gates))
            if words_in_group > 1:
                m.d.sync += follow.eq(
                    Mux(~gates | last_word | (follow == words_in_group - 1), 0, follow + 1)
                )
                with m.If(~gates):
                    m.d.comb += step.eq(words_in_group)
        with m.If(advance_word):
            row_words = Array([p.words for p in plan.layers])[self.layer]
            with m.If(word + step >= row_words):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += word.eq(0)
            with m.Else():
                m.d.sync += word.eq(word + step)
        with m.If(emit):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.row.eq(self.i.payload),
                self.o.payload.word.eq(word),
                self.o.payload.open.eq(gates),
            ]
        return m
