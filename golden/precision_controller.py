"""Shared-exponent quantiser whose exponent and bit width follow the data (after HNPU).

The trigger that HNPU uses is not public. The rules here are public ones: the overflow counters of
Courbariaux 2014, the stochastic rounding of Gupta 2015, and a width search after Zhang (CVPR 2020).

Quantise, for one tensor of signed integers x that share exponent e and width n:

    q = sign(x) · min(floor((|x| + r) / 2^e), Q),   Q = 2^(n−1) − 1,   x ≈ q · 2^e

with r uniform in [0, 2^e) when stochastic, else r = floor(2^(e−1)): nearest, ties away from zero.
One word of 16 LFSR steps a nonzero value; r is its top e bits.

Decide, at the end of the first tensor that completes a window of ``window`` nonzero values:

    overflows       = values with |x| ≥ 2^(e+n−1)          too large at this exponent
    half_overflows  = values with |x| ≥ 2^(e+n−2)          too large at half the range
    range moves     +1 where overflows > R, 0 where half_overflows > R, else −1
    R               = overflow_base + a random number of overflow_random_bits bits, new each window

    width moves     +1 where E·2^widen_shift > S; −1 where E·2^narrow_shift ≤ S for ``patience``
                    windows in a row; only in windows where the range stays as it is,
                    because it should or because the exponent is at its limit
    E, S            error and Σ|x| over the window; see ``error_measure``

    n ← n + width move,   e ← e + range move − width move (both clipped): a change of the width
    alone keeps the range.

Zeros leave no trace: they quantise to zero, take no random word and are not counted, so that
hardware which skips zeros computes the same, and sparse tensors are judged by what they carry.
Values beyond the window's last, in the same tensor, are quantised and not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, integer, integer_array, signed_range
from .lfsr import Lfsr16, advance
from .precision_parameters import PrecisionParameters, Rule

__all__ = [
    "PrecisionController",
    "PrecisionParameters",
    "PrecisionState",
    "Rule",
    "Window",
    "check_vectors",
    "decide",
    "quantize",
]

WORD_WIDTH = 16
WORD_STEPS = 16  # successive words share no bits
NEAREST = 1 << (WORD_WIDTH - 1)
PERIOD = (1 << WORD_WIDTH) - 1


class Window(NamedTuple):
    """Statistics of a complete window, and the overflows permitted in it."""

    overflows: int
    half_overflows: int
    error: int
    total: int
    permitted: int


class PrecisionState(NamedTuple):
    """What survives from one window to the next: all that a checkpoint needs."""

    exponent: int
    width: int
    streak: int
    lfsr: int


def quantize(
    values: NDArray[np.int64], exponent: int, width: int, words: ArrayLike
) -> NDArray[np.int64]:
    """q of ``values``; ``words`` are 16-bit words whose top ``exponent`` bits are r.

    The constant word 2^15 rounds to nearest.
    """
    noise = np.asarray(words, np.int64) >> (WORD_WIDTH - exponent)
    limit = (1 << (width - 1)) - 1
    return np.sign(values) * np.minimum((np.abs(values) + noise) >> exponent, limit)


def decide(
    exponent: int, width: int, streak: int, window: Window, rule: Rule
) -> tuple[int, int, int]:
    """Exponent, width and streak after a window; only shifts, additions and comparisons."""
    move = 0
    if rule.dynamic_exponent:
        if window.overflows > window.permitted:
            move = 1
        elif window.half_overflows <= window.permitted:
            move = -1
    settled = exponent + move < 0 or exponent + move > rule.exponent_max or move == 0

    widening = 0
    if rule.width_search and settled:
        if (window.error << rule.widen_shift) > window.total:
            streak = 0
            widening = 1 if width < rule.width_max else 0
        elif (window.error << rule.narrow_shift) > window.total:
            streak = 0
        elif streak + 1 < rule.patience:
            streak += 1
        else:
            streak = 0
            widening = -1 if width > rule.width_min else 0

    if rule.dynamic_exponent:
        exponent = min(max(exponent + move - widening, 0), rule.exponent_max)
    return exponent, width + widening, streak


@cache
def _orbit() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Words in the order they are drawn, and the place of each state among them."""
    words = np.empty(PERIOD, np.int64)
    state = 1
    for place in range(PERIOD):
        words[place] = state
        state = advance(state, WORD_STEPS)
    places = np.zeros(PERIOD + 1, np.int64)
    places[words] = np.arange(PERIOD)
    return words, places


