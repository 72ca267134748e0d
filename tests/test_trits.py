"""Trits and their two-bit codes: every value, every code, every word of four lanes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from trisign.golden.checks import DataError
from trisign.golden.trits import from_code, pack, pack_codes, to_code, unpack

# Bit 0 nonzero, bit 1 negative; 0b10 is illegal and reads as zero.
READS_AS = {0b00: 0, 0b01: 1, 0b10: 0, 0b11: -1}


def test_codes_of_the_three_trits() -> None:
    codes = to_code([-1, 0, 1])
    assert codes.tolist() == [0b11, 0b00, 0b01]
    assert codes.dtype == np.uint8


def test_every_code_reads_as_stated() -> None:
    trits = from_code(list(READS_AS))
    assert trits.tolist() == list(READS_AS.values())
    assert trits.dtype == np.int8


def test_shapes_are_kept() -> None:
    trits = np.array([[[-1], [0], [1]], [[1], [1], [0]]], np.int8)
    codes = to_code(trits)
    assert codes.shape == (2, 3, 1)
    np.testing.assert_array_equal(from_code(codes), trits)
    assert to_code(1).shape == ()
    assert from_code(np.uint8(3)) == -1


def test_lane_0_is_lowest() -> None:
    assert pack([1, 0, 0]) == 0b00_00_01
    assert pack([0, 0, -1]) == 0b11_00_00
    assert pack([-1, 1, 0, 1]) == 0b01_00_01_11
    assert pack_codes([2, 3, 0, 2]) == 0b10_00_11_10


def test_every_word_of_four_lanes() -> None:
    for lanes in product(range(4), repeat=4):
        word = pack_codes(lanes)
        assert word == sum(code * 4**lane for lane, code in enumerate(lanes))
        assert unpack(word, 4).tolist() == [READS_AS[code] for code in lanes]


def test_wide_words_survive() -> None:
    trits = np.resize(np.array([1, -1, 0, 0, -1], np.int8), 1024)
    np.testing.assert_array_equal(unpack(pack(trits), 1024), trits)


def test_unpack_reads_the_lowest_lanes_only() -> None:
    assert unpack(0b11_01_11, 2).tolist() == [-1, 1]
    assert unpack(0b01, 3).tolist() == [1, 0, 0]


@pytest.mark.parametrize("value", [-2, 2])
def test_other_values_are_refused(value: int) -> None:
    with pytest.raises(DataError, match=rf"^trits\[1\] must be from -1 to 1, not {value}$"):
        to_code([0, value])


@pytest.mark.parametrize("code", [-1, 4])
def test_other_codes_are_refused(code: int) -> None:
    with pytest.raises(DataError, match=rf"^codes\[1\] must be from 0 to 3, not {code}$"):
        from_code([0, code])
    with pytest.raises(DataError, match=rf"^codes\[1\] must be from 0 to 3, not {code}$"):
        pack_codes([0, code])


def test_only_vectors_pack() -> None:
    with pytest.raises(DataError, match=r"^codes must have shape \(any\), not \(1, 2\)$"):
        pack([[1, 0]])
