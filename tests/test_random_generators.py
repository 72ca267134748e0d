"""Lfsr16 and Xorshift32: known values, seeding rules and full periods."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest

from trisign.golden import lfsr, xorshift
from trisign.golden.checks import ParameterError
from trisign.golden.lfsr import Lfsr16
from trisign.golden.xorshift import GROUP_LANES, Xorshift32, lane_word

# By hand: 1 is odd, so 0 ^ 0xB400; ten even states shift down to 0x2D; that is odd: 0x16 ^ 0xB400.
LFSR_FROM_1 = [
    0xB400, 0x5A00, 0x2D00, 0x1680, 0x0B40, 0x05A0, 0x02D0, 0x0168, 0x00B4, 0x005A, 0x002D, 0xB416,
]  # fmt: skip


def test_lfsr_known_states() -> None:
    states, state = [], 1
    for _ in LFSR_FROM_1:
        state = lfsr.advance(state)
        states.append(state)
    assert states == LFSR_FROM_1
    assert lfsr.advance(1, 12) == 0xB416
    assert lfsr.advance(0xFFFF) == 0x7FFF ^ 0xB400
    assert lfsr.advance(0) == 0


def test_lfsr_period_is_65535_through_every_state_but_zero() -> None:
    seen = np.zeros(1 << 16, bool)
    state = 1
    for _ in range(65535):
        assert not seen[state]
        seen[state] = True
        state = lfsr.advance(state)
    assert state == 1
    assert seen[1:].all()
    assert not seen[0]


@pytest.mark.parametrize(
    ("seed", "start"),
    [
        (0, 0xACE1),
        (1, 7919),
        (2, 15838),
        (9, 71271 - 65536),
        (65535, 65536 - 7919),
        (65536, 0xACE1),
        (65537, 7919),
        (2**32 - 1, 65536 - 7919),
    ],
)
def test_lfsr_seeding(seed: int, start: int) -> None:
    """State (seed·7919) mod 2^16, 0xACE1 where that is zero, and 64 states discarded."""
    generator = Lfsr16(seed)
    for _ in range(64):
        start = (start >> 1) ^ (0xB400 if start & 1 else 0)
    assert generator.state == start
    after = (start >> 1) ^ (0xB400 if start & 1 else 0)
    assert generator.step() == after
    assert generator.state == after


def test_lfsr_is_never_zero() -> None:
    for seed in range(0, 2**16, 97):
        assert 1 <= Lfsr16(seed).state <= 0xFFFF


# By hand, x ^= x << 13, x ^= x >> 17, x ^= x << 5, in 32 bits:
#   1           → 0x2001     → 0x2001     → 0x2001 ^ 0x40020 = 0x42021
#   0x42021     → 0x84000021 → 0x84004221 → 0x84004221 ^ 0x80084420 = 0x04080601
#   0x80000000  → 0x80000000 → 0x80004000 → 0x80004000 ^ 0x00080000 = 0x80084000
XORSHIFT_STEPS = [(1, 0x42021), (0x42021, 0x04080601), (0x80000000, 0x80084000), (0, 0)]


@pytest.mark.parametrize(("state", "after"), XORSHIFT_STEPS)
def test_xorshift_known_words(state: int, after: int) -> None:
    assert xorshift.advance(state) == after


def test_xorshift_advances_several_steps() -> None:
    assert xorshift.advance(1, 2) == 0x04080601
    assert xorshift.advance(1, 0) == 1


def step_matrix() -> list[int]:
    """The step as a matrix over GF(2): column k is the image of bit k."""
    return [xorshift.advance(1 << k) for k in range(32)]


def apply(matrix: list[int], word: int) -> int:
    columns = (matrix[k] for k in range(32) if word >> k & 1)
    return reduce(lambda a, b: a ^ b, columns, 0)


def power(matrix: list[int], exponent: int) -> list[int]:
    result = [1 << k for k in range(32)]
    while exponent:
        if exponent & 1:
            result = [apply(matrix, column) for column in result]
        matrix = [apply(matrix, column) for column in matrix]
        exponent >>= 1
    return result


def test_xorshift_period_is_every_word_but_zero() -> None:
    """The step is linear; its matrix has order 2^32 − 1 = 3·5·17·257·65537, so one cycle."""
    matrix, identity = step_matrix(), [1 << k for k in range(32)]
    for word in (0xDEADBEEF, 0x12345678, 0xFFFFFFFF):
        assert apply(matrix, word) == xorshift.advance(word)
        assert apply(power(matrix, 1000), word) == xorshift.advance(word, 1000)
    assert power(matrix, 2**32 - 1) == identity
    for prime in (3, 5, 17, 257, 65537):
        assert power(matrix, (2**32 - 1) // prime) != identity


@pytest.mark.parametrize(
    ("seed", "start"),
    [
        (0, 0x01234567),
        (1, 0x9E3779B1),
        (2, 0x3C6EF362),
        (2**31, 0x80000000),
        (2**32 - 1, 0x61C8864F),
    ],
)
def test_xorshift_seeding(seed: int, start: int) -> None:
    """State (seed·0x9E3779B1) mod 2^32, 0x1234567 where that is zero, and 8 words discarded."""
    generator = Xorshift32(seed)
    for _ in range(8):
        start ^= start << 13 & 0xFFFFFFFF
        start ^= start >> 17
        start ^= start << 5 & 0xFFFFFFFF
    assert generator.state == start
    word = generator.step()
    assert word == xorshift.advance(start)
    assert generator.state == word


def test_xorshift_multiplier_is_odd_so_only_seed_zero_falls_back() -> None:
    assert xorshift.SEED_MULTIPLIER % 2 == 1
    assert all(Xorshift32(seed).state != 0 for seed in range(1000))


def test_lanes_read_the_word_rotated_by_seven_a_lane() -> None:
    assert [lane_word(1, lane) for lane in range(6)] == [
        1,
        1 << 7,
        1 << 14,
        1 << 21,
        1 << 28,
        1 << 3,
    ]
    # 0x80000001 to the left by 7: bit 31 comes round to bit 6, bit 0 to bit 7.
    assert lane_word(0x80000001, 1) == 0xC0
    assert lane_word(0xDEADBEEF, 0) == 0xDEADBEEF
    assert lane_word(0xDEADBEEF, 32) == 0xDEADBEEF
    assert {lane_word(1, lane) for lane in range(GROUP_LANES)} == {1 << bit for bit in range(32)}


@pytest.mark.parametrize("generator", [Lfsr16, Xorshift32])
@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None, True])
def test_wrong_seeds(generator: Any, seed: Any) -> None:
    with pytest.raises(
        ParameterError, match=r"^seed must be an integer from 0 to 4294967295, not "
    ):
        generator(seed)
