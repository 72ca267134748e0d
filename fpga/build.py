"""A configuration built for its board: bitstream and report, with the embedded tools.

Results are kept in build/tops/NAME-HASH and reused while Verilog, constraints, options and tool
versions stay the same. The output folder is replaced once the build has come to a result: by
bitstream and report, or by the report alone where the part is too small or a seed too slow.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..gen.config import configuration_hash
from ..gen.generate import make_manifest
from ..gen.output_folder import MANIFEST, check_replaceable, replaced
from ..golden.checks import integer
from ..golden.design import DesignConfig
from ..sim.runner import build_root, locked
from . import place, tools
from .board_top import CORE
from .build_plan import TOP, Plan
from .build_report import BuildReport, Resource
from .netlist import read_area
from .report import Timing
from .steps import Steps

SEEDS = 5
SEEDS_MAX = 99
REPORT_FILE = "report.json"
BITSTREAM_SUFFIXES = (".bin", ".bit", ".svf")
# Written by place-and-route and what follows it, once for each seed.
_OF_SEED = tuple(f"{TOP}{suffix}" for suffix in (".asc", ".config", *BITSTREAM_SUFFIXES))
# nextpnr keeps periods in whole picoseconds.
CONSTRAINT_TOLERANCE = 1e-3

Report = Callable[[str], None]


def build(
    design: DesignConfig,
    out: str | Path,
    *,
    seeds: int = SEEDS,
    jobs: int | None = None,
    report: Report = lambda line: None,
) -> BuildReport:
    """Build ``design`` for its board, one that the embedded tools know, into the folder ``out``.

    Parameters
    ----------
    out : path
        A new or empty folder, or one that trisign wrote.
    seeds : int
        1 … 99 place-and-route runs, seeds 1 … ``seeds``. All must meet the clock of the board.
    jobs : int
        Runs at a time; by default as many as there are processors.
    report : callable
        Told each step.

    Returns
    -------
    BuildReport
        Its ``note`` says why there is no bitstream, where there is none.

    Raises
    ------
    ParameterError
        A parameter is outside its range.
    DataError
        ``out`` holds other files, or cannot be written.
    ToolError, ToolFailure
        A tool is missing or failed; ``out`` is as it was.
    """
    integer("seeds", seeds, 1, SEEDS_MAX)
    jobs = integer("jobs", (os.cpu_count() or 1) if jobs is None else jobs, 1, SEEDS_MAX)
    check_replaceable(Path(out).resolve())
    report("Verilog and constraints")
    plan = Plan.of(design)
    folder = build_root() / "tops" / f"{design.name}-{_key(plan)}"
    with locked(folder.with_suffix(".lock")):
        result, files = _run(design, plan, folder, seeds, jobs, report)
        with replaced(out) as draft:
            for name, path in files.items():
                shutil.copyfile(path, draft / name)
            text = json.dumps(result.as_json(), indent=2, sort_keys=True) + "\n"
            (draft / REPORT_FILE).write_text(text)
            write_manifest(design, draft)
    return result


def write_manifest(design: DesignConfig, folder: Path) -> None:
    """Say in ``folder`` what its files are and which configuration they were made from."""
    files = [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    ]
    text = json.dumps(make_manifest(design, files), indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text)


def _key(plan: Plan) -> str:
    """Hash of all that determines the result: files, options, tools, and how they are run."""
    recipe = [Path(file).read_text() for file in (__file__, str(place.__file__))]
    versions = [tools.version(program) for program in plan.commands]
    text = json.dumps([plan.files, plan.commands, repr(plan.target), versions, recipe])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _run(
    design: DesignConfig, plan: Plan, folder: Path, seeds: int, jobs: int, report: Report
) -> tuple[BuildReport, dict[str, Path]]:
    """The result, and the files that belong to it: name → where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in plan.files.items():
        (folder / name).write_text(text)
    steps = Steps(folder)
    report(f"synthesis ({tools.YOSYS})")
    steps.once("synthesis", lambda: _synthesise(plan, folder))
    report("packing")
    used = steps.once("packing", lambda: _pack(plan, folder))
    area = read_area(folder / f"{TOP}.json", TOP, plan.target)
    blocks = {memory.name: memory.count for memory in plan.board.memories}
    resources = {
        plan.target.lut_name: Resource(area.luts, plan.board.luts),
        "registers": Resource(area.registers, plan.board.luts),
        "logic cells": Resource(*used[plan.target.cell]),
        **{name: Resource(area.memories.get(name, 0), count) for name, count in blocks.items()},
    }
    timings: list[Timing] = []
    note = place.misfit(used)
    if not note:
        timings = _place_all(plan, folder, steps, seeds, jobs, report)
        slow = [timing for timing in timings if timing.fmax_mhz < plan.board.clock_mhz]
        if slow:
            note = f"{len(slow)} of {seeds} seeds are slower than {plan.board.clock_mhz:g} MHz"
    files: dict[str, Path] = {}
    seed = None
    if not note:
        seed = max(timings, key=lambda timing: timing.fmax_mhz).seed
        report(f"bitstream (seed {seed})")
        made = steps.once(f"bitstream-{seed}", lambda: _bitstream(plan, folder, seed))
        files = {f"{design.name}{Path(name).suffix}": folder / name for name in made}
        files |= {name: folder / name for name in plan.files if name != f"{TOP}.il"}
    result = BuildReport(
        configuration=design.name,
        configuration_sha256=configuration_hash(design),
        board=plan.board.name,
        part=plan.board.part,
        clock_mhz=plan.board.clock_mhz,
        resources=resources,
        timings=tuple(timings),
        note=note,
        bitstream=next(iter(files), ""),
        seed=seed,
        seconds=round(steps.seconds, 1),
        cached=steps.all_kept,
    )
    return result, files


