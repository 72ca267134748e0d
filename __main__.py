"""The command line of trisign: ``trisign COMMAND`` or ``python -m trisign COMMAND``.

Exit codes: 0 done; 1 a comparison differs, a build fails, or something needed is missing (doctor);
2 bad input or a missing tool, told in one line; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .fpga import (
    bench_command,
    build_command,
    doctor,
    implement_command,
    infer_command,
    train_command,
)
from .gen import commands as gen_commands
from .golden.checks import TrisignError
from .sim import commands as sim_commands

# Each module has add_commands(commands), and adds them in the order a user meets them.
COMMAND_MODULES = (
    gen_commands,
    implement_command,
    build_command,
    sim_commands,
    train_command,
    infer_command,
    bench_command,
    doctor,
)

EPILOG = """\
first steps:
  trisign boards                                      what is supported
  trisign estimate digits-icebreaker                  what a configuration costs
  trisign generate digits-icebreaker --out build/v    its Verilog
  trisign implement digits-icebreaker                 its blocks placed and routed
  trisign compare ternary_dot                         RTL against the golden model, on real digits
  trisign train digits-icebreaker                     it learns digits, in the golden model
  trisign COMMAND --help                              more, with examples

CONFIG is the name of a shipped configuration or the path of a TOML file.
Results go to standard output, progress to standard error.
exit codes: 0 done, 1 mismatch or failure, 2 bad input or missing tool, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and say where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"trisign: error: {message} (see: {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="trisign",
        description="Generates hardware that trains ternary neural networks on small FPGAs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trisign {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True, parser_class=Parser
    )
    for module in COMMAND_MODULES:
        module.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except TrisignError as error:
        print(f"trisign: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or __package__).partition(".")[0] == __package__:
            raise
        print(
            f"trisign: error: Python package {error.name} is missing; get it with: make setup",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("trisign: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has left; what is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
