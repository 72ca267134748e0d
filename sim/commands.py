"""The command that simulates: compare."""

from __future__ import annotations

import argparse
from typing import Any

from ..gen.commands import CONFIG_HELP, add_command, add_json, print_json, progress

DEFAULT_CONFIG = "digits-icebreaker"

DESCRIPTION = """\
The block's Verilog runs in a simulator on recorded vectors, and every output is held against the
golden model. Without --vectors they are what the golden trainer computes on real digits. FILE.npz
holds either samples, x (uint8, [n, pixels]) and y [n], to record a training run on, or the vectors
themselves:
  ternary_dot           a, w      [n, lanes], -1..1
  processing_element    a, w      [n, words, lanes]; optional, one value each, threshold, window,
                        offset
  update_engine         grad, weight, momentum      [rows, inputs]; optional length [rows] and, one
                        value each, threshold, gate_shift, shift, lfsr_state, xorshift_state
  precision_controller  value     [tensors, length], or [n] with last [n] (1 ends a tensor)

Exit code 0 where all are equal; 1 and the first difference otherwise."""

EXAMPLES = """\
trisign compare ternary_dot
trisign compare update_engine --samples 100 --simulator verilator
trisign compare precision_controller --vectors mine.npz"""


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the parser's ``commands``."""
    parser = add_command(
        commands,
        "compare",
        run_compare,
        "hold the RTL of a block against its golden model",
        DESCRIPTION,
        EXAMPLES,
    )
    parser.add_argument("block", metavar="BLOCK", help="a block, e.g. ternary_dot")
    parser.add_argument(
        "--config", default=DEFAULT_CONFIG, help=f"{CONFIG_HELP} (default {DEFAULT_CONFIG})"
    )
    parser.add_argument("--vectors", metavar="FILE.npz", help="samples or vectors of your own")
    parser.add_argument("--samples", type=int, metavar="N", help="samples to record (default 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the training run")
    parser.add_argument(
        "--simulator", default="icarus", metavar="NAME", help="icarus (default) or verilator"
    )
    add_json(parser)


def run_compare(options: argparse.Namespace) -> int:
    """``trisign compare``"""
    from ..gen import config
    from .compare import compare, text

    outcome = compare(
        config.load_hardware(options.config),
        options.block,
        vectors=options.vectors,
        samples=options.samples,
        simulator=options.simulator,
        seed=options.seed,
        report=progress,
    )
    if options.json:
        print_json(outcome.as_json())
    else:
        print(text(outcome))
    return 0 if outcome.equal else 1
