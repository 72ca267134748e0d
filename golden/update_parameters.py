"""The one description of an update engine that golden, RTL and bench share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .checks import ParameterError, choice, integer, signed_width
from .xorshift import GROUP_LANES

FIXED_RULES = ("sign_sgd", "signum", "signadam", "signadam_pp", "signadam_pp_published")
TRIT_RULES = ("ema_dst", "counter")
RULES = FIXED_RULES + TRIT_RULES
GATED_RULES = ("signadam_pp", "signadam_pp_published", *TRIT_RULES)
EMA_RULES = ("signum", "signadam", "signadam_pp", "signadam_pp_published", "ema_dst")
STEP_BY_MOMENTUM_RULES = ("signadam", "signadam_pp")

LANES_MAX = 1024
GATE_SHIFT_MAX = 8
GRADIENT_WIDTH_MIN, GRADIENT_WIDTH_MAX = 2, 24
MOMENTUM_FRAC_MIN, MOMENTUM_FRAC_MAX = 2, 12
COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX = 3, 9
WEIGHT_WIDTH_MAX = 24
SHIFT_MAX = 16
RANDOM_WIDTH = 32
TANH_SLOPE = 3  # m of GXNOR-Net's τ = tanh(m·|ν|/Δz)


@dataclass(frozen=True, kw_only=True)
class UpdateParameters:
    """Parameters of an update engine: sign → confidence gate → momentum → step (design section 5).

    What a rule does not use keeps its default.

    Parameters
    ----------
    rule : str
        ``sign_sgd``, ``signum``, ``signadam``, ``signadam_pp``, ``signadam_pp_published``
        (fixed-point weights), ``ema_dst``, ``counter`` (trit weights).
    lanes : int
        P, 1 … 1024: lanes of a word. It never changes the result. P and ``rng_group`` divide one
        another; where lanes read random words, so do P and 32.
    rng_group : int
        Lanes of a row that share one draw of the gate, 1 … 1024; a multiple of 32 where lanes
        read random words (``ema_dst``, stochastic rounding).
    gate_shift_max : int
        0 … 8: largest run-time gate shift s; a group is written with probability 2^−s.
    gradient_width : int
        2 … 24: the gradient is ``signed(gradient_width)``, an integer; of two bits it is a trit.
    threshold_width : int
        0 … gradient_width: the run-time α of the gate |g| > α has this many bits; 0 fixes α = 0.
        Only for rules with a gate.
    momentum_frac : int
        F, 2 … 12: fraction bits of an averaged momentum.
    momentum_shift : int
        k, 1 … F: the average moves by 2^−k, so β = 1 − 2^−k.
    counter_width : int
        3 … 9: width of the counters of rule ``counter``; they saturate at 2^(width−1) − 1.
    dead_zone : int
        0 … 2^F − 1: rule ``ema_dst`` never steps where |m| is not above it.
    probability : str
        Rule ``ema_dst``: ``linear``, p = e·2^−(F+s), or ``tanh``, p = tanh(3·e·2^−F)·2^−s, of the
        excess e = |m| − dead_zone.
    probability_shift_max : int
        0 … 16: largest run-time s of ``ema_dst``.
    weight_width, weight_frac : int
        2 … 24 and 0 … 24: fixed-point weights are ``signed(weight_width)``, LSB = 2^−weight_frac.
    lr_shift_max : int
        0 … 16: largest run-time learning-rate shift; δ = 2^−lr_shift.
    rounding : str
        How a step is rounded to weight LSBs: ``nearest`` (ties up) or ``stochastic``.
    weight_decay : str
        ``none``, ``coupled`` (g + λ·θ enters the gate, as signADAM++ was published) or
        ``decoupled`` (δ·λ·θ leaves the weight, as in AdamW). Fixed-point rules only.
    decay_shift : int
        0 … 16: λ = 2^−decay_shift, in LSBs: coupled decay adds θ·2^−decay_shift gradient LSBs for
        θ weight LSBs, exactly; decoupled decay takes δ·θ·2^−decay_shift.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    rule: str
    lanes: int = 64
    rng_group: int = 64
    gate_shift_max: int = 0
    gradient_width: int = 2
    threshold_width: int = 0
    momentum_frac: int = 6
    momentum_shift: int = 5
    counter_width: int = 6
    dead_zone: int = 8
    probability: str = "linear"
    probability_shift_max: int = 6
    weight_width: int = 12
    weight_frac: int = 10
    lr_shift_max: int = 10
    rounding: str = "nearest"
    weight_decay: str = "none"
    decay_shift: int = 8

    def __post_init__(self) -> None:
        choice("rule", self.rule, RULES)
        frac = integer("momentum_frac", self.momentum_frac, MOMENTUM_FRAC_MIN, MOMENTUM_FRAC_MAX)
        integer("gradient_width", self.gradient_width, GRADIENT_WIDTH_MIN, GRADIENT_WIDTH_MAX)
        for name, low, high in (
            ("lanes", 1, LANES_MAX),
            ("rng_group", 1, LANES_MAX),
            ("gate_shift_max", 0, GATE_SHIFT_MAX),
            ("threshold_width", 0, self.gradient_width if self.is_gated else 0),
            ("momentum_shift", 1, frac),
            ("counter_width", COUNTER_WIDTH_MIN, COUNTER_WIDTH_MAX),
            ("dead_zone", 0, (1 << (frac if self.rule == "ema_dst" else MOMENTUM_FRAC_MAX)) - 1),
            ("probability_shift_max", 0, SHIFT_MAX),
            ("weight_width", 2, WEIGHT_WIDTH_MAX),
            ("weight_frac", 0, WEIGHT_WIDTH_MAX),
            ("lr_shift_max", 0, SHIFT_MAX),
            ("decay_shift", 0, SHIFT_MAX),
        ):
            integer(name, getattr(self, name), low, high)
        fixed, ema_dst = self.rule in FIXED_RULES, self.rule == "ema_dst"
        choice("probability", self.probability, ("linear", "tanh") if ema_dst else ("linear",))
        choice("rounding", self.rounding, ("nearest", "stochastic") if fixed else ("nearest",))
        decays = ("none", "coupled", "decoupled") if fixed else ("none",)
        choice("weight_decay", self.weight_decay, decays)
        if not _divide(self.lanes, self.rng_group):
            raise ParameterError(
                f"lanes must divide rng_group ({self.rng_group}) or be a multiple of it, "
                f"not {self.lanes}"
            )
        if self.random_width:
            if self.rng_group % GROUP_LANES:
                raise ParameterError(
                    f"rng_group must be a multiple of {GROUP_LANES} where lanes read random "
                    f"words, not {self.rng_group}"
                )
            if not _divide(self.lanes, GROUP_LANES):
                raise ParameterError(
                    f"lanes must divide {GROUP_LANES} or be a multiple of it where lanes read "
                    f"random words, not {self.lanes}"
                )
        if self.random_width > RANDOM_WIDTH:
            raise ParameterError(
                f"lr_shift_max must be an integer from 0 to {RANDOM_WIDTH - self.step_shift} with "
                f"stochastic rounding of these weights, not {self.lr_shift_max}"
            )

    @property
    def is_gated(self) -> bool:
        """True where the rule passes a gradient only above a confidence threshold."""
        return self.rule in GATED_RULES

    @property
    def has_trit_weights(self) -> bool:
        """True where weights are trits and no wider weight exists."""
        return self.rule in TRIT_RULES

    @property
    def averages(self) -> bool:
        """True where the momentum is an exponential moving average."""
        return self.rule in EMA_RULES

    @property
    def decay_frac(self) -> int:
        """Fraction bits that coupled decay adds to the gradient."""
        return self.decay_shift if self.weight_decay == "coupled" else 0

    @property
    def decayed_width(self) -> int:
        """Width of the gradient after coupled decay, LSB = 2^−decay_frac of the gradient's."""
        if self.weight_decay != "coupled":
            return self.gradient_width
        bound = (1 << (self.gradient_width - 1 + self.decay_frac)) + (1 << (self.weight_width - 1))
        return signed_width(-bound, bound)

    @property
    def momentum_width(self) -> int:
        """Width of a lane's momentum or counter, signed; 0 where the rule has none.

        An average of trits satisfies |m| ≤ 2^F, one of gradients |m| ≤ 2^F·|g|max: the update
        moves m towards its input and never past it, so it cannot overflow.
        """
        if self.rule == "sign_sgd":
            return 0
        if self.rule == "counter":
            return self.counter_width
        if self.rule == "signum":
            return self.decayed_width + self.momentum_frac
        return self.momentum_frac + 2

    @property
    def counter_limit(self) -> int:
        """Q = 2^(counter_width−1) − 1."""
        return (1 << (self.counter_width - 1)) - 1

    @property
    def source_frac(self) -> int:
        """Fraction bits of what a fixed-point rule steps by: F for a momentum, 0 for a sign."""
        return self.momentum_frac if self.rule in STEP_BY_MOMENTUM_RULES else 0

    @property
    def step_shift(self) -> int:
        """Right shift of a fixed-point step at lr_shift = 0, once its terms share one LSB."""
        decay = self.decay_shift if self.weight_decay == "decoupled" else 0
        return max(0, self.source_frac - self.weight_frac, decay)

    @property
    def source_left_shift(self) -> int:
        """Left shift that brings the step source to the common LSB."""
        return self.step_shift - self.source_frac + self.weight_frac

    @property
    def decay_left_shift(self) -> int:
        """Left shift that brings the decoupled decay to the common LSB."""
        return self.step_shift - self.decay_shift

    @property
    def weight_limit(self) -> int:
        """Largest weight, negative of the smallest: 1 for trits, else 2^(weight_width−1) − 1."""
        return 1 if self.has_trit_weights else (1 << (self.weight_width - 1)) - 1

    @property
    def stored_weight_width(self) -> int:
        """Bits of a stored weight: 2 for a trit."""
        return 2 if self.has_trit_weights else self.weight_width

    @property
    def state_width(self) -> int:
        """Bits of training state a weight, itself included."""
        return self.momentum_width + self.stored_weight_width

    @property
    def shift_max(self) -> int:
        """Largest value of the run-time shift: of ``ema_dst``'s s, or of the learning rate."""
        if self.rule == "counter":
            return 0
        return self.probability_shift_max if self.rule == "ema_dst" else self.lr_shift_max

    @property
    def random_width(self) -> int:
        """Random bits a lane reads, 0 where the rule needs none."""
        if self.rule == "ema_dst":
            return self.momentum_frac + self.probability_shift_max
        return self.step_shift + self.lr_shift_max if self.rounding == "stochastic" else 0

    def step_limits(self) -> tuple[int, ...]:
        """Rule ``ema_dst``: the bound the random bits must be under, for each excess e.

        The table runs to e = 2^F, the largest |m|.
        """
        one = 1 << self.momentum_frac
        excesses = range(one + 1)
        if self.probability == "linear":
            return tuple(excesses)
        return tuple(round(one * math.tanh(TANH_SLOPE * e / one)) for e in excesses)


def _divide(a: int, b: int) -> bool:
    return a % b == 0 or b % a == 0
