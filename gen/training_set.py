"""What a training run trains on and is tested with, chosen and checked before anything starts."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..golden.checks import DataError, ParameterError, integer
from ..golden.design import DesignConfig
from . import idx
from .data import DIGITS, check_samples, load_digits, load_file

SAMPLES_MAX = 2**31 - 1
# Splits do not follow the seed of the run, so that runs of several seeds compare.
SPLIT_SEED = 0


class TrainingSet(NamedTuple):
    """Samples that fit a design: pixels [n, pixels] (uint8) and labels [n] (int64).

    Without samples for test ``test_source`` is None and their arrays are empty.
    """

    source: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test_source: str | None
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the training samples."""
        content = hashlib.sha256(str(self.pixels.shape).encode())
        content.update(np.ascontiguousarray(self.pixels, np.uint8).tobytes())
        content.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
        return content.hexdigest()[:16]


def files_of(field: str, data: str | Path | None) -> dict[str, Path]:
    """The files that reading ``data`` reads, named after ``field``; none for digits."""
    if data is None or str(data) == DIGITS:
        return {}
    files = {field: Path(data)}
    if idx.is_idx(data):
        # Where there are no labels, reading says so.
        with suppress(DataError):
            files[f"the labels of {field}"] = idx.labels_beside(data)
    return files


def training_set(
    design: DesignConfig,
    data: str | Path = DIGITS,
    *,
    test: str | Path | None = None,
    test_fraction: float | None = None,
    samples: int | None = None,
) -> TrainingSet:
    """The samples of a run.

    Parameters
    ----------
    data : str or path
        ``digits``; or an .npz file with ``x`` [n, pixels] and ``y`` [n]; or IDX images
        (``…images-idx3-ubyte``, plain or gzip) with their labels beside them.
    test : path, optional
        A file like it, to test with.
    test_fraction : float, optional
        Between 0 and 1: the share of a ``data`` file that is kept for test, drawn at random, the
        same for every seed. Digits have a fixed split.
    samples : int, optional
        Train on the first so many only.

    Raises
    ------
    ParameterError, DataError
        Data do not fit the design, or choices contradict each other.
    """
    limits = {
        "pixels": design.pixels,
        "pixel_max": (1 << design.hardware.pixel_width) - 1,
        "classes": design.classes,
    }
    if test_fraction is not None:
        if test is not None:
            raise ParameterError("test_fraction must be left out where test is given")
        if str(data) == DIGITS:
            raise ParameterError(f"test_fraction must be left out: {DIGITS} has a fixed split")
        if not 0 < test_fraction < 1:
            raise ParameterError(f"test_fraction must be between 0 and 1, not {test_fraction}")
    if samples is not None:
        integer("samples", samples, 1, SAMPLES_MAX)
    test_source: str | None = None
    test_x, test_y = np.zeros((0, design.pixels), np.uint8), np.zeros(0, np.int64)
    if str(data) == DIGITS:
        digits = load_digits()
        try:
            x, y = check_samples({"x": digits.train_pixels, "y": digits.train_labels}, **limits)
            if test is None:
                arrays = {"x": digits.test_pixels, "y": digits.test_labels}
                (test_x, test_y), test_source = check_samples(arrays, **limits), DIGITS
        except DataError as error:
            raise DataError(f"{DIGITS}: {error}") from error
    else:
        x, y = load_file(data, **limits)
    if test is not None:
        (test_x, test_y), test_source = load_file(test, **limits), str(test)
    if test_fraction is not None:
        count = round(test_fraction * len(x))
        if not 0 < count < len(x):
            raise ParameterError(
                f"test_fraction must leave samples for training and test; {test_fraction} of "
                f"{len(x)} are {count}"
            )
        order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
        held, kept = np.sort(order[:count]), np.sort(order[count:])
        test_x, test_y, test_source = x[held], y[held], f"{test_fraction:g} of {data}"
        x, y = x[kept], y[kept]
    if samples is not None and samples > len(x):
        raise ParameterError(
            f"samples must be from 1 to {len(x)}, those of {data} to train on, not {samples}"
        )
    return TrainingSet(str(data), x[:samples], y[:samples], test_source, test_x, test_y)
