"""Float64 references of the sign optimisers: what the integer update engine approximates.

Nothing here is bit-exact hardware. The rules follow signADAM (arXiv 1907.09008), its published code
where that differs from the paper, and SIGN-SGD / SIGNUM as the same paper states them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, ParameterError, choice

Reals = NDArray[np.float64]

SIGN_RULES = ("sign_sgd", "signum", "signadam", "signadam_pp", "signadam_pp_published")
DECAYS = ("coupled", "decoupled")


class AdaptiveThreshold:
    """Confidence threshold that follows the spread of the gradient (signADAM paper, section 6.3).

    s ← β1·s + (1−β1)·√var(g), s₀ = 0; α = β2·s, and the gradient that moved s is gated by the new
    α. The paper states neither the granularity nor the divisor of the variance: here one s serves
    the whole tensor, and the variance is that of a population (divided by n).

    Parameters
    ----------
    beta1 : float
        0 ≤ β1 < 1: how much of the old spread is kept.
    beta2 : float
        β2 ≥ 0: threshold in units of the spread.

    Attributes
    ----------
    spread : float
        s of the last step, 0 before the first.
    alpha : float
        α of the last step, 0 before the first.

    Raises
    ------
    ParameterError
        A parameter outside its range.
    """

    def __init__(self, beta1: float, beta2: float) -> None:
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _not_negative("beta2", beta2)
        self.spread = 0.0

    @property
    def alpha(self) -> float:
        return self.beta2 * self.spread

    def update(self, grad: ArrayLike) -> float:
        """Take in the gradient of one step and return its α; raises DataError unless finite."""
        deviation = float(np.std(_finite_array("grad", grad)))
        self.spread = self.beta1 * self.spread + (1 - self.beta1) * deviation
        return self.alpha


class SignOptimizer:
    """One tensor's optimiser: sign → confidence gate → momentum → step, in float64.

    With the gradient g, the parameter θ, the learning rate δ, the momentum β and the threshold α,
    c = sign(g) where \\|g\\| > α (strictly), else 0:

    =========================  ==============================  =================
    rule                       momentum, m₀ = 0                step
    =========================  ==============================  =================
    ``sign_sgd``               none                            θ ← θ − δ·sign(g)
    ``signum``                 m ← β·m + (1−β)·g               θ ← θ − δ·sign(m)
    ``signadam``               m ← β·m + (1−β)·sign(g)         θ ← θ − δ·m
    ``signadam_pp``            m ← β·m + (1−β)·c               θ ← θ − δ·m
    ``signadam_pp_published``  the same but m = c at first;    θ ← θ − δ·c
                               kept and never read
    =========================  ==============================  =================

    There is no second moment (s² = 1 makes it 1) and no bias correction, so \\|m\\| ≤ 1 wherever m
    averages signs.

    Parameters
    ----------
    rule : str
        One of the rules above.
    lr : float
        δ > 0. The attribute may be changed between steps.
    momentum : float
        0 ≤ β < 1; ``sign_sgd`` has none and ignores it.
    threshold : float or AdaptiveThreshold
        α ≥ 0, or the object that computes it a step; rules without a gate ignore it.
        An AdaptiveThreshold has state: give each optimiser its own.
    weight_decay : float
        λ ≥ 0.
    decay : str
        ``coupled`` (every rule's default, as published): λ·θ is added to g before sign and gate.
        ``decoupled`` (the paper's AW variant, as in AdamW): θ is first scaled by 1 − δ·λ, and g is
        left alone.

    Attributes
    ----------
    momentum_buffer : float64 array or None
        m after the last step; None before the first, and always None for ``sign_sgd``.

    Raises
    ------
    ParameterError
        A parameter outside its range.
    """

    def __init__(
        self,
        rule: str,
        lr: float,
        momentum: float = 0.9,
        threshold: float | AdaptiveThreshold = 0.0,
        weight_decay: float = 0.0,
        *,
        decay: str = "coupled",
    ) -> None:
        self.rule = choice("rule", rule, SIGN_RULES)
        self.lr = _positive("lr", lr)
        self.momentum = _fraction("momentum", momentum)
        if not isinstance(threshold, AdaptiveThreshold):
            threshold = _not_negative("threshold", threshold)
        self.threshold = threshold
        self.weight_decay = _not_negative("weight_decay", weight_decay)
        self.decay = choice("decay", decay, DECAYS)
        self.momentum_buffer: Reals | None = None
        self._shape: tuple[int, ...] | None = None

    def step(self, param: ArrayLike, grad: ArrayLike) -> Reals:
        """The parameter after one step; neither ``param`` nor ``grad`` is changed.

        Parameters
        ----------
        param, grad : arrays of one shape, the same at every step

        Raises
        ------
        DataError
            The shapes differ from each other or from the first step's, or a value is not finite;
            the optimiser's state is then untouched.
        """
        theta = _finite_array("param", param)
        gradient = _finite_array("grad", grad)
        if self._shape is not None and theta.shape != self._shape:
            raise DataError(f"param must have shape {self._shape}, not {theta.shape}")
        if gradient.shape != theta.shape:
            raise DataError(f"grad must have shape {theta.shape}, not {gradient.shape}")
        self._shape = theta.shape
        if self.decay == "coupled":
            gradient = gradient + self.weight_decay * theta
        else:
            theta = theta * (1 - self.lr * self.weight_decay)
        return theta - self.lr * self._direction(gradient)

    def _direction(self, gradient: Reals) -> Reals:
        """What the learning rate multiplies; moves the momentum buffer on."""
        if self.rule == "sign_sgd":
            return np.sign(gradient)
        if self.rule == "signum":
            return np.sign(self._average(gradient))
        if self.rule == "signadam":
            return self._average(np.sign(gradient))
        confident = np.where(np.abs(gradient) > self._alpha(gradient), np.sign(gradient), 0.0)
        if self.rule == "signadam_pp":
            return self._average(confident)
        if self.momentum_buffer is None:
            self.momentum_buffer = confident.copy()
        else:
            self._average(confident)
        return confident

    def _alpha(self, gradient: Reals) -> float:
        if isinstance(self.threshold, AdaptiveThreshold):
            return self.threshold.update(gradient)
        return self.threshold

    def _average(self, value: Reals) -> Reals:
        """m ← β·m + (1−β)·value, from m₀ = 0."""
        old = np.zeros_like(value) if self.momentum_buffer is None else self.momentum_buffer
        self.momentum_buffer = self.momentum * old + (1 - self.momentum) * value
        return self.momentum_buffer


def _positive(name: str, value: Any) -> float:
    return _real(name, value, "a finite number above 0", lambda number: 0 < number < math.inf)


def _not_negative(name: str, value: Any) -> float:
    return _real(name, value, "a finite number, 0 or more", lambda number: 0 <= number < math.inf)


def _fraction(name: str, value: Any) -> float:
    return _real(name, value, "a number from 0 to less than 1", lambda number: 0 <= number < 1)


def _real(name: str, value: Any, legal: str, is_legal: Callable[[Any], bool]) -> float:
    """``value`` as a float; raises ParameterError for booleans and for anything not legal."""
    kinds = int | float | np.integer | np.floating
    if isinstance(value, bool | np.bool_) or not isinstance(value, kinds) or not is_legal(value):
        raise ParameterError(f"{name} must be {legal}, not {value!r}")
    return float(value)


def _finite_array(name: str, value: ArrayLike) -> Reals:
    """``value`` as float64, at least one element, all finite; raises DataError otherwise."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} must be an array of real numbers, not {array.dtype}")
    if not array.size:
        raise DataError(f"{name} must hold at least one value, not shape {array.shape}")
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = "".join(f"[{i}]" for i in where)
        raise DataError(f"{name}{place} must be finite, not {array[where]}")
    return array.astype(np.float64)
