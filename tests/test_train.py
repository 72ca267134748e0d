"""``trisign train``: both engines, interruptions, checkpoints that do not fit, and bad data."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run

from trisign.gen import config, data, training_set
from trisign.golden import checkpoint, compiled
from trisign.golden.checks import DataError
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer
from trisign.sim import train_rtl
from trisign.sim.runner import BUILD_DIR_VARIABLE
from trisign.sim.train import digest

# Narrow counters, so that weights step after a few samples already.
TINY = """\
[design]
board = "icebreaker"
[network]
layers = [192, 16, 10]
margin = 8
counter_width = 3
schedule = [[1, "margin", 6], [1, "gate_shift", [0, 1]]]
[hardware]
lanes = 64
structure = "compact"
store_samples = 40
image = [8, 8]
"""
WEIGHTS = 192 * 16 + 16 * 10
FEW = ("--samples", "200", "--quiet", "--json")


@pytest.fixture
def run(trisign: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``trisign train`` in a folder that holds tiny.toml."""
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return partial(trisign, "train")


def trained(run: Run, *arguments: str) -> dict[str, Any]:
    """The record of a run that must succeed, less what differs from run to run."""
    code, out, err = run(*arguments)
    assert code == 0, err
    record = json.loads(out)
    for name in ("seconds", "epoch_seconds", "resumed_from"):
        del record[name]
    return record


def check_refused(run: Run, message: str, *arguments: str) -> None:
    """Exit 2 and one line that matches; no file appears, disappears or changes."""
    before = {path: path.read_bytes() for path in Path.cwd().iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"trisign: error: {message}.*\n", err), err
    assert {path: path.read_bytes() for path in Path.cwd().iterdir()} == before


# The golden engine


@pytest.mark.parametrize("shift", [False, True])
def test_three_epochs_equal_the_trainer_itself(run: Run, shift: bool) -> None:
    arguments = ["tiny.toml", "--epochs", "3", "--seed", "5", *FEW, *["--shift"] * shift]
    record = trained(run, *arguments)
    digits = data.load_digits()
    design = config.load("tiny.toml")
    trainer = Trainer(design.network, seed=5)
    store = SampleStore(digits.train_pixels[:200], digits.train_labels[:200], image=(8, 8))
    hits, active, steps, tests = [], [], [], []
    test = SampleStore(digits.test_pixels, digits.test_labels).epoch()
    for _ in range(3):
        before = trainer.correct, trainer.samples_active, trainer.sign_flips
        trainer.fit_store(store, shift=shift)
        hits.append((trainer.correct - before[0]) / 200)
        active.append((trainer.samples_active - before[1]) / 200)
        steps.append((trainer.sign_flips - before[2]) / WEIGHTS)
        tests.append(float(np.mean(trainer.predict(test) == digits.test_labels)))
    assert record["train_accuracy"] == hits
    assert record["active_share"] == active
    assert record["flip_ratio"] == steps
    assert record["test_accuracy"] == tests
    assert record["final_test_accuracy"] == tests[-1]
    assert record["digests"]["weights"] == [digest(w) for w in trainer.weights]
    assert record["digests"]["counters"] == [digest(c) for c in trainer.counters]
    assert record["generators"]["lfsr"] == trainer.lfsr_state
    assert record["generators"]["shift_lfsr"] == trainer.shift_lfsr.state
    assert record["groups_written"] == trainer.groups_written
    assert (record["engine"], record["seed"], record["epochs"]) == ("golden", 5, 3)
    assert record["configuration_sha256"] == config.configuration_hash(design)


def test_digest_of_the_specification(run: Run) -> None:
    """The first 300 digits of section 4, with the default parameters of a network."""
    Path("defaults.toml").write_text('[design]\nboard = "icebreaker"\n')
    record = trained(run, "defaults.toml", "--epochs", "1", "--samples", "300", "--json")
    assert record["digests"] == {
        "weights": ["9460995e2cdb2455", "f4d80f14483bf2b8"],
        "counters": ["77642fc8d1e39c00", "90f2555730aaaebf"],
    }
    assert (record["groups_written"], record["generators"]["lfsr"]) == (14330, 10317)


