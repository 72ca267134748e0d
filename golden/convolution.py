"""Convolution as rows of inputs, sums over positions and max-pooling; all arrays are integers.

Every function takes the ``LayerShape`` it works for. A dense layer is one position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layers import LayerShape

Integers = NDArray[np.int64]


def gather(shape: LayerShape, x: NDArray) -> Integers:
    """What the units see at each position: x [..., input_size] → [..., positions, inputs]."""
    pixels = x.reshape(*x.shape[:-1], -1, shape.channels).astype(np.int64)
    outside = np.full((*x.shape[:-1], 1, shape.channels), shape.padding)
    seen = np.concatenate([pixels, outside], axis=-2)[..., shape.taps, :]
    return seen.reshape(*x.shape[:-1], shape.positions, shape.inputs)


def scatter(shape: LayerShape, delta: Integers) -> Integers:
    """Gather transposed: δ [positions, inputs] → [input_size], added up where positions overlap."""
    pixels = np.zeros((shape.height * shape.width + 1, shape.channels), np.int64)
    np.add.at(pixels, shape.taps, delta.reshape(*shape.taps.shape, shape.channels))
    return pixels[:-1].ravel()


def pool(shape: LayerShape, sums: Integers) -> tuple[Integers, Integers]:
    """The largest sum of each cell, and which of its positions gave it, the first on ties.

    Sums [..., positions, units] → both [..., output_size].
    """
    cells = sums.reshape(*sums.shape[:-2], shape.cells, -1, shape.units)
    flat = (*sums.shape[:-2], shape.output_size)
    return cells.max(axis=-2).reshape(flat), cells.argmax(axis=-2).reshape(flat)


def spread(shape: LayerShape, error: Integers, winners: Integers) -> Integers:
    """Pool reversed: the errors [output_size] at the winners alone → [positions, units]."""
    cells = np.zeros((shape.cells, shape.pool**2, shape.units), np.int64)
    index = winners.reshape(shape.cells, 1, shape.units)
    np.put_along_axis(cells, index, error.reshape(shape.cells, 1, shape.units), axis=1)
    return cells.reshape(shape.positions, shape.units)
