"""What convolutional networks must reach on digits, trained with random shifts: final epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trisign.gen.data import load_digits
from trisign.golden.compiled import CompiledTrainer
from trisign.golden.encoding import encode
from trisign.golden.layers import Conv, Dense
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import TrainerConfig

COMMON: dict[str, Any] = {"input_shape": (8, 8, 3), "counter_width": 7, "gate_shift": 0}
TWO = TrainerConfig(
    layers=(Conv(32, padding=-1), Conv(64, pool=2), Dense(10)),
    threshold=(1, 3, 0),
    window=(4, 5, 0),
    offset=(1, 4, 0),
    margin=64,
    **COMMON,
)
THREE = TrainerConfig(
    layers=(Conv(32, padding=-1), Conv(32, pool=2), Conv(64, pool=2), Dense(10)),
    threshold=(1, 4, 4, 0),
    window=(4, 6, 6, 0),
    offset=(1, 4, 5, 0),
    margin=32,
    **COMMON,
)

# Counters two bits wider, which first move in steps of 8.
SLOWING = replace(
    THREE,
    counter_width=9,
    counter_increment=8,
    schedule=(
        (30, "counter_increment", 4),
        (100, "counter_increment", 2),
        (160, "counter_increment", 1),
    ),
)


def accuracy(config: TrainerConfig, seed: int, epochs: int) -> tuple[float, float]:
    """Per cent of the test digits, plain and mean of all nine shifts."""
    data = load_digits()
    store = SampleStore(data.train_pixels, data.train_labels, image=(8, 8), channel_last=True)
    test = SampleStore(data.test_pixels, data.test_labels, image=(8, 8))
    trainer = CompiledTrainer(config, seed).fit_store(store, epochs, shift=True)
    found = [
        100 * np.mean(trainer.predict(encode(test.moved(dy, dx), channel_last=True)) == test.labels)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    print(f"seed {seed}: plain {found[4]:.2f} %, nine shifts {np.mean(found):.2f} %", flush=True)
    return float(found[4]), float(np.mean(found))


@pytest.mark.parametrize("config", [TWO, THREE], ids=["two", "three"])
def test_ten_epochs(config: TrainerConfig) -> None:
    """Already above what dense networks reach without shifts in 25."""
    plain, nine = accuracy(config, 1, 10)
    assert plain >= 97
    assert nine >= 93


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "seeds", "wanted_plain", "wanted_nine"),
    # Seeds of THREE differ by up to 2.5 points: three of them decide little (1 to 3: 98.796).
    [(TWO, 3, 99.0, 98.2), (THREE, 8, 98.8, 98.3), (SLOWING, 3, 99.2, 98.7)],
    ids=["two", "three", "three, slowing counters"],
)
def test_two_hundred_epochs(
    config: TrainerConfig, seeds: int, wanted_plain: float, wanted_nine: float
) -> None:
    """Means of the seeds from 1 on."""
    found = [accuracy(config, seed, 200) for seed in range(1, seeds + 1)]
    plain, nine = np.mean(found, axis=0)
    assert plain >= wanted_plain
    assert nine >= wanted_nine
