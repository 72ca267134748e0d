"""The one description of a network and its training that golden, RTL, estimate and host share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .checks import ParameterError, choice, integer, per_layer, signed_width
from .layers import (
    UNITS_MAX,
    Conv,
    Dense,
    LayerShape,
    check_input_shape,
    check_layers,
    dense_shape,
    shapes_of,
)
from .precision_parameters import INPUT_WIDTH_MAX, PrecisionParameters
from .update_parameters import SHIFT_MAX, TRIT_RULES, UpdateParameters

RULES = TRIT_RULES
LOSSES = ("crammer_singer", "squared_hinge")
LAYERS_MAX = 8
THRESHOLD_MAX = 1023
MARGIN_MAX = 4095
COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX = 3, 9
GATE_SHIFT_MAX = 8
RNG_GROUP_MAX = 1024
EPOCH_MAX = 65535
SCHEDULED = ("margin", "gate_shift", "probability_shift", "counter_increment")

Change = tuple[int, str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """A ternary network and its online training rule (design section 4).

    Parameters
    ----------
    layers : tuple of int, or of Conv and Dense
        Inputs (trits), then the units of each dense layer; the last are the classes (2 or more).
        With ``input_shape``: a description of each layer, convolutions first; an integer stands for
        ``Dense``. The last is Dense. Loss ``crammer_singer`` only.
    rule : str
        How a weight steps: ``counter``, or ``ema_dst``, which keeps an average of F = 6 fraction
        bits (k = 5, dead zone 8) in place of the counter and needs ``rng_group`` a multiple of 32.
    loss : str
        ``crammer_singer``: errors are trits. ``squared_hinge``: errors are integers of a few bits,
        quantised layer by layer as ``precision`` says.
    margin : int
        M, 1 … 4095: a sample whose label leads every other class by M or more is done; for the
        squared hinge, one whose sums are all M or more on their side of zero.
    threshold, window, offset : int or one a layer
        r, a (0 … 1023) and b (−1023 … 1023): z = W·x − b; the activation is sign(z) where |z| > r
        and its derivative is open where ||z| − r| ≤ a. The last layer keeps its sums; its r and a
        are unused.
    confidence : int or one a layer
        θ, 0 … 1023: an error sum passes where |δ| > θ. Unused in the last layer.
    gradient_confidence : int or one a layer
        α, 0 … 1023: a weight's gradient counts where |d·x| > α; in a convolution |Σ d·x| over
        positions.
    counter_width : int or one a layer
        F, 3 … 9: counters saturate at Q = 2^(F−1) − 1. Rule ``counter`` only.
    gate_shift : int or one a layer
        s, 0 … 8: a group is written with probability 2^−s.
    rng_group : int
        Lanes that share one draw, 1 … 1024.
    counter_increment : int or one a layer
        1 … Q: a counter moves by this much at a time. Rule ``counter`` only.
    input_shape : (height, width, channels), optional
        Of a convolutional network: its inputs are the channels of a pixel side by side.
    probability_shift : int
        0 … 16: ``ema_dst`` steps with probability (|m| − 8)·2^−(6 + probability_shift).
    schedule : sequence of (epoch, name, value)
        From the start of that epoch (the first is 0) on, ``name`` has ``value``; names are
        ``margin``, ``gate_shift``, ``probability_shift`` and ``counter_increment``. Epochs ascend.
    precision : PrecisionParameters
        Controllers of the errors; ``input_width`` follows from the network, and ``exponent`` and
        ``exponent_max`` are lowered to what it allows. Loss ``squared_hinge`` only.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    layers: tuple[Any, ...] = (192, 64, 10)
    rule: str = "counter"
    loss: str = "crammer_singer"
    margin: int = 16
    threshold: int | tuple[int, ...] = 4
    window: int | tuple[int, ...] = 8
    offset: int | tuple[int, ...] = 0
    confidence: int | tuple[int, ...] = 0
    gradient_confidence: int | tuple[int, ...] = 0
    counter_width: int | tuple[int, ...] = 6
    gate_shift: int | tuple[int, ...] = 1
    rng_group: int = 64
    probability_shift: int = 4
    counter_increment: int | tuple[int, ...] = 1
    input_shape: tuple[int, int, int] | None = None
    schedule: tuple[Change, ...] = ()
    precision: PrecisionParameters = field(default_factory=PrecisionParameters)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.input_shape is None:
            put(self, "layers", self._check_dense_layers())
        else:
            put(self, "input_shape", check_input_shape(self.input_shape))
            put(self, "layers", check_layers(self.layers, self.input_shape, LAYERS_MAX))
        choice("rule", self.rule, RULES)
        choice("loss", self.loss, LOSSES)
        integer("rng_group", self.rng_group, 1, RNG_GROUP_MAX)
        for name, low, high in (
            ("threshold", 0, THRESHOLD_MAX),
            ("window", 0, THRESHOLD_MAX),
            ("offset", -THRESHOLD_MAX, THRESHOLD_MAX),
            ("confidence", 0, THRESHOLD_MAX),
            ("gradient_confidence", 0, THRESHOLD_MAX),
            ("counter_width", COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX),
        ):
            put(self, name, per_layer(name, getattr(self, name), self.layer_count, low, high))
        for name in SCHEDULED:
            put(self, name, self._check_scheduled(name, getattr(self, name), name))
        put(self, "schedule", self._check_schedule())
        if not isinstance(self.precision, PrecisionParameters):
            raise ParameterError(f"precision must be PrecisionParameters, not {self.precision!r}")
        self.update_parameters(0)
        if self.convolves and self.loss != "crammer_singer":
            raise ParameterError(
                f"loss must be 'crammer_singer' where layers has convolutions, not {self.loss!r}"
            )
        if self.loss == "squared_hinge":
            for l in range(self.layer_count):
                self.controller_parameters(l)

    @property
    def convolves(self) -> bool:
        """True where a layer is a convolution."""
        return self.input_shape is not None

    @cached_property
    def layer_shapes(self) -> tuple[LayerShape, ...]:
        """Where the units of each layer look."""
        if self.input_shape is not None:
            return shapes_of(self.layers, self.input_shape)
        return tuple(map(dense_shape, self.layers[:-1], self.layers[1:]))

    @property
    def layer_count(self) -> int:
        """L, the number of weight matrices."""
        return len(self.layers) if self.convolves else len(self.layers) - 1

    @property
    def inputs(self) -> int:
        """Trits of a sample."""
        return self.layer_shapes[0].input_size

    @property
    def classes(self) -> int:
        """Units of the last layer."""
        return self.layer_shapes[-1].units

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_out, n_in) of each weight matrix: units, and inputs that one of them sees."""
        return tuple((shape.units, shape.inputs) for shape in self.layer_shapes)

    @property
    def weight_count(self) -> int:
        """Weights of all layers together."""
        return sum(n_out * n_in for n_out, n_in in self.shapes)

    def of(self, name: str, layer: int) -> int:
        """Field ``name`` of layer ``layer`` (0 is the first weight matrix)."""
        return getattr(self, name)[layer]

    def settings(self, epoch: int) -> dict[str, Any]:
        """Values in ``epoch`` of what a schedule can change."""
        values = {name: getattr(self, name) for name in SCHEDULED}
        values.update((name, value) for start, name, value in self.schedule if start <= epoch)
        return values

    def counter_limit(self, layer: int) -> int:
        """Q = 2^(F−1) − 1 of a layer."""
        return (1 << (self.of("counter_width", layer) - 1)) - 1

    def momentum_limit(self, layer: int) -> int:
        """Largest magnitude of a stored counter, or of an average: 2^F."""
        if self.rule == "counter":
            return self.counter_limit(layer)
        return 1 << self.update_parameters(layer).momentum_frac

    def momentum_width(self, layer: int) -> int:
        """Bits of a stored counter, or of the average that rule ``ema_dst`` keeps in its place."""
        return self.update_parameters(layer).momentum_width

    def sum_width(self, layer: int) -> int:
        """Width of z = W·x − b: |z| ≤ n_in + |b|."""
        bound = self._sum_bound(layer)
        return signed_width(-bound, bound)

    def update_parameters(self, layer: int) -> UpdateParameters:
        """What a lane does in the update of a layer, for as many lanes as share a draw."""
        return UpdateParameters(
            rule=self.rule,
            lanes=self.rng_group,
            rng_group=self.rng_group,
            gate_shift_max=GATE_SHIFT_MAX,
            gradient_width=2,
            counter_width=self.of("counter_width", layer),
            probability_shift_max=SHIFT_MAX,
        )

    def controller_parameters(self, layer: int) -> PrecisionParameters:
        """Controller of the errors d of layer ``layer``'s units, loss ``squared_hinge``.

        The last layer's errors are M − T·y before they are quantised, |e| ≤ M + n_in + |b|; a
        layer below has |δ| ≤ units above · largest error above.
        """
        if layer == self.layer_count - 1:
            margins = [value for _, name, value in self.schedule if name == "margin"]
            bound = max(self.margin, *margins, 0) + self._sum_bound(layer)
        else:
            bound = self.layer_shapes[layer + 1].units * (
                (1 << (self.precision.output_width - 1)) - 1
            )
        width = signed_width(-bound, bound)
        if width > INPUT_WIDTH_MAX:
            raise ParameterError(
                f"layers[{layer + 2}] must give error sums of at most {INPUT_WIDTH_MAX} bits, "
                f"not {width}"
            )
        limit = min(self.precision.exponent_max, width - 1)
        return replace(
            self.precision,
            input_width=width,
            exponent_max=limit,
            exponent=min(self.precision.exponent, limit),
        )

    def _sum_bound(self, layer: int) -> int:
        return self.layer_shapes[layer].inputs + abs(self.of("offset", layer))

    def _check_dense_layers(self) -> tuple[int, ...]:
        if not isinstance(self.layers, list | tuple) or not 2 <= len(self.layers) <= LAYERS_MAX + 1:
            raise ParameterError(
                f"layers must list the inputs and 1 to {LAYERS_MAX} layers, not {self.layers!r}"
            )
        if any(isinstance(layer, Conv | Dense) for layer in self.layers):
            raise ParameterError(
                "input_shape must be (height, width, channels) where layers has descriptions, "
                "not None"
            )
        sizes = tuple(
            integer(f"layers[{i}]", size, 1, UNITS_MAX) for i, size in enumerate(self.layers)
        )
        integer(f"layers[{len(sizes) - 1}]", sizes[-1], 2, UNITS_MAX)
        return sizes

    def _check_scheduled(self, name: str, value: Any, label: str) -> Any:
        if name == "margin":
            return integer(label, value, 1, MARGIN_MAX)
        if name == "probability_shift":
            return integer(label, value, 0, SHIFT_MAX)
        if name == "gate_shift":
            return per_layer(label, value, self.layer_count, 0, GATE_SHIFT_MAX)
        limit = min(self.counter_limit(l) for l in range(self.layer_count))
        return per_layer(label, value, self.layer_count, 1, limit)

    def _check_schedule(self) -> tuple[Change, ...]:
        if not isinstance(self.schedule, list | tuple):
            raise ParameterError(f"schedule must list (epoch, name, value), not {self.schedule!r}")
        checked: list[Change] = []
        earliest = 0
        for i, change in enumerate(self.schedule):
            if not isinstance(change, Sequence) or isinstance(change, str) or len(change) != 3:
                raise ParameterError(f"schedule[{i}] must be (epoch, name, value), not {change!r}")
            epoch, name, value = change
            earliest = integer(f"schedule[{i}].epoch", epoch, earliest, EPOCH_MAX)
            choice(f"schedule[{i}].name", name, SCHEDULED)
            checked.append(
                (earliest, name, self._check_scheduled(name, value, f"schedule[{i}].value"))
            )
        return tuple(checked)
