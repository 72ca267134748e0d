"""The sample store: replay in order, and images moved by a pixel."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from trisign.golden.checks import DataError, ParameterError
from trisign.golden.encoding import encode
from trisign.golden.lfsr import Lfsr16
from trisign.golden.sample_store import SampleStore, shift_generator, shift_of
from trisign.golden.trainer import Trainer, TrainerConfig

IMAGE = [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("dy", "dx", "expected"),
    [
        (0, 0, [[1, 2, 3], [4, 5, 6]]),
        (1, 0, [[0, 0, 0], [1, 2, 3]]),
        (-1, 0, [[4, 5, 6], [0, 0, 0]]),
        (0, 1, [[0, 1, 2], [0, 4, 5]]),
        (0, -1, [[2, 3, 0], [5, 6, 0]]),
        (1, 1, [[0, 0, 0], [0, 1, 2]]),
        (-1, 1, [[0, 4, 5], [0, 0, 0]]),
        (1, -1, [[0, 0, 0], [2, 3, 0]]),
        (-1, -1, [[5, 6, 0], [0, 0, 0]]),
    ],
)
def test_moved_image(dy: int, dx: int, expected: list[list[int]]) -> None:
    store = SampleStore([IMAGE], [0], image=(2, 3))
    assert store.moved(dy, dx).reshape(2, 3).tolist() == expected


def test_shift_of_every_state() -> None:
    """Bytes 0 … 85, 86 … 170 and 171 … 255 mean −1, 0 and +1; the low byte is dy."""

    def third(byte: int) -> int:
        return -1 if byte <= 85 else 0 if byte <= 170 else 1

    for state in range(1 << 16):
        assert shift_of(state) == (third(state % 256), third(state // 256))


@pytest.mark.parametrize("seed", [0, 1, 0x5A5A, 0x15A5A, 2**32 - 1])
def test_generator_has_a_seed_of_its_own(seed: int) -> None:
    assert shift_generator(seed).state == Lfsr16((seed ^ 0x5A5A) % 65536).state


def test_epoch_moves_each_image_after_sixteen_steps() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 16, (50, 12))
    store = SampleStore(pixels, np.zeros(50, int), image=(3, 4))
    generator, other = shift_generator(9), shift_generator(9)
    for _ in range(2):
        trits = store.epoch(generator)
        for k in range(50):
            for _ in range(16):
                other.step()
            dy, dx = shift_of(other.state)
            padded = np.pad(pixels[k].reshape(3, 4), 1)
            moved = padded[1 - dy : 4 - dy, 1 - dx : 5 - dx].reshape(1, 12)
            assert (trits[k] == encode(moved)[0]).all()
    assert generator.state == other.state


def test_replay_is_plain_training() -> None:
    rng = np.random.default_rng(1)
    pixels, labels = rng.integers(0, 16, (40, 9)), rng.integers(0, 3, 40)
    config = TrainerConfig(layers=(27, 8, 3))
    stored, plain = Trainer(config), Trainer(config)
    stored.fit_store(SampleStore(pixels, labels), 3)
    plain.fit(encode(pixels), labels, 3)
    for name, array in plain.state().items():
        assert np.array_equal(stored.state()[name], array), name


def test_shifts_are_spread() -> None:
    """Nine shifts at (86 or 85)²/2^16 each: the whole period of the generator holds them all."""
    generator, seen = Lfsr16(1), dict.fromkeys(product((-1, 0, 1), repeat=2), 0)
    for _ in range(65535):
        seen[shift_of(generator.step())] += 1
    widths = {-1: 86, 0: 85, 1: 85}
    expected = {(dy, dx): widths[dy] * widths[dx] for dy, dx in seen}
    expected[-1, -1] -= 1  # the state zero does not occur
    assert seen == expected


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[1, 256]], [0]), {}, "pixels[0][1] must be from 0 to 255, not 256"),
        (([[1, 2]], [-1]), {}, "labels[0] must be from 0 to 2147483647, not -1"),
        (([[1, 2]], [0, 1]), {}, "labels must have shape (1), not (2,)"),
        ((np.zeros((0, 4), int), []), {}, "pixels must hold at least one sample, not 0"),
        (([[1, 2]], [0]), {"image": (2, 2)}, "pixels must have 2 × 2 = 4 a sample, not 2"),
    ],
)
def test_wrong_data(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        SampleStore(*arguments, **options)


def test_shift_needs_an_image() -> None:
    store = SampleStore(np.zeros((2, 9), int), [0, 1])
    trainer = Trainer(TrainerConfig(layers=(27, 3)))
    before = trainer.state()
    with pytest.raises(ParameterError, match=r"^image must be a pair \(height, width\)"):
        trainer.fit_store(store, shift=True)
    assert all(np.array_equal(before[name], array) for name, array in trainer.state().items())