def test_digits_are_learnt(run: Run) -> None:
    record = trained(run, "digits-icebreaker", "--epochs", "5", "--json", "--quiet")
    assert record["final_test_accuracy"] > 0.94
    assert record["active_share"] == sorted(record["active_share"], reverse=True)


def test_progress_and_summary_are_plain_lines(run: Run) -> None:
    code, out, err = run("tiny.toml", "--epochs", "2", "--samples", "50")
    assert code == 0
    number = r"[\d.,]+"
    for epoch, line in enumerate(err.splitlines(), 1):
        assert re.fullmatch(
            f"epoch {epoch}/2: training error {number} %, active {number} %, "
            f"test accuracy {number} %, {number} samples/s",
            line,
        )
    assert epoch == 2
    assert "2 epochs on 50 samples of digits, seed 1" in out
    assert run("tiny.toml", "--epochs", "1", "--samples", "50", "--quiet")[2] == ""


def test_numpy_trains_where_numba_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("tiny.toml", "--epochs", "1", "--samples", "40", "--json")
    expected = trained(run, *arguments, "--quiet")
    monkeypatch.setattr(compiled, "kernel", None)
    code, out, err = run(*arguments)
    assert code == 0
    assert err.splitlines()[0] == "numba is missing: training with NumPy, which takes far longer"
    assert json.loads(out)["digests"] == expected["digests"]
    assert (expected["compiled"], json.loads(out)["compiled"]) == (True, False)


def test_plot_and_folder(run: Run) -> None:
    from matplotlib.image import imread

    record = trained(
        run, "tiny.toml", "--epochs", "2", *FEW, "--plot", "curve.png", "--out", "result"
    )
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    image = imread("curve.png")
    assert min(image.shape[:2]) > 300
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 20
    assert sorted(path.name for path in Path("result").iterdir()) == [
        "checkpoint.npz", "learning_curve.png", "manifest.json", "record.json",
    ]  # fmt: skip
    kept = json.loads(Path("result/record.json").read_text())
    assert kept["digests"] == record["digests"]
    longer = trained(
        run, "tiny.toml", "--epochs", "3", *FEW, "--checkpoint", "result/checkpoint.npz", "--resume"
    )
    assert longer == trained(run, "tiny.toml", "--epochs", "3", *FEW)


# Interruptions


