"""Dot products of trits and of signs: the gated XNOR of GXNOR-Net (arXiv 1705.09283)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, ParameterError, boolean, choice, integer, integer_array, signed_width

LANES_MAX = 1024
LEVELS_MAX = 4096
STRUCTURES = ("balanced", "compact", "plain")
TECHS = ("lut4", "lut6")


@dataclass(frozen=True)
class DotParameters:
    """Parameters of a dot product; they change its speed and area, never its result.

    Parameters
    ----------
    lanes : int
        1 … 1024.
    structure : str
        ``balanced`` (fewest LUTs at no more than 3·log2(lanes) − 2 levels), ``compact`` (fewest
        LUTs) or ``plain`` (a sum of products that synthesis maps as it likes, for comparison).
    tech : str
        ``lut4`` (iCE40, ECP5) or ``lut6`` (7-series).
    binary : bool
        True for signs (one bit a lane, 1 means −1), False for trits.
    levels : int, optional
        The knob between the structures: fewest LUTs at no more than this many LUT levels.
    pipeline : sequence of int
        LUT levels, ascending, 0 … 4096, after which a register is put. 0 stands for registers at
        the operands, a level beyond the last one for a register at the sum.

    Raises
    ------
    ParameterError
        A parameter is outside its range. Whether ``levels`` can be met is found out when the
        structure is built.
    """

    lanes: int
    structure: str = "balanced"
    tech: str = "lut4"
    binary: bool = False
    levels: int | None = None
    pipeline: Sequence[int] = ()

    def __post_init__(self) -> None:
        integer("lanes", self.lanes, 1, LANES_MAX)
        choice("structure", self.structure, STRUCTURES)
        choice("tech", self.tech, TECHS)
        boolean("binary", self.binary)
        if self.levels is not None:
            integer("levels", self.levels, 1, LEVELS_MAX)
        object.__setattr__(self, "pipeline", check_pipeline(self.pipeline))

    @property
    def sum_width(self) -> int:
        """Width of the signed sum: it spans −lanes … +lanes, so nothing overflows."""
        return signed_width(-self.lanes, self.lanes)

    @property
    def latency(self) -> int:
        """Cycles from operands to sum."""
        return len(self.pipeline)


def check_pipeline(value: Sequence[int]) -> tuple[int, ...]:
    """``value`` as levels in ascending order; raises ParameterError otherwise."""
    if not isinstance(value, list | tuple):
        raise ParameterError(f"pipeline must be a list of levels, not {value!r}")
    levels = tuple(integer(f"pipeline[{i}]", item, 0, LEVELS_MAX) for i, item in enumerate(value))
    if any(low >= high for low, high in pairwise(levels)):
        raise ParameterError(f"pipeline must be levels in ascending order, not {value!r}")
    return levels


def ternary_dot(a: ArrayLike, w: ArrayLike) -> NDArray[np.int64]:
    """Σ a·w over the last axis of two trit arrays (values −1, 0, +1), broadcast like NumPy."""
    a = integer_array("a", a, -1, 1)
    w = integer_array("w", w, -1, 1)
    return (a * w).sum(axis=-1)


def binary_dot(a: ArrayLike, w: ArrayLike) -> NDArray[np.int64]:
    """Σ a·w over the last axis; bit 0 means +1, bit 1 means −1: lanes − 2·popcount(a ^ w)."""
    a = integer_array("a", a, 0, 1)
    w = integer_array("w", w, 0, 1)
    difference = a ^ w
    return difference.shape[-1] - 2 * difference.sum(axis=-1)


def check_vectors(
    parameters: DotParameters, arrays: Mapping[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Recorded operands (the arrays of an .npz file), checked against ``parameters``.

    Parameters
    ----------
    arrays : mapping of str to array
        ``a`` and ``w``: integers [n, lanes], n ≥ 1; −1 … 1 for trits, 0 … 1 for signs.

    Raises
    ------
    DataError
        Names the array, the first offending value and the legal range.
    """
    for name in ("a", "w"):
        if name not in arrays:
            raise DataError(f"{name} must be one of the arrays, not missing from {sorted(arrays)}")
    for name in sorted(set(arrays) - {"a", "w"}):
        raise DataError(f"arrays must be a and w, not {name!r}")
    low = 0 if parameters.binary else -1
    a = integer_array("a", arrays["a"], low, 1, (None, parameters.lanes))
    if not len(a):
        raise DataError("a must have 1 or more rows, not 0")
    return a, integer_array("w", arrays["w"], low, 1, a.shape)
