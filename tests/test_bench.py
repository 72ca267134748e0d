"""``trisign bench``: tables, what is compared with the record, and what is refused.

What the tools say is made up here; tests/test_implement.py and tests/test_area.py run them.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import Run

from trisign.fpga import bench_blocks, bench_command, bench_record, bench_training
from trisign.fpga.bench_blocks import Entry
from trisign.fpga.report import Implementation, Timing
from trisign.fpga.tools import ToolFailure
from trisign.gen import config
from trisign.gen.data import Samples, load_digits
from trisign.golden.compiled import fast_trainer
from trisign.golden.encoding import encode

LUTS = {"compact": 80, "adder tree": 120, "counter": 9}
ENTRIES = (
    Entry("ternary_dot", "compact", 16, lambda tech: f"compact in {tech}"),  # type: ignore[arg-type, return-value]
    Entry("ternary_dot", "adder tree", 16, lambda tech: "adder tree"),  # type: ignore[arg-type, return-value]
    Entry("update_lane", "counter", 1, lambda tech: "counter", state_bits=8),  # type: ignore[arg-type, return-value]
)
RUNS = [{"batch": 32, "epochs": 25, "epoch_seconds": 0.5, "accuracy": 0.975}]


def made_up(verilog: str, name: str, target: str, *, seeds: int = 1) -> Implementation:
    """What place and route might say: nothing of a part that is only synthesised for."""
    luts = next((count for text, count in LUTS.items() if verilog.startswith(text)), 700)
    placed = tuple(Timing(s, 40.0 + s, "a", "b") for s in range(1, seeds + 1))
    return Implementation(
        name, target, luts, 10, 0, {}, 5, 4, {}, timings=placed if target != "xc7" else (),
        note="" if target != "xc7" else "not placed", seconds=3.0, cached=target == "xc7",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (bench_blocks, bench_training):
        monkeypatch.setattr(module, "implement", made_up)
        monkeypatch.setattr(module, "to_verilog", lambda component, name: str(component))
    trainer = SimpleNamespace(create=lambda design: "trainer")
    monkeypatch.setattr(bench_training.blocks, "find", lambda name: trainer)
    monkeypatch.setattr(bench_blocks, "ENTRIES", ENTRIES)
    monkeypatch.setattr(bench_record, "RECORD", tmp_path / "areas.json")
    bench_record.RECORD.write_text("{}")
    monkeypatch.setenv("TRISIGN_BUILD_DIR", str(tmp_path / "build"))


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_digits()
    few = Samples(
        digits.train_pixels[:40], digits.train_labels[:40], digits.test_pixels[:20],
        digits.test_labels[:20],
    )  # fmt: skip
    monkeypatch.setattr(bench_training, "load_digits", lambda: few)
    monkeypatch.setattr(bench_training, "EPOCHS", 1)
    monkeypatch.setattr(bench_training, "SEEDS", 2)


@pytest.fixture
def run(trisign: Run) -> Run:
    return partial(trisign, "bench")


def result(tmp_path: Path) -> dict[str, Any]:
    (path,) = (tmp_path / "build" / "bench").iterdir()
    return json.loads(path.read_text())


# Blocks


def test_rows_are_in_order_and_tables_come_as_they_are_complete() -> None:
    told: list[str] = []
    finished: list[list[bench_blocks.Row]] = []
    rows = bench_blocks.measure(
        ENTRIES, ("up5k", "xc7"), seeds=3, report=told.append, finished=finished.append
    )
    assert [(row.variant, row.target, row.luts) for row in rows] == [
        ("compact", "up5k", 80),
        ("adder tree", "up5k", 120),
        ("compact", "xc7", 80),
        ("adder tree", "xc7", 120),
        ("counter", "up5k", 9),
        ("counter", "xc7", 9),
    ]
    assert [row.ratio for row in rows] == [1.0, 1.5, 1.0, 1.5, None, None]
    assert [row.fmax_mhz for row in rows] == [42.0, 42.0, None, None, 42.0, None]
    assert sorted(len(part) for part in finished) == [1, 1, 2, 2]
    assert sorted((row for part in finished for row in part), key=rows.index) == rows
    # A baseline is the same on every technology and is written for each once.
    assert sum("Verilog for lut4" in line for line in told) == 3
    assert sum(line.startswith("[") for line in told) == 6
    assert sum(line.endswith("kept") or "kept, at most" in line for line in told) == 3
    assert told[-1].startswith("[6/6] ")
    assert "left" not in told[-1]


def test_a_table_for_people() -> None:
    rows = bench_blocks.measure(ENTRIES, ("up5k", "xc7"))
    assert (
        bench_blocks.table([row for row in rows if row.target == "up5k"])
        == """\
