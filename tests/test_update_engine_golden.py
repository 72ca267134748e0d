"""The golden update engine against the equations, restated lane by lane in exact fractions."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from trisign.gen.data import load_digits
from trisign.golden import encoding
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.lfsr import Lfsr16
from trisign.golden.reference import SignOptimizer
from trisign.golden.trainer import Trainer, TrainerConfig
from trisign.golden.update_engine import UpdateEngine, UpdateParameters, check_vectors
from trisign.golden.update_rules import (
    average,
    counter_step,
    ema_dst_step,
    gradient_range,
    momentum_range,
    step_lanes,
    weight_range,
)
from trisign.golden.xorshift import Xorshift32, lane_word

FIXED: dict[str, Any] = {
    "gradient_width": 6,
    "weight_width": 8,
    "weight_frac": 3,
    "lr_shift_max": 6,
}
CASES = [
    {"rule": rule, **FIXED, "rounding": rounding, "weight_decay": decay, "decay_shift": 2}
    | ({"threshold_width": 5} if rule.startswith("signadam_pp") else {})
    for rule in ("sign_sgd", "signum", "signadam", "signadam_pp", "signadam_pp_published")
    for rounding in ("nearest", "stochastic")
    for decay in ("none", "coupled", "decoupled")
]
CASES += [
    {"rule": "counter"},
    {"rule": "counter", "counter_width": 3, "gradient_width": 6, "threshold_width": 5},
    {"rule": "ema_dst"},
    {"rule": "ema_dst", "probability": "tanh", "gradient_width": 4, "threshold_width": 3},
]


def sign(x: Fraction | int) -> int:
    return (x > 0) - (x < 0)


def round_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def restated(
    p: UpdateParameters, g: int, m: int, w: int, alpha: int, shift: int, u: int
) -> tuple[int, int]:
    """One lane as design section 5 puts it, in numbers rather than in bits."""
    exact_g = Fraction(g)
    decay = Fraction(1, 1 << p.decay_shift)
    if p.weight_decay == "coupled":
        exact_g += decay * w
    c = sign(exact_g) if not p.is_gated or abs(exact_g) > alpha else 0
    if p.rule == "counter":
        total = m + c
        if abs(total) <= p.counter_limit:
            return total, w
        stepped = max(-1, min(1, w + sign(total)))
        return (0 if stepped != w else sign(total) * p.counter_limit), stepped
    one = 1 << p.momentum_frac
    beta = Fraction(1, 1 << p.momentum_shift)
    if p.rule == "ema_dst":
        if c == 0:
            return m, w
        m += round_half_up((c * one - m) * beta)
        excess = abs(m) - p.dead_zone
        if p.probability == "tanh":
            excess = round(one * math.tanh(3 * excess / one))
        if u % (one << shift) < excess:
            return 0, max(-1, min(1, w + sign(m)))
        return m, w
    if p.rule == "signum":
        # The stored average has decay_shift more fraction bits where decay adds them.
        target = exact_g * one * (1 / decay if p.weight_decay == "coupled" else 1)
        m += round_half_up((target - m) * beta)
    elif p.rule != "sign_sgd":
        m += round_half_up((c * one - m) * beta)
    source = {
        "sign_sgd": Fraction(c),
        "signum": Fraction(sign(m)),
        "signadam_pp_published": Fraction(c),
    }.get(p.rule, Fraction(m, one))
    delta = Fraction(1, 1 << shift)
    step = delta * source * (1 << p.weight_frac)
    if p.weight_decay == "decoupled":
        step += delta * decay * w
    if p.rounding == "stochastic":
        dropped = 1 << (p.step_shift + shift)
        rounded = math.floor(step + Fraction(u % dropped, dropped))
    else:
        rounded = round_half_up(step)
    limit = (1 << (p.weight_width - 1)) - 1
    return m, max(-limit, min(limit, w - rounded))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_every_rule_is_what_the_design_says(case: dict[str, Any]) -> None:
    p = UpdateParameters(**case)
    rng = np.random.default_rng(3)
    for _ in range(40):
        alpha = int(rng.integers(1 << p.threshold_width))
        shift = int(rng.integers(p.shift_max + 1))
        lanes = []
        for low, high in (gradient_range(p), momentum_range(p), weight_range(p)):
            ends = rng.choice([low, high], 32)
            lanes.append(np.where(rng.random(32) < 0.3, ends, rng.integers(low, high + 1, 32)))
        words = rng.integers(2**32, size=32) & np.where(rng.random(32) < 0.5, 0xFFFF003F, -1)
        new = step_lanes(p, *lanes, threshold=alpha, shift=shift, words=words)
        for k in range(32):
            g, m, w = (int(part[k]) for part in lanes)
            want = restated(p, g, m, w, alpha, shift, int(words[k]))
            assert (new[0][k], new[1][k]) == want, (g, m, w, alpha, shift, words[k])


def test_hand_computed_steps() -> None:
    # 60 + (64 − 60 + 16 >> 5) = 60; 40 + (64 − 40 + 16 >> 5) = 41; 17 + (−17 + 16 >> 5) = 16.
    assert average([60, 40, 17, 16, -16, -17], [1, 1, 0, 0, 0, 0], 6, 5).tolist() == [
        60, 41, 16, 16, -15, -16,
    ]  # fmt: skip
    counters, weights = counter_step([1, 1, -1, 1, -1], [31, 31, -31, 30, 31], [0, 1, 1, 0, 0], 31)
    assert (counters.tolist(), weights.tolist()) == ([0, 31, 0, 31, 30], [1, 1, 0, 0, 0])
    p = UpdateParameters(rule="signadam", momentum_frac=4, momentum_shift=2, weight_frac=4)
    # m = 8 + (16 − 8 + 2 >> 2) = 10, i.e. 0.625; δ·m = 0.15625 = 2.5 LSB, rounded up to 3.
    momentum, weight = step_lanes(p, [1], [8], [100], shift=2)
    assert (momentum.tolist(), weight.tolist()) == ([10], [97])


def test_averages_of_nothing_come_to_rest_around_zero() -> None:
    """Rounding half up leaves −15 … 16; floor rounding would leave −31 … 0 and bias every step."""
    m = np.arange(-64, 65)
    for _ in range(400):
        m = average(m, 0 * m, 6, 5)
    assert (m.min(), m.max()) == (-15, 16)


@pytest.mark.parametrize("shift", [1, 3, 5])
@pytest.mark.parametrize("frac", [5, 6])
def test_an_average_never_leaves_its_range(frac: int, shift: int) -> None:
    m = np.arange(-(1 << frac), (1 << frac) + 1)
    for c in (-1, 0, 1):
        assert np.abs(average(m, np.full(len(m), c), frac, shift)).max() <= 1 << frac


@pytest.mark.parametrize("probability", ["linear", "tanh"])
@pytest.mark.parametrize("shift", [0, 4])
def test_ema_dst_steps_with_the_stated_probability(probability: str, shift: int) -> None:
    """Counted over all random words there are, not sampled."""
    p = UpdateParameters(rule="ema_dst", probability=probability)
    words = np.arange(1 << (6 + shift))
    ones = np.ones(len(words), np.int64)
    for before in (-64, 0, 6, 7, 40, 64):
        after = int(average([before], [1], 6, 5)[0])
        _, weight = ema_dst_step(ones, before * ones, 0 * ones, words, parameters=p, shift=shift)
        excess = max(0, abs(after) - 8)
        steps = excess if probability == "linear" else round(64 * math.tanh(3 * excess / 64))
        assert np.count_nonzero(weight) == steps
        assert set(weight[weight != 0].tolist()) <= {1 if after > 0 else -1}


def test_published_is_a_gated_sign_sgd_whose_momentum_is_that_of_the_paper() -> None:
    paper = UpdateParameters(rule="signadam_pp", **FIXED, threshold_width=5)
    published = replace(paper, rule="signadam_pp_published")
    rng = np.random.default_rng(9)
    g, w = rng.integers(-32, 32, 500), rng.integers(-100, 100, 500)
    m = rng.integers(-64, 65, 500)
    momentum, weight = step_lanes(published, g, m, w, threshold=9, shift=1)
    assert (momentum == step_lanes(paper, g, m, w, threshold=9, shift=1)[0]).all()
    assert (weight == np.clip(w - 4 * np.sign(g) * (np.abs(g) > 9), -127, 127)).all()


@pytest.mark.parametrize("rule", ["sign_sgd", "signadam_pp_published"])
def test_exact_steps_equal_the_float_reference(rule: str) -> None:
    width = 5 if rule != "sign_sgd" else 0
    p = UpdateParameters(rule=rule, **FIXED, threshold_width=width)
    reference = SignOptimizer(rule, lr=2.0**-2, threshold=7.0 if width else 0.0)
    rng = np.random.default_rng(2)
    weight = rng.integers(-60, 60, 64)
    theta, momentum = weight * 2.0**-3, np.zeros(64, np.int64)
    for _ in range(20):
        g = rng.integers(-20, 21, 64)
        momentum, weight = step_lanes(p, g, momentum, weight, threshold=7 * (width > 0), shift=2)
        theta = reference.step(theta, g.astype(float))
        assert (theta * 8 == weight).all()


def test_gates_and_words_are_drawn_group_by_group() -> None:
    """150 lanes in groups of 64: three gates; words for two, two and one times 32 lanes."""
    p = UpdateParameters(rule="ema_dst", gate_shift_max=3)
    engine = UpdateEngine(p, seed=5)
    engine.configure(gate_shift=1, shift=2)
    lfsr, xorshift = Lfsr16(5), Xorshift32(5)
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(20):
        g, m, w = rng.integers(-1, 2, 150), rng.integers(-64, 65, 150), rng.integers(-1, 2, 150)
        row = engine.process_row(g, m, w)
        for start, end in ((0, 64), (64, 128), (128, 150)):
            lfsr.step()
            is_open = lfsr.step() & 1 == 0
            seen.add((start, is_open))
            assert (row.written[start:end] == is_open).all()
            if not is_open:
                assert (row.momentum[start:end] == m[start:end]).all()
                assert (row.weight[start:end] == w[start:end]).all()
                continue
            for piece in range(start, end, 32):
                word = xorshift.step()
                for i in range(piece, min(piece + 32, end)):
                    u = lane_word(word, i % 32)
                    want = restated(p, int(g[i]), int(m[i]), int(w[i]), 0, 2, u)
                    assert (row.momentum[i], row.weight[i]) == want
        assert (engine.lfsr.state, engine.xorshift.state) == (lfsr.state, xorshift.state)
    assert len(seen) == 6


class EngineTrainer(Trainer):
    """A trainer whose rows are updated by the engine."""

    def update(self, layer: int, error: Any, x: Any) -> None:
        p = self.config.update_parameters(layer)
        engine = UpdateEngine(replace(p, gate_shift_max=8))
        engine.lfsr, engine.xorshift = self.lfsr, self.xorshift
        shift = self.probability_shift if p.rule == "ema_dst" else 0
        engine.configure(gate_shift=self.gate_shift[layer], shift=shift)
        for row in np.flatnonzero(error):
            w, c = self.weights[layer][row], self.counters[layer][row]
            new = engine.process_row(int(error[row]) * x.astype(np.int64), c, w)
            w[:], c[:] = new.weight, new.momentum


@pytest.mark.parametrize("rule", ["counter", "ema_dst"])
def test_the_trainer_is_an_engine_fed_with_rows(rule: str) -> None:
    data = load_digits()
    config = TrainerConfig(layers=(192, 40, 10), rule=rule, gate_shift=(1, 2))
    trits = encoding.encode(data.train_pixels[:60])
    ours, theirs = EngineTrainer(config), Trainer(config)
    for trainer in (ours, theirs):
        trainer.fit(trits, data.train_labels[:60])
    for a, b in zip(ours.weights + ours.counters, theirs.weights + theirs.counters, strict=True):
        assert (a == b).all()
        assert a.any()
    assert ours.lfsr_state == theirs.lfsr_state
    assert ours.xorshift.state == theirs.xorshift.state


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rule": "adam"}, "rule must be one of 'sign_sgd', .*, 'counter', not 'adam'"),
        ({"rule": "counter", "lanes": 0}, "lanes must be an integer from 1 to 1024, not 0"),
        (
            {"rule": "counter", "lanes": 48},
            r"lanes must divide rng_group \(64\) or be a multiple of it, not 48",
        ),
        (
            {"rule": "ema_dst", "rng_group": 16},
            "rng_group must be a multiple of 32 where lanes read random words, not 16",
        ),
        (
            {"rule": "ema_dst", "rng_group": 96, "lanes": 48},
            "lanes must divide 32 or be a multiple of it where lanes read random words, not 48",
        ),
        (
            {"rule": "sign_sgd", "threshold_width": 1},
            "threshold_width must be an integer from 0 to 0, not 1",
        ),
        (
            {"rule": "ema_dst", "momentum_shift": 7},
            "momentum_shift must be an integer from 1 to 6, not 7",
        ),
        ({"rule": "ema_dst", "dead_zone": 64}, "dead_zone must be an integer from 0 to 63, not 64"),
        (
            {"rule": "counter", "weight_decay": "coupled"},
            "weight_decay must be one of 'none', not 'coupled'",
        ),
        (
            {"rule": "counter", "rounding": "stochastic"},
            "rounding must be one of 'nearest', not 'stochastic'",
        ),
        (
            {"rule": "signum", "probability": "tanh"},
            "probability must be one of 'linear', not 'tanh'",
        ),
    ],
)
def test_wrong_parameters(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{message}$"):
        UpdateParameters(**fields)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"threshold": 4}, "threshold must be an integer from 0 to 3, not 4"),
        ({"gate_shift": 3}, "gate_shift must be an integer from 0 to 2, not 3"),
        ({"shift": 7}, "shift must be an integer from 0 to 6, not 7"),
    ],
)
def test_wrong_settings(setting: dict[str, int], message: str) -> None:
    p = UpdateParameters(rule="ema_dst", threshold_width=2, gate_shift_max=2)
    with pytest.raises(ParameterError, match=f"^{message}$"):
        UpdateEngine(p).configure(**setting)


def test_rows_out_of_range_are_refused() -> None:
    engine = UpdateEngine(UpdateParameters(rule="counter"))
    with pytest.raises(DataError, match=r"^momentum\[1\] must be from -31 to 31, not -32$"):
        engine.process_row([0, 0], [0, -32], [0, 0])
    with pytest.raises(DataError, match=r"^weight must have shape \(2\), not \(3,\)$"):
        engine.process_row([0, 0], [0, 0], [0, 0, 0])


def good_vectors() -> dict[str, Any]:
    zeros = np.zeros((4, 9), np.int8)
    return {"grad": zeros, "momentum": zeros, "weight": zeros}


def test_vectors_are_cut_to_their_lengths() -> None:
    p = UpdateParameters(rule="counter", gate_shift_max=2)
    arrays = good_vectors() | {"length": [9, 1, 5, 9], "gate_shift": np.int64(2), "lfsr_state": 7}
    vectors = check_vectors(p, arrays)
    assert [len(vectors.row(k)[0]) for k in range(len(vectors))] == [9, 1, 5, 9]
    engine = vectors.engine(p)
    assert (engine.gate_shift, engine.lfsr.state, engine.xorshift.state) == (2, 7, 1)


def test_vectors_of_a_rule_without_momentum_need_none() -> None:
    arrays = good_vectors()
    del arrays["momentum"]
    assert len(check_vectors(UpdateParameters(rule="sign_sgd"), arrays)) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grad": np.full((4, 9), 2)}, r"grad\[0\]\[0\] must be from -1 to 1, not 2"),
        ({"grad": np.zeros((4, 9))}, "grad must be an integer array, not float64"),
        ({"grad": np.zeros((0, 9), int)}, "grad must have 1 or more rows .*, not 0 of 9"),
        ({"weight": np.zeros((4, 8), int)}, r"weight must have shape \(4, 9\), not \(4, 8\)"),
        ({"momentum": np.full((4, 9), -32)}, r"momentum\[0\]\[0\] must be from -31 to 31, not -32"),
        ({"length": [9, 9, 9, 10]}, r"length\[3\] must be from 1 to 9, not 10"),
        ({"lfsr_state": 0}, "lfsr_state must be from 1 to 65535, not 0"),
        ({"gate_shift": 1}, "gate_shift must be from 0 to 0, not 1"),
        ({"gradient": 1}, r"arrays must be among \[.*\], not 'gradient'"),
        ({"momentum": None}, "momentum must be one of the arrays, not missing from .*"),
    ],
)
def test_malformed_vectors(changes: dict[str, Any], message: str) -> None:
    arrays = {k: v for k, v in (good_vectors() | changes).items() if v is not None}
    with pytest.raises(DataError, match=f"^{message}$"):
        check_vectors(UpdateParameters(rule="counter"), arrays)
