"""The float references of the sign optimisers: hand-computed steps, torch.optim, properties.

These are references in float64, so the comparisons with torch allow 1e-12 of rounding; steps worked
out by hand use powers of two and are exact.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trisign.golden.checks import DataError, ParameterError
from trisign.golden.reference import SIGN_RULES, AdaptiveThreshold, SignOptimizer

VECTORS = Path(__file__).parent / "vectors"
RECORDING = json.loads((VECTORS / "torch_reference.json").read_text())
ROUNDING = 1e-12


def run(optimizer: SignOptimizer, param: Any, grads: Any) -> list[list[float]]:
    """The parameter after each step."""
    states = []
    for grad in grads:
        param = optimizer.step(param, grad)
        states.append(param.tolist())
    return states


# Hand-computed steps. θ₀ = (1, −1, 0.5, 0), δ = 1/4, β = 1/2, α = 1/2; two steps with
# g₁ = (2, −0.5, 0.25, −0.75) and g₂ = (−1, 1, 0, −0.75).
#
# sign(g₁) = (1, −1, 1, −1)   sign(g₂) = (−1, 1, 0, −1)
# c₁ = (1, 0, 0, −1), since 0.5 is not above α    c₂ = (−1, 1, 0, −1)
PARAM = [1.0, -1.0, 0.5, 0.0]
GRADS = [[2.0, -0.5, 0.25, -0.75], [-1.0, 1.0, 0.0, -0.75]]
BY_HAND = {
    # θ − sign(g)/4, no buffer
    "sign_sgd": ([[0.75, -0.75, 0.25, 0.25], [1.0, -1.0, 0.25, 0.5]], None),
    # m₁ = g₁/2 = (1, −0.25, 0.125, −0.375); m₂ = (m₁ + g₂)/2 = (0, 0.375, 0.0625, −0.5625)
    # sign(m₂) = (0, 1, 1, −1)
    "signum": (
        [[0.75, -0.75, 0.25, 0.25], [0.75, -1.0, 0.0, 0.5]],
        [0.0, 0.375, 0.0625, -0.5625],
    ),
    # m₁ = (0.5, −0.5, 0.5, −0.5), a step of m₁/4 = (0.125, −0.125, 0.125, −0.125)
    # m₂ = (m₁ + sign(g₂))/2 = (−0.25, 0.25, 0.25, −0.75), a step of (−.0625, .0625, .0625, −.1875)
    "signadam": (
        [[0.875, -0.875, 0.375, 0.125], [0.9375, -0.9375, 0.3125, 0.3125]],
        [-0.25, 0.25, 0.25, -0.75],
    ),
    # m₁ = c₁/2 = (0.5, 0, 0, −0.5); m₂ = (m₁ + c₂)/2 = (−0.25, 0.5, 0, −0.75)
    "signadam_pp": (
        [[0.875, -1.0, 0.5, 0.125], [0.9375, -1.125, 0.5, 0.3125]],
        [-0.25, 0.5, 0.0, -0.75],
    ),
    # θ − c/4; m₁ = c₁ = (1, 0, 0, −1); m₂ = (m₁ + c₂)/2 = (0, 0.5, 0, −1)
    "signadam_pp_published": (
        [[0.75, -1.0, 0.5, 0.25], [1.0, -1.25, 0.5, 0.5]],
        [0.0, 0.5, 0.0, -1.0],
    ),
}


@pytest.mark.parametrize("rule", SIGN_RULES)
def test_two_steps_by_hand(rule: str) -> None:
    params, momentum = BY_HAND[rule]
    optimizer = SignOptimizer(rule, lr=0.25, momentum=0.5, threshold=0.5)
    assert optimizer.momentum_buffer is None
    assert run(optimizer, PARAM, GRADS) == params
    if momentum is None:
        assert optimizer.momentum_buffer is None
    else:
        assert optimizer.momentum_buffer is not None
        assert optimizer.momentum_buffer.tolist() == momentum


# Weight decay, δ = 1/4, λ = 1/2, β = 1/2, α = 1/2, θ = (2, −2, 1), g = (−0.75, 0.25, 0).
# Coupled: g + λθ = (0.25, −0.75, 0.5); its sign (1, −1, 1); gated (0, −1, 0).
# Decoupled: (1 − δλ)·θ = 7/8·θ = (1.75, −1.75, 0.875); sign(g) = (−1, 1, 0); gated (−1, 0, 0).
DECAYED_BY_HAND = {
    ("sign_sgd", "coupled"): [1.75, -1.75, 0.75],
    ("sign_sgd", "decoupled"): [2.0, -2.0, 0.875],
    ("signum", "coupled"): [1.75, -1.75, 0.75],
    ("signum", "decoupled"): [2.0, -2.0, 0.875],
    ("signadam", "coupled"): [1.875, -1.875, 0.875],
    ("signadam", "decoupled"): [1.875, -1.875, 0.875],
    ("signadam_pp", "coupled"): [2.0, -1.875, 1.0],
    ("signadam_pp", "decoupled"): [1.875, -1.75, 0.875],
    ("signadam_pp_published", "coupled"): [2.0, -1.75, 1.0],
    ("signadam_pp_published", "decoupled"): [2.0, -1.75, 0.875],
}


@pytest.mark.parametrize(("rule", "decay"), DECAYED_BY_HAND)
def test_weight_decay_by_hand(rule: str, decay: str) -> None:
    optimizer = SignOptimizer(rule, 0.25, 0.5, 0.5, 0.5, decay=decay)
    stepped = optimizer.step([2.0, -2.0, 1.0], [-0.75, 0.25, 0.0])
    assert stepped.tolist() == DECAYED_BY_HAND[rule, decay]


@pytest.mark.parametrize("rule", SIGN_RULES)
def test_decay_is_coupled_unless_told(rule: str) -> None:
    optimizer = SignOptimizer(rule, 0.25, 0.5, 0.5, 0.5)
    stepped = optimizer.step([2.0, -2.0, 1.0], [-0.75, 0.25, 0.0])
    assert stepped.tolist() == DECAYED_BY_HAND[rule, "coupled"]


def test_adaptive_threshold_by_hand() -> None:
    """g₁ = (0, 2): √var = 1, s₁ = 1/4, α₁ = 1/2. g₂ = (0, 4): √var = 2, s₂ = 11/16, α₂ = 11/8."""
    threshold = AdaptiveThreshold(beta1=0.75, beta2=2.0)
    assert (threshold.spread, threshold.alpha) == (0.0, 0.0)
    assert threshold.update([0.0, 2.0]) == 0.5
    assert threshold.update([[0.0], [4.0]]) == 1.375
    assert (threshold.spread, threshold.alpha) == (0.6875, 1.375)


@pytest.mark.parametrize("rule", ["signadam_pp", "signadam_pp_published"])
def test_the_gate_uses_the_threshold_its_own_gradient_moved(rule: str) -> None:
    """s₁ = 1/4·√var(−3, 1, 0.5, −0.5) = 1/4·1.5 = 0.375…: α₁ = 1·s₁, strictly below 0.5."""
    threshold = AdaptiveThreshold(beta1=0.75, beta2=1.0)
    optimizer = SignOptimizer(rule, lr=1.0, momentum=0.0, threshold=threshold)
    # mean −0.5; deviations (−2.5, 1.5, 1, 0); mean square (6.25 + 2.25 + 1 + 0)/4 = 2.375
    gradient = [-3.0, 1.0, 0.5, -0.5]
    spread = 0.25 * 2.375**0.5  # 0.3853
    assert optimizer.step(np.zeros(4), gradient).tolist() == [1.0, -1.0, -1.0, 1.0]
    assert threshold.spread == pytest.approx(spread, rel=ROUNDING)
    # again: s = 0.75·s₁ + s₁ = 0.6743, so now ±0.5 rest
    assert optimizer.step(np.zeros(4), gradient).tolist() == [1.0, -1.0, 0.0, 0.0]


def test_adaptive_threshold_sees_what_the_gate_sees() -> None:
    """With coupled decay, g + λθ = (0, 2) + (0, 2) = (0, 4): √var = 2."""
    threshold = AdaptiveThreshold(beta1=0.0, beta2=1.0)
    optimizer = SignOptimizer("signadam_pp", 1.0, threshold=threshold, weight_decay=0.5)
    optimizer.step([0.0, 4.0], [0.0, 2.0])
    assert threshold.spread == 2.0


def optimizer_of(options: dict[str, Any], rule: str) -> SignOptimizer:
    """The optimiser a recorded case describes."""
    options = dict(options)
    if "adaptive" in options:
        options["threshold"] = AdaptiveThreshold(*options.pop("adaptive"))
    return SignOptimizer(rule, **options)


def compare(recording: dict[str, Any], case: dict[str, Any]) -> None:
    """Every step of a case: parameter and momentum equal torch's to within rounding."""
    optimizer = optimizer_of(case["options"], case["rule"])
    param = np.array(recording["param"])
    steps = zip(recording["gradients"], case["params"], case["momentum_buffers"], strict=True)
    for grad, theirs, momentum in steps:
        param = optimizer.step(param, grad)
        np.testing.assert_allclose(param, theirs, rtol=ROUNDING, atol=ROUNDING)
        if momentum is not None:
            assert optimizer.momentum_buffer is not None
            np.testing.assert_allclose(
                optimizer.momentum_buffer, momentum, rtol=ROUNDING, atol=ROUNDING
            )


