"""The cycles that ``estimate`` tells, beside those that simulated RTL takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisign.__main__ import main
from trisign.gen import config
from trisign.gen.data import load_digits
from trisign.gen.training_cycles import measure_activity
from trisign.golden.encoding import encode
from trisign.golden.trainer import Trainer

AGREEMENT = 0.05
SAMPLES = 40

CASES = {
    "wide": "[network]\nlayers = [192, 24, 10]\nrng_group = 32\n[hardware]\nlanes = 64",
    # The forward pass takes longer than loading: the next sample begins before the last layer.
    "ahead": "[network]\nlayers = [192, 72, 10]\nmargin = 4\n[hardware]\nlanes = 64",
    "rows": "[network]\nlayers = [192, 40, 10]\n[hardware]\nlanes = 32\nrows = 2\n"
    "memory_register = true\npipeline = [4]",
    "narrow": "[network]\nlayers = [192, 24, 10]\nrng_group = 32\n[hardware]\nlanes = 32\n"
    'counter_lanes = 4\nsingle_port = ["counters", "samples"]',
    "deep": "[network]\nlayers = [192, 24, 16, 10]\nthreshold = [4, 2, 0]\nrng_group = 16\n"
    "[hardware]\nlanes = 16",
    "hinge": '[network]\nlayers = [192, 24, 10]\nloss = "squared_hinge"\nmargin = 8\n'
    "confidence = 1\nrng_group = 32\n[hardware]\nlanes = 32",
}


def estimate_and_rtl(
    folder: Path, capfd: pytest.CaptureFixture[str], sections: str, samples: int
) -> dict[str, Any]:
    """The command's estimate of a short run, held against its RTL on Icarus; the estimate."""
    digits = load_digits()
    few = folder / "few.npz"
    np.savez(few, x=digits.train_pixels[:samples], y=digits.train_labels[:samples])
    design = folder / "case.toml"
    design.write_text(f'[design]\nboard = "icebreaker"\n{sections}\nstore_samples = {samples}\n')
    given = [str(design), "--data", str(few), "--epochs", "1", "--json"]
    assert main(["estimate", *given]) == 0
    estimated: dict[str, Any] = json.loads(capfd.readouterr().out)["training"]
    assert main(["train", *given, "--engine", "rtl", "--simulator", "icarus", "--quiet"]) == 0
    measured = json.loads(capfd.readouterr().out)["rtl"]
    assert abs(estimated["cycles_a_sample"] / measured["cycles_per_sample"] - 1) < AGREEMENT
    predicted = measured["prediction_cycles_per_sample"]
    assert abs(estimated["prediction_cycles"] / predicted - 1) < AGREEMENT
    return estimated


@pytest.mark.parametrize("case", CASES)
def test_cycles_agree_with_rtl(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nearly all samples active: what the estimate has to get right."""
    estimate_and_rtl(tmp_path, capfd, CASES[case], SAMPLES)


def test_activity_is_what_golden_did() -> None:
    """Counted again from the NumPy model, sample by sample."""
    network = config.parse(f'[design]\nboard = "icebreaker"\n{CASES["wide"]}').network
    digits = load_digits()
    x, y = encode(digits.train_pixels[:40]), digits.train_labels[:40]
    found = measure_activity(network, x, y, lanes=64, epochs=2)
    rows = [0, 0]

    class Counting(Trainer):
        def update(self, layer: int, error: np.ndarray, x: np.ndarray) -> None:
            rows[layer] += int(np.count_nonzero(error))
            super().update(layer, error, x)

    golden = Counting(network).fit(x, y, 2)
    assert found.rows == tuple(rows)
    assert (found.samples, found.active) == (80, golden.samples_active)
