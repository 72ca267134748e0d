"""The command line: every command, and bad input told in one line, exit 2, nothing left behind."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run

from trisign import __version__
from trisign.fpga import doctor
from trisign.gen import boards, commands, config, generate
from trisign.gen.blocks import BLOCKS
from trisign.sim import compare

MINIMAL = '[design]\nboard = "icebreaker"\n'
PIXELS = np.zeros((3, 64), np.uint8)
LABELS = np.array([0, 1, 9])


@pytest.fixture
def run(trisign: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run trisign in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("TRISIGN_BUILD_DIR", raising=False)
    return trisign


def check_refused(run: Run, message: str, *arguments: str | Path) -> None:
    """Exit 2, one line on standard error that matches, and no file written."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert re.match(f"trisign: error: {message}", err), err
    assert list(Path.cwd().iterdir()) == []


# What works


def test_boards(run: Run) -> None:
    code, out, _ = run("boards")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(boards.BOARDS)
    assert re.search(r"^icebreaker +iCE40UP5K SG48 +64 +24 .*digits-icebreaker$", out, re.MULTILINE)


def test_boards_as_json(run: Run) -> None:
    code, out, _ = run("boards", "--json")
    found = {board["name"]: board for board in json.loads(out)}
    assert code == 0
    assert found.keys() == boards.BOARDS.keys()
    assert found["ulx3s_85f"]["part"] == "LFE5U-85F BG381 6"
    names = ["digits-conv-ulx3s-85f", "digits-ulx3s-85f"]
    assert found["ulx3s_85f"]["configurations"] == names


def test_boards_clocks_are_known() -> None:
    assert boards.find("icebreaker").oscillator_mhz == 12
    assert all(board.oscillator_mhz > 0 for board in boards.BOARDS.values())


def test_estimate(run: Run) -> None:
    code, out, err = run("estimate", "digits-icebreaker")
    assert code == 0
    # On a loaded machine it says what it is at.
    assert all(line.startswith("digits-icebreaker: 25 epochs ") for line in err.splitlines())
    assert "forward pass: 404 cycles" in out
    code, out, _ = run("estimate", "digits-icebreaker", "--json")
    assert code == 0
    assert json.loads(out)["forward_cycles"] == 404


