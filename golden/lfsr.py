"""The 16-bit Galois LFSR that initialises weights and draws the update gate."""

from __future__ import annotations

from .checks import integer

TAPS = 0xB400
FALLBACK_STATE = 0xACE1
SEED_MULTIPLIER = 7919
DISCARDED_STEPS = 64


def advance(state: int, steps: int = 1) -> int:
    """The state ``steps`` steps after ``state``. Zero stays zero; seeding never yields it."""
    for _ in range(steps):
        state = (state >> 1) ^ (TAPS if state & 1 else 0)
    return state


class Lfsr16:
    """Maximal-length Galois LFSR, period 2^16 − 1.

    One step: ``b = x & 1; x >>= 1; if b: x ^= 0xB400``. The output is the new state.

    Parameters
    ----------
    seed : int
        0 … 2^32 − 1. The state starts at (seed · 7919) mod 2^16, or 0xACE1 where that is zero,
        and 64 steps are discarded.

    Attributes
    ----------
    state : int
        Present state, 1 … 65535.
    """

    def __init__(self, seed: int) -> None:
        seed = integer("seed", seed, 0, 2**32 - 1)
        self.state = advance((seed * SEED_MULTIPLIER) % 2**16 or FALLBACK_STATE, DISCARDED_STEPS)

    def step(self) -> int:
        """Advance one step and return the new state."""
        self.state = advance(self.state)
        return self.state
