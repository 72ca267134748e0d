"""State of the trainer: exported, refused where damaged, and resumed to the same bits."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from trisign.golden.checks import DataError, ParameterError
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer, TrainerConfig

CONFIGS: list[dict[str, Any]] = [
    {},
    {"counter_width": (9, 4), "gate_shift": (0, 2)},
    {"rule": "ema_dst", "schedule": ((2, "probability_shift", 6), (3, "gate_shift", 0))},
    {"loss": "squared_hinge", "margin": 5, "schedule": ((3, "margin", 9),)},
    {"loss": "squared_hinge", "precision": PrecisionParameters(width_search=True, window=16)},
]


def data() -> SampleStore:
    rng = np.random.default_rng(3)
    return SampleStore(
        rng.integers(0, 16, (60, 12)), rng.integers(0, 4, 60), image=(3, 4), planes=((3, 9),)
    )


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


@pytest.mark.parametrize("options", CONFIGS)
def test_resumed_equals_uninterrupted(options: dict[str, Any]) -> None:
    config, store = TrainerConfig(layers=(12, 10, 4), **options), data()
    whole = Trainer(config, 5).fit_store(store, 5, shift=True)
    half = Trainer(config, 5).fit_store(store, 2, shift=True)
    saved = {name: array.copy() for name, array in half.state().items()}
    half.fit_store(store, 1)  # what was saved is not touched by going on
    resumed = Trainer(config, 99)
    resumed.load_state(saved)
    assert equal(resumed.state(), saved)
    resumed.fit_store(store, 3, shift=True)
    assert equal(resumed.state(), whole.state())
    assert not equal(whole.state(), saved)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights_0", lambda a: a * 0 + 2, "weights_0[0][0] must be from -1 to 1, not 2"),
        ("weights_1", lambda a: a[:, 1:], "weights_1 must have shape (4, 10), not (4, 9)"),
        ("counters_1", lambda a: a * 0 + 32, "counters_1[0][0] must be from -31 to 31, not 32"),
        ("counters_0", lambda a: a / 2, "counters_0 must be an integer array, not float64"),
        ("lfsr", lambda a: a * 0, "lfsr must be from 1 to 65535, not 0"),
        ("shift_lfsr", lambda a: a * 0 + 65536, "shift_lfsr must be from 1 to 65535, not 65536"),
        ("xorshift", lambda a: a * 0, "xorshift must be from 1 to 4294967295, not 0"),
        ("controller_0", lambda a: a[:3], "controller_0 must have shape (4), not (3,)"),
        (
            "controller_1",
            lambda a: np.add(a, [0, 1, 0, 0]),
            "controller_1[1] must be from 4 to 4, not 5",
        ),
        (
            "controller_1",
            lambda a: np.add(a, [9, 0, 0, 0]),
            "controller_1[0] must be from 0 to 5, not ",
        ),
        (
            "samples_seen",
            lambda a: a * 0 - 1,
            f"samples_seen must be from 0 to {2**63 - 1}, not -1",
        ),
    ],
)
def test_damaged_state_changes_nothing(name: str, change: Any, message: str) -> None:
    config = TrainerConfig(layers=(12, 10, 4), loss="squared_hinge")
    saved = Trainer(config, 5).fit_store(data()).state()
    trainer = Trainer(config, 6)
    before = trainer.state()
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        trainer.load_state(saved | {name: change(saved[name])})
    assert equal(trainer.state(), before)


def test_missing_and_unknown_arrays() -> None:
    trainer = Trainer(TrainerConfig(layers=(12, 10, 4)))
    state = trainer.state()
    with pytest.raises(DataError, match=r"^state must hold nothing but .*, not 'weights_2'$"):
        trainer.load_state(state | {"weights_2": state["weights_1"]})
    del state["counters_1"]
    with pytest.raises(DataError, match=r"^state must hold 'counters_1', not only "):
        trainer.load_state(state)


def test_schedule_sets_what_an_epoch_trains_with() -> None:
    schedule = ((1, "margin", 7), (1, "gate_shift", (0, 2)), (3, "margin", 9))
    trainer = Trainer(TrainerConfig(layers=(12, 10, 4), margin=5, schedule=schedule))
    found = []
    for _ in range(4):
        found.append((trainer.margin, trainer.gate_shift))
        trainer.fit_store(data())
    assert found == [(5, (1, 1)), (7, (0, 2)), (7, (0, 2)), (9, (0, 2))]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (3, "schedule must list (epoch, name, value), not 3"),
        (((1, "margin"),), "schedule[0] must be (epoch, name, value), not (1, 'margin')"),
        (((1, "seed", 1),), "schedule[0].name must be one of 'margin', 'gate_shift', "),
        (((-1, "margin", 1),), "schedule[0].epoch must be an integer from 0 to 65535, not -1"),
        (
            ((4, "margin", 1), (2, "margin", 1)),
            "schedule[1].epoch must be an integer from 4 to 65535, not 2",
        ),
        (((1, "margin", 0),), "schedule[0].value must be an integer from 1 to 4095, not 0"),
        (((1, "gate_shift", 9),), "schedule[0].value must be an integer from 0 to 8, not 9"),
    ],
)
def test_wrong_schedule(schedule: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}"):
        TrainerConfig(schedule=schedule)
