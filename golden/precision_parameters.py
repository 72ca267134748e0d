"""Parameters of the precision controller, shared by golden, RTL and benches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .checks import ParameterError, boolean, choice, integer

INPUT_WIDTH_MIN, INPUT_WIDTH_MAX = 2, 32
WIDTH_MIN, WIDTH_MAX = 2, 16
EXPONENT_MAX = 16
WINDOW_MAX = 65535
SHIFT_MAX = 15
PATIENCE_MAX = 255
ERROR_MEASURES = ("absolute", "sums")


class Rule(NamedTuple):
    """What ``decide`` reads of the parameters (plain integers, so that it can be compiled)."""

    exponent_max: int
    width_min: int
    width_max: int
    dynamic_exponent: bool
    width_search: bool
    widen_shift: int
    narrow_shift: int
    patience: int


@dataclass(frozen=True, kw_only=True)
class PrecisionParameters:
    """Parameters of the quantiser and its controller.

    Parameters
    ----------
    input_width : int
        Values are signed(input_width), 2 … 32.
    width : int
        n, bits of a quantised value at the start, sign included, 2 … 16.
    width_search : bool
        Whether the controller changes n.
    width_min, width_max : int
        Limits of n, with 2 ≤ width_min ≤ width ≤ width_max ≤ 16; unused without ``width_search``.
    exponent : int
        e at the start, 0 … exponent_max.
    exponent_max : int
        0 … 16, less than input_width.
    dynamic_exponent : bool
        Whether the controller moves e.
    window : int
        Nonzero values a decision rests on, 1 … 65535. Where lanes of a tensor differ, no fewer
        than the tensor is long, since values beyond the window are not counted.
    overflow_base, overflow_random_bits : int
        R is uniform in overflow_base … overflow_base + 2^overflow_random_bits − 1, which must be
        less than ``window``. The permitted share is R / window. The random bits (0 … 8) are the
        lowest of the word that rounds the last value of the window.
    stochastic : bool
        Stochastic rounding; nearest otherwise.
    error_measure : str
        What the width search holds against S = Σ|x|. ``absolute``: E = Σ|x − q·2^e|, which sees
        rounding and saturation. ``sums``: E = |Σ|x| − Σ|q|·2^e|, Zhang's ratio, which unbiased
        rounding hardly moves; its limit log2(1 + E/S) > 0.03 is E/S > 0.021, between the shifts
        5 (0.031) and 6 (0.016).
    widen_shift, narrow_shift : int
        Widen above E/S = 2^−widen_shift, narrow at or below 2^−narrow_shift;
        0 ≤ widen_shift < narrow_shift ≤ 15. A bit less about doubles the error.
    patience : int
        Windows in a row that must ask for narrowing, 1 … 255.
    count_width : int
        Bits of the saturating status counters, 2 … 32.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    input_width: int = 16
    width: int = 4
    width_search: bool = False
    width_min: int = 2
    width_max: int = 8
    exponent: int = 0
    exponent_max: int = 15
    dynamic_exponent: bool = True
    window: int = 64
    overflow_base: int = 0
    overflow_random_bits: int = 2
    stochastic: bool = True
    error_measure: str = "absolute"
    widen_shift: int = 1
    narrow_shift: int = 3
    patience: int = 4
    count_width: int = 16

    def __post_init__(self) -> None:
        integer("input_width", self.input_width, INPUT_WIDTH_MIN, INPUT_WIDTH_MAX)
        for name in ("width_search", "dynamic_exponent", "stochastic"):
            boolean(name, getattr(self, name))
        integer("width_min", self.width_min, WIDTH_MIN, WIDTH_MAX)
        integer("width_max", self.width_max, self.width_min, WIDTH_MAX)
        if self.width_search:
            integer("width", self.width, self.width_min, self.width_max)
        else:
            integer("width", self.width, WIDTH_MIN, WIDTH_MAX)
        integer("exponent_max", self.exponent_max, 0, min(EXPONENT_MAX, self.input_width - 1))
        integer("exponent", self.exponent, 0, self.exponent_max)
        integer("window", self.window, 1, WINDOW_MAX)
        integer("overflow_base", self.overflow_base, 0, WINDOW_MAX)
        integer("overflow_random_bits", self.overflow_random_bits, 0, 8)
        if self.permitted_max >= self.window:
            raise ParameterError(
                "overflow_base + 2^overflow_random_bits − 1 must be less than window "
                f"({self.window}), not {self.permitted_max}"
            )
        choice("error_measure", self.error_measure, ERROR_MEASURES)
        integer("widen_shift", self.widen_shift, 0, SHIFT_MAX - 1)
        integer("narrow_shift", self.narrow_shift, self.widen_shift + 1, SHIFT_MAX)
        integer("patience", self.patience, 1, PATIENCE_MAX)
        integer("count_width", self.count_width, 2, 32)

    @property
    def permitted_max(self) -> int:
        """Largest R."""
        return self.overflow_base + (1 << self.overflow_random_bits) - 1

    @property
    def width_limits(self) -> tuple[int, int]:
        """Smallest and largest n that can occur."""
        return (self.width_min, self.width_max) if self.width_search else (self.width, self.width)

    @property
    def output_width(self) -> int:
        """Bits that hold every quantised value."""
        return self.width_limits[1]

    @property
    def sum_width(self) -> int:
        """Unsigned bits of S; E needs no more, as a value's error is at most 2^(input_width−1)."""
        return (self.window << (self.input_width - 1)).bit_length()

    @property
    def count_limit(self) -> int:
        """Where the status counters stay."""
        return (1 << self.count_width) - 1

    @property
    def rule(self) -> Rule:
        """What ``decide`` reads."""
        low, high = self.width_limits
        return Rule(
            exponent_max=self.exponent_max,
            width_min=low,
            width_max=high,
            dynamic_exponent=self.dynamic_exponent,
            width_search=self.width_search,
            widen_shift=self.widen_shift,
            narrow_shift=self.narrow_shift,
            patience=self.patience,
        )
