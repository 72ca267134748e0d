"""Dot products of trits and of signs: the gated XNOR of GXNOR-Net (arXiv 1705.09283)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import choice, integer, integer_array, signed_width

LANES_MAX = 1024
STRUCTURES = ("balanced", "compact")
TECHS = ("lut4", "lut6")


@dataclass(frozen=True)
class DotParameters:
    """Parameters of a dot product; they change its speed and area, never its result.

    Parameters
    ----------
    lanes : int
        1 … 1024.
    structure : str
        ``balanced`` (fewest levels) or ``compact`` (fewest LUTs).
    tech : str
        ``lut4`` (iCE40, ECP5) or ``lut6`` (7-series).
    binary : bool
        True for signs (one bit a lane, 1 means −1), False for trits.
    """

    lanes: int
    structure: str = "balanced"
    tech: str = "lut4"
    binary: bool = False

    def __post_init__(self) -> None:
        integer("lanes", self.lanes, 1, LANES_MAX)
        choice("structure", self.structure, STRUCTURES)
        choice("tech", self.tech, TECHS)

    @property
    def sum_width(self) -> int:
        """Width of the signed sum: it spans −lanes … +lanes, so nothing overflows."""
        return signed_width(-self.lanes, self.lanes)


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
