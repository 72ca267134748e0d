"""The compiled trainer equals the NumPy trainer: every bit of state after every epoch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from trisign.gen.data import load_digits
from trisign.golden import compiled, write_log
from trisign.golden.checks import TrisignError
from trisign.golden.compiled import CompiledTrainer, fast_trainer
from trisign.golden.encoding import encode
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer, TrainerConfig
from trisign.golden.write_log import RecordingTrainer

RULES = ("counter", "ema_dst")
LOSSES = ("crammer_singer", "squared_hinge")


def assert_equal_state(first: Trainer, second: Trainer) -> None:
    """Weights, counters, generators, controllers and counts."""
    one, two = first.state(), second.state()
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name], two[name]), name
        assert one[name].dtype == two[name].dtype, name


def random_config(rng: np.random.Generator, rule: str, loss: str) -> TrainerConfig:
    """One to four layers, everything away from its default, settings that change on the way."""
    depth = int(rng.integers(1, 5))
    layers = (*rng.integers(1, 70, depth).tolist(), int(rng.integers(2, 6)))

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.integers(low, high, depth).tolist())

    width = int(rng.integers(2, 6))
    exponent = int(rng.integers(0, 6))
    return TrainerConfig(
        layers=layers,
        rule=rule,
        loss=loss,
        margin=int(rng.integers(1, 12)),
        threshold=draw(0, 4),
        window=draw(1, 6),
        offset=draw(-2, 3),
        confidence=draw(0, 2),
        gradient_confidence=draw(0, 2) if loss == "squared_hinge" else 0,
        counter_width=draw(3, 10),
        gate_shift=draw(0, 3),
        rng_group=int(rng.integers(1, 3)) * 32 if rule == "ema_dst" else int(rng.integers(1, 40)),
        probability_shift=int(rng.integers(0, 3)),
        schedule=(
            (1, "gate_shift", draw(0, 3)),
            (1, "probability_shift", 3),
            (2, "margin", int(rng.integers(1, 20))),
        ),
        precision=PrecisionParameters(
            width=width,
            width_search=bool(rng.integers(2)),
            width_max=8,
            exponent=exponent,
            dynamic_exponent=bool(rng.integers(4)),
            window=int(rng.integers(8, 40)),
            stochastic=bool(rng.integers(4)),
            error_measure=str(rng.choice(["absolute", "sums"])),
            patience=int(rng.integers(1, 4)),
        ),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(12))
def test_random_networks(rule: str, loss: str, seed: int) -> None:
    rng = np.random.default_rng([seed, RULES.index(rule), LOSSES.index(loss)])
    config = random_config(rng, rule, loss)
    x = rng.integers(-1, 2, (60, config.layers[0]))
    labels = rng.integers(0, config.layers[-1], 60)
    plain, fast = Trainer(config, seed), CompiledTrainer(config, seed)
    for _ in range(4):
        plain.fit(x, labels)
        fast.fit(x, labels)
        assert_equal_state(plain, fast)
    assert (plain.predict(x) == fast.predict(x)).all()
    assert plain.groups_drawn > 0


def logged_samples(trainer: Any, x: np.ndarray, labels: np.ndarray, lanes: int) -> list[Any]:
    """What each sample of two epochs writes."""
    found = []
    for _ in range(2):
        for log in trainer.record_epoch(x, labels, lanes):
            found += [
                tuple(part[start:end].tolist() for part in log[1:])
                for start, end in itertools.pairwise(log.bounds)
            ]
        trainer.finish_epoch()
    return found


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_logs_of_random_networks(
    rule: str, loss: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each word that is written, in order; logs of several samples; training goes on after."""
    rng = np.random.default_rng([seed, RULES.index(rule), LOSSES.index(loss)])
    config = random_config(rng, rule, loss)
    x = rng.integers(-1, 2, (40, config.layers[0])).astype(np.int8)
    labels = rng.integers(0, config.layers[-1], 40)
    lanes = int(rng.choice([1, 4, 16, 64]))
    words = write_log.words_of_sample(config.shapes, lanes)
    monkeypatch.setattr(compiled, "LOG_BYTES", 7 * words * lanes * compiled.LOGGED_BYTES)
    plain, fast = RecordingTrainer(config, seed), CompiledTrainer(config, seed)
    expected = logged_samples(plain, x, labels, lanes)
    assert len(expected) == 80
    assert sum(len(places) for places, _, _ in expected) > 0
    assert logged_samples(fast, x, labels, lanes) == expected
    assert len(list(fast.record_epoch(x, labels, lanes))) == 6
    plain.fit(x, labels)
    fast.finish_epoch()
    assert_equal_state(plain, fast)


def test_log_of_one_sample() -> None:
    """Two words a row, the last with a lane beyond its end; the whole row is written."""
    config = TrainerConfig(layers=(3, 2), margin=100, gate_shift=0, counter_width=3)
    trainer = RecordingTrainer(config)
    trainer.weights[0][...] = 0
    (log,) = trainer.record_epoch(np.array([[1, 0, -1]], np.int8), np.array([0]), 2)
    assert log.bounds.tolist() == [0, 4]
    assert log.places.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert log.counters.tolist() == [[1, 0], [-1, 0], [-1, 0], [1, 0]]
    assert not log.weights.any()


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rule": "ema_dst", "gate_shift": 0},
        {"loss": "squared_hinge", "margin": 8},
        {"rule": "ema_dst", "loss": "squared_hinge", "margin": 8},
        {"layers": (192, 32, 32, 10), "counter_width": (9, 6, 5), "gate_shift": (0, 1, 2)},
    ],
)
def test_digits_from_the_store(options: dict[str, Any], shift: bool) -> None:
    data = load_digits()
    store = SampleStore(data.train_pixels[:200], data.train_labels[:200], image=(8, 8))
    config = TrainerConfig(**{"layers": (192, 32, 10)} | options)
    plain, fast = Trainer(config, 7), CompiledTrainer(config, 7)
    before = plain.shift_lfsr.state
    assert_equal_state(
        plain.fit_store(store, 2, shift=shift), fast.fit_store(store, 2, shift=shift)
    )
    assert (plain.shift_lfsr.state != before) == shift
    assert plain.sign_flips > 0


def test_epochs_and_single_samples_mix() -> None:
    data = load_digits()
    x, labels = encode(data.train_pixels[:50]), data.train_labels[:50]
    config = TrainerConfig(layers=(192, 16, 10), loss="squared_hinge")
    plain, fast = Trainer(config), CompiledTrainer(config)
    for trainer in (plain, fast):
        trainer.fit(x, labels)
        for sample, label in zip(x[:10], labels[:10], strict=True):
            trainer.train_sample(sample, int(label))
    assert_equal_state(plain, fast)


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_digits()
    x, labels = encode(data.train_pixels[:30]), data.train_labels[:30]
    config = TrainerConfig(layers=(192, 8, 10))
    fast = fast_trainer(config)
    assert type(fast) is CompiledTrainer
    monkeypatch.setattr(compiled, "kernel", None)
    with pytest.warns(UserWarning, match="^numba is missing"):
        slow = fast_trainer(config)
    assert type(slow) is Trainer
    with pytest.raises(TrisignError, match=r"^numba must be installed"):
        CompiledTrainer(config)
    monkeypatch.undo()
    assert_equal_state(slow.fit(x, labels), fast.fit(x, labels))
