"""The update rules, lane by lane: pure functions of integer arrays of any one shape.

Every function is the specification of ``rtl.update_lane``; sources of the equations: signADAM++
(arXiv 1907.09008) for sign, gate and average, GXNOR-Net (arXiv 1705.09283) for the discrete step.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import signed_range
from .update_parameters import UpdateParameters

Integers = NDArray[np.int64]


def average(momentum: ArrayLike, target: ArrayLike, frac: int, shift: int) -> Integers:
    """m + (((target << frac) − m + 2^(shift−1)) >> shift): an average with round half up.

    ``momentum`` has ``frac`` fraction bits, ``target`` none. Rounding by floor instead would draw
    every average below zero.
    """
    m, x = np.asarray(momentum, np.int64), np.asarray(target, np.int64)
    return m + (((x << frac) - m + (1 << (shift - 1))) >> shift)


def counter_step(
    trit: ArrayLike, counter: ArrayLike, weight: ArrayLike, limit: int
) -> tuple[Integers, Integers]:
    """Rule ``counter``: the new (counter, weight) after adding a gradient trit.

    m = counter + trit. Where |m| > limit the weight steps by sign(m), clipped to a trit; the
    counter restarts at zero where the weight changed and stays at ±limit where it could not.
    """
    weight = np.asarray(weight, np.int64)
    total = np.asarray(counter, np.int64) + np.asarray(trit, np.int64)
    stepped = np.clip(weight + np.sign(total) * (np.abs(total) > limit), -1, 1)
    return np.where(stepped != weight, 0, np.clip(total, -limit, limit)), stepped


def ema_dst_step(
    trit: ArrayLike,
    momentum: ArrayLike,
    weight: ArrayLike,
    words: ArrayLike,
    *,
    parameters: UpdateParameters,
    shift: int,
) -> tuple[Integers, Integers]:
    """Rule ``ema_dst``: the new (momentum, weight) of lanes that read random ``words``.

    Lanes with a zero trit keep both. The others average the trit into m, then, where
    (word mod 2^(F+shift)) < limit(|m| − dead_zone), step the weight by sign(m), clipped to a trit,
    and restart m at zero, clipped or not.
    """
    trit = np.asarray(trit, np.int64)
    momentum, weight = np.asarray(momentum, np.int64), np.asarray(weight, np.int64)
    frac = parameters.momentum_frac
    m = average(momentum, trit, frac, parameters.momentum_shift)
    limit = _limits(parameters)[np.maximum(np.abs(m) - parameters.dead_zone, 0)]
    below = (np.asarray(words, np.int64) & ((1 << (frac + shift)) - 1)) < limit
    touched = trit != 0
    stepped = np.clip(weight + np.sign(m) * (touched & below), -1, 1)
    return np.where(touched, np.where(below, 0, m), momentum), stepped


@cache
def _limits(parameters: UpdateParameters) -> Integers:
    return np.array(parameters.step_limits(), np.int64)


def fixed_step(
    source: ArrayLike,
    weight: ArrayLike,
    words: ArrayLike = 0,
    *,
    parameters: UpdateParameters,
    shift: int,
) -> Integers:
    """Fixed-point rules: θ − δ·source, or θ − δ·(source + λ·θ) with decoupled decay; δ = 2^−shift.

    Both terms are brought to one LSB, added, and rounded once to weight LSBs: to nearest, ties up,
    or by adding random bits below the LSB and dropping them. The weight saturates symmetrically.
    """
    theta = np.asarray(weight, np.int64)
    exact = np.asarray(source, np.int64) << parameters.source_left_shift
    if parameters.weight_decay == "decoupled":
        exact = exact + (theta << parameters.decay_left_shift)
    dropped = parameters.step_shift + shift
    if parameters.rounding == "stochastic":
        offset: Integers | int = np.asarray(words, np.int64) & ((1 << dropped) - 1)
    else:
        offset = (1 << dropped) >> 1
    limit = parameters.weight_limit
    return np.clip(theta - ((exact + offset) >> dropped), -limit, limit)


def confident_sign(parameters: UpdateParameters, gradient: ArrayLike, threshold: int) -> Integers:
    """sign(g) where |g| > α, else 0; ``gradient`` has ``decay_frac`` fraction bits, α none."""
    g = np.asarray(gradient, np.int64)
    alpha = threshold << parameters.decay_frac if parameters.is_gated else 0
    return np.sign(g) * (np.abs(g) > alpha)


def step_lanes(
    parameters: UpdateParameters,
    gradient: ArrayLike,
    momentum: ArrayLike,
    weight: ArrayLike,
    *,
    threshold: int = 0,
    shift: int = 0,
    words: ArrayLike = 0,
) -> tuple[Integers, Integers]:
    """The new (momentum, weight) of written lanes.

    Parameters
    ----------
    parameters : UpdateParameters
    gradient, momentum, weight : int arrays of one shape
        In ``gradient_range``, ``momentum_range`` (zeros where the rule keeps none) and
        ``weight_range``.
    threshold : int
        α, in gradient LSBs.
    shift : int
        s of ``ema_dst``, or the learning-rate shift.
    words : int array
        The 32-bit word each lane reads.
    """
    p = parameters
    g, m, w = (np.asarray(a, np.int64) for a in (gradient, momentum, weight))
    _assert_within("gradient", g, *gradient_range(p))
    _assert_state(p, m, w)
    if p.weight_decay == "coupled":
        g = (g << p.decay_shift) + w
        _assert_within("decayed gradient", g, *signed_range(p.decayed_width))
    c = confident_sign(p, g, threshold)
    if p.rule == "counter":
        m, w = counter_step(c, m, w, p.counter_limit)
    elif p.rule == "ema_dst":
        m, w = ema_dst_step(c, m, w, words, parameters=p, shift=shift)
    else:
        if p.averages:
            m = average(m, g if p.rule == "signum" else c, p.momentum_frac, p.momentum_shift)
        source = c
        if p.rule == "signum":
            source = np.sign(m)
        elif p.source_frac:
            source = m
        w = fixed_step(source, w, words, parameters=p, shift=shift)
        _assert_within("stepped weight", w, -p.weight_limit, p.weight_limit)
    _assert_state(p, m, w)
    return m, w


def _assert_state(parameters: UpdateParameters, momentum: Integers, weight: Integers) -> None:
    """NumPy wraps silently, so every stored value is held against its width."""
    _assert_within("momentum", momentum, *momentum_range(parameters))
    _assert_within("weight", weight, *weight_range(parameters))


def gradient_range(parameters: UpdateParameters) -> tuple[int, int]:
    """Smallest and largest gradient; one of two bits is a trit."""
    return (-1, 1) if parameters.gradient_width == 2 else signed_range(parameters.gradient_width)


def momentum_range(parameters: UpdateParameters) -> tuple[int, int]:
    """Smallest and largest stored momentum or counter; (0, 0) where the rule keeps none.

    ±Q for counters, ±2^F for averages of trits: nothing else is ever stored, and the hardware
    need not treat other codes of that width in any particular way.
    """
    if parameters.rule == "counter":
        return -parameters.counter_limit, parameters.counter_limit
    if parameters.averages and parameters.rule != "signum":
        return -(1 << parameters.momentum_frac), 1 << parameters.momentum_frac
    return signed_range(parameters.momentum_width) if parameters.momentum_width else (0, 0)


def weight_range(parameters: UpdateParameters) -> tuple[int, int]:
    """Smallest and largest stored weight, before the first step of a fixed-point one saturates."""
    return (-1, 1) if parameters.has_trit_weights else signed_range(parameters.weight_width)


def _assert_within(name: str, values: Integers, low: int, high: int) -> None:
    assert not values.size or (low <= values.min() and values.max() <= high), (
        f"{name} leaves {low} … {high}: {values.min()} … {values.max()}"
    )
