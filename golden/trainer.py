"""The online trainer: one sample at a time, ternary weights, no full-precision weight anywhere.

This file is the specification of the RTL trainer (design section 4): every weight, counter and
generator state of the hardware equals the one here after every sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import convolution, loss, trainer_state
from .checks import DataError, integer, integer_array
from .lfsr import Lfsr16, advance
from .precision_controller import PrecisionController
from .sample_store import SampleStore, shift_generator
from .trainer_config import TrainerConfig
from .update_rules import counter_step, ema_dst_step
from .xorshift import Xorshift32

__all__ = ["Trainer", "TrainerConfig"]

Trits = NDArray[np.int8]
Sums = NDArray[np.int64]

INITIAL_TRITS = (-1, 0, 1, 0)
INITIAL_STEPS = 3
# Convolutions are evaluated on so many samples at a time.
BATCH_SAMPLES = 64
CONTROLLER_SEED = 0x3C00


class Trainer:
    """A ternary network and its training state.

    Parameters
    ----------
    config : TrainerConfig
    seed : int
        0 … 2^32 − 1. Seeds the generator that initialises the weights and then draws the update
        gate; the generator of image shifts with (seed XOR 0x5A5A) mod 2^16; that of ``ema_dst``;
        and the precision controller of layer l's errors with (seed XOR (0x3C00 + l)) mod 2^16.

    Attributes
    ----------
    weights : list of int8 array [n_out, n_in]
        Trits, one array a layer.
    counters : list of int8 array [n_out, n_in]
        Saturating counters, −Q … Q (int16 where F is 9); averages with rule ``ema_dst``.
    lfsr, shift_lfsr, xorshift
        The generators; ``state`` of each is what the hardware shows and loads.
    controllers : list of PrecisionController
        One a layer with loss ``squared_hinge``, else empty.
    epochs_finished : int
        Position in ``config.schedule``.
    samples_seen, samples_active : int
        Samples trained on, and those whose margin was not yet met.
    correct : int
        Training samples predicted correctly before their update.
    groups_drawn, groups_written : int
        Groups of lanes that drew a gate, and those whose gate was open.
    sign_flips : int
        Weight steps: every change of a weight, one of ±1.
    resting : int
        Products w·x of the forward pass that were zero, of positions·n_out·n_in a layer.
    error_counts : int64 array [layers, 2]
        Of a network with convolutions: rows updated, and errors of units and cells in them.
    winners : list of int64 array [cells · n_out]
        Of the last forward pass: the position in each cell that gave the largest sum.
    """

    def __init__(self, config: TrainerConfig, seed: int = 1) -> None:
        self.config = config
        self.lfsr = Lfsr16(seed)
        self.shift_lfsr = shift_generator(seed)
        self.xorshift = Xorshift32(seed)
        self.weights = [self._initial_weights(shape) for shape in config.shapes]
        self.counters = [
            np.zeros(shape, np.int8 if config.momentum_width(l) <= 8 else np.int16)
            for l, shape in enumerate(config.shapes)
        ]
        self.controllers = [
            PrecisionController(
                config.controller_parameters(l), (seed ^ (CONTROLLER_SEED + l)) & 0xFFFF
            )
            for l in range(config.layer_count)
            if config.loss == "squared_hinge"
        ]
        self.epochs_finished = 0
        self.samples_seen = 0
        self.samples_active = 0
        self.correct = 0
        self.groups_drawn = 0
        self.groups_written = 0
        self.sign_flips = 0
        self.resting = 0
        self.error_counts = np.zeros((config.layer_count, 2), np.int64)
        self.winners: list[Sums] = []
        self._rules = [config.update_parameters(l) for l in range(config.layer_count)]
        self._apply_schedule()

    @property
    def lfsr_state(self) -> int:
        return self.lfsr.state

    def fit(self, x: ArrayLike, labels: ArrayLike, epochs: int = 1) -> Trainer:
        """Train on trits ``x`` [n, inputs] with ``labels`` [n], in order, ``epochs`` times.

        A convolutional network also takes ``x`` as [n, height, width, channels].

        Raises DataError where shapes, trits or labels do not fit, before anything changes.
        """
        trits, classes = self.check_samples(x, labels)
        for _ in range(integer("epochs", epochs, 0, 2**31 - 1)):
            self.train_epoch(trits, classes)
            self.finish_epoch()
        return self

    def fit_store(self, store: SampleStore, epochs: int = 1, *, shift: bool = False) -> Trainer:
        """Train on a sample store, in order, ``epochs`` times.

        With ``shift`` every image moves at random by −1, 0 or +1 pixel each way, each time anew.

        Raises DataError where the samples do not fit the network and ParameterError where images
        cannot be shifted, before anything changes.
        """
        trits, classes = self.check_samples(store.epoch(), store.labels)
        if shift:
            store.moved(0, 0)
        for _ in range(integer("epochs", epochs, 0, 2**31 - 1)):
            self.train_epoch(store.epoch(self.shift_lfsr) if shift else trits, classes)
            self.finish_epoch()
        return self

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Class of each row of ``x``: the largest sum, the lowest index on ties."""
        trits = self.check_trits(x)
        parts = [
            np.argmax(self.forward(trits[k : k + BATCH_SAMPLES])[1][-1], axis=-1)
            for k in range(0, len(trits), BATCH_SAMPLES)
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def state(self) -> dict[str, NDArray]:
        """Everything that training changes, as arrays to save. To be taken between epochs."""
        return trainer_state.export(self)

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over what ``state`` of a trainer of the same configuration returned.

        Training goes on to the same bits. Raises DataError for arrays that are missing, unknown, of
        another shape or out of range, before anything changes.
        """
        trainer_state.load(self, state)
        self._apply_schedule()

    def check_trits(self, x: ArrayLike) -> Trits:
        """``x`` as trits of the network's input shape; raises DataError otherwise."""
        shape: tuple[int, ...] = (self.config.inputs,)
        if self.config.input_shape is not None and np.ndim(x) == 4:
            shape = self.config.input_shape
        trits = integer_array("x", x, -1, 1, (None, *shape)).astype(np.int8)
        return trits.reshape(len(trits), self.config.inputs)

    def check_samples(self, x: ArrayLike, labels: ArrayLike) -> tuple[Trits, NDArray[np.int64]]:
        """Samples and labels that fit the network; raises DataError otherwise."""
        trits = self.check_trits(x)
        if not len(trits):
            raise DataError("x must hold at least one sample, not 0")
        return trits, integer_array("labels", labels, 0, self.config.classes - 1, (len(trits),))

    def activate(self, layer: int, z: Sums) -> Trits:
        """sign(z) where |z| > r, else 0."""
        return (np.sign(z) * (np.abs(z) > self.config.of("threshold", layer))).astype(np.int8)

    def forward(self, sample: Trits) -> tuple[list[Trits], list[Sums]]:
        """Activations h_0 … h_{L−1} and sums z_1 … z_L, of convolutions those left by pooling.

        ``sample`` [inputs], or several [n, inputs].
        """
        activations, sums = [sample], []
        self.winners = []
        for l, w in enumerate(self.weights):
            shape = self.config.layer_shapes[l]
            seen = convolution.gather(shape, activations[l])
            z, winners = convolution.pool(
                shape, seen @ w.T.astype(np.int64) - self.config.of("offset", l)
            )
            self.winners.append(winners)
            sums.append(z)
            activations.append(self.activate(l, z))
        return activations[:-1], sums

    def train_epoch(self, samples: Trits, labels: NDArray[np.int64]) -> None:
        """Train on checked samples, once and in order."""
        for sample, label in zip(samples, labels, strict=True):
            self.train_sample(sample, int(label))

    def train_sample(self, sample: Trits, label: int) -> bool:
        """Train on one sample; True when it was active (its margin not yet met)."""
        activations, sums = self.forward(sample)
        self.samples_seen += 1
        self.correct += int(np.argmax(sums[-1])) == label
        self.resting += self.resting_products(activations)
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

    def resting_products(self, activations: Sequence[Trits]) -> int:
        """Products a·w that are zero as one sample's ``activations`` (see ``forward``) are read."""
        resting = 0
        for shape, w, h in zip(self.config.layer_shapes, self.weights, activations, strict=True):
            seen = np.count_nonzero(convolution.gather(shape, h), axis=0)
            resting += shape.positions * w.size - int(np.count_nonzero(w, axis=0) @ seen)
        return resting

    def output_error(self, y: Sums, label: int) -> Sums | None:
        """Errors of the last layer's units, quantised where they are not trits; None if done."""
        error = getattr(loss, self.config.loss)(y, label, self.margin)
        return None if error is None else self.quantize(self.config.layer_count - 1, error)

    def error_below(self, layer: int, error: Sums, z: Sums) -> Sums:
        """Errors of the units below ``layer``: Wᵀd where confidence and window allow, else 0.

        Of the sums that pass, the sign; or the sum quantised, unit 0 first. Zeros do not touch the
        controller, so closed units might as well not be there.
        """
        shape = self.config.layer_shapes[layer]
        spread = convolution.spread(shape, error, self.winners[layer])
        delta = convolution.scatter(shape, spread @ self.weights[layer].astype(np.int64))
        below = layer - 1
        confident = np.abs(delta) > self.config.of("confidence", below)
        distance = np.abs(np.abs(z) - self.config.of("threshold", below))
        open_window = distance <= self.config.of("window", below)
        return self.quantize(below, delta * (confident & open_window))

    def quantize(self, layer: int, error: Sums) -> Sums:
        """Errors as they travel: signs, or what the layer's precision controller makes of them."""
        if not self.controllers:
            return np.sign(error)
        return self.controllers[layer].quantize(error)

    def update(self, layer: int, error: Sums, x: Trits) -> None:
        """Update the rows with an error that is not zero, group by group, where the gate is open.

        A row's gradient is the sum over positions of its error there times what it sees there.
        """
        group, shape = self.config.rng_group, self.config.layer_shapes[layer]
        spread = convolution.spread(shape, error, self.winners[layer])
        seen = convolution.gather(shape, x)
        if self.config.convolves:
            counted = np.count_nonzero(spread, axis=0)
            self.error_counts[layer] += (np.count_nonzero(counted), counted.sum())
        for row in np.flatnonzero(spread.any(axis=0)):
            gradient = spread[:, row] @ seen
            for start in range(0, shape.inputs, group):
                if self.gate_is_open(layer):
                    self.step_group(layer, int(row), slice(start, start + group), gradient)

    def gate_is_open(self, layer: int) -> bool:
        """Draw s + 1 steps; the gate rests where any of the low s bits of the last state is set."""
        self.groups_drawn += 1
        shift = self.gate_shift[layer]
        self.lfsr.state = advance(self.lfsr.state, shift + 1)
        return self.lfsr.state & ((1 << shift) - 1) == 0

    def step_group(self, layer: int, row: int, lanes: slice, gradient: Sums) -> None:
        """Step the weights of an open group by the sign of each gradient above α."""
        self.groups_written += 1
        weight = self.weights[layer][row, lanes]
        counter = self.counters[layer][row, lanes]
        g = gradient[lanes]
        trit = np.sign(g) * (np.abs(g) > self.config.of("gradient_confidence", layer))
        if self.config.rule == "counter":
            limit = self.config.counter_limit(layer)
            moves = trit * self.counter_increment[layer]
            new_counter, new_weight = counter_step(moves, counter, weight, limit)
        else:
            new_counter, new_weight = ema_dst_step(
                trit,
                counter,
                weight,
                self.xorshift.lane_words(len(g)),
                parameters=self._rules[layer],
                shift=self.probability_shift,
            )
        self.sign_flips += int((new_weight != weight).sum())
        weight[:] = new_weight
        counter[:] = new_counter

    def finish_epoch(self) -> None:
        """Controllers begin a new window, so that a checkpoint needs none of its counts."""
        for controller in self.controllers:
            controller.load(controller.state)
        self.epochs_finished += 1
        self._apply_schedule()

    def _apply_schedule(self) -> None:
        settings = self.config.settings(self.epochs_finished)
        self.margin: int = settings["margin"]
        self.gate_shift: tuple[int, ...] = settings["gate_shift"]
        self.probability_shift: int = settings["probability_shift"]
        self.counter_increment: tuple[int, ...] = settings["counter_increment"]

    def _initial_weights(self, shape: tuple[int, int]) -> Trits:
        weights = np.empty(shape, np.int8)
        for index in np.ndindex(shape):
            self.lfsr.state = advance(self.lfsr.state, INITIAL_STEPS)
            weights[index] = INITIAL_TRITS[self.lfsr.state % 4]
        return weights
