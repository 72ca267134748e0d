"""The commands that bring a configuration onto its board: build, program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..gen.commands import CONFIG_HELP, add_command, add_json, print_json, progress
from ..golden.checks import ParameterError
from .tools import ToolFailure

DESCRIPTION = """\
Places and routes with several seeds, and reports area and clock. All seeds must meet the clock of
the board (trisign boards); otherwise the report says which do not, the exit code is 1, and DIR
holds no bitstream. Results are kept in build/tops and reused while nothing they depend on changes.

For boards whose tools are the vendor's, writes the complete project for them.

DIR is written completely or not at all."""

PROGRAM_DESCRIPTION = """\
Loads what trisign build made, after checking that it is of this configuration, with the first of
the board's programmers that is on PATH (docs/boards)."""

EXAMPLES = """\
trisign build digits-icebreaker
trisign build digits-ulx3s-85f --seeds 10 --json
trisign build digits-arty --out build/arty"""


def default_out(name: str) -> Path:
    """Where a configuration's build is, relative to the working folder."""
    return Path("build") / "boards" / name


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the parser's ``commands``."""
    parser = add_command(
        commands,
        "build",
        run_build,
        "build the bitstream of a configuration's board, with a report",
        DESCRIPTION,
        EXAMPLES,
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="place and route N times; default 5"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="N at a time; default: as many as processors"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="new or empty folder, or one this command wrote; default build/boards/CONFIG",
    )
    add_json(parser)

    parser = add_command(
        commands,
        "program",
        run_program,
        "load a built bitstream into its board",
        PROGRAM_DESCRIPTION,
        "trisign program digits-icebreaker",
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument("--port", help="device, as the programmer names it; default: the first")
    parser.add_argument("--programmer", metavar="NAME", help="one of those of the board")
    parser.add_argument(
        "--build", metavar="DIR", help="what trisign build wrote; default build/boards/CONFIG"
    )


def run_build(options: argparse.Namespace) -> int:
    """``trisign build``"""
    # Here, not above: what elaborates hardware takes its time to import.
    from ..gen import boards, config
    from ..gen.output_folder import BUILD, check_replaceable
    from .build import build
    from .project import SCRIPT, write_project

    design = config.load_hardware(options.config)
    out = options.out if options.out is not None else default_out(design.name)
    check_replaceable(out, BUILD)
    family = boards.find(design.board).family
    if not family.embedded:
        files = write_project(design, out, report=progress)
        if options.json:
            print_json({"configuration": design.name, "folder": str(out), "files": files})
        else:
            print(f"{design.name}: {family.toolchain.removesuffix(' (project written)')} project")
            print(f"written to {out}; build it with: cd {out} && ./{SCRIPT}")
        return 0
    try:
        result = build(design, out, seeds=options.seeds, jobs=options.jobs, report=progress)
    except ToolFailure as error:
        print(f"trisign: {error}", file=sys.stderr)
        return 1
    if options.json:
        print_json(result.as_json())
    else:
        print(result.text())
        print(f"written to {out}")
    return 1 if result.note else 0


def run_program(options: argparse.Namespace) -> int:
    """``trisign program``"""
    from ..gen import config
    from . import program

    design = config.load_hardware(options.config)
    if options.port == "":
        raise ParameterError("port must not be empty")
    folder = default_out(design.name) if options.build is None else Path(options.build)
    bitstream = program.find_bitstream(design, folder)
    programmer = program.find_programmer(design.board, options.programmer)
    line = program.command(programmer, bitstream, options.port)
    progress(" ".join(line))
    try:
        program.run(line)
    except ToolFailure as error:
        print(f"trisign: {error}", file=sys.stderr)
        return 1
    print(f"{design.name} ({config.short_hash(design)}) is on the board")
    return 0
