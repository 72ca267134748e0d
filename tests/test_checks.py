"""The checks every parameter object shares: what they accept, and the line they refuse with."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from trisign.golden.checks import (
    DataError,
    ParameterError,
    TrisignError,
    boolean,
    choice,
    integer,
    integer_array,
    per_layer,
    signed_range,
    signed_width,
)


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def test_every_error_is_a_trisign_error_and_a_value_error() -> None:
    assert issubclass(ParameterError, TrisignError)
    assert issubclass(DataError, TrisignError)
    assert issubclass(TrisignError, ValueError)


@pytest.mark.parametrize("value", [-2, 0, 5, np.int8(5), np.uint64(3)])
def test_integer_accepts(value: Any) -> None:
    result = integer("width", value, -2, 5)
    assert result == value
    assert type(result) is int


@pytest.mark.parametrize("value", [-3, 6, 2.0, "3", None, True, np.True_, [1], np.float64(1)])
def test_integer_refuses(value: Any) -> None:
    message = exactly(f"width must be an integer from -2 to 5, not {value!r}")
    with pytest.raises(ParameterError, match=message):
        integer("width", value, -2, 5)


def test_boolean() -> None:
    assert boolean("signed", True) is True
    assert boolean("signed", np.False_) is False
    for value in (0, 1, "true", None):
        with pytest.raises(
            ParameterError, match=exactly(f"signed must be true or false, not {value!r}")
        ):
            boolean("signed", value)


def test_choice() -> None:
    assert choice("tech", "lut4", ("lut4", "lut6")) == "lut4"
    assert choice("tech", "lut6", (name for name in ("lut4", "lut6"))) == "lut6"
    for value in ("LUT4", "", None, 4, ["lut4"]):
        message = exactly(f"tech must be one of 'lut4', 'lut6', not {value!r}")
        with pytest.raises(ParameterError, match=message):
            choice("tech", value, ("lut4", "lut6"))


def test_per_layer_accepts() -> None:
    assert per_layer("threshold", 4, 3, 0, 9) == (4, 4, 4)
    assert per_layer("threshold", [1, 2, 3], 3, 0, 9) == (1, 2, 3)
    assert per_layer("threshold", (0,), 1, 0, 9) == (0,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "threshold must be one integer or 3 of them (one a layer), not [1, 2]"),
        ((), "threshold must be one integer or 3 of them (one a layer), not ()"),
        ([1, 2, 10], "threshold[2] must be an integer from 0 to 9, not 10"),
        ([1, True, 3], "threshold[1] must be an integer from 0 to 9, not True"),
        (-1, "threshold must be an integer from 0 to 9, not -1"),
        ("4", "threshold must be an integer from 0 to 9, not '4'"),
    ],
)
def test_per_layer_refuses(value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=exactly(message)):
        per_layer("threshold", value, 3, 0, 9)


def test_integer_array_accepts() -> None:
    given = np.array([[0, 255], [7, 1]], np.uint8)
    result = integer_array("pixels", given, 0, 255, (None, 2))
    assert result.dtype == np.int64
    assert result.tolist() == [[0, 255], [7, 1]]
    assert not np.shares_memory(result, given)
    assert integer_array("label", 3, 0, 9).shape == ()
    assert integer_array("labels", np.zeros(0, np.int8), 0, 9, (None,)).shape == (0,)


def test_integer_array_never_aliases_its_argument() -> None:
    given = np.array([1, 2], np.int64)
    assert not np.shares_memory(integer_array("x", given, 0, 9), given)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0, 1, 3], "x[2] must be from -1 to 1, not 3"),
        ([[0, -2], [5, 0]], "x[0][1] must be from -1 to 1, not -2"),
        (np.array([2**64 - 1], np.uint64), "x[0] must be from -1 to 1, not 18446744073709551615"),
        (2, "x must be from -1 to 1, not 2"),
        ([0.0, 1.0], "x must be an integer array, not float64"),
        ([True, False], "x must be an integer array, not bool"),
        (["a"], "x must be an integer array, not <U1"),
        ([], "x must be an integer array, not float64"),
    ],
)
def test_integer_array_refuses(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=exactly(message)):
        integer_array("x", value, -1, 1)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 3, 1)])
def test_integer_array_refuses_shapes(shape: tuple[int, ...]) -> None:
    message = exactly(f"x must have shape (any, 4), not {shape}")
    with pytest.raises(DataError, match=message):
        integer_array("x", np.zeros(shape, np.int8), -1, 1, (None, 4))


@pytest.mark.parametrize(
    ("width", "low", "high"), [(1, -1, 0), (2, -2, 1), (8, -128, 127), (16, -32768, 32767)]
)
def test_signed_range(width: int, low: int, high: int) -> None:
    assert signed_range(width) == (low, high)


@pytest.mark.parametrize(
    ("low", "high", "width"),
    [
        (0, 0, 1),
        (-1, 0, 1),
        (0, 1, 2),
        (-1, 1, 2),
        (-2, 1, 2),
        (-3, 1, 3),
        (-64, 64, 8),
        (-64, 63, 7),
        (-65, 0, 8),
        (3, 5, 4),
        (-192, 192, 9),
        (np.int8(-128), np.int8(127), 8),
    ],
)
def test_signed_width(low: int, high: int, width: int) -> None:
    assert signed_width(low, high) == width


def test_signed_width_is_the_narrowest_that_holds_the_range() -> None:
    for low in range(-70, 1):
        for high in range(70):
            width = signed_width(low, high)
            bottom, top = signed_range(width)
            assert bottom <= low
            assert high <= top
            if width > 1:
                bottom, top = signed_range(width - 1)
                assert low < bottom or high > top