def case_name(case: dict[str, Any]) -> str:
    extra = [key for key in case["options"] if key not in ("lr", "momentum")]
    return "-".join([case["rule"], *extra])


@pytest.mark.parametrize("case", RECORDING["cases"], ids=case_name)
def test_against_recorded_torch(case: dict[str, Any]) -> None:
    compare(RECORDING, case)


def test_recording_covers_every_rule_and_says_where_it_comes_from() -> None:
    assert {case["rule"] for case in RECORDING["cases"]} == set(SIGN_RULES)
    assert RECORDING["torch"].split("+")[0] == "2.13.0"
    assert (VECTORS.parent.parent / RECORDING["made_by"]).is_file()


def test_against_live_torch() -> None:
    pytest.importorskip(
        "torch", reason="torch is no dependency (several GB); its recording is tested instead"
    )
    path = VECTORS / "make_reference_vectors.py"
    spec = importlib.util.spec_from_file_location("make_reference_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    live = maker.record()
    assert len(live["cases"]) == len(RECORDING["cases"])
    for case in live["cases"]:
        compare(live, case)


REALS = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize("rule", ["signadam", "signadam_pp", "signadam_pp_published"])
@settings(max_examples=50, deadline=None)
@given(
    grads=arrays(np.float64, (12, 5), elements=REALS),
    momentum=st.floats(0, 1, exclude_max=True),
    threshold=st.floats(0, 10),
)
def test_momentum_of_signs_stays_within_one(
    rule: str, grads: np.ndarray, momentum: float, threshold: float
) -> None:
    optimizer = SignOptimizer(rule, 0.01, momentum, threshold)
    for grad in grads:
        optimizer.step(np.zeros(5), grad)
        assert optimizer.momentum_buffer is not None
        assert np.abs(optimizer.momentum_buffer).max() <= 1


@pytest.mark.parametrize("rule", ["signadam_pp", "signadam_pp_published"])
@given(alpha=st.floats(0, 1e6))
def test_gate_is_strict(rule: str, alpha: float) -> None:
    """|g| = α rests; the next float64 above passes."""
    above = np.nextafter(alpha, np.inf)
    optimizer = SignOptimizer(rule, lr=1.0, momentum=0.0, threshold=alpha)
    stepped = optimizer.step(np.zeros(4), [alpha, -alpha, above, -above])
    assert stepped.tolist() == [0.0, 0.0, -1.0, 1.0]


@pytest.mark.parametrize("rule", SIGN_RULES)
def test_runs_are_reproducible_and_inputs_untouched(rule: str) -> None:
    param = np.array(RECORDING["param"])
    grads = np.array(RECORDING["gradients"])
    kept_param, kept_grads = param.copy(), grads.copy()
    first, second = (SignOptimizer(rule, 0.1, threshold=0.3, weight_decay=0.1) for _ in "ab")
    assert run(first, param, grads) == run(second, param, grads)
    np.testing.assert_array_equal(param, kept_param)
    np.testing.assert_array_equal(grads, kept_grads)


@pytest.mark.parametrize("rule", SIGN_RULES)
def test_step_returns_a_new_float64_array_of_the_same_shape(rule: str) -> None:
    optimizer = SignOptimizer(rule, 0.5)
    param = np.ones((2, 3), np.int64)
    stepped = optimizer.step(param, np.zeros((2, 3), np.int64))
    assert stepped.dtype == np.float64
    assert stepped.shape == (2, 3)
    assert not np.shares_memory(stepped, param)
    later = optimizer.step(stepped, np.ones((2, 3)))
    assert not np.shares_memory(later, stepped)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("rule", SIGN_RULES)
def test_every_rule_minimises_a_quadratic(rule: str, decay: str) -> None:
    """½‖θ − θ*‖² from zero, the learning rate falling: within 2^-5 of the minimum at the end."""
    target = np.array([1.0, -1.0, 0.5])
    optimizer = SignOptimizer(rule, 2**-6, 0.9, 2**-7, 1e-3, decay=decay)
    param = np.zeros(3)
    for _ in range(400):
        param = optimizer.step(param, param - target)
        optimizer.lr *= 0.99
    assert np.abs(param - target).max() < 2**-5


@pytest.mark.parametrize("rule", SIGN_RULES)
def test_every_rule_learns_a_logistic_regression(rule: str) -> None:
    """Two features that separate two classes: the mean logistic loss falls from ln 2 below 0.3."""
    rng = np.random.default_rng(1)
    label = np.repeat([-1.0, 1.0], 50)
    x = rng.standard_normal((100, 2)) + label[:, None]
    optimizer = SignOptimizer(rule, 0.02, threshold=1e-3)
    theta = np.zeros(2)
    for _ in range(300):
        grad = -(label[:, None] * x / (1 + np.exp(label * (x @ theta)))[:, None]).mean(axis=0)
        theta = optimizer.step(theta, grad)
    assert np.log1p(np.exp(-label * (x @ theta))).mean() < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "adam"}, "rule must be one of 'sign_sgd', .* not 'adam'"),
        ({"rule": None}, "rule must be one of .* not None"),
        ({"lr": 0}, "lr must be a finite number above 0, not 0"),
        ({"lr": float("inf")}, "lr must be a finite number above 0, not inf"),
        ({"lr": "fast"}, "lr must be a finite number above 0, not 'fast'"),
        ({"lr": True}, "lr must be a finite number above 0, not True"),
        ({"momentum": 1.0}, "momentum must be a number from 0 to less than 1, not 1.0"),
        ({"momentum": -0.1}, "momentum must be a number from 0 to less than 1, not -0.1"),
        ({"momentum": float("nan")}, "momentum must be a number from 0 to less than 1, not nan"),
        ({"threshold": -1e-9}, "threshold must be a finite number, 0 or more, not -1e-09"),
        ({"threshold": float("inf")}, "threshold must be a finite number, 0 or more, not inf"),
        ({"threshold": None}, "threshold must be a finite number, 0 or more, not None"),
        ({"weight_decay": -1}, "weight_decay must be a finite number, 0 or more, not -1"),
        ({"decay": "l2"}, "decay must be one of 'coupled', 'decoupled', not 'l2'"),
    ],
)
def test_wrong_parameters(arguments: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"rule": "signadam_pp", "lr": 0.1}
    with pytest.raises(ParameterError, match=f"^{message}$"):
        SignOptimizer(**(options | arguments))


