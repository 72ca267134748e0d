"""``trisign train`` and ``infer`` on a model of a board behind a serial port."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, Run
from test_host import serve

from trisign.fpga import host
from trisign.fpga.transport import FileTransport
from trisign.gen import config, data
from trisign.golden.encoding import encode
from trisign.golden.trainer import Trainer
from trisign.sim.model_board import ModelBoard


@pytest.fixture
def run(trisign: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run trisign in a folder that holds small.toml."""
    (tmp_path / "small.toml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return trisign


@pytest.fixture
def port(run: Run) -> Iterator[str]:
    ours, theirs = os.openpty()
    FileTransport(theirs)
    model = ModelBoard(config.load("small.toml"))
    threading.Thread(target=serve, args=(model, ours), daemon=True).start()
    yield os.ttyname(theirs)
    os.close(theirs)
    os.close(ours)


def few(path: str, count: int, **more: np.ndarray) -> str:
    digits = data.load_digits()
    np.savez(path, x=digits.train_pixels[:count], **more)  # type: ignore[arg-type]
    return path


def test_training_goes_on_where_it_stopped(run: Run, port: str) -> None:
    common = ("train", "small.toml", "--samples", "40", "--checkpoint", "run.npz")
    board = ("--engine", "board", "--port", port)
    code, out, err = run(*common, *board, "--epochs", "1")
    assert code == 0, err
    assert f"board on {port} equals golden: all it holds after each epoch, 360 predictions" in out
    assert "cycles a sample" in out
    code, out, err = run(*common, *board, "--epochs", "3", "--resume", "--json")
    assert code == 0, err
    golden = run("train", "small.toml", "--samples", "40", "--epochs", "3", "--json")
    assert json.loads(out)["digests"] == json.loads(golden[1])["digests"]


def test_nothing_to_predict(run: Run, port: str) -> None:
    labels = data.load_digits().train_labels[:20]
    code, out, err = run(
        "train", "small.toml", "--engine", "board", "--port", port, "--epochs", "1",
        "--data", few("few.npz", 20, y=labels), "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["board"]["predictions"] == 0


def test_a_prediction_that_differs(run: Run, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = host.Board.predict

    def off_by_one(self: host.Board, pixels: np.ndarray) -> np.ndarray:
        return (predict(self, pixels) + 1) % 10

    monkeypatch.setattr(host.Board, "predict", off_by_one)
    code, out, _ = run(
        "train", "small.toml", "--engine", "board", "--port", port, "--samples", "5",
        "--epochs", "1", "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert (code, told["equal"]) == (1, False)
    assert told["difference"].startswith("prediction of test sample 0: golden ")


def test_too_many_samples_for_a_loss_of_integers(run: Run) -> None:
    Path("hinge.toml").write_text(SMALL.replace("rng_group", 'loss = "squared_hinge"\nrng_group'))
    code, out, err = run("train", "hinge.toml", "--engine", "board", "--port", "sim",
                         "--samples", "41")  # fmt: skip
    assert (code, out) == (2, "")
    assert err == (
        "trisign: error: samples must be from 1 to 40 (hardware.store_samples) with network.loss "
        "'squared_hinge', not 41\n"
    )


def test_inference(run: Run, port: str) -> None:
    digits = data.load_digits()
    trainer = Trainer(config.load("small.toml").network, 1)
    trained = run(
        "train", "small.toml", "--samples", "40", "--epochs", "2", "--checkpoint", "w.npz"
    )
    assert trained[0] == 0
    with np.load("w.npz") as state:
        for l, weights in enumerate(trainer.weights):
            weights[:] = state[f"state.weights_{l}"]
    expected = trainer.predict(encode(digits.train_pixels[:9]))
    command = ("infer", "small.toml", "--port", port)
    code, out, err = run(*command, "--data", few("x.npz", 9), "--checkpoint", "w.npz")
    assert (code, out) == (0, " ".join(map(str, expected)) + "\n"), err
    # The board keeps its weights; labels give an accuracy.
    labels = digits.train_labels[:9]
    code, out, err = run(*command, "--data", few("xy.npz", 9, y=labels), "--out", "classes.npz")
    assert code == 0, err
    assert out.splitlines()[1] == f"accuracy {100 * np.mean(expected == labels):.2f} % of 9"
    with np.load("classes.npz") as written:
        assert written["y"].tolist() == expected.tolist()
    code, out, err = run(*command, "--data", "xy.npz", "--json", "--samples", "4")
    assert json.loads(out)["classes"] == expected[:4].tolist(), err


def test_classes_take_nobodys_place(run: Run) -> None:
    """Refused before a sample is read or the port is opened."""
    Path("xy.npz").write_bytes(b"no samples")
    Path("link.npz").symlink_to("xy.npz")
    Path("design.npz").write_text(SMALL)
    files = ("--data", "xy.npz", "--checkpoint", "w.npz")
    for out, message in (
        ("/dev/null", "be a file that can be written, not /dev/null: it is no regular file"),
        (".", "be a file that can be written, not .: it is a folder"),
        ("no/classes.npz", "be a file that can be written, not no/classes.npz: there is no fol"),
        ("classes.txt", "be a file whose name ends in .npz, not classes.txt"),
        ("", "not be empty"),
        ("./xy.npz", "be another file than data, not ./xy.npz"),
        ("link.npz", "be another file than data, not link.npz"),
        ("w.npz", "be another file than checkpoint, not w.npz"),
        ("design.npz", "be another file than the configuration, not design.npz"),
    ):
        code, told, err = run("infer", "design.npz", "--port", "/dev/null", *files, "--out", out)
        assert (code, told) == (2, "")
        assert err.startswith(f"trisign: error: out must {message}")
        assert err.count("\n") == 1
    assert Path("xy.npz").read_bytes() == b"no samples"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3, int)}, "bad.npz: x must be an array of the file"),
        ({"x": np.zeros((0, 64), int)}, "bad.npz: x must hold at least one sample, not 0"),
        ({"x": np.full((2, 64), 99)}, "bad.npz: x[0][0] must be from 0 to 15, not 99"),
        (
            {"x": np.zeros((2, 64), int), "y": np.array([0, 10])},
            "bad.npz: y[1] must be from 0 to 9, not 10",
        ),
    ],
)
def test_files_that_hold_no_samples(run: Run, arrays: dict, message: str) -> None:
    np.savez("bad.npz", **arrays)
    code, out, err = run(
        "infer", "small.toml", "--port", "sim", "--checkpoint", "none.npz", "--data", "bad.npz"
    )
    assert (code, out, err) == (2, "", f"trisign: error: {message}\n")
