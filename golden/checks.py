"""Checks shared by every parameter object: one line naming field, value and legal range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class TrisignError(ValueError):
    """Base of every error a user's input can cause; the command line reports it, exit 2."""


class ParameterError(TrisignError):
    """A parameter is of the wrong type or outside its legal range."""


class DataError(TrisignError):
    """Data given by the user does not have the promised shape, type or range."""


def integer(name: str, value: Any, low: int, high: int) -> int:
    """``value`` as an int in [low, high]; raises ParameterError otherwise. Booleans are refused."""
    if (
        isinstance(value, bool | np.bool_)
        or not isinstance(value, int | np.integer)
        or not low <= value <= high
    ):
        raise ParameterError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return int(value)


def boolean(name: str, value: Any) -> bool:
    """``value`` as a bool; raises ParameterError for anything that is not one."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name} must be true or false, not {value!r}")
    return bool(value)


def choice(name: str, value: Any, options: Iterable[str]) -> str:
    """``value`` when it is one of ``options``; raises ParameterError otherwise."""
    options = tuple(options)
    if not isinstance(value, str) or value not in options:
        legal = ", ".join(repr(option) for option in options)
        raise ParameterError(f"{name} must be one of {legal}, not {value!r}")
    return value


def per_layer(name: str, value: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    """One value for all layers or one a layer, as a tuple of ``count`` integers in [low, high]."""
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise ParameterError(
                f"{name} must be one integer or {count} of them (one a layer), not {value!r}"
            )
        return tuple(integer(f"{name}[{i}]", item, low, high) for i, item in enumerate(value))
    return (integer(name, value, low, high),) * count


def integer_array(
    name: str, value: ArrayLike, low: int, high: int, shape: Sequence[int | None] | None = None
) -> NDArray[np.int64]:
    """``value`` as int64; elements in [low, high], shape as ``shape`` where that has a number.

    Raises DataError naming the field, the first offending element and the legal range.
    """
    array = np.asarray(value)
    if array.dtype == np.bool_ or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be an integer array, not {array.dtype}")
    if shape is not None and (
        array.ndim != len(shape)
        or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True))
    ):
        legal = ", ".join("any" if want is None else str(want) for want in shape)
        raise DataError(f"{name} must have shape ({legal}), not {array.shape}")
    wrong = (array < low) | (array > high)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = "".join(f"[{i}]" for i in where)
        raise DataError(f"{name}{place} must be from {low} to {high}, not {int(array[where])}")
    return array.astype(np.int64)


def signed_range(width: int) -> tuple[int, int]:
    """Smallest and largest value of ``signed(width)``."""
    return -(1 << (width - 1)), (1 << (width - 1)) - 1


def signed_width(low: int, high: int) -> int:
    """Bits of the narrowest ``signed(width)`` that holds every value in [low, high]."""
    low, high = int(low), int(high)  # NumPy integers would wrap
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
