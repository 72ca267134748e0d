"""Processing element: a long dot product, its threshold, and the window of its derivative.

z = Σ a·w − b; the trit is sign(z) where |z| > r and 0 elsewhere (φ_r of GXNOR-Net, arXiv
1705.09283); the window is open where ||z| − r| ≤ a, the support of its rectangular derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, boolean, integer, integer_array, signed_range, signed_width
from .ternary_dot import DotParameters, binary_dot, ternary_dot

WORDS_MAX = 4096
THRESHOLD_WIDTH_MAX = 16


@dataclass(frozen=True)
class ProcessingElementParameters:
    """Parameters of a processing element.

    Parameters
    ----------
    lanes : int
        1 … 1024 products a word.
    words : int
        1 … 4096: the most words that one sum spans.
    structure, tech, binary, levels, pipeline
        Of the dot product: ``golden.ternary_dot.DotParameters``.
    threshold_width : int
        1 … 16 bits of the threshold r and the window a; the offset b has one bit more.
    output_register : bool
        A register between the thresholds and the output, for speed.

    Raises
    ------
    ParameterError
        A parameter is outside its range.
    """

    lanes: int
    words: int
    structure: str = "balanced"
    tech: str = "lut4"
    binary: bool = False
    levels: int | None = None
    pipeline: Sequence[int] = ()
    threshold_width: int = 10
    output_register: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "pipeline", self.dot.pipeline)
        integer("words", self.words, 1, WORDS_MAX)
        integer("threshold_width", self.threshold_width, 1, THRESHOLD_WIDTH_MAX)
        boolean("output_register", self.output_register)

    @property
    def dot(self) -> DotParameters:
        """Parameters of the dot product of a word."""
        return DotParameters(
            self.lanes,
            structure=self.structure,
            tech=self.tech,
            binary=self.binary,
            levels=self.levels,
            pipeline=self.pipeline,
        )

    @property
    def threshold_max(self) -> int:
        """Largest threshold r and window a."""
        return (1 << self.threshold_width) - 1

    @property
    def offset_range(self) -> tuple[int, int]:
        """Smallest and largest offset b."""
        return signed_range(self.threshold_width + 1)

    @property
    def sum_width(self) -> int:
        """Width of z; it holds every sum of ``words`` words minus every offset."""
        reach = self.lanes * self.words
        low, high = self.offset_range
        return signed_width(-reach - high, reach - low)


class Result(NamedTuple):
    """What a processing element answers: z, its trit, and whether the window is open."""

    sum: NDArray[np.int64]
    trit: NDArray[np.int8]
    window: NDArray[np.bool_]


def threshold(z: ArrayLike, r: ArrayLike, a: ArrayLike) -> Result:
    """Trit and window of z: sign(z) where |z| > r, open where ||z| − r| ≤ a. Any shape."""
    z, r, a = (np.asarray(value, np.int64) for value in (z, r, a))
    size = np.abs(z)
    return Result(z, (np.sign(z) * (size > r)).astype(np.int8), np.abs(size - r) <= a)


def processing_element(
    activations: ArrayLike,
    weights: ArrayLike,
    r: ArrayLike = 0,
    a: ArrayLike = 0,
    b: ArrayLike = 0,
    *,
    binary: bool = False,
) -> Result:
    """Sum, trit and window of dot products that span several words.

    Parameters
    ----------
    activations, weights : int arrays [..., words, lanes]
        Trits −1 … 1, or signs 0 … 1 with ``binary``.
    r, a, b : int arrays broadcast to [...]
        Threshold r ≥ 0, half width a ≥ 0 of the window, offset b.

    Returns
    -------
    Result
        ``sum`` z = Σ activations·weights − b, ``trit`` and ``window``, each [...].
    """
    dot = binary_dot if binary else ternary_dot
    return threshold(dot(activations, weights).sum(axis=-1) - np.asarray(b, np.int64), r, a)


class Vectors(NamedTuple):
    """Recorded operands [n, words, lanes] and one r, a, b for all of them."""

    a: NDArray[np.int64]
    w: NDArray[np.int64]
    threshold: int
    window: int
    offset: int


def check_vectors(parameters: ProcessingElementParameters, arrays: Mapping[str, Any]) -> Vectors:
    """Recorded operands (the arrays of an .npz file), checked against ``parameters``.

    Parameters
    ----------
    arrays : mapping of str to array
        ``a`` and ``w``: integers [n, words, lanes], n ≥ 1, 1 to ``parameters.words`` words; −1 … 1
        for trits, 0 … 1 for signs. Optional: ``threshold``, ``window``, ``offset``, one integer
        each, 0 by default.

    Raises
    ------
    DataError
        Names the array, the first offending value and the legal range.
    """
    p = parameters
    settings = {
        "threshold": (0, p.threshold_max),
        "window": (0, p.threshold_max),
        "offset": p.offset_range,
    }
    for name in ("a", "w"):
        if name not in arrays:
            raise DataError(f"{name} must be one of the arrays, not missing from {sorted(arrays)}")
    for name in sorted(set(arrays) - {"a", "w"} - set(settings)):
        raise DataError(f"arrays must be a, w, {', '.join(settings)}, not {name!r}")
    low = 0 if p.binary else -1
    a = integer_array("a", arrays["a"], low, 1, (None, None, p.lanes))
    if not len(a) or not 1 <= a.shape[1] <= p.words:
        raise DataError(
            f"a must have 1 or more rows of 1 to {p.words} words, not {len(a)} of {a.shape[1]}"
        )
    w = integer_array("w", arrays["w"], low, 1, a.shape)
    values = {
        name: int(integer_array(name, arrays.get(name, 0), *limits, ()))
        for name, limits in settings.items()
    }
    return Vectors(a, w, **values)