def test_interrupted_run_goes_on_to_the_same_bits(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("tiny.toml", "--epochs", "5", "--shift", *FEW)
    expected = trained(run, *common)
    arguments = (*common, "--checkpoint", "run.npz")
    epochs = iter(range(5))
    train_epoch = compiled.CompiledTrainer.train_epoch

    def interrupted(self: Any, samples: np.ndarray, labels: np.ndarray) -> None:
        if next(epochs) == 3:
            train_epoch(self, samples[:77], labels[:77])
            raise KeyboardInterrupt
        train_epoch(self, samples, labels)

    with monkeypatch.context() as patch:
        patch.setattr(compiled.CompiledTrainer, "train_epoch", interrupted)
        code, _, err = run(*arguments)
    assert (code, err) == (130, "trisign: interrupted\n")
    assert trained(run, *arguments, "--resume") == expected
    # Nothing is left to do: the same again.
    assert trained(run, *arguments, "--resume") == expected


def test_killed_run_goes_on_to_the_same_bits(run: Run) -> None:
    command = [sys.executable, "-m", "trisign", "train", "tiny.toml", "--samples", "200"]
    with subprocess.Popen(
        [*command, "--epochs", "60000", "--checkpoint", "run.npz"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 4/"):
                break
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    with np.load("run.npz") as file:
        epochs = int(file["state.epochs_finished"])
    assert epochs >= 3
    arguments = ("tiny.toml", "--epochs", str(epochs + 2), *FEW)
    resumed = trained(run, *arguments, "--checkpoint", "run.npz", "--resume")
    assert resumed == trained(run, *arguments)


def test_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    state = {"weights_0": np.zeros((2, 3), np.int8)}
    checkpoint.save(path, state, identity={"seed": 1}, history=[{"a": 1}])
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"must be a file that can be written, .*: No space left"):
        checkpoint.save(path, {}, identity={"seed": 2}, history=[])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    loaded = checkpoint.load(path, identity={"seed": 1})
    assert loaded.history == [{"a": 1}]
    assert loaded.state["weights_0"].shape == (2, 3)


# Checkpoints that do not fit


@pytest.fixture
def kept(run: Run) -> Path:
    """run.npz, a checkpoint after one epoch."""
    trained(run, "tiny.toml", "--epochs", "1", *FEW, "--checkpoint", "run.npz")
    return Path("run.npz")


def flip(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def test_damaged_checkpoints_are_refused_and_stay(run: Run, kept: Path) -> None:
    content = kept.read_bytes()
    with np.load(kept) as file:
        arrays = dict(file)
    for damaged in (b"", b"nonsense", content[: len(content) // 2], content[:-3], flip(content)):
        kept.write_bytes(damaged)
        refuse_resume(run, "run.npz must be a readable checkpoint: ")
    for change, message in (
        ({"header": np.zeros(9, np.uint8)}, ""),
        ({"header": np.frombuffer(b"[]", np.uint8)}, "its header has no 'format'"),
        ({"state.weights_0": arrays["state.weights_0"] + 3}, r"weights_0\[\d+\]\[\d+\] must be "),
        ({"state.lfsr": np.array(0)}, "lfsr must be from 1 to 65535, not 0"),
        ({"state.more": np.array(0)}, "state must hold nothing but"),
        ({"state.epochs_finished": np.array(2)}, "its state is that after 2 epochs, its history"),
    ):
        np.savez(kept, **(arrays | change))  # type: ignore[arg-type]
        refuse_resume(run, f"run.npz must be a readable checkpoint: {message}")
    del arrays["state.counters_1"]
    np.savez(kept, **arrays)
    refuse_resume(run, "run.npz must be a readable checkpoint: state must hold 'counters_1'")
    np.savez(kept, x=PIXELS, y=LABELS)
    refuse_resume(run, "run.npz must be a readable checkpoint: it has no array 'header', which ev")
    with kept.open("wb") as array_file:
        np.save(array_file, np.zeros(3))
    refuse_resume(run, "run.npz must be a readable checkpoint: a single array")
    kept.unlink()
    refuse_resume(run, "run.npz must be a readable checkpoint: No such file or directory")


def refuse_resume(run: Run, message: str, *more: str) -> None:
    arguments = ("tiny.toml", "--epochs", "2", *FEW, "--checkpoint", "run.npz", "--resume", *more)
    check_refused(run, message, *arguments)


def test_checkpoint_of_another_run_is_refused_and_stays(run: Run, kept: Path) -> None:
    own = "run.npz must be a checkpoint of"
    refuse_resume(run, f"{own} seed 2, not 1", "--seed", "2")
    refuse_resume(run, f"{own} shift True, not False", "--shift")
    refuse_resume(run, f"{own} data [0-9a-f]{{16}}, not [0-9a-f]{{16}}", "--samples", "199")
    refuse_resume(run, "epochs must be an integer from 1 to 65535, not 0", "--epochs", "0")
    Path("tiny.toml").write_text(TINY.replace("margin = 8", "margin = 9"))
    refuse_resume(run, f"{own} configuration [0-9a-f]{{64}}, not [0-9a-f]{{64}}")


def test_checkpoint_is_not_overwritten_or_shortened(run: Run, kept: Path) -> None:
    arguments = ("tiny.toml", *FEW, "--checkpoint", "run.npz")
    check_refused(run, "checkpoint run.npz exists: go on from it with --resume", *arguments)
    trained(run, *arguments, "--epochs", "3", "--resume")
    check_refused(
        run, "epochs must be 3 or more, those that run.npz has finished, not 2",
        *arguments, "--epochs", "2", "--resume",
    )  # fmt: skip


# Bad input

PIXELS = np.zeros((10, 64), np.uint8)
LABELS = np.arange(10)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": PIXELS[:, :63], "y": LABELS}, r"x must have shape \(any, 64\), not \(10, 63\)"),
        ({"x": PIXELS, "y": LABELS + 1}, r"y\[9\] must be from 0 to 9, not 10"),
        ({"x": PIXELS, "y": LABELS[:9]}, r"y must have shape \(10\), not \(9,\)"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, "x must hold at least one sample, not 0"),
        ({"x": PIXELS + 16, "y": LABELS}, r"x\[0\]\[0\] must be from 0 to 15, not 16"),
        ({"x": PIXELS / 2, "y": LABELS}, "x must be an integer array, not float64"),
        ({"x": PIXELS}, "y must be an array of the file, which holds x"),
    ],
)
def test_bad_data(run: Run, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez("bad.npz", **arrays)  # type: ignore[arg-type]
    np.savez("good.npz", x=PIXELS, y=LABELS)
    check_refused(run, f"bad.npz: {message}", "tiny.toml", "--data", "bad.npz")
    check_refused(
        run, f"bad.npz: {message}", "tiny.toml", "--data", "good.npz", "--test", "bad.npz"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "none.npz"), "none.npz must be a readable .npz file"),
        (("--test-fraction", "0.2"), "test_fraction must be left out: digits has a fixed split"),
        (("--samples", "0"), "samples must be an integer from 1 to "),
        (("--samples", "1438"), "samples must be from 1 to 1437, those of digits to train on, not"),
        (("--epochs", "0"), "epochs must be an integer from 1 to 65535, not 0"),
        (("--seed", "-1"), "seed must be an integer from 0 to 4294967295, not -1"),
        (("--resume",), "resume must come with a checkpoint"),
        (("--engine", "gpu"), "argument --engine: invalid choice: 'gpu'"),
        (("--checkpoint", "no/run.npz"), "checkpoint must be a file that can be written, not no/r"),
        (("--plot", "no/curve.png"), "plot must be a file that can be written, not no/curve.png"),
        (("--plot", "."), "plot must be a file that can be written, not .: it is a folder"),
        (
            ("--plot", "curve.jpg"),
            r"plot must be a file whose name ends in \.png, \.pdf or \.svg, ",
        ),
        (("--plot", "curve"), "plot must be a file whose name ends in .*, not curve"),
        (("--plot", ""), "plot must not be empty"),
        (("--plot", "/dev/null"), "plot must be a file .*, not /dev/null: it is no regular file"),
        (("--checkpoint", "/dev/null"), "checkpoint must be a file .*: it is no regular file"),
        (
            ("--checkpoint", "/dev/null", "--resume"),
            "checkpoint must be a file .*: it is no regular file",
        ),
        (("--out", "tiny.toml"), "out must be a folder, not the file "),
        (("--out", "/dev/null"), "out must be a folder, not the file /dev/null"),
        (("--out", "tiny.toml/out"), "out must be a folder that can be written, .* is no folder"),
        (("--out", ""), "out must not be empty"),
        (("--engine", "rtl"), r"samples must be from 1 to 40 \(hardware.store_samples\), not 1437"),
        (
            ("--engine", "rtl", "--samples", "9", "--simulator", "vcs"),
            "simulator must be one of 'icarus', 'verilator', not 'vcs'",
        ),
    ],
)
def test_bad_arguments(run: Run, arguments: tuple[str, ...], message: str) -> None:
    check_refused(run, message, "tiny.toml", *arguments)


def test_outputs_are_places_of_their_own(run: Run) -> None:
    """Neither an input, by any name, nor another output; refused before a sample is read."""
    Path("mine-images-idx3").write_bytes(b"no images")
    Path("mine-labels-idx1").write_bytes(b"no labels")
    np.savez("data.npz", x=PIXELS[:, :1])
    for link, target in (("link.npz", "data.npz"), ("data.png", "data.npz")):
        Path(link).symlink_to(target)
    Path("design.png").hardlink_to("tiny.toml")
    data = ("--data", "data.npz")
    idx = ("--data", "mine-images-idx3")
    for message, *arguments in (
        ("plot must be a file whose name ends in", "--plot", "tiny.toml"),
        ("plot must be a file whose name ends in", *data, "--plot", "data.png"),
        (
            "plot must be another file than the configuration, not ./design",
            "--plot",
            "./design.png",
        ),
        ("checkpoint must be another file than the c", "--checkpoint", "tiny.toml", "--resume"),
        (
            "checkpoint must be another file than data",
            *data,
            "--checkpoint",
            "link.npz",
            "--resume",
        ),
        (
            "checkpoint must be another file than test",
            *("--test", "data.npz", "--checkpoint", f"{Path.cwd()}/data.npz", "--resume"),
        ),
        (
            "checkpoint must be another file than the labels of data, not mine-labels-idx1",
            *(*idx, "--checkpoint", "mine-labels-idx1", "--resume"),
        ),
        (
            "plot must be another file than checkpoint, not x.png",
            *("--checkpoint", "x.png", "--plot", "x.png"),
        ),
        ("out must be another file than plot, not x.png", "--plot", "x.png", "--out", "x.png"),
    ):
        check_refused(run, message, "tiny.toml", *arguments)


def test_files_inside_the_output_folder(run: Run) -> None:
    """They would go when it is replaced, after all the work."""
    trained(run, "tiny.toml", "--epochs", "1", *FEW, "--out", "result")
    before = {path.name: path.read_bytes() for path in Path("result").iterdir()}
    for option, name, more in (
        ("checkpoint", "result/checkpoint.npz", ("--resume",)),
        ("checkpoint", "result/mine.npz", ()),
        ("plot", "result/learning_curve.png", ()),
    ):
        code, out, err = run("tiny.toml", f"--{option}", name, *more, "--out", "result")
        assert (code, out) == (2, "")
        assert err == f"trisign: error: out must not hold {option}, {name}; result does\n"
    assert {path.name: path.read_bytes() for path in Path("result").iterdir()} == before


def test_a_trained_folder_is_for_training_alone(trisign: Run, run: Run) -> None:
    trained(run, "tiny.toml", "--epochs", "1", *FEW, "--out", "result")
    before = {path.name: path.read_bytes() for path in Path("result").iterdir()}
    for command in ("generate", "build"):
        code, out, err = trisign(command, "tiny.toml", "--out", "result")
        assert (code, out) == (2, "")
        assert err.startswith(
            f"trisign: error: out must be a new or empty folder, or one that trisign {command} "
        )
        assert err.endswith("result was written by trisign train\n")
    assert {path.name: path.read_bytes() for path in Path("result").iterdir()} == before
    code, _, err = trisign("program", "tiny.toml", "--build", "result")
    assert (code, err.count("\n")) == (2, 1)
    assert "build must be a folder that trisign build wrote, not result" in err
    trained(run, "tiny.toml", "--epochs", "2", *FEW, "--out", "result")
    assert json.loads(Path("result/record.json").read_text())["epochs"] == 2


def test_choices_are_checked_before_data_are_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_set, "training_set", None)
    Path("kept.npz").touch()
    for message, *arguments in (
        ("epochs must be an integer from 1 to 65535, not 0", "--epochs", "0"),
        ("seed must be an integer from 0 to 4294967295, not -1", "--seed", "-1"),
        ("port must not be empty", "--engine", "board", "--port", ""),
        ("port /dev/nowhere cannot be opened", "--engine", "board", "--port", "/dev/nowhere"),
        ("simulator must be one of .*'vcs'", "--engine", "rtl", "--simulator", "vcs"),
        ("resume must come with a checkpoint", "--resume"),
        ("checkpoint kept.npz exists", "--checkpoint", "kept.npz"),
        ("plot must be a file that can be written", "--plot", "no/curve.png"),
        ("out must be a folder, not the file", "--out", "kept.npz"),
    ):
        check_refused(run, message, "tiny.toml", *arguments)


