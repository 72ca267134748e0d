"""The commands that need no simulator and no board: boards, generate, estimate."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..golden.checks import DataError, integer

# How long a command may be silent.
TELL_SECONDS = 5.0
CONFIG_HELP = "name of a shipped configuration, or path of a TOML file"


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the parser's ``commands``."""
    parser = add_command(
        commands,
        "boards",
        run_boards,
        "list the boards: part, toolchain, default lanes, clock",
        "Also lists the configurations that come with trisign.",
        "trisign boards",
    )
    add_json(parser)

    parser = add_command(
        commands,
        "generate",
        run_generate,
        "write the Verilog of a configuration and its manifest",
        "Each block is one file whose header names the configuration and explains every port.\n"
        "DIR is written completely or not at all; the same configuration gives the same bytes.",
        "trisign generate digits-icebreaker --out build/digits",
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="new or empty folder, or one this command wrote"
    )
    add_json(parser)

    parser = add_command(
        commands,
        "estimate",
        run_estimate,
        "count state, memories and cycles before synthesis",
        "State, memories and forward cycles are counted from the configuration. Blocks are those\n"
        "of the whole core, as Yosys maps it; small memories may become LUTs, so they are upper\n"
        "limits. LUTs are within 10 %. Where the part has too little, fields that would help are\n"
        "named. Cycles of training follow from what the golden model does on the data: digits,\n"
        "where they fit the network, or FILE, which is one that trisign train takes.",
        "trisign estimate digits-ulx3s-85f\ntrisign estimate mine.toml --data mine.npz --epochs 10",
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument(
        "--data", metavar="digits|FILE", help="samples to train on; .npz or IDX, default digits"
    )
    parser.add_argument("--epochs", type=int, default=25, metavar="N", help="default 25")
    add_json(parser)


def add_command(
    commands: Any, name: str, run: Any, help_line: str, text: str, example: str
) -> argparse.ArgumentParser:
    """Add a command; ``run(options)`` returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_line,
        description=f"{help_line[0].upper()}{help_line[1:]}.\n\n{text}",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def print_json(value: Any) -> None:
    """Print a result for programs."""
    print(json.dumps(value, indent=2, sort_keys=True))


def progress(line: str) -> None:
    """Tell a step on standard error; standard output is for results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def told_meanwhile(line: str) -> Iterator[None]:
    """Tell ``line`` and the time so far every few seconds, for as long as what is within takes."""
    done = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        while not done.wait(TELL_SECONDS):
            progress(f"{line}: {time.monotonic() - started:.0f} s")

    # Not in the way of an interruption: what works is the main thread.
    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def run_boards(options: argparse.Namespace) -> int:
    """``trisign boards``"""
    from . import config
    from .boards import BOARDS

    configurations: dict[str, list[str]] = {name: [] for name in BOARDS}
    for name in config.shipped():
        configurations[config.load(name).board].append(name)
    if options.json:
        print_json(
            [
                {
                    "name": board.name,
                    "part": board.part,
                    "toolchain": board.family.toolchain,
                    "lanes": board.lanes,
                    "clock_mhz": board.clock_mhz,
                    "luts": board.luts,
                    "memories": {memory.name: memory.count for memory in board.memories},
                    "configurations": configurations[board.name],
                }
                for board in BOARDS.values()
            ]
        )
        return 0
    rows = [("board", "part", "lanes", "MHz", "toolchain", "configurations")]
    rows += [
        (
            board.name,
            board.part,
            str(board.lanes),
            f"{board.clock_mhz:g}",
            board.family.toolchain,
            " ".join(configurations[board.name]),
        )
        for board in BOARDS.values()
    ]
    print_table(rows)
    return 0


def run_generate(options: argparse.Namespace) -> int:
    """``trisign generate``"""
    from . import config
    from .generate import generate

    design = config.load_hardware(options.config)
    manifest = generate(design, options.out, report=progress)
    if options.json:
        print_json(manifest)
    else:
        names = ", ".join(entry["file"] for entry in manifest["files"])
        print(f"{design.name} ({config.short_hash(design)}): {names}, manifest.json")
        print(f"written to {options.out}")
    return 0


def run_estimate(options: argparse.Namespace) -> int:
    """``trisign estimate``"""
    from . import config
    from .data import DIGITS
    from .estimate import estimate, text
    from .training_cycles import training_estimate
    from .training_set import training_set

    integer("epochs", options.epochs, 1, 65535)
    design = config.load_hardware(options.config)
    result = estimate(design)
    with told_meanwhile(f"{design.name}: {options.epochs} epochs in golden, to count cycles"):
        samples = None
        try:
            samples = training_set(design, DIGITS if options.data is None else options.data)
        except DataError:
            if options.data is not None:
                raise
        if samples is not None:
            training = training_estimate(
                design, samples, epochs=options.epochs, clock_mhz=result.clock_mhz
            )
            result = replace(result, training=training)
    if options.json:
        print_json(result.as_json())
    else:
        print(text(result))
    return 0


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns, aligned; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
