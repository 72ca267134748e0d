"""The real data every figure is quoted on: scikit-learn's 8×8 digits, one fixed split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PIXEL_LIMIT = 15
TEST_SAMPLES = 360


class Samples(NamedTuple):
    """Pixels [n, pixels] (uint8) with labels [n], for training and for test."""

    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def load() -> Samples:
    """1437 training and 360 test digits, pixels clipped to 15, stratified, ``random_state=0``."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels = np.minimum(digits.data, PIXEL_LIMIT).astype(np.uint8)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, digits.target, test_size=TEST_SAMPLES, stratify=digits.target, random_state=0
    )
    return Samples(train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64))
