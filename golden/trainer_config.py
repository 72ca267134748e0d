"""The one description of a network and its training that golden, RTL, estimate and host share."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import ParameterError, choice, integer, per_layer, signed_width

RULES = ("counter",)
LAYERS_MAX = 8
UNITS_MAX = 65535
THRESHOLD_MAX = 1023
MARGIN_MAX = 4095
COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX = 3, 9
GATE_SHIFT_MAX = 8
RNG_GROUP_MAX = 1024


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """A dense ternary network and its online training rule (design section 4).

    Parameters
    ----------
    layers : tuple of int
        Inputs (trits), then the units of each layer; the last are the classes (2 or more).
    rule : str
        How a weight steps: ``counter``.
    margin : int
        M, 1 … 4095: a sample whose label leads every other class by M or more is done.
    threshold, window, offset : int or one a layer
        r, a (0 … 1023) and b (−1023 … 1023): z = W·x − b; the activation is sign(z) where |z| > r
        and its derivative is open where ||z| − r| ≤ a. The last layer keeps its sums; its r and a
        are unused.
    confidence : int or one a layer
        θ, 0 … 1023: an error sum passes where |δ| > θ.
    counter_width : int or one a layer
        F, 3 … 9: counters saturate at Q = 2^(F−1) − 1.
    gate_shift : int
        s, 0 … 8: a group is written with probability 2^−s.
    rng_group : int
        Lanes that share one draw, 1 … 1024.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    layers: tuple[int, ...] = (192, 64, 10)
    rule: str = "counter"
    margin: int = 16
    threshold: int | tuple[int, ...] = 4
    window: int | tuple[int, ...] = 8
    offset: int | tuple[int, ...] = 0
    confidence: int | tuple[int, ...] = 0
    counter_width: int | tuple[int, ...] = 6
    gate_shift: int = 1
    rng_group: int = 64

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple) or not 2 <= len(self.layers) <= LAYERS_MAX + 1:
            raise ParameterError(
                f"layers must list the inputs and 1 to {LAYERS_MAX} layers, not {self.layers!r}"
            )
        sizes = tuple(
            integer(f"layers[{i}]", size, 1, UNITS_MAX) for i, size in enumerate(self.layers)
        )
        integer(f"layers[{len(sizes) - 1}]", sizes[-1], 2, UNITS_MAX)
        choice("rule", self.rule, RULES)
        integer("margin", self.margin, 1, MARGIN_MAX)
        integer("gate_shift", self.gate_shift, 0, GATE_SHIFT_MAX)
        integer("rng_group", self.rng_group, 1, RNG_GROUP_MAX)
        put = object.__setattr__
        put(self, "layers", sizes)
        count = len(sizes) - 1
        for name, low, high in (
            ("threshold", 0, THRESHOLD_MAX),
            ("window", 0, THRESHOLD_MAX),
            ("offset", -THRESHOLD_MAX, THRESHOLD_MAX),
            ("confidence", 0, THRESHOLD_MAX),
            ("counter_width", COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX),
        ):
            put(self, name, per_layer(name, getattr(self, name), count, low, high))

    @property
    def layer_count(self) -> int:
        """L, the number of weight matrices."""
        return len(self.layers) - 1

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_out, n_in) of each weight matrix."""
        return tuple(zip(self.layers[1:], self.layers[:-1], strict=True))

    @property
    def weight_count(self) -> int:
        """Weights of all layers together."""
        return sum(n_out * n_in for n_out, n_in in self.shapes)

    def of(self, name: str, layer: int) -> int:
        """Field ``name`` of layer ``layer`` (0 is the first weight matrix)."""
        return getattr(self, name)[layer]

    def counter_limit(self, layer: int) -> int:
        """Q = 2^(F−1) − 1 of a layer."""
        return (1 << (self.of("counter_width", layer) - 1)) - 1

    def sum_width(self, layer: int) -> int:
        """Width of z = W·x − b: |z| ≤ n_in + |b|."""
        bound = self.layers[layer] + abs(self.of("offset", layer))
        return signed_width(-bound, bound)