def _synthesise(plan: Plan, folder: Path) -> None:
    tools.run(tools.YOSYS, plan.commands[tools.YOSYS], folder, "synthesis.log")


def _pack(plan: Plan, folder: Path) -> dict[str, tuple[int, int]]:
    # What it would write goes last, and is not there yet.
    arguments = plan.place_arguments()[:-2]
    tools.run(plan.placer, [*arguments, "--pack-only"], folder, "packing.log")
    return place.read_used(folder / "packing.log")


def _place_all(
    plan: Plan, folder: Path, steps: Steps, seeds: int, jobs: int, report: Report
) -> list[Timing]:
    found: dict[int, Timing] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            pool.submit(steps.once, f"seed-{seed}", partial(_place, plan, folder, seed)): seed
            for seed in range(1, seeds + 1)
        }
        report(f"place and route: {seeds} {'seed' if seeds == 1 else 'seeds'}")
        try:
            for number, done in enumerate(as_completed(waiting), 1):
                timing = found[waiting[done]] = Timing(**done.result())
                report(f"[{number}/{seeds}] seed {timing.seed}: {timing.fmax_mhz:.2f} MHz")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [found[seed] for seed in sorted(found)]


def _place(plan: Plan, folder: Path, seed: int) -> dict[str, Any]:
    name = f"seed-{seed}.report.json"
    arguments = [*_of_seed(plan.place_arguments(), seed), "--seed", str(seed), "--report", name]
    # Missing the clock is no failure of the tool: what it reached is compared here.
    tools.run(plan.placer, [*arguments, "--timing-allow-fail"], folder, f"seed-{seed}.log")
    report = place.read_report(folder / name)
    check_constraints(report, plan.board.clock_mhz, folder / name)
    return asdict(place.read_timing(report, seed, CORE))


def check_constraints(report: Mapping[str, Any], clock_mhz: float, path: Path) -> None:
    """Raise ToolFailure unless every clock was held to ``clock_mhz``."""
    if not report["fmax"]:
        raise tools.ToolFailure(f"place-and-route found no clock; report {path}")
    for name, clock in report["fmax"].items():
        if abs(clock["constraint"] - clock_mhz) > CONSTRAINT_TOLERANCE * clock_mhz:
            raise tools.ToolFailure(
                f"place-and-route held clock {name} to {clock['constraint']:.2f} MHz instead of "
                f"{clock_mhz:g}; report {path}"
            )


def _bitstream(plan: Plan, folder: Path, seed: int) -> list[str]:
    """Pack the result of ``seed``; names of the files made, the bitstream first."""
    packer = next(program for program in (tools.ICEPACK, tools.ECPPACK) if program in plan.commands)
    arguments = _of_seed(plan.commands[packer], seed)
    tools.run(packer, arguments, folder, f"bitstream-{seed}.log")
    made = [name for name in arguments if name.endswith(BITSTREAM_SUFFIXES)]
    return sorted(made, key=lambda name: BITSTREAM_SUFFIXES.index(Path(name).suffix))


def _of_seed(arguments: Sequence[str], seed: int) -> list[str]:
    """The arguments with files that each seed has of its own."""
    return [
        name.replace(TOP, f"seed-{seed}", 1) if name in _OF_SEED else name for name in arguments
    ]
