"""Trits: the values −1, 0, +1 and their two-bit hardware code."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import integer_array

NONZERO = 0b01
NEGATIVE = 0b10


def to_code(trits: ArrayLike) -> NDArray[np.uint8]:
    """Two-bit codes of ``trits``: bit 0 ``nonzero``, bit 1 ``negative``. Any shape.

    Raises DataError for values other than −1, 0, +1.
    """
    values = integer_array("trits", trits, -1, 1)
    return ((values != 0) * NONZERO + (values < 0) * NEGATIVE).astype(np.uint8)


def from_code(codes: ArrayLike) -> NDArray[np.int8]:
    """Trits of two-bit ``codes``; the illegal code 0b10 reads as zero. Any shape.

    Raises DataError for codes outside 0..3.
    """
    values = integer_array("codes", codes, 0, 3)
    nonzero = (values & NONZERO) != 0
    return np.where(nonzero, np.where(values & NEGATIVE, -1, 1), 0).astype(np.int8)


def pack(trits: ArrayLike) -> int:
    """A vector of trits as one hardware word, lane 0 in the lowest two bits."""
    return pack_codes(to_code(trits))


def pack_codes(codes: ArrayLike) -> int:
    """A vector of two-bit codes, legal or not, as one hardware word, lane 0 lowest."""
    word = 0
    for lane, code in enumerate(integer_array("codes", codes, 0, 3, (None,))):
        word |= int(code) << (2 * lane)
    return word


def unpack(word: int, lanes: int) -> NDArray[np.int8]:
    """The ``lanes`` trits of a hardware word; illegal codes read as zero."""
    return from_code([(word >> (2 * lane)) & 3 for lane in range(lanes)])