def test_wrong_adaptive_parameters() -> None:
    with pytest.raises(ParameterError, match=r"^beta1 must be a number from 0 to less than 1, "):
        AdaptiveThreshold(1.0, 1.0)
    with pytest.raises(ParameterError, match=r"^beta2 must be a finite number, 0 or more, not -1$"):
        AdaptiveThreshold(0.5, -1)


@pytest.mark.parametrize(
    ("param", "grad", "message"),
    [
        ([1.0, 2.0], [1.0, float("nan")], r"grad\[1\] must be finite, not nan"),
        ([1.0, 2.0], [float("-inf"), 1.0], r"grad\[0\] must be finite, not -inf"),
        ([[1.0], [float("inf")]], [[1.0], [1.0]], r"param\[1\]\[0\] must be finite, not inf"),
        ([1.0, 2.0], [1.0], r"grad must have shape \(2,\), not \(1,\)"),
        ([1.0, 2.0], 1.0, r"grad must have shape \(2,\), not \(\)"),
        ([1.0, 2.0], ["a", "b"], "grad must be an array of real numbers, not <U1"),
        ([1.0, 2.0], [1j, 0], "grad must be an array of real numbers, not complex128"),
        ([1.0, 2.0], [True, False], "grad must be an array of real numbers, not bool"),
        ([], [], r"param must hold at least one value, not shape \(0,\)"),
    ],
)
def test_wrong_data(param: Any, grad: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        SignOptimizer("signadam", 0.1).step(param, grad)


def test_refused_step_leaves_the_state_alone() -> None:
    threshold = AdaptiveThreshold(0.5, 0.1)
    optimizer = SignOptimizer("signadam_pp", 0.5, 0.5, threshold)
    optimizer.step([0.0, 0.0], [1.0, -1.0])
    with pytest.raises(DataError):
        optimizer.step([0.0, 0.0], [float("nan"), 1.0])
    with pytest.raises(DataError, match=r"^param must have shape \(2,\), not \(3,\)$"):
        optimizer.step(np.zeros(3), np.zeros(3))
    assert threshold.spread == 0.5
    assert optimizer.momentum_buffer is not None
    assert optimizer.momentum_buffer.tolist() == [0.5, -0.5]
