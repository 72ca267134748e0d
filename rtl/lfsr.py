"""The 16-bit Galois LFSR in hardware; golden model: ``golden.lfsr.Lfsr16``."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import integer
from ..golden.lfsr import DISCARDED_STEPS, FALLBACK_STATE, TAPS, Lfsr16

STATE_WIDTH = 16
STEPS_MAX = 256


def advance(state: Value, steps: int = 1) -> Value:
    """Expression of the state ``steps`` steps after ``state``: pure XOR, no carry.

    The bits are formed symbolically, so that k steps cost the XORs they need and no chain of k.
    """
    rows = [1 << bit for bit in range(STATE_WIDTH)]  # rows[b]: mask of state bits XORed into b
    for _ in range(steps):
        out = rows[0]
        rows = [*rows[1:], 0]
        rows = [row ^ (out if TAPS >> bit & 1 else 0) for bit, row in enumerate(rows)]
    return Cat((state & mask).xor() for mask in rows)


def seed_state(seed: Value) -> Value:
    """Expression of the state right after seeding, before steps are discarded; 0 means 0xACE1.

    (seed · 7919) mod 2^16, since 7919 = (8192 − 256) − (16 + 1).
    """
    return (((seed << 13) - (seed << 8)) - ((seed << 4) + seed))[:STATE_WIDTH]


class Lfsr16Source(wiring.Component):
    """A stream of LFSR states, one each ``steps`` steps.

    Equation: design section 3; golden: ``golden.lfsr.advance``.

    Parameters
    ----------
    seed : int
        State after reset is that of ``golden.lfsr.Lfsr16(seed)``.
    steps : int
        1 … 256 steps between two words. 16 or more share no bits.

    Members
    -------
    load : In(1), load_state : In(16)
        Sets the state in the next cycle; the word offered in the cycle of ``load`` is not
        counted as drawn. A state of zero reads as 0xACE1.
    o : Out(stream of unsigned(16))
        The next word. It is always valid; a transfer advances the state. The payload changes
        while it waits only when ``load`` is set.

    Latency 0 (a word is always ready), initiation interval 1. Reset restores the seed.
    """

    LATENCY = 0
    INITIATION_INTERVAL = 1

    load: In(1)
    load_state: In(STATE_WIDTH)
    o: Out(stream.Signature(STATE_WIDTH))

    def __init__(self, *, seed: int = 1, steps: int = 1) -> None:
        self.steps = integer("steps", steps, 1, STEPS_MAX)
        self.initial_state = Lfsr16(seed).state
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(STATE_WIDTH, init=self.initial_state)

        m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(advance(state, self.steps))]

        with m.If(self.load):
            m.d.sync += state.eq(Mux(self.load_state == 0, FALLBACK_STATE, self.load_state))
        with m.Elif(self.o.ready):
            m.d.sync += state.eq(self.o.payload)
        return m


__all__ = ["DISCARDED_STEPS", "Lfsr16Source", "advance", "seed_state"]
