"""The update engine: rows of gradients, momenta and weights in, new momenta and weights out.

This file and ``update_rules`` are the specification of ``rtl.update_engine`` (design sections 3
to 5): results and generator states are the same for every number of lanes P.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, integer, integer_array
from .lfsr import Lfsr16
from .lfsr import advance as lfsr_advance
from .update_parameters import RULES, UpdateParameters
from .update_rules import Integers, gradient_range, momentum_range, step_lanes, weight_range
from .xorshift import Xorshift32

__all__ = ["RULES", "UpdateEngine", "UpdateParameters", "UpdatedRow", "Vectors", "check_vectors"]

LENGTH_MAX = 1 << 20


class UpdatedRow(NamedTuple):
    """A row after its update: new momentum and weight, and the lanes of the groups written."""

    momentum: Integers
    weight: Integers
    written: NDArray[np.bool_]


class UpdateEngine:
    """Updates rows of weights, one after the other.

    Each group of ``rng_group`` lanes of a row, the shorter tail included, draws its gate from the
    LFSR: s + 1 steps, then the group is skipped where any of the low s bits of the state is set.
    Where lanes read random words, each 32 lanes of a group that is written, the shorter tail
    included, take one step of the xorshift; lane i of the row reads it rotated left by
    7·(i mod 32). Generators stand still otherwise.

    Parameters
    ----------
    parameters : UpdateParameters
    seed : int
        0 … 2^32 − 1, of both generators.

    Attributes
    ----------
    lfsr, xorshift
        The generators; ``state`` of each is what the hardware shows and loads.
    threshold, gate_shift, shift : int
        The run-time settings: α, the gate's s, and ``ema_dst``'s s or the learning-rate shift.
        See ``configure``.
    """

    def __init__(self, parameters: UpdateParameters, seed: int = 1) -> None:
        self.parameters = parameters
        self.lfsr = Lfsr16(seed)
        self.xorshift = Xorshift32(seed)
        self.configure()

    def configure(self, *, threshold: int = 0, gate_shift: int = 0, shift: int = 0) -> None:
        """Set the run-time inputs; raises ParameterError outside what the parameters allow."""
        p = self.parameters
        self.threshold = integer("threshold", threshold, 0, (1 << p.threshold_width) - 1)
        self.gate_shift = integer("gate_shift", gate_shift, 0, p.gate_shift_max)
        self.shift = integer("shift", shift, 0, p.shift_max)

    def process_row(
        self, gradient: ArrayLike, momentum: ArrayLike, weight: ArrayLike
    ) -> UpdatedRow:
        """One row, three arrays [inputs]; ``momentum`` is zeros where the rule keeps none.

        Raises DataError where a value is outside its stored range.
        """
        p = self.parameters
        g = integer_array("gradient", gradient, *gradient_range(p), (None,))
        m = integer_array("momentum", momentum, *momentum_range(p), g.shape)
        w = integer_array("weight", weight, *weight_range(p), g.shape)
        written = np.zeros(len(g), np.bool_)
        words = np.zeros(len(g), np.int64)
        for start in range(0, len(g), p.rng_group):
            group = slice(start, start + p.rng_group)
            if self.gate_is_open():
                written[group] = True
                if p.random_width:
                    words[group] = self.xorshift.lane_words(len(g[group]))
        new_m, new_w = step_lanes(
            p, g, m, w, threshold=self.threshold, shift=self.shift, words=words
        )
        return UpdatedRow(np.where(written, new_m, m), np.where(written, new_w, w), written)

    def gate_is_open(self) -> bool:
        """Draw s + 1 LFSR steps; the gate rests where any of the low s bits is set."""
        self.lfsr.state = lfsr_advance(self.lfsr.state, self.gate_shift + 1)
        return self.lfsr.state & ((1 << self.gate_shift) - 1) == 0


@dataclass(frozen=True)
class Vectors:
    """Rows to drive an engine with, golden or RTL, and its settings meanwhile."""

    gradient: Integers
    momentum: Integers
    weight: Integers
    length: Integers
    threshold: int = 0
    gate_shift: int = 0
    shift: int = 0
    lfsr_state: int = 1
    xorshift_state: int = 1

    def __len__(self) -> int:
        return len(self.length)

    def row(self, index: int) -> tuple[Integers, Integers, Integers]:
        """Gradient, momentum and weight of one row, cut to its length."""
        lanes = slice(self.length[index])
        return self.gradient[index, lanes], self.momentum[index, lanes], self.weight[index, lanes]

    def engine(self, parameters: UpdateParameters) -> UpdateEngine:
        """A golden engine with these settings and generator states."""
        engine = UpdateEngine(parameters)
        engine.configure(threshold=self.threshold, gate_shift=self.gate_shift, shift=self.shift)
        engine.lfsr.state, engine.xorshift.state = self.lfsr_state, self.xorshift_state
        return engine


def check_vectors(parameters: UpdateParameters, arrays: Mapping[str, Any]) -> Vectors:
    """Recorded vectors (the arrays of an .npz file), checked against ``parameters``.

    Parameters
    ----------
    arrays : mapping of str to array
        ``grad``, ``momentum``, ``weight``: integers [rows, inputs] in their stored ranges;
        ``momentum`` may be missing where the rule keeps none. Optional: ``length`` [rows], lanes
        of each row that count, 1 … inputs (all by default); ``threshold``, ``gate_shift``,
        ``shift``, ``lfsr_state`` and ``xorshift_state``, one integer each.

    Raises
    ------
    DataError
        Names the array, the first offending value and the legal range.
    """
    p = parameters
    required = {"grad", "weight"} | ({"momentum"} if p.momentum_width else set())
    states = {"lfsr_state": (1, 2**16 - 1), "xorshift_state": (1, 2**32 - 1)}
    settings = {
        "threshold": (0, (1 << p.threshold_width) - 1),
        "gate_shift": (0, p.gate_shift_max),
        "shift": (0, p.shift_max),
    }
    legal = required | {"momentum", "length"} | settings.keys() | states.keys()
    for name in sorted(required - set(arrays)):
        raise DataError(f"{name} must be one of the arrays, not missing from {sorted(arrays)}")
    for name in sorted(set(arrays) - legal):
        raise DataError(f"arrays must be among {sorted(legal)}, not {name!r}")
    low, high = gradient_range(p)
    gradient = integer_array("grad", arrays["grad"], low, high, (None, None))
    rows, inputs = gradient.shape
    if not rows or not 1 <= inputs <= LENGTH_MAX:
        raise DataError(
            f"grad must have 1 or more rows of 1 to {LENGTH_MAX} lanes, not {rows} of {inputs}"
        )
    zeros = np.zeros(gradient.shape, np.int64)
    momentum = arrays.get("momentum", zeros)
    length = arrays.get("length", np.full(rows, inputs))
    return Vectors(
        gradient=gradient,
        momentum=integer_array("momentum", momentum, *momentum_range(p), gradient.shape),
        weight=integer_array("weight", arrays["weight"], *weight_range(p), gradient.shape),
        length=integer_array("length", length, 1, inputs, (rows,)),
        **{
            name: int(integer_array(name, arrays[name], low, high, ()))
            for name, (low, high) in (settings | states).items()
            if name in arrays
        },
    )