ternary_dot on up5k
lanes  variant     LUT4  a lane  levels  Fmax MHz  area / ours
   16  compact       80    5.00       5      41.0         1.00
   16  adder tree   120    7.50       5      41.0         1.50

update_lane on up5k
lanes  variant  LUT4  a lane  levels  Fmax MHz  bits a weight
    1  counter     9    9.00       5      41.0              8"""
    )
    assert "       -" in bench_blocks.table([row for row in rows if row.target == "xc7"])


def test_blocks_alone(run: Run, tmp_path: Path) -> None:
    code, out, err = run("--only", "blocks")
    assert code == 0
    assert "ternary_dot on ecp5-25f\n" in out
    assert out.endswith(f"0 areas compared with their record; result in {tmp_path}/build/bench/"
                        f"{next((tmp_path / 'build' / 'bench').iterdir()).name}\n")  # fmt: skip
    assert "[9/9]" in err
    assert {row["variant"] for row in result(tmp_path)["blocks"]} == set(LUTS)
    assert "core" not in result(tmp_path)


def test_an_area_above_its_record_fails(run: Run) -> None:
    record = {"ternary_dot 16 compact on up5k": 70, "update_lane 1 counter on up5k": 9}
    bench_record.RECORD.write_text(json.dumps(record))
    code, out, err = run("--only", "blocks")
    assert code == 1
    assert "2 areas compared with their record" in out
    assert err.splitlines()[-1] == (
        "trisign: area above its record: ternary_dot 16 compact on up5k: 80 LUTs, 70 recorded "
        "(+14.3 %)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "bench must run in trisign's source tree, which holds the record of areas; "),
        ("{", "RECORD must be a record of areas: "),
        ("[]", "RECORD must be a record of areas: "),
        ('{"a": "b"}', "RECORD must be a record of areas: "),
    ],
)
def test_no_record_is_an_error(run: Run, tmp_path: Path, text: str | None, message: str) -> None:
    """As in an installed package, where nothing would be compared."""
    if text is None:
        bench_record.RECORD.unlink()
    else:
        bench_record.RECORD.write_text(text)
    code, out, err = run("--only", "blocks")
    assert (code, out) == (2, "")
    assert err.startswith("trisign: error: " + message.replace("RECORD", str(bench_record.RECORD)))
    assert err.count("\n") == 1
    assert not (tmp_path / "build" / "bench").exists()


def test_help_says_what_an_installed_package_lacks(run: Run) -> None:
    assert "Needs trisign's source tree" in run("--help")[1]


def test_as_json(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("--only", "blocks", "--json")
    assert code == 0
    assert json.loads(out) == result(tmp_path)


def test_a_tool_that_fails(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: Any, **__: Any) -> Implementation:
        raise ToolFailure("yosys failed; log synthesis.log")

    monkeypatch.setattr(bench_blocks, "implement", fails)
    code, out, err = run("--only", "blocks")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "trisign: yosys failed; log synthesis.log"
    assert not (tmp_path / "build" / "bench").exists()


@pytest.mark.parametrize("seeds", ["-1", "1000"])
def test_seeds_out_of_range(run: Run, seeds: str) -> None:
    code, _, err = run("--seeds", seeds)
    assert code == 2
    assert err.startswith("trisign: error: seeds must be an integer from 0 to ")


# The core, beside a float network


def float_python(tmp_path: Path, script: str) -> Path:
    """An interpreter, as far as ``bench`` can tell; it notes its arguments."""
    return program(
        tmp_path,
        f"""test "$1" = -c && echo "{bench_training.PROBE_ANSWER}" && exit
