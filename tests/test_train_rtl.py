"""``trisign train --engine rtl`` at the sizes that matter: short cuts, and whole runs (-m long)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisign.__main__ import main
from trisign.gen import data

HARDWARE = """\
lanes = 64
counter_lanes = 64
structure = "compact"
store_samples = 1437
image = [8, 8]
"""
DIGITS = f"""\
[design]
board = "ulx3s_85f"
[network]
layers = [192, 64, 10]
margin = 16
[hardware]
{HARDWARE}"""
# The network of the nine-shift target.
WIDE = f"""\
[design]
board = "ulx3s_85f"
[network]
layers = [192, 512, 10]
margin = 48
threshold = 3
window = 7
counter_width = 7
gate_shift = 0
[hardware]
{HARDWARE}"""
# 4×4 images; errors of three bits at first, and a controller with little to go by.
PRECISION = """\
[design]
board = "ulx3s_85f"
[network]
layers = [48, 12, 10]
loss = "squared_hinge"
rng_group = 16
margin = 6
threshold = [2, 0]
window = 4
counter_width = 4
[network.precision]
width = 3
width_search = true
width_max = 6
window = 24
error_measure = "sums"
patience = 2
[hardware]
lanes = 16
structure = "compact"
store_samples = 30
"""


def trained(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, design: str, *arguments: str
) -> dict[str, Any]:
    """The record of a run; RTL must equal golden throughout."""
    path = tmp_path / "design.toml"
    path.write_text(design)
    code = main(["train", str(path), "--json", "--quiet", *arguments])
    out, err = capfd.readouterr()
    assert code == 0, out + err
    return json.loads(out)


def check_equal(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, design: str, *arguments: str
) -> dict[str, Any]:
    """The same run in both engines; the record of the one in RTL."""
    golden = trained(capfd, tmp_path, design, *arguments)
    rtl = trained(capfd, tmp_path, design, *arguments, "--engine", "rtl")
    for name in ("digests", "generators", "train_accuracy", "test_accuracy", "groups_written"):
        assert rtl[name] == golden[name], name
    assert rtl["equal"] is True
    assert rtl["groups_written"] > 0
    assert rtl["rtl"]["writes_compared"] >= rtl["groups_written"]
    return rtl


def test_digits(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check_equal(capfd, tmp_path, DIGITS, "--epochs", "2", "--samples", "200")


def test_wide_with_shifts(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check_equal(capfd, tmp_path, WIDE, "--epochs", "1", "--samples", "40", "--shift")


def test_precision_of_ones_own(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    digits = data.load_digits()
    pixels = digits.train_pixels[:30].reshape(30, 4, 2, 4, 2).mean(axis=(2, 4)).astype(np.uint8)
    np.savez(tmp_path / "small.npz", x=pixels.reshape(30, 16), y=digits.train_labels[:30])
    arguments = ("--data", str(tmp_path / "small.npz"), "--epochs", "2", "--simulator", "icarus")
    check_equal(capfd, tmp_path, PRECISION, *arguments)


@pytest.mark.long
def test_digits_25_epochs(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record = check_equal(capfd, tmp_path, DIGITS, "--epochs", "25")
    rtl = record["rtl"]
    assert rtl["cycles_over_forward"] <= 1.25
    assert rtl["cycles_per_cpu_second"] >= 100_000


@pytest.mark.long
def test_wide_with_shifts_2000_samples(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check_equal(capfd, tmp_path, WIDE, "--epochs", "2", "--samples", "1000", "--shift")
