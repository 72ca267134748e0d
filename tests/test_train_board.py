"""Training and predicting on a board, from the command line, on the simulated one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, Run

from trisign.fpga import train_board
from trisign.gen import config, data
from trisign.golden.encoding import encode
from trisign.golden.trainer import Trainer
from trisign.sim.train import TrainingRun


@pytest.fixture
def run(trisign: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run trisign in a folder that holds small.toml."""
    monkeypatch.setenv("TRISIGN_BUILD_DIR", str(Path("build").resolve()))
    (tmp_path / "small.toml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return trisign


@pytest.mark.parametrize("samples", [40, 70], ids=["in_the_store", "streamed"])
def test_the_board_equals_golden(run: Run, samples: int) -> None:
    """From reset to predictions over the serial line; then the same weights predict again."""
    code, out, err = run(
        "train", "small.toml", "--engine", "board", "--port", "sim", "--samples", str(samples),
        "--epochs", "2", "--shift", "--checkpoint", "run.npz", "--json",
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(out)
    assert record["equal"]
    assert record["board"]["predictions"] == data.DIGIT_TEST_SAMPLES
    assert record["epochs"] == 2
    assert record["samples_active"] > samples
    golden = run("train", "small.toml", "--samples", str(samples), "--epochs", "2", "--shift",
                 "--json")  # fmt: skip
    assert json.loads(golden[1])["digests"] == record["digests"]
    if samples == 40:
        code, out, err = run(
            "infer", "small.toml", "--port", "sim", "--checkpoint", "run.npz", "--samples", "50",
            "--out", "classes.npz", "--json",
        )  # fmt: skip
        assert code == 0, err
        told = json.loads(out)
        with np.load("run.npz") as state:
            trainer = Trainer(config.load("small.toml").network)
            for l, weights in enumerate(trainer.weights):
                weights[:] = state[f"state.weights_{l}"]
        digits = data.load_digits()
        expected = trainer.predict(encode(digits.test_pixels[:50]))
        assert told["classes"] == expected.tolist()
        assert told["accuracy"] == np.mean(expected == digits.test_labels[:50])
        with np.load("classes.npz") as written:
            assert written["y"].tolist() == expected.tolist()


def test_a_board_that_differs_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden model with one counter changed stands for a board with a fault."""
    fit = train_board.TrainingRun.save

    def tampered(self: TrainingRun) -> None:
        fit(self)
        if self.trainer.epochs_finished == 0:
            self.trainer.counters[0][3, 5] ^= 1

    monkeypatch.setattr(TrainingRun, "save", tampered)
    code, out, err = run(
        "train", "small.toml", "--engine", "board", "--port", "sim", "--samples", "5",
        "--epochs", "1",
    )  # fmt: skip
    assert code == 1, err
    assert "board differs from golden" in out
    assert "counters_0[3, 5]" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "board"], "port must be given with --engine board\n"),
        (["--port", "sim"], "port must be left out without --engine board, not 'sim'\n"),
        (["--engine", "board", "--port", ""], "port must not be empty\n"),
        (["--engine", "board", "--port", "/dev/nowhere"], "port /dev/nowhere cannot be opened"),
    ],
)
def test_bad_ports(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("train", "small.toml", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "sim"], "checkpoint must be given with port sim: a simulation begins empty"),
        (["--port", "sim", "--checkpoint", "none.npz"], "none.npz must be a readable checkpoint"),
        (["--port", "/dev/nowhere"], "port /dev/nowhere cannot be opened"),
        (["--port", ""], "port must not be empty\n"),
        (
            ["--port", "/dev/null", "--samples", "0"],
            "samples must be an integer from 1 to 360, not 0",
        ),
    ],
)
def test_bad_inference(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("infer", "small.toml", *arguments)
    assert (code, out) == (2, "")
    assert message in err
