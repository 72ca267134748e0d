"""Real traffic: what the golden trainer multiplies, updates and sums while it learns.

Each recording has the arrays that the golden model of a block checks and its bench replays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..golden.checks import ParameterError
from ..golden.design import DesignConfig
from ..golden.encoding import encode
from ..golden.trainer import Trainer

Arrays = dict[str, NDArray]

LIMITS = ("threshold", "window", "offset")


class RecordingTrainer(Trainer):
    """A golden trainer that keeps what passes through its blocks.

    Attributes
    ----------
    products : list of (x, W)
        Inputs [n_in] and weights [n_out, n_in] of every forward product, layer by layer.
    sums : list of array
        z of every layer of every sample.
    errors : list of array
        Errors of the first layer's units of every active sample, before they are quantised.
    updates : list of (gradient, counters, weights)
        Every row with an error, before its update, in order; gradients as the rule takes them,
        their signs where they pass the confidence gate.
    initial_lfsr, initial_xorshift : int
        States of the generators before the first sample.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.products: list[tuple[NDArray, NDArray]] = []
        self.sums: list[NDArray] = []
        self.updates: list[tuple[NDArray, NDArray, NDArray]] = []
        self.errors: list[NDArray] = []
        self.initial_lfsr = self.lfsr.state
        self.initial_xorshift = self.xorshift.state

    def forward(self, sample: Any) -> Any:
        """Forward pass, recorded."""
        activations, sums = super().forward(sample)
        for x, weights, z in zip(activations, self.weights, sums, strict=True):
            self.products.append((x.copy(), weights.copy()))
            self.sums.append(z.copy())
        return activations, sums

    def quantize(self, layer: int, error: Any) -> Any:
        """Errors of a layer, recorded for the first."""
        if layer == 0:
            self.errors.append(error.copy())
        return super().quantize(layer, error)

    def update(self, layer: int, error: Any, x: Any) -> None:
        """Update of a layer, recorded row by row."""
        alpha = self.config.of("gradient_confidence", layer)
        for row in np.flatnonzero(error):
            gradient = int(error[row]) * x.astype(np.int64)
            self.updates.append(
                (
                    np.sign(gradient) * (np.abs(gradient) > alpha),
                    self.counters[layer][row].astype(np.int64),
                    self.weights[layer][row].astype(np.int64),
                )
            )
        super().update(layer, error, x)


def record(
    design: DesignConfig, pixels: ArrayLike, labels: ArrayLike, seed: int = 1
) -> RecordingTrainer:
    """Train the network of ``design`` once on ``pixels`` [n, pixels] with ``labels``, recorded.

    Raises ParameterError where it has convolutions: their sums are of many positions, which no
    block has as its vectors.
    """
    if design.network.convolves:
        raise ParameterError(
            "network must be dense for its traffic to be recorded; give vectors (--vectors FILE), "
            "or hold the whole trainer against golden: trisign train CONFIG --engine rtl"
        )
    trainer = RecordingTrainer(design.network, seed)
    trainer.fit(encode(pixels, design.hardware.planes), labels)
    return trainer


def dot_words(trainer: RecordingTrainer, lanes: int) -> Arrays:
    """Arrays ``a`` and ``w`` [words, lanes]: each row's product cut into words, padded with 0."""
    a, w = [], []
    for x, weights in trainer.products:
        rows = len(weights)
        words = as_words(weights, lanes)
        a.append(np.tile(as_words(x[None], lanes), (rows, 1)))
        w.append(words)
    return {"a": np.concatenate(a), "w": np.concatenate(w)}


def dot_rows(trainer: RecordingTrainer, lanes: int) -> Arrays:
    """Arrays of ``golden.processing_element.check_vectors``: every product, all equally long.

    Shorter rows end with words of zeros. The limits are those of the first layer.
    """
    words = max(-(-len(x) // lanes) for x, _ in trainer.products)
    a, w = [], []
    for x, weights in trainer.products:
        padded = np.pad(weights, ((0, 0), (0, words * lanes - len(x))))
        w.append(padded.reshape(-1, words, lanes))
        inputs = np.pad(x, (0, words * lanes - len(x))).reshape(1, words, lanes)
        a.append(np.tile(inputs, (len(weights), 1, 1)))
    limits = {name: np.array(trainer.config.of(name, 0)) for name in LIMITS}
    return {"a": np.concatenate(a), "w": np.concatenate(w), **limits}


def as_words(rows: NDArray, lanes: int) -> NDArray[np.int64]:
    """Rows [rows, n] as words [rows · ⌈n / lanes⌉, lanes], the last word of a row padded with 0."""
    padding = -rows.shape[1] % lanes
    padded = np.pad(rows.astype(np.int64), ((0, 0), (0, padding)))
    return padded.reshape(-1, lanes)


def update_rows(trainer: RecordingTrainer) -> Arrays:
    """Arrays of ``golden.update_engine.check_vectors``: every updated row, padded with 0.

    Settings are those of the first layer and epoch.
    """
    length = np.array([len(gradient) for gradient, _, _ in trainer.updates], np.int64)
    shape = (len(length), int(length.max(initial=1)))
    stacked = np.zeros((3, *shape), np.int64)
    for i, parts in enumerate(trainer.updates):
        stacked[:, i, : length[i]] = parts
    gradient, momentum, weight = stacked
    arrays = {
        "grad": gradient,
        "momentum": momentum,
        "weight": weight,
        "length": length,
        "gate_shift": np.array(trainer.config.of("gate_shift", 0)),
        "lfsr_state": np.array(trainer.initial_lfsr),
        "xorshift_state": np.array(trainer.initial_xorshift),
    }
    if trainer.config.rule == "ema_dst":
        arrays["shift"] = np.array(trainer.config.probability_shift)
    return arrays


def error_tensors(trainer: RecordingTrainer) -> Arrays:
    """Arrays of ``golden.precision_controller.check_vectors``: a tensor for each active sample."""
    return {"value": np.stack(trainer.errors).astype(np.int64)}
