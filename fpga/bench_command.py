"""``trisign bench``: the performance tables, as counts and ratios."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from ..gen.commands import add_command, add_json, print_json, progress
from ..golden.checks import integer
from ..sim.runner import build_root

# Configuration → part that its trainer is placed on.
CORES = {
    "digits-icebreaker": "up5k",
    "digits-hx8k": "hx8k",
    "digits-ulx3s-25f": "ecp5-25f",
    "digits-conv-icebreaker": "up5k",
    "digits-conv-ulx3s-25f": "ecp5-25f",
    "digits-conv-ulx3s-85f": "ecp5-85f",
}
# Only where it is named: place-and-route of it takes an hour, at some seeds longer.
UNASKED = ("digits-conv-ulx3s-85f",)
DESCRIPTION = """\
Blocks beside the usual ways to write them, synthesised by the same tool in the same run; and the
time of a training epoch at the board's clock beside PyTorch on one thread of this machine.
Takes about half an hour where nothing is kept. What was implemented before is kept in
build/implement, so a run that was stopped goes on. The result is also a JSON file in build/bench.
Fails where an area of ours is more than 2 % above its record.

Needs trisign's source tree, not an installed package: the record of areas is tests/areas.json, the
float network tools/float_baseline.py."""


def add_commands(commands: Any) -> None:
    """Add ``bench`` to the parser's ``commands``."""
    parser = add_command(
        commands,
        "bench",
        run_bench,
        "measure the blocks and the core beside baselines",
        DESCRIPTION,
        "trisign bench\ntrisign bench --float build/float/bin/python --seeds 5",
    )
    parser.add_argument(
        "--float", metavar="PYTHON", dest="python", help="interpreter with PyTorch and NumPy"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="place-and-route runs, default 1; 0: areas alone",
    )
    parser.add_argument("--only", choices=("blocks", "core"), help="one half of it")
    parser.add_argument(
        "--core",
        nargs="+",
        choices=CORES,
        metavar="CONFIG",
        default=[name for name in CORES if name not in UNASKED],
        help=f"some of the cores: {', '.join(CORES)}; without it all but {', '.join(UNASKED)}, "
        "which is placed and routed for an hour",
    )
    add_json(parser)


def run_bench(options: argparse.Namespace) -> int:
    """``trisign bench``"""
    # Here, not above: what elaborates hardware takes its time to import.
    from ..gen import config
    from . import bench_blocks, bench_record, bench_training
    from .implement import SEEDS_MAX
    from .tools import ToolFailure

    integer("seeds", options.seeds, 0, SEEDS_MAX)
    record = bench_record.recorded()
    python = None if options.python is None else bench_training.float_python(options.python)
    found: dict[str, Any] = {"when": datetime.now(UTC).isoformat(timespec="seconds")}

    def tell(table: str) -> None:
        """Each table as soon as it is there."""
        if not options.json:
            print(f"{table}\n", flush=True)

    try:
        if options.only != "blocks":
            cores = []
            for name in options.core:
                core = bench_training.measure_core(
                    config.load(name),
                    CORES[name],
                    seeds=options.seeds,
                    python=python,
                    report=progress,
                )
                fmax = "not placed" if core.fmax_mhz is None else f"{core.fmax_mhz:.1f} MHz"
                progress(f"{name}: {core.luts} LUTs, {fmax}")
                tell(bench_training.table([core]))
                cores.append(core)
            found["core"] = [core.as_json() for core in cores]
        if options.only != "core":
            rows = bench_blocks.measure(
                bench_blocks.ENTRIES,
                seeds=options.seeds,
                report=progress,
                finished=lambda part: tell(bench_blocks.table(part)),
            )
            found["blocks"] = [row.as_json() for row in rows]
    except ToolFailure as error:
        print(f"trisign: {error}", file=sys.stderr)
        return 1
    grown, compared = bench_record.comparison(bench_record.areas(found), record)
    path = build_root() / "bench" / f"{found['when'].replace(':', '-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(found, indent=2) + "\n")
    os.replace(aside, path)
    if options.json:
        print_json(found)
    else:
        print(f"{compared} areas compared with their record; result in {path}")
    for line in grown:
        print(f"trisign: area above its record: {line}", file=sys.stderr)
    return int(bool(grown))
