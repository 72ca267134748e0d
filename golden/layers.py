"""Descriptions of layers, and the shapes that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import ParameterError, integer

KERNEL_MAX = 15
POOL_MAX = 16
SIDE_MAX = 256
UNITS_MAX = 65535
NO_PADDING = "none"


@dataclass(frozen=True)
class Conv:
    """A convolution of stride 1, then max-pooling.

    Parameters
    ----------
    channels : int
        Units, 1 … 65535: rows of weights.
    kernel : int
        1, 3 … 15: side of the square that a unit sees.
    pool : int
        1 … 16: side of the cells of which only the largest sum remains; 1 keeps every sum.
    padding : int or str
        The trit −1, 0 or +1 that lies around the image so that it keeps its size; or ``"none"``:
        units are evaluated only where the kernel lies inside.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    channels: int
    kernel: int = 3
    pool: int = 1
    padding: int | str = 0

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "channels", integer("channels", self.channels, 1, UNITS_MAX))
        put(self, "kernel", integer("kernel", self.kernel, 1, KERNEL_MAX))
        if self.kernel % 2 == 0:
            raise ParameterError(f"kernel must be odd, from 1 to {KERNEL_MAX}, not {self.kernel}")
        put(self, "pool", integer("pool", self.pool, 1, POOL_MAX))
        padding: Any = self.padding
        if padding != NO_PADDING:
            try:
                put(self, "padding", integer("padding", padding, -1, 1))
            except ParameterError:
                raise ParameterError(
                    f"padding must be -1, 0, 1 or {NO_PADDING!r}, not {padding!r}"
                ) from None


@dataclass(frozen=True)
class Dense:
    """A layer whose ``units`` (1 … 65535) see all that is below.

    Raises ParameterError for any other number.
    """

    units: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", integer("units", self.units, 1, UNITS_MAX))


@dataclass(frozen=True)
class LayerShape:
    """Where a layer's units look. A dense layer is one position that covers its whole input.

    Attributes
    ----------
    height, width, channels : int
        Of the layer's input, channel last.
    units : int
    kernel, pool, padding, border : int
        As in ``Conv``; ``border`` is the width of the padding, 0 without.
    """

    height: int
    width: int
    channels: int
    units: int
    kernel: int = 1
    pool: int = 1
    padding: int = 0
    border: int = 0

    @property
    def rows(self) -> int:
        """Height of the sums before pooling."""
        return self.height + 2 * self.border - self.kernel + 1

    @property
    def columns(self) -> int:
        """Width of the sums before pooling."""
        return self.width + 2 * self.border - self.kernel + 1

    @property
    def positions(self) -> int:
        """Positions at which every unit is evaluated."""
        return self.rows * self.columns

    @property
    def inputs(self) -> int:
        """Weights of a unit, ordered (ky, kx, channel)."""
        return self.kernel**2 * self.channels

    @property
    def cells(self) -> int:
        """Positions after pooling."""
        return self.positions // self.pool**2

    @property
    def input_size(self) -> int:
        """Trits of the layer's input."""
        return self.height * self.width * self.channels

    @property
    def output_size(self) -> int:
        """Sums that remain after pooling, cell by cell, channel last."""
        return self.cells * self.units

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(y, x) of each position, pooled cell by pooled cell, inside a cell by (dy, dx)."""
        p = self.pool
        return np.array(
            [
                (cy * p + dy, cx * p + dx)
                for cy in range(self.rows // p)
                for cx in range(self.columns // p)
                for dy in range(p)
                for dx in range(p)
            ],
            np.int64,
        )

    @cached_property
    def taps(self) -> NDArray[np.int64]:
        """Pixel of the input under each tap [positions, kernel²]; height·width is the padding."""
        ky, kx = np.divmod(np.arange(self.kernel**2), self.kernel)
        y = self.places[:, :1] + ky - self.border
        x = self.places[:, 1:] + kx - self.border
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
        return np.where(inside, y * self.width + x, self.height * self.width)


def dense_shape(inputs: int, units: int) -> LayerShape:
    """The shape of a dense layer."""
    return LayerShape(1, 1, inputs, units)


def check_input_shape(value: Any) -> tuple[int, int, int]:
    """``value`` as (height, width, channels); raises ParameterError for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ParameterError(f"input_shape must be (height, width, channels), not {value!r}")
    height, width = (integer(f"input_shape[{i}]", value[i], 1, SIDE_MAX) for i in (0, 1))
    return height, width, integer("input_shape[2]", value[2], 1, UNITS_MAX)


def check_layers(
    layers: Any, input_shape: tuple[int, int, int], count_max: int
) -> tuple[Conv | Dense, ...]:
    """``layers`` as descriptions of a network on ``input_shape``: Conv first, Dense last.

    An integer stands for Dense. Raises ParameterError for anything else.
    """
    if not isinstance(layers, list | tuple) or not 2 <= len(layers) <= count_max:
        raise ParameterError(
            f"layers must describe 2 to {count_max} layers where input_shape is given, "
            f"not {layers!r}"
        )
    described = tuple(
        layer
        if isinstance(layer, Conv | Dense)
        else Dense(integer(f"layers[{i}]", layer, 1, UNITS_MAX))
        for i, layer in enumerate(layers)
    )
    if not isinstance(described[0], Conv):
        raise ParameterError(
            f"layers[0] must be a Conv where input_shape is given, not {layers[0]!r}"
        )
    last = described[-1]
    if not isinstance(last, Dense) or last.units < 2:
        raise ParameterError(
            f"layers[{len(described) - 1}] must be a Dense of 2 or more units, not {layers[-1]!r}"
        )
    shapes_of(described, input_shape)
    return described


def shapes_of(
    layers: Sequence[Conv | Dense], input_shape: tuple[int, int, int]
) -> tuple[LayerShape, ...]:
    """The shape of every layer, bottom up; raises ParameterError where they do not fit."""
    height, width, channels = input_shape
    found: list[LayerShape] = []
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            shape = dense_shape(height * width * channels, layer.units)
            height = width = 1
        else:
            if i and isinstance(layers[i - 1], Dense):
                raise ParameterError(f"layers[{i}] must be Dense above a Dense, not {layer!r}")
            shape = _convolution_shape(f"layers[{i}]", layer, height, width, channels)
            height, width = shape.rows // layer.pool, shape.columns // layer.pool
        channels = shape.units
        for what, size in (
            ("rows of weights", shape.inputs),
            ("inputs", shape.input_size),
            ("sums", shape.positions * shape.units),
        ):
            if size > UNITS_MAX:
                raise ParameterError(
                    f"layers[{i}] must have at most {UNITS_MAX} {what}, not {size}"
                )
        found.append(shape)
    return tuple(found)


def _convolution_shape(
    name: str, layer: Conv, height: int, width: int, channels: int
) -> LayerShape:
    padded = layer.padding != NO_PADDING
    shape = LayerShape(
        height,
        width,
        channels,
        layer.channels,
        layer.kernel,
        layer.pool,
        int(layer.padding) if padded else 0,
        layer.kernel // 2 if padded else 0,
    )
    if shape.rows < 1 or shape.columns < 1:
        raise ParameterError(
            f"{name}.kernel must be at most {min(height, width)} without padding, "
            f"not {layer.kernel}"
        )
    if shape.rows % layer.pool or shape.columns % layer.pool:
        raise ParameterError(
            f"{name}.pool must divide {shape.rows} and {shape.columns}, the sides of its sums, "
            f"not {layer.pool}"
        )
    return shape
