"""Samples to train and test on: scikit-learn's digits, or those of a user's .npz or IDX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..golden.checks import DataError, integer_array
from . import idx

DIGITS = "digits"
DIGIT_PIXEL_MAX = 15
DIGIT_TEST_SAMPLES = 360


class Samples(NamedTuple):
    """Pixels [n, pixels] (uint8) with labels [n] (int64), for training and for test."""

    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def load_digits() -> Samples:
    """1437 training and 360 test digits, pixels clipped to 15: the split figures are quoted on."""
    # Imported here: only this function needs scikit-learn, and it takes a second to import.
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    pixels = np.minimum(digits.data, DIGIT_PIXEL_MAX).astype(np.uint8)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, digits.target, test_size=DIGIT_TEST_SAMPLES, stratify=digits.target, random_state=0
    )
    return Samples(train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64))


def read_arrays(path: str | Path) -> dict[str, NDArray]:
    """Every array of an .npz file; raises DataError where it is none, or holds Python objects."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} must be an .npz file of named arrays, not a single array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    # A damaged file can make the readers of zip, zlib and npy raise nearly anything.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(
            f"{path} must be a readable .npz file without Python objects: "
            f"{reason or type(error).__name__}"
        ) from error


def check_samples(
    arrays: Mapping[str, Any], *, pixels: int, pixel_max: int, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Samples ``x`` [n, pixels] and labels ``y`` [n] of ``arrays``, checked against a network.

    Parameters
    ----------
    pixels : int
        Pixels of a sample.
    pixel_max : int
        Largest pixel, at most 255.
    classes : int
        Labels are 0 … classes − 1.

    Raises
    ------
    DataError
        An array is missing, empty, of the wrong type or shape, or a value is out of range.
    """
    for name in ("x", "y"):
        if name not in arrays:
            held = ", ".join(sorted(arrays)) or "nothing"
            raise DataError(f"{name} must be an array of the file, which holds {held}")
    x = integer_array("x", arrays["x"], 0, pixel_max, (None, pixels))
    if not len(x):
        raise DataError("x must hold at least one sample, not 0")
    y = integer_array("y", arrays["y"], 0, classes - 1, (len(x),))
    return x.astype(np.uint8), y


def load_npz(
    path: str | Path, *, pixels: int, pixel_max: int, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Samples ``x`` and labels ``y`` of a user's .npz file; errors name the file as well."""
    arrays = read_arrays(path)
    try:
        return check_samples(arrays, pixels=pixels, pixel_max=pixel_max, classes=classes)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def load_file(
    path: str | Path, *, pixels: int, pixel_max: int, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Samples of a user's file: an .npz file, or IDX images with their labels beside them."""
    if not idx.is_idx(path):
        return load_npz(path, pixels=pixels, pixel_max=pixel_max, classes=classes)
    arrays = idx.read_pair(path)
    try:
        return check_samples(arrays, pixels=pixels, pixel_max=pixel_max, classes=classes)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
