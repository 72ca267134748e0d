"""Functional coverage: every cross that golden can reach, the bench drives; a hole fails.

What golden can reach is found apart from the benches: random lanes and random windows, many.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_precision_controller import CASES
from test_precision_controller import bench as precision_bench
from test_update_engine import ENGINES
from test_update_engine import run as run_engine

from trisign.golden.precision_controller import PrecisionController, PrecisionState, Window
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.update_parameters import UpdateParameters
from trisign.golden.update_rules import gradient_range, momentum_range, step_lanes, weight_range
from trisign.sim.functional_coverage import read, update_crosses, window_cross

LANES = 60000
WINDOWS = 20000
# One engine a rule; others differ in widths and rounding.
RULES = (
    "counter_summed", "ema_dst_tanh", "sign_sgd_decoupled", "signum", "signadam",
    "signadam_pp_coupled", "signadam_pp_published_coupled",
)  # fmt: skip
SHORT = ("counter_summed", "signadam_pp_coupled")


def reachable_steps(p: UpdateParameters) -> set[str]:
    rng = np.random.default_rng(3)
    found: set[str] = set()
    for threshold in sorted({0, (1 << p.threshold_width) // 4}):
        for shift in {0, p.shift_max}:
            lanes = []
            for low, high in (gradient_range(p), momentum_range(p), weight_range(p)):
                values = rng.integers(low, high + 1, LANES)
                ends = rng.choice([low, 0, high], LANES)
                lanes.append(np.where(rng.random(LANES) < 0.5, values, ends))
            g, m, w = lanes
            words = rng.integers(0, 1 << 32, LANES)
            _, stepped = step_lanes(p, g, m, w, threshold=threshold, shift=shift, words=words)
            for written in (True, False) if p.gate_shift_max else (True,):
                after = stepped if written else w
                met = update_crosses(p, g, m, w, after, np.full(LANES, written), threshold)
                # A cross that one lane in thousands meets is chance.
                found |= {cross for cross, count in met.items() if count >= LANES / 3000}
    return found


@pytest.mark.parametrize(
    "name",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in RULES],
)
def test_update_engine(name: str, tmp_path: Path) -> None:
    """Rule × gate × group × weight and momentum at their ends × step."""
    path = tmp_path / "coverage.json"
    run_engine(
        ENGINES[name],
        parameters={"coverage": str(path)},
        test_filter="random_rows.*idle=False.*stall=False|every_setting|extremes",
    )
    wanted = reachable_steps(UpdateParameters(**ENGINES[name]))
    assert len(wanted) >= 12
    assert sorted(wanted - read(path)) == []


def test_every_rule_is_among_them() -> None:
    assert {ENGINES[name]["rule"] for name in RULES} == {e["rule"] for e in ENGINES.values()}


class Decisions(PrecisionController):
    """The crosses of all its decisions."""

    def __init__(self, parameters: PrecisionParameters) -> None:
        self.found: set[str] = set()
        super().__init__(parameters)

    def decided(self, before: PrecisionState, window: Window) -> None:
        self.found.add(window_cross(self.parameters, before, window, self.state))


def reachable_decisions(p: PrecisionParameters) -> set[str]:
    rng = np.random.default_rng(4)
    golden = Decisions(p)
    for _ in range(WINDOWS):
        width = int(rng.integers(p.width_limits[0], p.width_limits[1] + 1))
        exponent = int(rng.choice([0, int(rng.integers(p.exponent_max + 1)), p.exponent_max]))
        state = (exponent, width, int(rng.choice([0, p.patience - 1])), int(rng.integers(1, 65536)))
        golden.load(PrecisionState(*state))
        top = 1 << (p.input_width - 1)
        values = rng.integers(1, 2 + rng.integers(top - 1), p.window)
        if rng.random() < 0.5:
            values = np.maximum(values >> exponent << exponent, 1)
        if rng.random() < 0.5:
            values[0] = top - 1
        golden.quantize(values)
    return golden.found


def test_precision_controller(tmp_path: Path) -> None:
    """What a window asks for × exponent and width at their limits × what they do."""
    path = tmp_path / "coverage.json"
    parameters = PrecisionParameters(**CASES["search"])
    precision_bench(parameters, coverage=path)
    wanted = reachable_decisions(parameters)
    assert len(wanted) >= 20
    assert sorted(wanted - read(path)) == []
