"""``trisign implement``: the blocks of a configuration, implemented and measured one by one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from ..gen.commands import CONFIG_HELP, add_command, add_json, print_json, progress
from ..golden.checks import ParameterError, choice, integer
from ..golden.design import DesignConfig
from .report import Implementation, table
from .targets import BOARD_TARGETS, TARGETS
from .tools import ToolFailure

ALL = "all"


def add_commands(commands: Any) -> None:
    """Add ``implement`` to the parser's ``commands``."""
    parser = add_command(
        commands,
        "implement",
        run_implement,
        "place and route each block by itself: area and clock",
        "Areas are those of the block alone; clocks are measured from register to register.\n"
        "Results are kept in build/implement and reused while nothing they depend on changes.",
        "trisign implement digits-icebreaker\n"
        "trisign implement digits-icebreaker --target ecp5-25f --block ternary_dot --seeds 5",
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument("--block", nargs="+", metavar="NAME", help="only these blocks")
    parser.add_argument(
        "--target",
        nargs="+",
        metavar="PART",
        help=f"{', '.join(TARGETS)} or {ALL}; the default is that of the board",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="place and route N times, 1 to 99, and report the median clock",
    )
    parser.add_argument("--fresh", action="store_true", help="discard kept results")
    add_json(parser)


def run_implement(options: argparse.Namespace) -> int:
    """``trisign implement``"""
    # Here, not above: what elaborates hardware takes its time to import.
    from ..gen import config
    from ..gen.blocks import PARTS, find
    from .implement import SEEDS_MAX

    design = config.load_hardware(options.config)
    targets = chosen_targets(design, options.target)
    integer("seeds", options.seeds, 1, SEEDS_MAX)
    names = [find(name).name for name in options.block or PARTS]
    try:
        results = implement_blocks(design, names, targets, seeds=options.seeds, fresh=options.fresh)
    except ToolFailure as error:
        print(f"trisign: {error}", file=sys.stderr)
        return 1
    if options.json:
        print_json([result.as_json() for result in results])
    else:
        print(f"{design.name} ({config.short_hash(design)})\n")
        print(table(results))
    return 0


def chosen_targets(design: DesignConfig, wanted: Sequence[str] | None) -> list[str]:
    """Targets named on the command line, else the one of the design's board."""
    if wanted is None:
        if design.board not in BOARD_TARGETS:
            raise ParameterError(
                f"target must be given for board {design.board}: {', '.join(TARGETS)} or {ALL}"
            )
        return [BOARD_TARGETS[design.board]]
    for name in wanted:
        choice("target", name, (*TARGETS, ALL))
    return list(TARGETS) if ALL in wanted else list(dict.fromkeys(wanted))


def implement_blocks(
    design: DesignConfig,
    names: Sequence[str],
    targets: Sequence[str],
    *,
    seeds: int = 1,
    fresh: bool = False,
) -> list[Implementation]:
    """Implement blocks ``names`` of ``design`` on ``targets``; a line of progress for each.

    The dot products are mapped to each target's kind of LUT, whatever the design's board has.
    """
    from ..gen.blocks import BLOCKS
    from ..gen.verilog import to_verilog
    from .implement import implement

    verilog = {}
    for tech in dict.fromkeys(TARGETS[target].tech for target in targets):
        mapped = replace(design, hardware=replace(design.hardware, tech=tech))
        for number, name in enumerate(names, 1):
            progress(f"[{number}/{len(names)}] {name}: Verilog for {tech}")
            verilog[name, tech] = to_verilog(BLOCKS[name].create(mapped), name)
    jobs = [(name, target) for target in targets for name in names]
    results: dict[tuple[str, str], Implementation] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {
            pool.submit(
                implement,
                verilog[name, TARGETS[target].tech],
                name,
                target,
                seeds=seeds,
                fresh=fresh,
            ): (name, target)
            for name, target in jobs
        }
        try:
            for number, done in enumerate(as_completed(waiting), 1):
                name, target = waiting[done]
                result = results[name, target] = done.result()
                how = "kept" if result.cached else f"{result.seconds:.0f} s"
                progress(f"[{number}/{len(jobs)}] {name} on {target}: {how}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [results[job] for job in jobs]
