"""The 32-bit xorshift generator in hardware; golden model: ``golden.xorshift.Xorshift32``."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.xorshift import FALLBACK_STATE, LANE_ROTATION, Xorshift32

WORD_WIDTH = 32


def advance(state: Value) -> Value:
    """Expression of the next xorshift word (13, 17, 5): two levels of XOR."""
    x = state ^ (state << 13)[:WORD_WIDTH]
    x = x ^ (x >> 17)
    return (x ^ (x << 5)[:WORD_WIDTH])[:WORD_WIDTH]


def lane_word(word: Value, lane: int) -> Value:
    """What lane ``lane`` reads of the shared ``word``: rotated left by 7·lane mod 32."""
    return word.rotate_left(LANE_ROTATION * lane % WORD_WIDTH)


class Xorshift32Source(wiring.Component):
    """A stream of 32-bit xorshift words.

    Equation: golden ``xorshift.advance``.

    Parameters
    ----------
    seed : int
        State after reset is that of ``golden.xorshift.Xorshift32(seed)``.

    Members
    -------
    load : In(1), load_state : In(32)
        Sets the state in the next cycle; zero reads as 0x1234567.
    o : Out(stream of unsigned(32))
        The next word, always valid; a transfer advances the state. The payload changes while it
        waits only when ``load`` is set.

    Latency 0, initiation interval 1. Reset restores the seed.
    """

    LATENCY = 0
    INITIATION_INTERVAL = 1

    load: In(1)
    load_state: In(WORD_WIDTH)
    o: Out(stream.Signature(WORD_WIDTH))

    def __init__(self, *, seed: int = 1) -> None:
        self.initial_state = Xorshift32(seed).state
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(WORD_WIDTH, init=self.initial_state)

        m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(advance(state))]

        with m.If(self.load):
            m.d.sync += state.eq(Mux(self.load_state == 0, FALLBACK_STATE, self.load_state))
        with m.Elif(self.o.ready):
            m.d.sync += state.eq(self.o.payload)
        return m
