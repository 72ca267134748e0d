"""Pixels to trits: every pixel value, the order of the planes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trisign.golden.checks import DataError, ParameterError
from trisign.golden.encoding import encode

# Pixel 0 … 15 on the planes (1, 4), (6, 9), (11, 15): −1 below lo, +1 from hi on.
DIGIT_TRITS = [
    [-1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    [-1, -1, -1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1],
    [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 1],
]


def test_every_digit_pixel_on_the_default_planes() -> None:
    trits = encode(np.arange(16)[:, None])
    assert trits.dtype == np.int8
    assert trits.T.tolist() == DIGIT_TRITS


def test_pixels_above_fifteen_are_white() -> None:
    assert (encode(np.arange(15, 256)[None]) == 1).all()


def test_all_of_plane_0_comes_first() -> None:
    pixels = np.array([[0, 5, 15], [8, 11, 2]], np.uint8)
    assert encode(pixels).tolist() == [
        # plane 0, plane 1, plane 2 of pixels 0, 5, 15, then of 8, 11, 2
        [-1, 1, 1, -1, -1, 1, -1, -1, 1],
        [1, 1, 0, 0, 1, -1, -1, 0, -1],
    ]


@pytest.mark.parametrize(
    ("plane", "trits"),
    [
        ((128, 128), [-1, -1, 1, 1]),
        ((128, 129), [-1, -1, 0, 1]),
        ((0, 0), [1, 1, 1, 1]),
        ((0, 256), [0, 0, 0, 0]),
        ((256, 256), [-1, -1, -1, -1]),
        ((1, 255), [-1, 0, 0, 1]),
    ],
)
def test_planes_at_their_limits(plane: tuple[int, int], trits: list[int]) -> None:
    assert encode([[0, 127, 128, 255]], (plane,)).tolist() == [trits]


def test_no_samples_give_no_trits() -> None:
    assert encode(np.zeros((0, 64), np.uint8)).shape == (0, 192)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([[0, 256]], r"pixels\[0\]\[1\] must be from 0 to 255, not 256"),
        ([[0], [-1]], r"pixels\[1\]\[0\] must be from 0 to 255, not -1"),
        ([[0.5]], "pixels must be an integer array, not float64"),
        ([0, 1], r"pixels must have shape \(any, any\), not \(2,\)"),
    ],
)
def test_wrong_pixels(pixels: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        encode(pixels)


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        ((), r"planes must be one or more pairs \(lo, hi\), not \(\)"),
        (None, r"planes must be one or more pairs \(lo, hi\), not None"),
        (((1, 4), 6), r"planes\[1\] must be a pair \(lo, hi\), not 6"),
        (((1, 4, 6),), r"planes\[0\] must be a pair \(lo, hi\), not \(1, 4, 6\)"),
        (((4, 1),), r"planes\[0\]\.hi must be an integer from 4 to 256, not 1"),
        (((-1, 1),), r"planes\[0\]\.lo must be an integer from 0 to 256, not -1"),
        (((1, 257),), r"planes\[0\]\.hi must be an integer from 1 to 256, not 257"),
        (((1.0, 4),), r"planes\[0\]\.lo must be an integer from 0 to 256, not 1\.0"),
    ],
)
def test_wrong_planes(planes: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{message}$"):
        encode([[0]], planes)