echo "$@" > {tmp_path}/arguments
{script}""",
    )


def program(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("few_digits")
def test_a_core_beside_a_float_network(run: Run, tmp_path: Path) -> None:
    python = float_python(tmp_path, f"echo '{json.dumps({'runs': RUNS})}'")
    code, out, err = run(
        "--only", "core", "--core", "digits-icebreaker", "--seeds", "3", "--float", str(python)
    )
    assert code == 0
    (row,) = result(tmp_path)["core"]
    assert (row["luts"], row["fmax_mhz"], row["target"]) == (700, 42.0, "up5k")
    assert row["cycles_a_sample"] > row["forward_cycles"] > 0
    assert (row["clock_mhz"], row["samples"], row["samples_on_chip"]) == (24, 40, 1437)
    assert row["epoch_ms"] == pytest.approx(40 * row["cycles_a_sample"] / 24e3, abs=2e-3)
    at_fmax = 40 * row["cycles_a_sample"] / 42e3
    assert row["epoch_ms_at_fmax"] == pytest.approx(at_fmax, abs=2e-3)
    assert f"trisign, 24 MHz    {row['epoch_ms']:9.2f} ms an epoch" in out
    assert f"{500 / row['epoch_ms']:.2f} × the time of trisign" in out
    few, network = bench_training.load_digits(), config.load("digits-icebreaker").network
    trainers = [fast_trainer(network, seed) for seed in (1, 2)]
    for trainer in trainers:
        trainer.fit(encode(few.train_pixels), few.train_labels, 1)
    right = [trainer.predict(encode(few.test_pixels)) == few.test_labels for trainer in trainers]
    assert row["accuracy"] == np.mean(right)
    assert row["float_runs"] == RUNS
    assert "PyTorch, batch 32     500.00 ms an epoch, accuracy 97.50 %" in out
    assert f"Fmax 42.0 MHz ({at_fmax:.2f} ms an epoch), slowest path a → b" in out
    assert "digits-icebreaker: 700 LUTs, 42.0 MHz" in err
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[arguments.index("--layers") + 1 :] == ["64", "10"]
    assert arguments[arguments.index("--input") + 1] == "192"


@pytest.mark.usefixtures("few_digits")
def test_a_core_that_is_not_placed() -> None:
    design = config.load("digits-hx8k")
    design = replace(design, hardware=replace(design.hardware, store_samples=30))
    row = bench_training.measure_core(design, "xc7", seeds=1, python=None)
    assert (row.fmax_mhz, row.epoch_ms_at_fmax, row.float_runs) == (None, None, ())
    _, placed, time, chip = bench_training.table([row]).splitlines()
    assert placed == "  not placed: not placed"
    assert time.startswith("  trisign, 48 MHz ")
    assert chip.startswith("  30 of 40 samples are on chip; ")


def test_what_is_not_asked_for_can_be_named() -> None:
    assert set(bench_command.UNASKED) < set(bench_command.CORES)
    assert all(config.load(name) for name in bench_command.CORES)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "no such program"),
        ("echo Traceback >&2; echo ImportError: torch >&2; exit 1", "ImportError: torch"),
        ("exit 1", "it does not answer as Python does"),
        ('echo "$@"', "it does not answer as Python does"),
        ("exec sleep 60", "no answer in 0.5 s"),
    ],
)
def test_a_wrong_interpreter_is_refused_at_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, message: str
) -> None:
    monkeypatch.setattr(bench_training, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(bench_training, "measure_core", None)
    python = tmp_path / "none" if script is None else program(tmp_path, script)
    code, out, err = run("--float", python)
    assert (code, out) == (2, "")
    assert err == (
        "trisign: error: float must be a Python that has torch and numpy, "
        f"not {python}: {message}\n"
    )


@pytest.mark.parametrize("interpreter", ["", "/dev/null", "."])
def test_what_is_no_interpreter(run: Run, interpreter: str) -> None:
    code, out, err = run("--float", interpreter)
    assert (code, out) == (2, "")
    assert err.endswith(f"has torch and numpy, not {interpreter}: no such program\n")


def test_the_question_is_asked_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are there, or not, stand for PyTorch."""
    probe = bench_training.PROBE
    monkeypatch.setattr(bench_training, "PROBE", probe.replace("torch", "nonesuch"))
    with pytest.raises(bench_training.FloatBaselineMissing, match=r"No module named 'nonesuch'$"):
        bench_training.float_python(sys.executable)
    monkeypatch.setattr(bench_training, "PROBE", probe.replace("torch", "json"))
    monkeypatch.setattr(bench_training, "PROBE_ANSWER", "json numpy")
    assert bench_training.float_python(sys.executable) == Path(sys.executable)


def test_no_float_network_in_an_installed_package(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_training, "FLOAT_SCRIPT", tmp_path / "float_baseline.py")
    code, out, err = run("--float", float_python(tmp_path, ""))
    assert (code, out) == (2, "")
    assert "except in trisign's source tree" in err


@pytest.mark.usefixtures("few_digits")
def test_a_float_network_that_fails(run: Run, tmp_path: Path) -> None:
    python = float_python(tmp_path, "echo MemoryError >&2; exit 1")
    code, _, err = run("--only", "core", "--core", "digits-icebreaker", "--float", str(python))
    assert code == 2
    assert err.splitlines()[-1] == f"trisign: error: {python}: MemoryError"


def test_names_of_layers() -> None:
    dense = config.load("digits-icebreaker").network
    convolutions = config.load("digits-conv-icebreaker").network
    assert bench_training.layer_names(dense) == tuple(map(str, dense.layers[1:]))
    names = bench_training.layer_names(convolutions)
    assert names[-1] == "10"
    assert any(name.endswith("C3P2") for name in names)


def test_a_long_step_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_training, "TELL_SECONDS", 0.05)
    told: list[str] = []

    def slow() -> int:
        time.sleep(0.2)
        return int(np.int64(7))

    assert bench_training._patiently("synthesis", slow, told.append) == 7
    assert told[0] == "synthesis"
    assert told[1] == "synthesis: 0 s"
