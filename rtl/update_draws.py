"""What the update engine draws for a word: the gate of each group, a random word for each lane."""

from amaranth import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..golden.lfsr import FALLBACK_STATE as LFSR_FALLBACK
from ..golden.lfsr import Lfsr16
from ..golden.update_engine import UpdateParameters
from ..golden.xorshift import FALLBACK_STATE as XORSHIFT_FALLBACK
from ..golden.xorshift import GROUP_LANES, LANE_ROTATION, Xorshift32
from . import lfsr, xorshift


def groups_per_word(parameters: UpdateParameters) -> int:
    """Groups that a word of P lanes holds, 1 where a group spans words."""
    return max(1, parameters.lanes // parameters.rng_group)


def generator_members(parameters: UpdateParameters, seed: int) -> dict[str, wiring.Member]:
    """Settings, loading and states of the generators, as the engine shows them outside."""
    members = {
        "load": In(1),
        "load_lfsr": In(lfsr.STATE_WIDTH),
        "lfsr_state": Out(lfsr.STATE_WIDTH, init=Lfsr16(seed).state),
    }
    if parameters.gate_shift_max:
        members["gate_shift"] = In(range(parameters.gate_shift_max + 1))
    if parameters.random_width:
        members["load_xorshift"] = In(xorshift.WORD_WIDTH)
        members["xorshift_state"] = Out(xorshift.WORD_WIDTH, init=Xorshift32(seed).state)
    return members


class UpdateDraws(wiring.Component):
    """Both generators of an update engine, stepped word by word.

    Equation: design sections 3 and 4; golden: ``UpdateEngine.gate_is_open``, ``lane_words``.
    One LFSR draw of s + 1 steps a group; one xorshift step for each 32 lanes of an open group. A
    group that spans words draws at its first word, 32 lanes that span words at their first.

    Parameters
    ----------
    parameters : UpdateParameters
    seed : int
        0 … 2^32 − 1, of both generators after reset.

    Members
    -------
    taken : In(1)
        A word is taken in this cycle; the generators move on.
    last : In(1), end : In
        The word ends its row, in lane ``end``.
    opened : Out
        A bit a group of the word: it is there and its gate is open.
    words : Out(array of unsigned(random_width))
        What each lane reads. Missing where random_width is 0.
    gate_shift, load, load_lfsr, load_xorshift, lfsr_state, xorshift_state
        As in ``UpdateEngine``.

    Outputs are combinational in ``last``, ``end`` and ``gate_shift``.
    """

    def __init__(self, parameters: UpdateParameters, *, seed: int = 1) -> None:
        self.parameters = parameters
        p = parameters
        members = {
            "taken": In(1),
            "last": In(1),
            "end": In(range(max(2, p.lanes))),
            "opened": Out(groups_per_word(p)),
            **generator_members(p, seed),
        }
        if p.random_width:
            members["words"] = Out(data.ArrayLayout(p.random_width, p.lanes))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        group_words = max(1, p.rng_group // p.lanes)

        # Place of the word in its group
        place = Signal(range(max(2, group_words)))
        if group_words > 1:
            with m.If(self.taken):
                ends = self.last | (place == group_words - 1)
                m.d.sync += place.eq(Mux(ends, 0, place + 1))

        # Generators
        lfsr_next = self._gates(m, place)
        with m.If(self.load):
            m.d.sync += self.lfsr_state.eq(Mux(self.load_lfsr == 0, LFSR_FALLBACK, self.load_lfsr))
        with m.Elif(self.taken & (place == 0)):
            m.d.sync += self.lfsr_state.eq(lfsr_next)

        if p.random_width:
            narrow = p.lanes < GROUP_LANES
            xorshift_next = self._narrow_words(m, place) if narrow else self._wide_words(m)
            with m.If(self.load):
                m.d.sync += self.xorshift_state.eq(
                    Mux(self.load_xorshift == 0, XORSHIFT_FALLBACK, self.load_xorshift)
                )
            with m.Elif(self.taken):
                m.d.sync += self.xorshift_state.eq(xorshift_next)
        return m

    def _is_present(self, lane: int) -> Value:
        """The row reaches ``lane`` of this word."""
        return ~self.last | (self.end >= lane) if lane else Const(1)

    def _gates(self, m: Module, place: Signal) -> Value:
        """Drives ``opened``; returns the LFSR state after the draws of this word."""
        p = self.parameters
        shift = self.gate_shift if p.gate_shift_max else Const(0)
        shifts = range(p.gate_shift_max + 1)
        state_next: Value = self.lfsr_state
        is_open = Signal(len(self.opened))
        for g in range(len(self.opened)):
            drawn = [lfsr.advance(self.lfsr_state, (g + 1) * (s + 1)) for s in shifts]
            is_present = self._is_present(g * p.rng_group)
            open_at = Array(~drawn[s][:s].any() if s else Const(1) for s in shifts)
            m.d.comb += is_open[g].eq(is_present & open_at[shift])
            state_next = Mux(is_present, Array(drawn)[shift], state_next)
        if p.rng_group <= p.lanes:
            m.d.comb += self.opened.eq(is_open)
        else:
            held = Signal()
            m.d.comb += self.opened.eq(Mux(place == 0, is_open, held))
            with m.If(self.taken):
                m.d.sync += held.eq(self.opened)
        return state_next

    def _wide_words(self, m: Module) -> Value:
        """Drives ``words`` where a word holds 32 lanes or more; returns the next state."""
        p = self.parameters
        start: Value = self.xorshift_state  # state before the present group
        word: Value = start
        state_next: Value = start
        for part in range(p.lanes // GROUP_LANES):
            lane = part * GROUP_LANES
            group = lane // p.rng_group
            # A closed group reads no words, so its words may be formed as if it were open.
            before = start if lane % p.rng_group == 0 else word
            word = Signal(xorshift.WORD_WIDTH, name=f"word{part}")
            m.d.comb += word.eq(xorshift.advance(before))
            for k in range(GROUP_LANES):
                m.d.comb += self.words[lane + k].eq(xorshift.lane_word(word, k))
            state_next = Mux(self.opened[group] & self._is_present(lane), word, state_next)
            if (lane + GROUP_LANES) % p.rng_group == 0:
                start = Mux(self.opened[group], word, start)
        return state_next

    def _narrow_words(self, m: Module, place: Signal) -> Value:
        """Drives ``words`` where 32 lanes span words; returns the next state."""
        p = self.parameters
        parts = GROUP_LANES // p.lanes
        part = place[: (parts - 1).bit_length()]
        advanced = xorshift.advance(self.xorshift_state)
        rotated = [
            self.xorshift_state.rotate_left(LANE_ROTATION * p.lanes * j % GROUP_LANES)
            for j in range(1, parts)
        ]
        word = Signal(xorshift.WORD_WIDTH)
        m.d.comb += word.eq(Array([advanced, *rotated])[part])
        for k in range(p.lanes):
            m.d.comb += self.words[k].eq(xorshift.lane_word(word, k))
        return Mux((part == 0) & self.opened, word, self.xorshift_state)