def test_estimate_without_samples_that_fit(run: Run) -> None:
    """Digits have 64 pixels: other networks are estimated without training."""
    Path("wide.toml").write_text(f"{MINIMAL}[network]\nlayers = [300, 16, 10]\n")
    code, out, err = run("estimate", "wide.toml", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["training"] is None
    code, _, err = run("estimate", "wide.toml", "--data", "digits")
    assert code == 2
    assert err.startswith("trisign: error: digits: ")


def test_generate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "of_design", lambda design: [BLOCKS["lfsr"]])
    code, out, err = run("generate", "digits-icebreaker", "--out", "out", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(Path("out/manifest.json").read_text())
    assert err == "[1/1] lfsr.v\n"
    code, out, _ = run("generate", "digits-icebreaker", "--out", "out")
    assert code == 0
    assert "written to out" in out


def test_doctor(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert re.search(rf"^numpy +{re.escape(np.__version__)} ", out, re.MULTILINE)
    code, out, _ = run("doctor", "--json")
    told = json.loads(out)
    assert (code, told["ok"]) == (0, True)
    versions = {finding["name"]: finding["version"] for finding in told["findings"]}
    assert versions["amaranth"] == importlib.metadata.version("amaranth")
    assert re.match(r"\d+\.\d+", versions["iverilog"])


def test_doctor_tells_what_is_missing_and_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    code, out, _ = run("doctor")
    assert code == 1
    assert "iverilog is missing (needed); get it with: apt-get install iverilog" in out
    assert "ccache is missing (optional)" in out
    code, out, _ = run("doctor", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_doctor_counts_what_is_only_optional_as_fine(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PROGRAMS", (doctor.Program("nonesuch", "-V", "x", "y", False),))
    assert run("doctor")[0] == 0


def test_doctor_survives_a_program_that_does_not_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "iverilog"
    broken.write_bytes(b"\x00not a program")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("doctor")[0] == 1


@pytest.mark.parametrize("command", ["boards", "generate", "estimate", "compare", "doctor"])
def test_help_teaches_by_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"examples:\n  trisign {command}" in out
    assert command in run("--help")[1]


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, f"trisign {__version__}\n")


def test_module_and_script_are_the_same_program() -> None:
    script = Path(sys.executable).parent / "trisign"
    outputs = [
        subprocess.run([*command, "boards"], capture_output=True, text=True, check=True).stdout
        for command in ([sys.executable, "-m", "trisign"], [str(script)])
    ]
    assert outputs[0] == outputs[1] != ""


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        command = [sys.executable, "-m", "trisign", "boards"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_an_interruption_is_told_and_leaves_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "block_verilog", interrupt)
    code, _, err = run("generate", "digits-icebreaker", "--out", "deep/out")
    assert code == 130
    assert err.endswith("trisign: interrupted\n")
    assert list(Path.cwd().iterdir()) == []


def test_a_missing_python_package_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr(compare, "require_simulator", lambda simulator: None)
    check_refused(run, "Python package sklearn is missing; get it with", "compare", "ternary_dot")


# What does not


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("the following arguments are required: COMMAND", []),
        ("argument COMMAND: invalid choice: 'train-it'", ["train-it"]),
        ("the following arguments are required: CONFIG", ["estimate"]),
        ("the following arguments are required: --out", ["generate", "digits-icebreaker"]),
        ("configuration must be a TOML file or one of .*'nonesuch'", ["estimate", "nonesuch"]),
        ("missing.toml: cannot be read: No such file", ["estimate", "missing.toml"]),
        ("configuration must be .*'nonesuch'", ["generate", "nonesuch", "--out", "out"]),
        (
            "out must be a folder, not the file /dev/null",
            ["generate", "digits-hx8k", "--out", "/dev/null"],
        ),
        ("block must be one of 'ternary_dot', .*, not 'dot'", ["compare", "dot"]),
        (
            "simulator must be one of 'icarus', 'verilator', not 'vcs'",
            ["compare", "lfsr", "--simulator", "vcs"],
        ),
        ("out must not be empty", ["generate", "digits-icebreaker", "--out", ""]),
        ("out must not be empty", ["build", "digits-icebreaker", "--out", ""]),
        ("port must not be empty", ["program", "digits-icebreaker", "--port", ""]),
        ("epochs must be an integer from 1 to ", ["estimate", "digits-icebreaker", "--epochs=0"]),
        ("argument --samples: invalid int value: 'x'", ["compare", "lfsr", "--samples", "x"]),
        ("samples must be an integer from 1 to ", ["compare", "ternary_dot", "--samples", "0"]),
        ("samples must be from 1 to 1437, ", ["compare", "ternary_dot", "--samples", "1438"]),
        ("seed must be an integer from 0 to ", ["compare", "ternary_dot", "--seed", "-1"]),
        (
            "vectors and samples must be left out: lfsr takes none",
            ["compare", "lfsr", "--samples", "1"],
        ),
    ],
)
def test_bad_arguments(run: Run, message: str, arguments: list[str]) -> None:
    check_refused(run, message, *arguments)


@pytest.mark.parametrize(
    "command", [["estimate"], ["generate", "--out", "out"], ["compare", "lfsr", "--config"]]
)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[network]\nmargni = 3", "unknown key 'network.margni'; did you mean 'margin'"),
        ("[network]\nmargin = 'x'", "network.margin must be an integer from 1 to 4095, not 'x'"),
        ("[hardware]\nlanes = 0", "hardware.lanes must be an integer from 1 to 1024, not 0"),
        ("[network", "must be TOML: "),
    ],
)
def test_bad_configurations(
    run: Run, tmp_path: Path, command: list[str], text: str, message: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(MINIMAL + text)
    check_refused(run, f"{re.escape(str(path))}: {message}", *command, path)


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "must be a readable .npz file without Python objects: No such file"),
        (lambda path: path.mkdir(), "must be a readable .npz file .*: Is a directory"),
        (lambda path: path.write_bytes(b""), "must be a readable .npz file "),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "must be a readable .npz file "),
        (lambda path: path.write_text("x,y\n1,2\n"), "must be a readable .npz file "),
        (lambda path: np.save(path.open("wb"), PIXELS), "must be an .npz file of named arrays, "),
        (npz(x=np.array([{}, None]), y=LABELS), "must be a readable .npz file without Python ob"),
        (npz(), "a must be one of the arrays, not missing from \\[\\]"),
        (npz(y=LABELS), "x must be an array of the file, which holds y"),
        (npz(x=PIXELS), "y must be an array of the file, which holds x"),
        (npz(x=PIXELS.astype(float), y=LABELS), "x must be an integer array, not float64"),
        (npz(x=PIXELS[:, :63], y=LABELS), "x must have shape \\(any, 64\\), not \\(3, 63\\)"),
        (npz(x=PIXELS[:0], y=LABELS[:0]), "x must hold at least one sample, not 0"),
        (npz(x=PIXELS + 16, y=LABELS), "x\\[0\\]\\[0\\] must be from 0 to 15, not 16"),
        (npz(x=PIXELS, y=LABELS[:2]), "y must have shape \\(3\\), not \\(2,\\)"),
        (npz(x=PIXELS, y=LABELS + 1), "y\\[2\\] must be from 0 to 9, not 10"),
        (npz(x=PIXELS, y=LABELS - 1), "y\\[0\\] must be from 0 to 9, not -1"),
        (npz(x=PIXELS, y=np.array(["a", "b", "c"])), "y must be an integer array, not <U1"),
        (npz(a=np.ones((2, 32), int)), "w must be one of the arrays, not missing from "),
        (
            npz(a=np.ones((2, 32), int), w=np.full((2, 32), 2)),
            "w\\[0\\]\\[0\\] must be from -1 to 1",
        ),
        (npz(a=np.ones((2, 31), int), w=np.ones((2, 31), int)), "a must have shape \\(any, 32\\)"),
    ],
)
def test_bad_data(run: Run, tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "data.npz"
    write(path)
    where = re.escape(str(path))
    check_refused(run, f"{where}:? {message}", "compare", "ternary_dot", "--vectors", path)


def test_a_truncated_archive_is_refused_at_every_length(run: Run, tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, x=PIXELS, y=LABELS)
    data = whole.read_bytes()
    path = tmp_path / "data.npz"
    for length in range(0, len(data), 23):
        path.write_bytes(data[:length])
        arguments = ("compare", "ternary_dot", "--vectors", path)
        check_refused(run, f"{re.escape(str(path))} must be a readable .npz file", *arguments)


def test_more_samples_than_the_file_holds(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=PIXELS, y=LABELS)
    arguments = ("compare", "ternary_dot", "--vectors", tmp_path / "data.npz", "--samples", "4")
    check_refused(run, "samples must be from 1 to 3, those of .*, not 4", *arguments)


def test_digits_do_not_fit_every_network(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(MINIMAL + "[network]\nlayers = [96, 8, 10]\nrng_group = 32\n")
    message = r"digits: x must have shape \(any, 32\), not \(1437, 64\)"
    check_refused(run, message, "compare", "ternary_dot", "--config", path)


@pytest.mark.parametrize(
    ("simulator", "program"), [("icarus", "iverilog"), ("verilator", "g\\+\\+")]
)
def test_a_missing_simulator(
    run: Run, monkeypatch: pytest.MonkeyPatch, simulator: str, program: str
) -> None:
    monkeypatch.setenv("PATH", "")
    message = f"{program} is needed to simulate with {simulator} .*: apt-get install {program}"
    check_refused(run, message, "compare", "lfsr", "--simulator", simulator)


def test_a_folder_of_others_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    message = "out must be a new or empty folder, .*'notes.txt'"
    check_refused(run, message, "generate", "digits-icebreaker", "--out", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_an_estimate_that_takes_long_says_what_it_is_at(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "TELL_SECONDS", 0.01)
    code, out, err = run("estimate", "digits-icebreaker", "--epochs", "3", "--json")
    assert code == 0
    assert json.loads(out)["training"]["epochs"] == 3
    assert err
    for line in err.splitlines():
        assert re.fullmatch(r"digits-icebreaker: 3 epochs in golden, to count cycles: \d+ s", line)


def test_shipped_configurations_are_estimated(run: Run) -> None:
    for name in config.shipped():
        assert run("estimate", name, "--epochs", "2")[0] == 0
