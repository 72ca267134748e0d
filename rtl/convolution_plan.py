"""Where everything lies in the trainer of a network with convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np

from ..golden.checks import ParameterError, signed_width
from ..golden.design import HardwareConfig
from ..golden.layers import LayerShape
from ..golden.trainer_config import TrainerConfig
from .trainer_plan import LayerPlan, TrainerPlan, ceil_div

# Cycles from one position to the next, at least: pooling looks again at what it wrote.
POSITION_CYCLES = 4


@dataclass(frozen=True)
class ConvolutionLayer(LayerPlan):
    """One row of the layer table. A dense layer is one position with one tap.

    A row of weights is a run of granules, the trits that lie together in the memory of maps: a part
    of a pixel's channels. Of the network's input, which has few channels, a granule is all that a
    unit sees of a row of pixels, where the accumulator lanes suffice, or a pixel.

    Attributes
    ----------
    shape : LayerShape
    granule : int
        Trits of a granule.
    granules : int
        Granules of a row.
    slots : int
        Granules of a word of P trits.
    pixel_words : int
        Granules of a pixel of the layer's input.
    across, lead : int
        Pixels of a row that are walked over at a position, and the first of them.
    output_words : int
        Words of a pixel of its output; the last layer has none.
    map_base : int
        First word of its input in the memory of maps (layer 0: of the first of two buffers).
    """

    shape: LayerShape
    granule: int
    granules: int
    slots: int
    pixel_words: int
    across: int
    lead: int
    output_words: int
    map_base: int

    @property
    def map_words(self) -> int:
        """Words of the layer's input."""
        return self.shape.height * self.shape.width * self.pixel_words

    @property
    def cell_columns(self) -> int:
        """Width of the map that pooling leaves."""
        return self.shape.columns // self.shape.pool

    @property
    def position_cycles(self) -> int:
        """Cycles from one position to the next in the forward pass, at least."""
        return max(self.row_groups * self.period, self.granules, POSITION_CYCLES)

    @property
    def forward_cycles(self) -> int:
        """Cycles of its positions in the forward pass; of a single one, of its rows alone."""
        if self.shape.positions == 1:
            return self.row_groups * self.period
        return self.shape.positions * self.position_cycles

    @property
    def error_bound(self) -> int:
        """Largest |δ| of an input: units times the cells that can see it."""
        shape = self.shape
        cells = np.repeat(np.arange(shape.cells), shape.pool**2)
        seen = np.unique(np.stack([shape.taps.ravel(), np.repeat(cells, shape.kernel**2)]), axis=1)
        counts = np.bincount(seen[0], minlength=shape.height * shape.width + 1)
        return shape.units * int(counts[:-1].max())