@pytest.mark.parametrize(
    ("name", "magic"), [("curve.pdf", b"%PDF-"), ("curve.SVG", b"<?xml"), ("link.png", b"\x89PNG")]
)
def test_plots_in_other_formats(run: Run, name: str, magic: bytes) -> None:
    Path("link.png").symlink_to("target.png")
    trained(run, "tiny.toml", "--epochs", "1", *FEW, "--plot", name)
    assert Path(name).read_bytes().startswith(magic)
    assert Path("link.png").is_symlink()


def test_no_shift_without_an_image(run: Run) -> None:
    Path("tiny.toml").write_text(TINY.replace("image = [8, 8]", ""))
    check_refused(run, "hardware.image must be a pair", "tiny.toml", "--shift")


def pairs(pixels: np.ndarray, labels: np.ndarray) -> set[tuple[tuple[int, ...], int]]:
    return {(tuple(x), int(y)) for x, y in zip(pixels.tolist(), labels, strict=True)}


def test_split_of_a_file(run: Run) -> None:
    rng = np.random.default_rng(3)
    np.savez("mine.npz", x=rng.integers(0, 16, (30, 64), np.uint8), y=rng.integers(0, 10, 30))
    for fraction in ("0", "1", "-0.5", "nan", "0.001"):
        check_refused(
            run, "test_fraction must ", "tiny.toml", "--data", "mine.npz",
            f"--test-fraction={fraction}",
        )  # fmt: skip
    design = config.load("tiny.toml")
    split = training_set.training_set(design, "mine.npz", test_fraction=0.2)
    assert (len(split.pixels), len(split.test_pixels)) == (24, 6)
    with np.load("mine.npz") as file:
        whole = pairs(file["x"], file["y"])
    parts = pairs(split.pixels, split.labels), pairs(split.test_pixels, split.test_labels)
    assert parts[0] | parts[1] == whole
    assert not parts[0] & parts[1]
    record = trained(run, "tiny.toml", "--data", "mine.npz", "--epochs", "1", "--json", "--quiet")
    assert record["test_accuracy"] == [None]


