"""Compiled training and prediction of networks with convolutions. Importing this needs Numba."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from . import convolution_kernel as kernel
from .compiled_kernel import Settings
from .trainer import Trainer, Trits
from .trit_bits import WORD


def train(
    trainer: Trainer,
    settings: Settings,
    samples: Trits,
    labels: NDArray[np.int64],
    weights: NDArray[np.int8],
    counters: NDArray[np.int16],
    generators: NDArray[np.int64],
    counts: NDArray[np.int64],
    error_counts: NDArray[np.int64],
) -> None:
    """Train on checked samples, once and in order; all from ``weights`` on changes in place.

    ``weights`` and ``counters`` hold those of all layers one after the other; ``counts`` are in the
    order of ``compiled.COUNTS``.
    """
    layers = _layers(trainer)
    scratch = _scratch(layers, settings.group)
    kernel.train(
        np.ascontiguousarray(samples),
        labels,
        layers,
        settings,
        weights,
        counters,
        generators,
        counts,
        scratch,
    )
    error_counts += scratch.error_counts


def predict(trainer: Trainer, samples: Trits) -> NDArray[np.int64]:
    """Class of each of the checked samples."""
    layers = _layers(trainer)
    classes = np.zeros(len(samples), np.int64)
    weights = np.concatenate([w.ravel() for w in trainer.weights])
    kernel.predict(np.ascontiguousarray(samples), layers, weights, _scratch(layers, 1), classes)
    return classes


def _layers(trainer: Trainer) -> kernel.Layers:
    config, shapes = trainer.config, trainer.config.layer_shapes

    def column(values: object) -> NDArray[np.int64]:
        return np.array(values, np.int64)

    def bases(sizes: list[int]) -> NDArray[np.int64]:
        return column([0, *accumulate(sizes)][:-1])

    words = [-(-shape.inputs // WORD) for shape in shapes]
    plain = ("width", "channels", "height", "units", "kernel", "pool", "padding", "border")
    derived = ("columns", "cells", "positions", "inputs")
    fields = ("threshold", "window", "offset", "confidence", "gradient_confidence")
    return kernel.Layers(
        **{name: column([getattr(s, name) for s in shapes]) for name in (*plain, *derived)},
        **{name: column(getattr(config, name)) for name in fields},
        words=column(words),
        map_width=column([s.width + 2 * s.border for s in shapes]),
        map_base=bases(
            [(s.height + 2 * s.border) * (s.width + 2 * s.border) * s.channels for s in shapes]
        ),
        weight_base=bases([s.units * s.inputs for s in shapes]),
        bit_base=bases([s.units * n for s, n in zip(shapes, words, strict=True)]),
        sum_base=bases([s.output_size for s in shapes]),
        limit=column([config.momentum_limit(l) for l in range(len(shapes))]),
        gate_shift=column(trainer.gate_shift),
        increment=column(trainer.counter_increment),
    )


def _scratch(layers: kernel.Layers, group: int) -> kernel.Scratch:
    heights = layers.height + 2 * layers.border
    across = layers.map_width * layers.channels
    pitch = -(-across // WORD)
    sums = int((layers.cells * layers.units).sum())
    return kernel.Scratch(
        maps=np.zeros(int((heights * across).sum()), np.int8),
        sums=np.zeros(sums, np.int64),
        winners=np.zeros(sums, np.int64),
        errors=np.zeros(sums, np.int64),
        deltas=np.zeros(int((heights * across).max()), np.int32),
        gradient=np.zeros(int(layers.inputs.max()), np.int32),
        trits=np.zeros(group, np.int8),
        map_bits=np.zeros((2, int((heights * pitch).max())), np.uint64),
        row_bits=np.zeros((2, int(layers.words.max())), np.uint64),
        weight_bits=np.zeros((2, int((layers.units * layers.words).sum())), np.uint64),
        error_counts=np.zeros((len(layers.units), 2), np.int64),
    )
