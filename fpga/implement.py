"""A block implemented out of context: synthesised, packed, placed, routed, and measured.

Areas are those of the block alone; clocks are measured between registers, in a harness
(``fpga.harness``). The netlist that is placed is the one that is counted: the block keeps its
hierarchy through synthesis and nothing is optimised across its border.

Results are kept in build/implement/BLOCK-TARGET-HASH and reused while Verilog, options and tool
versions stay the same; every step is written aside and renamed, so an interrupted run leaves
nothing half done behind.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..gen.verilog import to_verilog
from ..golden.checks import choice, integer
from ..rtl.dot_cells import PREFIX
from ..sim.runner import build_root, locked
from . import tools
from .harness import HARNESS_NAME, INSTANCE_NAME, Harness, Port, module_ports, register_count
from .harness import __file__ as harness_file
from .netlist import read_area
from .place import __file__ as place_file
from .place import misfit, read_report, read_timing, read_used
from .report import Implementation, Timing
from .steps import Steps
from .targets import TARGETS, Target

SEEDS_MAX = 99
# Amaranth elaborates one design at a time; blocks may be implemented in several threads.
_elaboration = threading.Lock()


def implement(
    verilog: str, name: str, target: str, *, seeds: int = 1, fresh: bool = False
) -> Implementation:
    """Implement module ``name`` of ``verilog`` on ``target``.

    Parameters
    ----------
    verilog : str
        As ``gen.verilog.to_verilog`` writes it; the clock is ``clk``, the reset ``rst``.
    target : str
        A name in ``fpga.targets.TARGETS``, e.g. ``up5k``.
    seeds : int
        0 … 99 place-and-route runs, seeds 1 … ``seeds``; 0 measures the area alone. Unused where
        the target is not placed.
    fresh : bool
        Discard kept results first.

    Raises
    ------
    ParameterError
        A parameter is outside its range.
    DataError
        ``verilog`` holds no such module, or the netlist has a combinational loop.
    ToolError, ToolFailure
        A tool is missing or failed.
    """
    part = TARGETS[choice("target", target, TARGETS)]
    integer("seeds", seeds, 0, SEEDS_MAX)
    ports = module_ports(verilog, name)
    folder = build_root() / "implement" / f"{name}-{target}-{_key(part, verilog)}"
    with locked(folder.with_suffix(".lock")):
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        steps = Steps(folder)
        steps.once("synthesis", lambda: _synthesise(part, folder, verilog, ports, name))
        area = read_area(folder / "block.json", name, part)
        used, note, timings = {}, "", []
        if part.place and seeds:
            used = steps.once("packing", lambda: _pack(part, folder))
            note = _misfit(part, used, register_count(ports))
        if part.place and not note:
            for seed in range(1, seeds + 1):
                found = steps.once(f"seed-{seed}", partial(_place, part, folder, seed))
                timings.append(Timing(**found))
    cells, available = used.get(part.cell, (None, None))
    return Implementation(
        block=name,
        target=target,
        **asdict(area),
        cells=cells,
        cells_available=available,
        timings=tuple(timings),
        note=note,
        seconds=round(steps.seconds, 2),
        cached=steps.all_kept,
        folder=str(folder),
    )


def _key(target: Target, verilog: str) -> str:
    """Hash of all that determines a result: Verilog, target, tool versions, and how it is made."""
    programs = [tools.YOSYS, *target.place[:1]]
    recipe = [Path(file).read_text() for file in (__file__, harness_file, place_file)]
    text = json.dumps([verilog, repr(target), [tools.version(p) for p in programs], recipe])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _synthesise(
    target: Target, folder: Path, verilog: str, ports: Sequence[Port], name: str
) -> None:
    script = ["read_verilog block.v"]
    if not target.single_port:
        script.append("setattr -unset ram_style a:ram_style=huge")
    if not target.place:
        (folder / "block.v").write_text(verilog)
        script.append(f"{target.synthesis} -top {name}")
    else:
        with _elaboration:
            wrapper = to_verilog(Harness(ports, name), HARNESS_NAME)
        (folder / "harness.v").write_text(wrapper)
        # In the text, not by a command: Yosys may read a module anew while it elaborates.
        kept = re.sub(rf"^module {name}\b", "(* keep_hierarchy *)\n\\g<0>", verilog, flags=re.M)
        (folder / "block.v").write_text(kept)
        script += [
            "read_verilog harness.v",
            f"{target.synthesis} -top {HARNESS_NAME}",
            f"select -assert-count 1 {HARNESS_NAME}/t:{name}",
            "write_json harness.json",
            f"hierarchy -top {name}",  # from here on the block alone, to be counted
        ]
    script += ["setattr -mod -unset keep_hierarchy *", "setattr -unset keep_hierarchy *"]
    if target.dual_output:
        script.append(f"setattr -mod -set keep_hierarchy 1 {PREFIX}{target.tech}_*")
    script += [
        "flatten",
        f"hierarchy -top {name}",
        "delete */t:$scopeinfo",
        "tee -o stat.json stat -json",
        "write_json block.json",
    ]
    (folder / "synthesis.ys").write_text("\n".join(script) + "\n")
    tools.run(tools.YOSYS, ["-s", "synthesis.ys"], folder, "synthesis.log")


def _pack(target: Target, folder: Path) -> dict[str, tuple[int, int]]:
    """Resources of the part that the block alone fills: name → (used, available)."""
    program, *options = target.place
    tools.run(program, [*options, "--json", "block.json", "--pack-only"], folder, "packing.log")
    return read_used(folder / "packing.log")


def _misfit(target: Target, used: Mapping[str, tuple[int, int]], registers: int) -> str:
    """Why the block cannot be placed, empty where it can."""
    note = misfit(used)
    count, available = used.get(target.cell, (0, 0))
    if not note and count + registers > available:
        return f"fits, but not together with {registers} registers at its ports"
    return note


def _place(target: Target, folder: Path, seed: int) -> dict[str, Any]:
    program, *options = target.place
    report = f"seed-{seed}.report.json"
    options += [*target.placer, "--json", "harness.json", "--report", report, "--seed", str(seed)]
    # Placement aims at the highest clock whatever the goal; missing the goal is no failure.
    options += ["--timing-allow-fail"]
    tools.run(program, options, folder, f"seed-{seed}.log")
    return asdict(read_timing(read_report(folder / report), seed, INSTANCE_NAME))
