"""The online trainer: one sample at a time, ternary weights, no full-precision weight anywhere.

This file is the specification of the RTL trainer (design section 4): every weight, counter and
generator state of the hardware equals the one here after every sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, integer, integer_array
from .lfsr import Lfsr16
from .trainer_config import TrainerConfig

__all__ = ["Trainer", "TrainerConfig"]

Trits = NDArray[np.int8]
Sums = NDArray[np.int64]

INITIAL_TRITS = (-1, 0, 1, 0)
INITIAL_STEPS = 3


class Trainer:
    """A ternary network and its training state.

    Parameters
    ----------
    config : TrainerConfig
    seed : int
        Seeds the generator that initialises the weights and then draws the update gate.

    Attributes
    ----------
    weights : list of int8 array [n_out, n_in]
        Trits, one array a layer.
    counters : list of int8 array [n_out, n_in]
        Saturating counters, −Q … Q (int16 where F is 9).
    lfsr_state : int
        State of the generator.
    samples_seen, samples_active : int
        Samples trained on, and those whose margin was not yet met.
    correct : int
        Training samples predicted correctly before their update.
    groups_drawn, groups_written : int
        Groups of lanes that drew a gate, and those whose gate was open.
    sign_flips : int
        Weight steps: every change of a weight, one of ±1.
    """

    def __init__(self, config: TrainerConfig, seed: int = 1) -> None:
        self.config = config
        self.lfsr = Lfsr16(seed)
        self.weights = [self._initial_weights(shape) for shape in config.shapes]
        self.counters = [
            np.zeros(shape, np.int8 if config.counter_limit(l) < 128 else np.int16)
            for l, shape in enumerate(config.shapes)
        ]
        self.samples_seen = 0
        self.samples_active = 0
        self.correct = 0
        self.groups_drawn = 0
        self.groups_written = 0
        self.sign_flips = 0

    @property
    def lfsr_state(self) -> int:
        return self.lfsr.state

    def fit(self, x: ArrayLike, labels: ArrayLike, epochs: int = 1) -> Trainer:
        """Train on trits ``x`` [n, inputs] with ``labels`` [n], in order, ``epochs`` times.

        Raises DataError where shapes, trits or labels do not fit, before anything changes.
        """
        trits, classes = self.check_samples(x, labels)
        for _ in range(integer("epochs", epochs, 0, 2**31 - 1)):
            for sample, label in zip(trits, classes, strict=True):
                self.train_sample(sample, int(label))
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Class of each row of ``x``: the largest sum, the lowest index on ties."""
        h = self.check_trits(x)
        for l in range(self.config.layer_count):
            z = h.astype(np.int64) @ self.weights[l].T.astype(np.int64) - self.config.of("offset", l)
            h = self.activate(l, z)
        return np.argmax(z, axis=-1)

    def check_trits(self, x: ArrayLike) -> Trits:
        """``x`` as trits of the network's input shape; raises DataError otherwise."""
        return integer_array("x", x, -1, 1, (None, self.config.layers[0])).astype(np.int8)

    def check_samples(self, x: ArrayLike, labels: ArrayLike) -> tuple[Trits, NDArray[np.int64]]:
        """Samples and labels that fit the network; raises DataError otherwise."""
        trits = self.check_trits(x)
        if not len(trits):
            raise DataError("x must hold at least one sample, not 0")
        return trits, integer_array("labels", labels, 0, self.config.layers[-1] - 1, (len(trits),))

    def activate(self, layer: int, z: Sums) -> Trits:
        """sign(z) where |z| > r, else 0."""
        return (np.sign(z) * (np.abs(z) > self.config.of("threshold", layer))).astype(np.int8)

    def forward(self, sample: Trits) -> tuple[list[Trits], list[Sums]]:
        """Activations h_0 … h_{L−1} and sums z_1 … z_L of one sample."""
        activations, sums = [sample], []
        for l, w in enumerate(self.weights):
            z = w.astype(np.int64) @ activations[l].astype(np.int64) - self.config.of("offset", l)
            sums.append(z)
            activations.append(self.activate(l, z))
        return activations[:-1], sums

    def train_sample(self, sample: Trits, label: int) -> bool:
        """Train on one sample; True when it was active (its margin not yet met)."""
        activations, sums = self.forward(sample)
        self.samples_seen += 1
        self.correct += int(np.argmax(sums[-1])) == label
        error = self.output_error(sums[-1], label)
        if error is None:
            return False
        self.samples_active += 1
        for l in reversed(range(self.config.layer_count)):
            below = self.error_below(l, error, sums[l - 1]) if l else None
            self.update(l, error, activations[l])
            if below is not None:
                error = below
        return True

    def output_error(self, y: Sums, label: int) -> Trits | None:
        """Crammer–Singer hinge: +1 at the label, −1 at its strongest rival; None once M is met."""
        others = y.copy()
        others[label] = np.iinfo(np.int64).min
        rival = int(np.argmax(others))
        if y[label] - y[rival] >= self.config.margin:
            return None
        error = np.zeros(len(y), np.int8)
        error[label], error[rival] = 1, -1
        return error

    def error_below(self, layer: int, error: Trits, z: Sums) -> Trits:
        """Errors of the units below ``layer``: sign(Wᵀd), gated by confidence and window."""
        delta = error.astype(np.int64) @ self.weights[layer].astype(np.int64)
        below = layer - 1
        confident = np.abs(delta) > self.config.of("confidence", below)
        distance = np.abs(np.abs(z) - self.config.of("threshold", below))
        open_window = distance <= self.config.of("window", below)
        return (np.sign(delta) * (confident & open_window)).astype(np.int8)

    def update(self, layer: int, error: Trits, x: Trits) -> None:
        """Update the rows whose error is not zero, group by group, where the gate is open."""
        group = self.config.rng_group
        for row in np.flatnonzero(error):
            gradient = int(error[row]) * x.astype(np.int64)
            for start in range(0, len(x), group):
                if self.gate_is_open():
                    self.step_group(layer, int(row), slice(start, start + group), gradient)

    def gate_is_open(self) -> bool:
        """Draw s + 1 steps; the gate rests where any of the low s bits of the last state is set."""
        self.groups_drawn += 1
        for _ in range(self.config.gate_shift + 1):
            state = self.lfsr.step()
        return state & ((1 << self.config.gate_shift) - 1) == 0

    def step_group(self, layer: int, row: int, lanes: slice, gradient: Sums) -> None:
        """Rule ``counter``: a counter that passes ±Q steps its weight and starts again at zero."""
        self.groups_written += 1
        limit = self.config.counter_limit(layer)
        weight = self.weights[layer][row, lanes].astype(np.int64)
        total = self.counters[layer][row, lanes] + gradient[lanes]
        stepped = np.clip(weight + np.sign(total) * (np.abs(total) > limit), -1, 1)
        changed = stepped != weight
        self.weights[layer][row, lanes] = stepped
        self.counters[layer][row, lanes] = np.where(changed, 0, np.clip(total, -limit, limit))
        self.sign_flips += int(changed.sum())

    def _initial_weights(self, shape: tuple[int, int]) -> Trits:
        weights = np.empty(shape, np.int8)
        for index in np.ndindex(shape):
            for _ in range(INITIAL_STEPS):
                state = self.lfsr.step()
            weights[index] = INITIAL_TRITS[state % 4]
        return weights