class ConvolutionPlan(TrainerPlan):
    """Memory layout of the trainer of a network with convolutions.

    Weights and counters lie as those of dense layers do. Hidden maps come first in the memory of
    maps, and their window flags, errors, winners and error sums at the same addresses of memories
    of their own; then come two samples, a pixel a word.

    Attributes
    ----------
    granule : int
        Trits of a word of a hidden map, ``hardware.accumulator_lanes``.
    layers : tuple of ConvolutionLayer
    hidden_words : int
        Words of all hidden maps.
    map_depth : int
        Words of maps and samples.

    Raises
    ------
    ParameterError
        Network and hardware do not fit each other.
    """

    layers: tuple[ConvolutionLayer, ...]  # type: ignore[assignment]

    def _lay_out(self) -> None:
        config, lanes, rows = self.config, self.hardware.lanes, self.hardware.rows
        shapes = config.layer_shapes
        self.granule = self._granule()
        if self.granule % rows:
            raise ParameterError(f"rows must divide accumulator_lanes ({self.granule}), not {rows}")
        self.hidden_words = sum(s.output_size for s in shapes[:-1]) // self.granule
        line = self._line(shapes[0])
        plans = []
        weight_base = 0
        map_base = self.hidden_words
        next_base = 0
        for l, shape in enumerate(shapes):
            granule = self.granule if l else line * shape.channels
            words, row_groups = ceil_div(shape.inputs, lanes), ceil_div(shape.units, rows)
            if words > 1 and lanes % granule:
                raise ParameterError(
                    f"lanes must be a multiple of {granule} (trits that the first layer takes at "
                    f"a time), or at least {shape.inputs} (all that a unit sees), not {lanes}"
                )
            last = l == len(shapes) - 1
            plans.append(
                ConvolutionLayer(
                    inputs=shape.inputs,
                    units=shape.units,
                    words=words,
                    row_groups=row_groups,
                    period=max(words, rows) if last else words,
                    weight_base=weight_base,
                    input_base=0,
                    output_base=next_base,
                    window_base=0,
                    error_base=0,
                    shape=shape,
                    granule=granule,
                    granules=shape.inputs // granule,
                    slots=min(lanes // granule, shape.inputs // granule),
                    pixel_words=shape.channels // granule if l else 1,
                    across=shape.kernel if l else shape.kernel // line,
                    lead=0 if l else line // 2,
                    output_words=0 if last else shape.units // self.granule,
                    map_base=map_base,
                )
            )
            weight_base += row_groups * words
            map_base = next_base
            next_base += shape.output_size // self.granule
        self.layers = tuple(plans)
        self.weight_depth = weight_base
        self.map_depth = self.hidden_words + 2 * self.pixels
        # What the update reads lies in the memory of windows.
        self.activation_depth = max(self.map_depth, 2 * self.window_words)

    def _granule(self) -> int:
        units = [shape.units for shape in self.config.layer_shapes[:-1]]
        most = gcd(self.hardware.lanes, *units)
        granule = self.hardware.accumulator_lanes or most
        if most % granule:
            raise ParameterError(
                f"accumulator_lanes must divide lanes ({self.hardware.lanes}) and the units of "
                f"every hidden layer ({', '.join(map(str, units))}), not {granule}"
            )
        return granule

    def _line(self, shape: LayerShape) -> int:
        """Pixels that are taken together from the network's input."""
        if shape.channels > self.granule:
            raise ParameterError(
                f"accumulator_lanes must be at least {shape.channels} (planes of a pixel), "
                f"not {self.granule}"
            )
        return shape.kernel if shape.kernel * shape.channels <= self.granule else 1

    @property
    def update_confidence(self) -> tuple[int, ...]:
        """None: the update is given the trits of sums that passed α."""
        return (0,) * len(self.layers)

    @property
    def plane_sets(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """All planes of a pixel are loaded together, ..."""
        return (self.hardware.planes,)

    @property
    def loaded_lanes(self) -> int:
        """... and are a word."""
        return 1

    @property
    def image(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        shape = self.layers[0].shape
        return shape.height, shape.width

    @property
    def tap_latency(self) -> int:
        """Cycles from a tap to the granules at it, of a map and of weights.

        With ``memory_register`` they are picked from what was read a cycle before they are used.
        """
        return self.read_latency + self.hardware.memory_register

    @property
    def window_words(self) -> int:
        """Words of the longest row."""
        return max(p.words for p in self.layers)

    @property
    def window_depth(self) -> int:
        """Words of the memory of windows: two rows, each from a power of two on."""
        return 2 << (self.window_words - 1).bit_length()

    @property
    def choice_width(self) -> int:
        """Bits that tell which position of a pooled cell won."""
        return max((p.shape.pool**2 - 1).bit_length() for p in self.layers)

    @cached_property
    def error_sum_width(self) -> int:
        """Width of δ; of the last layer two rows are added."""
        bound = max([2, *(p.error_bound for p in self.layers[1:-1])])
        return signed_width(-bound, bound)

    @property
    def gradient_bound(self) -> int:
        """Largest |G|: an error a cell."""
        return max(p.shape.cells for p in self.layers)

    @property
    def gradient_width(self) -> int:
        """Width of G."""
        return signed_width(-self.gradient_bound, self.gradient_bound)

    @property
    def gradient_depth(self) -> int:
        """Granules of the longest row."""
        return max(p.granules for p in self.layers)


def plan_of(config: TrainerConfig, hardware: HardwareConfig) -> TrainerPlan:
    """The plan of the trainer of ``config``; raises ParameterError where they do not fit."""
    return (ConvolutionPlan if config.convolves else TrainerPlan)(config, hardware)
