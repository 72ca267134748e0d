"""Bits of the weight and counter memories flipped in mid-training, as radiation flips them.

The core never hangs, and training recovers: what it learns in one more epoch makes good for one
stored bit in a hundred.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_trainer import HINGE, SMALL, run, write_vectors

from trisign.gen import data
from trisign.gen.config import load
from trisign.golden.compiled import fast_trainer
from trisign.golden.encoding import encode
from trisign.golden.trainer import Trainer as GoldenTrainer
from trisign.golden.trits import from_code, to_code

CONFIGURATION = "digits-icebreaker"
SHARE = 0.01
EPOCHS = 10
SAMPLES = (100, 400, 937)  # that follow each other; an epoch together
RECOVERED = 1.5  # points of accuracy; a test image is 0.28


def flip(trainer: GoldenTrainer, share: float, rng: np.random.Generator) -> int:
    """Flip ``share`` of all stored bits; how many."""
    flipped = 0
    for l, (weights, counters) in enumerate(zip(trainer.weights, trainer.counters, strict=True)):
        width = trainer.config.momentum_width(l)
        for array, bits in ((weights, 2), (counters, width)):
            hit = rng.random((*array.shape, bits)) < share
            masks = hit @ (1 << np.arange(bits))
            flipped += int(hit.sum())
            if array is weights:
                array[...] = from_code(to_code(array) ^ masks.astype(np.uint8))
            else:
                half = 1 << (width - 1)
                codes = (array.astype(np.int64) & (2 * half - 1)) ^ masks
                # The one code that no counter takes stands for its neighbour.
                array[...] = np.maximum((codes ^ half) - half, 1 - half)
    return flipped


def accuracies(seed: int, share: float = SHARE) -> list[float]:
    """Test accuracy before the upset, after it, and after each of ``SAMPLES`` more, in percent."""
    digits = data.load_digits()
    trainer = fast_trainer(load(CONFIGURATION).network, seed)
    train, labels = encode(digits.train_pixels), digits.train_labels.astype(np.int64)
    test = encode(digits.test_pixels)

    def accuracy() -> float:
        return 100 * float(np.mean(trainer.predict(test) == digits.test_labels))

    trainer.fit(train, labels, EPOCHS)
    found = [accuracy()]
    assert flip(trainer, share, np.random.default_rng(seed))
    found.append(accuracy())
    start = 0
    for count in SAMPLES:
        trainer.fit(train[start : start + count], labels[start : start + count])
        start += count
        found.append(accuracy())
    return found


def test_training_recovers() -> None:
    before, after, *_, recovered = np.mean([accuracies(seed) for seed in (1, 2)], axis=0)
    assert after < before
    assert recovered > before - RECOVERED


@pytest.mark.parametrize(
    "network",
    [pytest.param(SMALL, id="trits"), pytest.param(HINGE, id="integers", marks=pytest.mark.long)],
)
def test_the_core_never_hangs(tmp_path: Path, network: dict[str, Any]) -> None:
    """Upsets all through a run: it ends as ever, and a fresh start learns what golden learns."""
    hardware = {"lanes": 16, "store_samples": 12, "image": (4, 4)}
    vectors = write_vectors(tmp_path / "vectors.npz", 12, True)
    run(network, hardware, vectors, bench="trisign.sim.fault_bench")


if __name__ == "__main__":
    for percent in (0.1, 1, 5):
        mean = np.mean([accuracies(seed, percent / 100) for seed in range(1, 6)], axis=0)
        print(f"{percent} % of stored bits:", *(f"{value:.1f}" for value in mean))
