"""The precision controller's golden model: its equations, its decisions, what it promises."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trisign.golden.checks import DataError, ParameterError
from trisign.golden.lfsr import Lfsr16, advance
from trisign.golden.precision_controller import (
    PrecisionController,
    PrecisionParameters,
    PrecisionState,
    Window,
    check_vectors,
    decide,
    quantize,
)

PERIOD = 2**16 - 1
ALL_WORDS = np.arange(1, PERIOD + 1)
RULE = PrecisionParameters(width=4, width_search=True, exponent_max=9, patience=3).rule


class ScalarController:
    """The same rules, one value at a time, with none of the golden model's array code."""

    def __init__(self, parameters: PrecisionParameters, seed: int) -> None:
        self.p = parameters
        self.e, self.n, self.streak = parameters.exponent, parameters.width, 0
        self.lfsr = Lfsr16(seed).state
        self.seen: list[tuple[int, int, int]] = []

    def quantize(self, tensor: list[int]) -> list[int]:
        result = [self.quantize_value(value) for value in tensor]
        if len(self.seen) == self.p.window:
            self.decide()
        return result

    def quantize_value(self, value: int) -> int:
        if value == 0:
            return 0
        self.lfsr = advance(self.lfsr, 16)
        ratio = Fraction(abs(value), 2**self.e)
        if self.p.stochastic:
            ratio += Fraction(self.lfsr * 2**self.e // 2**16, 2**self.e)
        else:
            ratio += Fraction(1, 2)
        q = min(int(ratio), 2 ** (self.n - 1) - 1)
        if len(self.seen) < self.p.window:
            self.seen.append((abs(value), q, self.lfsr))
        return q if value > 0 else -q

    def decide(self) -> None:
        p, e, n = self.p, self.e, self.n
        permitted = p.overflow_base + self.seen[-1][2] % 2**p.overflow_random_bits
        too_large = sum(x >= 2 ** (e + n - 1) for x, _, _ in self.seen)
        half = sum(x >= 2 ** (e + n - 2) for x, _, _ in self.seen)
        move = 0
        if p.dynamic_exponent:
            move = 1 if too_large > permitted else 0 if half > permitted else -1
        total = sum(x for x, _, _ in self.seen)
        errors = [x - q * 2**e for x, q, _ in self.seen]
        absolute = p.error_measure == "absolute"
        error = Fraction(sum(map(abs, errors)) if absolute else abs(sum(errors)), total)
        step = 0
        if p.width_search and (move == 0 or not 0 <= e + move <= p.exponent_max):
            fine = error <= Fraction(1, 2**p.narrow_shift)
            self.streak = self.streak + 1 if fine else 0
            if error > Fraction(1, 2**p.widen_shift):
                step = 1
            elif self.streak == p.patience:
                step, self.streak = -1, 0
        low, high = p.width_limits
        self.n = min(max(n + step, low), high)
        if p.dynamic_exponent:
            self.e = min(max(e + move - (self.n - n), 0), p.exponent_max)
        self.seen.clear()


@st.composite
def cases(draw: st.DrawFn) -> tuple[PrecisionParameters, list[list[int]]]:
    input_width = draw(st.integers(2, 20))
    low, high = sorted(draw(st.tuples(st.integers(2, 10), st.integers(2, 10))))
    exponent_max = draw(st.integers(0, min(16, input_width - 1)))
    widen_shift = draw(st.integers(0, 6))
    parameters = PrecisionParameters(
        input_width=input_width,
        width=draw(st.integers(low, high)),
        width_search=draw(st.booleans()),
        width_min=low,
        width_max=high,
        exponent=draw(st.integers(0, exponent_max)),
        exponent_max=exponent_max,
        dynamic_exponent=draw(st.booleans()),
        window=draw(st.integers(4, 12)),
        overflow_base=draw(st.integers(0, 2)),
        overflow_random_bits=draw(st.integers(0, 1)),
        stochastic=draw(st.booleans()),
        error_measure=draw(st.sampled_from(["absolute", "sums"])),
        widen_shift=widen_shift,
        narrow_shift=draw(st.integers(widen_shift + 1, 8)),
        patience=draw(st.integers(1, 3)),
    )
    limit = 2 ** draw(st.integers(0, input_width - 1))
    values = st.integers(-limit, min(limit, 2 ** (input_width - 1) - 1))
    return parameters, draw(st.lists(st.lists(values, max_size=20), max_size=20))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(cases(), st.integers(0, 2**16))
def test_equals_the_scalar_model(
    case: tuple[PrecisionParameters, list[list[int]]], seed: int
) -> None:
    parameters, tensors = case
    golden, scalar = PrecisionController(parameters, seed), ScalarController(parameters, seed)
    for tensor in tensors:
        values = np.array(tensor, np.int64)
        assert golden.quantize(values).tolist() == scalar.quantize(tensor)
        assert golden.state == (scalar.e, scalar.n, scalar.streak, scalar.lfsr)


@pytest.mark.parametrize("exponent", [1, 3, 8, 15, 16])
def test_stochastic_rounding_is_unbiased(exponent: int) -> None:
    """Over the generator's whole period a fraction f / 2^e rounds up exactly f · 2^(16−e) times.

    The one missing state, zero, is a word that never rounds up.
    """
    random = np.random.default_rng(exponent)
    for whole in (0, 3):
        for fraction in {0, 1, 2**exponent - 1, int(random.integers(2**exponent))}:
            for sign in (1, -1):
                x = np.full(PERIOD, sign * (whole * 2**exponent + fraction))
                total = int(quantize(x, exponent, 4, ALL_WORDS).sum())
                assert total == sign * (PERIOD * whole + fraction * 2 ** (16 - exponent))


def test_words_share_no_bits() -> None:
    """Each nonzero value draws the state 16 steps on; the period is that of the generator."""
    controller = PrecisionController(PrecisionParameters(), 1)
    state = controller.lfsr_state
    controller.quantize([5, 0, 0, -3])
    assert controller.lfsr_state == advance(state, 32)
    controller.quantize(np.ones(PERIOD, np.int64))
    assert controller.lfsr_state == advance(state, 32)


def test_nearest_rounds_ties_away_from_zero() -> None:
    p = PrecisionParameters(exponent=2, width=8, stochastic=False, dynamic_exponent=False)
    x = [0, 1, 2, 3, 5, 6, 7, -1, -2, -6, 508, 511, -512, 32767, -32768]
    want = [0, 0, 1, 1, 1, 2, 2, 0, -1, -2, 127, 127, -127, 127, -127]
    assert PrecisionController(p).quantize(x).tolist() == want


@pytest.mark.parametrize("stochastic", [False, True])
def test_quantizer_is_odd_and_exact_where_nothing_is_dropped(stochastic: bool) -> None:
    p = PrecisionParameters(stochastic=stochastic, dynamic_exponent=False, exponent=0)
    x = np.arange(-7, 8)
    assert PrecisionController(p).quantize(x).tolist() == x.tolist()
    p = PrecisionParameters(stochastic=stochastic, dynamic_exponent=False, exponent=6)
    x = np.arange(1, 1000)
    assert (PrecisionController(p).quantize(x) == -PrecisionController(p).quantize(-x)).all()


@pytest.mark.parametrize(
    ("window", "before", "after"),
    [
        # overflows, half_overflows, error, total, permitted; exponent, width, streak
        (Window(3, 9, 1, 8, 2), (5, 4, 1), (6, 4, 1)),  # more range; error not yet judged
        (Window(2, 3, 2, 8, 2), (5, 4, 1), (5, 4, 0)),  # hold; error between the limits
        (Window(2, 2, 1, 8, 2), (5, 4, 1), (4, 4, 1)),  # less range
        (Window(3, 9, 2, 8, 2), (9, 4, 0), (9, 4, 0)),  # the upper limit holds
        (Window(0, 0, 2, 8, 2), (0, 4, 0), (0, 4, 0)),  # the lower limit holds
        (Window(0, 9, 5, 8, 0), (5, 4, 2), (4, 5, 0)),  # wider by a bit below
        (Window(0, 9, 4, 8, 0), (5, 4, 2), (5, 4, 0)),  # E/S = 1/2 is not above the limit
        (Window(0, 9, 5, 8, 0), (5, 8, 2), (5, 8, 0)),  # no wider than width_max
        (Window(0, 9, 1, 8, 0), (5, 4, 0), (5, 4, 1)),  # one window asks for less
        (Window(0, 9, 1, 8, 0), (5, 4, 2), (6, 3, 0)),  # the third is heard
        (Window(0, 9, 1, 8, 0), (5, 2, 2), (5, 2, 0)),  # no narrower than width_min
        (Window(9, 9, 5, 8, 0), (9, 4, 0), (9, 5, 0)),  # at the limit the width gives the range
        (Window(0, 0, 0, 8, 0), (0, 4, 2), (0, 3, 0)),  # an unused top bit goes
    ],
)
def test_decisions(
    window: Window, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    assert decide(*before, window, RULE) == after


def settled(controller: PrecisionController, scale: float, windows: int = 60) -> list[int]:
    """Exponents in the last windows of normal values of a scale."""
    random = np.random.default_rng(3)
    exponents = []
    for _ in range(windows):
        controller.quantize(np.rint(random.normal(size=64) * scale).astype(np.int64))
        exponents.append(controller.exponent)
    return exponents[20:]


@pytest.mark.parametrize("start", [0, 6, 15])
def test_exponent_follows_the_scale(start: int) -> None:
    """From any start, up and down: the range covers about three deviations, within one step."""
    controller = PrecisionController(PrecisionParameters(exponent=start, input_width=20), 1)
    for shift in (4, 12, 7, 16, 5):
        exponents = settled(controller, 2.0**shift)
        assert set(exponents) <= {shift - 2, shift - 1, shift}, (shift, exponents)


def test_recovers_one_step_a_window() -> None:
    controller = PrecisionController(PrecisionParameters(exponent=15, overflow_random_bits=0))
    tensor = np.full(64, 7)
    for window in range(15):
        assert controller.exponent == 15 - window
        controller.quantize(tensor)
    assert (controller.exponent, controller.windows) == (0, 15)
    assert controller.quantize(tensor).tolist() == tensor.tolist()


def test_width_search_narrows_and_widens() -> None:
    """Coarse limits end in few bits, fine limits in many; a constant needs the fewest."""
    widths = {}
    for widen_shift, narrow_shift in ((1, 3), (4, 6)):
        p = PrecisionParameters(
            width=5, width_search=True, widen_shift=widen_shift, narrow_shift=narrow_shift
        )
        controller = PrecisionController(p, 1)
        settled(controller, 1000.0, 200)
        widths[widen_shift] = controller.width
    assert widths == {1: 4, 4: 6}
    for _ in range(100):
        controller.quantize(np.full(64, -1))
    assert (controller.exponent, controller.width) == (0, 2)


def test_zeros_leave_no_trace() -> None:
    random = np.random.default_rng(2)
    p = PrecisionParameters(window=10, exponent=4)
    sparse, dense = PrecisionController(p), PrecisionController(p)
    for _ in range(50):
        tensor = np.rint(random.normal(size=8) * 300).astype(np.int64)
        spread = np.zeros(24, np.int64)
        spread[::3] = tensor
        assert sparse.quantize(spread)[::3].tolist() == dense.quantize(tensor).tolist()
        assert sparse.state == dense.state
    before = sparse.state
    sparse.quantize(np.zeros(1000, np.int64))
    assert sparse.state == before


def test_exponent_is_constant_within_a_tensor() -> None:
    p = PrecisionParameters(window=4, overflow_random_bits=0, stochastic=False)
    controller = PrecisionController(p)
    assert controller.quantize(np.full(9, 100)).tolist() == [7] * 9
    assert (controller.exponent, controller.windows) == (1, 1)


def test_result_has_the_shape_of_the_tensor() -> None:
    assert PrecisionController(PrecisionParameters()).quantize(np.ones((2, 3), int)).shape == (2, 3)
    assert PrecisionController(PrecisionParameters()).quantize(np.int64(3)).shape == ()


def test_status_counters_saturate() -> None:
    p = PrecisionParameters(count_width=3, window=1, overflow_random_bits=0, exponent_max=0)
    controller = PrecisionController(p)
    for _ in range(9):
        controller.quantize([100])
    assert (controller.windows, controller.overflows) == (7, 7)


def test_load_resumes() -> None:
    random = np.random.default_rng(2)
    tensors = np.rint(random.normal(size=(40, 64)) * 300).astype(np.int64)
    first = PrecisionController(PrecisionParameters(), 9)
    for tensor in tensors[:20]:
        first.quantize(tensor)
    second = PrecisionController(PrecisionParameters(), 1)
    second.load(first.state)
    for tensor in tensors[20:]:
        assert first.quantize(tensor).tolist() == second.quantize(tensor).tolist()
    assert first.state == second.state


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_width": 33}, "input_width must be an integer from 2 to 32, not 33"),
        ({"width": 1}, "width must be an integer from 2 to 16, not 1"),
        ({"width": 9, "width_search": True}, "width must be an integer from 2 to 8, not 9"),
        ({"width_min": 9}, "width_max must be an integer from 9 to 16, not 8"),
        ({"exponent": 16}, "exponent must be an integer from 0 to 15, not 16"),
        ({"exponent_max": 16}, "exponent_max must be an integer from 0 to 15, not 16"),
        ({"window": 0}, "window must be an integer from 1 to 65535, not 0"),
        (
            {"window": 3},
            "overflow_base + 2^overflow_random_bits − 1 must be less than window (3), not 3",
        ),
        ({"overflow_random_bits": 9}, "overflow_random_bits must be an integer from 0 to 8, not 9"),
        ({"stochastic": 1}, "stochastic must be true or false, not 1"),
        ({"error_measure": "max"}, "error_measure must be one of 'absolute', 'sums', not 'max'"),
        ({"narrow_shift": 1}, "narrow_shift must be an integer from 2 to 15, not 1"),
        ({"patience": 256}, "patience must be an integer from 1 to 255, not 256"),
        ({"count_width": True}, "count_width must be an integer from 2 to 32, not True"),
    ],
)
def test_wrong_parameters(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError) as error:
        PrecisionParameters(**fields)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_wrong_state_and_values() -> None:
    controller = PrecisionController(PrecisionParameters(input_width=8, exponent_max=7))
    state = controller.state
    for change, message in (
        ({"exponent": 8}, "exponent must be an integer from 0 to 7, not 8"),
        ({"width": 5}, "width must be an integer from 4 to 4, not 5"),
        ({"streak": 4}, "streak must be an integer from 0 to 3, not 4"),
        ({"lfsr": 0}, "lfsr must be an integer from 1 to 65535, not 0"),
    ):
        with pytest.raises(ParameterError) as error:
            controller.load(PrecisionState(**{**state._asdict(), **change}))
        assert str(error.value) == message
    with pytest.raises(DataError, match=r"^value\[1\] must be from -128 to 127, not 128$"):
        controller.quantize([1, 128])
    assert controller.state == state