# The RTL engine

# 4×4 images, so that a simulated epoch takes a second.
SMALL = """\
[design]
board = "icebreaker"
[network]
layers = [48, 12, 10]
rng_group = 16
margin = 6
threshold = [2, 0]
window = 4
counter_width = 3
schedule = [[1, "margin", 5], [1, "gate_shift", [0, 1]]]
[hardware]
lanes = 16
counter_lanes = 8
structure = "compact"
store_samples = 30
image = [4, 4]
"""


def test_rtl_engine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs with shifts and a schedule, interrupted between them; then a wrong golden."""
    monkeypatch.setattr(train_rtl, "trainer_verilog", functools.cache(train_rtl.trainer_verilog))
    monkeypatch.setenv(BUILD_DIR_VARIABLE, str(Path("build").resolve()))
    Path("small.toml").write_text(SMALL)
    digits = data.load_digits()
    pixels = digits.train_pixels[:50].reshape(50, 4, 2, 4, 2).mean(axis=(2, 4)).astype(np.uint8)
    np.savez("small.npz", x=pixels.reshape(50, 16), y=digits.train_labels[:50])
    common = ("small.toml", "--data", "small.npz", "--test-fraction", "0.4", "--shift", "--json")
    expected = trained(run, *common, "--epochs", "2", "--quiet")
    assert expected["sign_flips"] > 0
    arguments = (*common, "--engine", "rtl", "--simulator", "icarus", "--checkpoint", "run.npz")
    code, _, err = run(*arguments, "--epochs", "1")
    assert code == 0, err
    assert "building it for icarus\n" in err
    assert "epoch 1/1: training error " in err
    record = trained(run, *arguments, "--epochs", "2", "--resume", "--quiet")
    measured = record.pop("rtl")
    different = {name for name in expected if record.get(name) != expected[name]}
    assert different == {"engine", "equal", "compiled"}
    assert record["equal"] is True
    assert measured["forward_cycles"] == 12 * 3 + 10
    assert len(measured["cycles"]) == 2
    assert measured["cycles_per_sample"] == sum(measured["cycles"]) / 60
    assert measured["cycles_per_sample"] > measured["prediction_cycles_per_sample"]
    assert measured["prediction_cycles_per_sample"] > measured["forward_cycles"]
    assert measured["predictions"] == 20
    assert measured["prediction_accuracy"] == expected["final_test_accuracy"]
    assert measured["writes_compared"] == 2 * record["groups_written"]

    plain = train_rtl.plain_network

    def another_window(parameters: Any) -> dict[str, Any]:
        return {k: 0 if k == "window" else v for k, v in plain(parameters).items()}

    monkeypatch.setattr(train_rtl, "plain_network", another_window)
    before = Path("run.npz").read_bytes()
    code, out, _ = run(*arguments, "--epochs", "3", "--resume", "--quiet")
    assert code == 1
    result = json.loads(out)
    assert result["equal"] is False
    assert re.search(r"sample \d+, cycle \d+.*golden .*RTL ", result["difference"])
    assert np.load("run.npz")["state.epochs_finished"] == 2
    assert Path("run.npz").read_bytes() == before