class PrecisionController:
    """The quantiser and its controller: one a tensor and direction (an error, a weight …).

    Parameters
    ----------
    parameters : PrecisionParameters
    seed : int
        Seeds a generator of its own (``Lfsr16``); each nonzero value takes 16 steps.

    Attributes
    ----------
    exponent, width : int
        Present e and n; constant within a tensor.
    streak : int
        Windows in a row that asked for narrowing.
    lfsr_state : int
        State of the generator.
    windows, overflows : int
        Complete windows, and overflows counted in windows (complete or not); both saturate at
        ``parameters.count_limit``.
    """

    def __init__(self, parameters: PrecisionParameters, seed: int = 1) -> None:
        self.parameters = parameters
        self.load(PrecisionState(parameters.exponent, parameters.width, 0, Lfsr16(seed).state))

    @property
    def state(self) -> PrecisionState:
        """Exponent, width, streak and generator; the unfinished window is not part of it."""
        return PrecisionState(self.exponent, self.width, self.streak, self.lfsr_state)

    def load(self, state: PrecisionState) -> None:
        """Take over a state and begin a new window; the status counters return to zero.

        Raises ParameterError for a state that these parameters cannot reach.
        """
        p = self.parameters
        self.exponent = integer("exponent", state.exponent, 0, p.exponent_max)
        self.width = integer("width", state.width, *p.width_limits)
        self.streak = integer("streak", state.streak, 0, p.patience - 1)
        self.lfsr_state = integer("lfsr", state.lfsr, 1, PERIOD)
        self.windows = 0
        self.overflows = 0
        self._begin_window()

    def quantize(self, values: ArrayLike) -> NDArray[np.int64]:
        """q of one tensor, in its shape; then the decision, if its window is complete.

        The exponent that belongs to the result is ``exponent`` before the call.

        Raises DataError for values outside signed(input_width).
        """
        low, high = signed_range(self.parameters.input_width)
        tensor = integer_array("value", values, low, high)
        result = np.zeros_like(tensor)
        nonzero = tensor != 0
        x = tensor[nonzero]
        if len(x):
            words = self._draw(len(x))
            noise = words if self.parameters.stochastic else NEAREST
            q = quantize(x, self.exponent, self.width, noise)
            result[nonzero] = q
            self._count(np.abs(x), np.abs(q), words)
        if self._counted == self.parameters.window:
            self._close_window()
        return result

    def _draw(self, count: int) -> NDArray[np.int64]:
        words, places = _orbit()
        drawn = words[(places[self.lfsr_state] + 1 + np.arange(count)) % PERIOD]
        self.lfsr_state = int(drawn[-1])
        return drawn

    def _count(self, x: NDArray[np.int64], q: NDArray[np.int64], words: NDArray[np.int64]) -> None:
        """Magnitudes ``x``, their quantised ``q`` and words, up to the end of the window."""
        p = self.parameters
        count = min(len(x), p.window - self._counted)
        if not count:
            return
        x, q = x[:count], q[:count]
        error = x - (q << self.exponent)
        self._counted += count
        self._error += int((np.abs(error) if p.error_measure == "absolute" else error).sum())
        self._total += int(x.sum())
        overflows = int((x >> (self.exponent + self.width - 1) != 0).sum())
        self._overflows += overflows
        self._half_overflows += int((x >> (self.exponent + self.width - 2) != 0).sum())
        self.overflows = min(self.overflows + overflows, p.count_limit)
        if self._counted == p.window:
            random = int(words[count - 1]) & ((1 << p.overflow_random_bits) - 1)
            self._permitted = p.overflow_base + random

    def _close_window(self) -> None:
        window = Window(
            overflows=self._overflows,
            half_overflows=self._half_overflows,
            error=abs(self._error),
            total=self._total,
            permitted=self._permitted,
        )
        before = self.state
        self.exponent, self.width, self.streak = decide(
            self.exponent, self.width, self.streak, window, self.parameters.rule
        )
        self.decided(before, window)
        self.windows = min(self.windows + 1, self.parameters.count_limit)
        self._begin_window()

    def decided(self, before: PrecisionState, window: Window) -> None:
        """Called after each decision, for whoever follows them."""

    def _begin_window(self) -> None:
        self._counted = 0
        self._overflows = 0
        self._half_overflows = 0
        self._error = 0
        self._total = 0
        self._permitted = 0


def check_vectors(
    parameters: PrecisionParameters, arrays: Mapping[str, Any]
) -> list[NDArray[np.int64]]:
    """Recorded vectors (the arrays of an .npz file) as tensors, checked against ``parameters``.

    Parameters
    ----------
    arrays : mapping of str to array
        ``value``: integers in signed(input_width). [tensors, length]: each row is a tensor.
        [values]: a tensor ends after each 1 of ``last`` (0 or 1, [values]), after every value
        where ``last`` is missing.

    Raises
    ------
    DataError
        Names the array, the first offending value and the legal range.
    """
    if "value" not in arrays:
        raise DataError(f"value must be one of the arrays, not missing from {sorted(arrays)}")
    for name in sorted(set(arrays) - {"value", "last"}):
        raise DataError(f"arrays must be among ['last', 'value'], not {name!r}")
    value = integer_array("value", arrays["value"], *signed_range(parameters.input_width))
    if value.ndim not in (1, 2) or not value.size:
        raise DataError(f"value must have shape (any) or (any, any), none 0, not {value.shape}")
    if "last" not in arrays:
        return list(value if value.ndim == 2 else value[:, None])
    if value.ndim != 1:
        raise DataError("last must be missing where value has two dimensions, not given")
    last = integer_array("last", arrays["last"], 0, 1, value.shape)
    if not last[-1]:
        raise DataError(f"last[{len(last) - 1}] must be from 1 to 1, not 0")
    return np.split(value, np.flatnonzero(last)[:-1] + 1)