def test_vectors() -> None:
    p = PrecisionParameters(input_width=8, exponent_max=7)
    rows = np.arange(6).reshape(2, 3)
    assert [list(t) for t in check_vectors(p, {"value": rows})] == [[0, 1, 2], [3, 4, 5]]
    assert [list(t) for t in check_vectors(p, {"value": rows[0]})] == [[0], [1], [2]]
    cut = {"value": np.arange(4), "last": np.array([1, 0, 0, 1])}
    assert [list(t) for t in check_vectors(p, cut)] == [[0], [1, 2, 3]]
    for arrays, message in (
        ({}, "value must be one of the arrays, not missing from []"),
        ({"value": rows, "x": rows}, "arrays must be among ['last', 'value'], not 'x'"),
        ({"value": np.array([200])}, "value[0] must be from -128 to 127, not 200"),
        ({"value": rows * 1.0}, "value must be an integer array, not float64"),
        (
            {"value": rows[:0]},
            "value must have shape (any) or (any, any), none 0, not (0, 3)",
        ),
        (
            {"value": rows, "last": rows},
            "last must be missing where value has two dimensions, not given",
        ),
        (
            {"value": np.arange(2), "last": np.array([1, 0])},
            "last[1] must be from 1 to 1, not 0",
        ),
    ):
        with pytest.raises(DataError) as error:
            check_vectors(p, arrays)
        assert str(error.value) == message
