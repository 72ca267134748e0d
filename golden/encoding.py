"""Pixels to trits: one trit for each of several pairs of thresholds ("planes")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import ParameterError, integer, integer_array

PIXEL_MAX = 255
DIGIT_PLANES = ((1, 4), (6, 9), (11, 15))
# For data that nobody looked at, scaled to bytes: zero bands a sixth of the range wide around the
# quarters.
BYTE_PLANES = ((43, 85), (106, 149), (170, 213))


def check_planes(planes: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """``planes`` as a tuple of (lo, hi); raises ParameterError unless 0 ≤ lo ≤ hi ≤ 256."""
    if not isinstance(planes, list | tuple) or not planes:
        raise ParameterError(f"planes must be one or more pairs (lo, hi), not {planes!r}")
    checked = []
    for i, plane in enumerate(planes):
        if not isinstance(plane, list | tuple) or len(plane) != 2:
            raise ParameterError(f"planes[{i}] must be a pair (lo, hi), not {plane!r}")
        lo = integer(f"planes[{i}].lo", plane[0], 0, PIXEL_MAX + 1)
        checked.append((lo, integer(f"planes[{i}].hi", plane[1], lo, PIXEL_MAX + 1)))
    return tuple(checked)


def encode(
    pixels: ArrayLike,
    planes: Sequence[Sequence[int]] = DIGIT_PLANES,
    *,
    channel_last: bool = False,
) -> NDArray[np.int8]:
    """Encode pixels as trits: pixel p gives ``(p ≥ hi) − (p < lo)`` on each plane (lo, hi).

    Parameters
    ----------
    pixels : int array [n, pixels]
        0 … 255.
    planes : sequence of (lo, hi)
        0 ≤ lo ≤ hi ≤ 256.
    channel_last : bool
        Planes of a pixel side by side, as convolutions read them.

    Returns
    -------
    int8 array [n, planes · pixels]
        All of plane 0, then plane 1, … as dense networks read it, unless ``channel_last``.

    Raises
    ------
    DataError
        A pixel outside 0 … 255, or an array that is not two-dimensional.
    """
    values = integer_array("pixels", pixels, 0, PIXEL_MAX, (None, None))
    trits = [(values >= hi).astype(np.int8) - (values < lo) for lo, hi in check_planes(planes)]
    if channel_last:
        together = np.stack(trits, axis=2)
        return together.reshape(len(values), values.shape[1] * len(trits)).astype(np.int8)
    return np.concatenate(trits, axis=1).astype(np.int8)
