"""Losses: errors of the last layer."""

from __future__ import annotations

import numpy as np
import pytest

from trisign.golden.loss import crammer_singer, squared_hinge
from trisign.golden.precision_controller import PrecisionController
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.trainer import Trainer, TrainerConfig
from trisign.golden.update_engine import UpdateEngine


@pytest.mark.parametrize(
    ("y", "label", "margin", "expected"),
    [
        ([5, 3, 1], 0, 2, None),
        ([5, 3, 1], 0, 3, [1, -1, 0]),
        ([5, 3, 1], 2, 1, [-1, 0, 1]),
        ([3, 3, 3], 1, 1, [-1, 1, 0]),  # lowest index on ties
        ([-7, -9, -8], 0, 2, [1, 0, -1]),
        ([-7, -9, -8], 0, 1, None),
    ],
)
def test_crammer_singer(y: list[int], label: int, margin: int, expected: list[int] | None) -> None:
    errors = crammer_singer(np.array(y), label, margin)
    assert (errors if errors is None else errors.tolist()) == expected


@pytest.mark.parametrize(
    ("y", "label", "margin", "expected"),
    [
        ([4, -4, -9], 0, 4, None),
        ([3, -4, -9], 0, 4, [1, 0, 0]),
        ([3, -3, 9], 0, 4, [1, -1, -13]),
        ([3, -3, 9], 2, 4, [-7, -1, 0]),
        ([0, 0, 0], 1, 1, [-1, 1, -1]),
    ],
)
def test_squared_hinge(y: list[int], label: int, margin: int, expected: list[int] | None) -> None:
    errors = squared_hinge(np.array(y), label, margin)
    assert (errors if errors is None else errors.tolist()) == expected


@pytest.mark.parametrize("seed", range(5))
def test_squared_hinge_runs_downhill(seed: int) -> None:
    """e = −∂/∂y of Σ max(0, M − T·y)² / 2, by the central difference, exact for a parabola."""
    rng = np.random.default_rng(seed)
    y, label, margin = 2 * rng.integers(-10, 11, 6) + 1, 2, 8  # no sum lies on a kink
    target = np.where(np.arange(6) == label, 1, -1)

    def loss(sums: np.ndarray) -> float:
        return float((np.maximum(0, margin - target * sums) ** 2).sum()) / 2

    slope = [(loss(y + step) - loss(y - step)) for step in 0.5 * np.eye(6)]
    errors = squared_hinge(y, label, margin)
    assert errors is not None
    assert errors.tolist() == [-s for s in slope]


def test_squared_hinge_through_two_layers() -> None:
    """By hand, with two rounding controllers that only halve: nearest, fixed exponent 1."""
    config = TrainerConfig(
        layers=(2, 3, 2),
        loss="squared_hinge",
        margin=6,
        threshold=0,
        window=(1, 0),
        confidence=(2, 0),
        gate_shift=0,
        precision=PrecisionParameters(
            width=4, exponent=1, dynamic_exponent=False, stochastic=False
        ),
    )
    trainer = Trainer(config)
    trainer.weights[0][...] = [[1, 0], [0, -1], [1, 1]]
    trainer.weights[1][...] = [[1, -1, 1], [0, -1, 1]]
    trainer.train_sample(np.array([1, 0], np.int8), 1)
    # z = (1, 0, 1), h = (1, 0, 1), y = (2, 1): e = (−8, 5), halved d = (−4, 3)
    # δ = −4·(1, −1, 1) + 3·(0, −1, 1) = (−4, 1, −1): |δ| > 2 leaves (−4, 0, 0), halved (−2, 0, 0)
    assert trainer.counters[1].tolist() == [[-1, 0, -1], [1, 0, 1]]
    assert trainer.counters[0].tolist() == [[-1, 0], [0, 0], [0, 0]]
    assert trainer.groups_drawn == 3
    # Of layer 0's six products x = (1, 0) leaves two, of layer 1's six h = (1, 0, 1) leaves three.
    assert trainer.resting == 4 + 3


class CheckedTrainer(Trainer):
    """Every updated row goes through an update engine as well."""

    rows = 0

    def update(self, layer: int, error: np.ndarray, x: np.ndarray) -> None:
        engine = UpdateEngine(self.config.update_parameters(layer))
        engine.configure(
            gate_shift=self.gate_shift[layer],
            shift=self.probability_shift if self.config.rule == "ema_dst" else 0,
        )
        engine.lfsr.state, engine.xorshift.state = self.lfsr.state, self.xorshift.state
        before = self.counters[layer].copy(), self.weights[layer].copy()
        super().update(layer, error, x)
        for row in np.flatnonzero(error):
            gradient = np.sign(error[row]) * x.astype(np.int64)
            updated = engine.process_row(gradient, before[0][row], before[1][row])
            assert (updated.momentum == self.counters[layer][row]).all()
            assert (updated.weight == self.weights[layer][row]).all()
            self.rows += 1
        assert engine.lfsr.state == self.lfsr.state
        assert engine.xorshift.state == self.xorshift.state


@pytest.mark.parametrize("loss", ["crammer_singer", "squared_hinge"])
@pytest.mark.parametrize("rule", ["counter", "ema_dst"])
def test_updates_are_those_of_the_update_engine(rule: str, loss: str) -> None:
    rng = np.random.default_rng(4)
    config = TrainerConfig(
        layers=(100, 40, 5),
        rule=rule,
        loss=loss,
        counter_width=4,
        rng_group=32,
        probability_shift=1,
    )
    trainer = CheckedTrainer(config)
    trainer.fit(rng.integers(-1, 2, (40, 100)), rng.integers(0, 5, 40), epochs=4)
    assert trainer.rows > 100
    assert trainer.sign_flips > 100


def test_each_layer_has_a_controller_of_its_own_seed_and_width() -> None:
    config = TrainerConfig(layers=(192, 64, 10), loss="squared_hinge", margin=16)
    trainer = Trainer(config, 5)
    assert [c.parameters.input_width for c in trainer.controllers] == [8, 8]  # ±70 and ±80
    for l, controller in enumerate(trainer.controllers):
        twin = PrecisionController(controller.parameters, 5 ^ (0x3C00 + l))
        assert controller.state == twin.state
