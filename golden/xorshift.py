"""The 32-bit xorshift word that gives each lane random bits of its own.

Marsaglia's xorshift (13, 17, 5), period 2^32 − 1. One word serves a group of 32 lanes; lane k reads
it rotated left by 7·k mod 32. A shared word without rotation ruins training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .checks import integer

GROUP_LANES = 32
LANE_ROTATION = 7
SEED_MULTIPLIER = 0x9E3779B1
FALLBACK_STATE = 0x1234567
DISCARDED_STEPS = 8
MASK = 0xFFFFFFFF


def advance(state: int, steps: int = 1) -> int:
    """The state ``steps`` steps after ``state``. Zero stays zero; seeding never yields it."""
    for _ in range(steps):
        state ^= (state << 13) & MASK
        state ^= state >> 17
        state ^= (state << 5) & MASK
    return state


def lane_word(word: int, lane: int) -> int:
    """What lane ``lane`` reads of the shared ``word``: rotated left by 7·lane mod 32."""
    rotation = LANE_ROTATION * lane % 32
    return ((word << rotation) | (word >> (32 - rotation))) & MASK


class Xorshift32:
    """Xorshift generator, one 32-bit word a step.

    Parameters
    ----------
    seed : int
        0 … 2^32 − 1. The state starts at (seed · 0x9E3779B1) mod 2^32, or 0x1234567 where that is
        zero, and 8 steps are discarded.

    Attributes
    ----------
    state : int
        Present state, 1 … 2^32 − 1.
    """

    def __init__(self, seed: int) -> None:
        seed = integer("seed", seed, 0, 2**32 - 1)
        self.state = advance((seed * SEED_MULTIPLIER) & MASK or FALLBACK_STATE, DISCARDED_STEPS)

    def step(self) -> int:
        """Advance one step and return the new word."""
        self.state = advance(self.state)
        return self.state

    def lane_words(self, count: int) -> NDArray[np.int64]:
        """What ``count`` lanes read, the first at a multiple of 32: a step for every 32 of them."""
        words: list[int] = []
        for start in range(0, count, GROUP_LANES):
            word = self.step()
            words += [lane_word(word, i) for i in range(min(GROUP_LANES, count - start))]
        return np.array(words, np.int64)
