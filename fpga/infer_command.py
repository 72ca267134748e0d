"""``trisign infer``: classes of samples, predicted by a board."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gen.commands import CONFIG_HELP, add_command, add_json, print_json, progress
from ..golden.checks import DataError, ParameterError, integer, integer_array
from ..golden.design import DesignConfig

DESCRIPTION = """\
The board at --port predicts with the weights it holds, or with those of --checkpoint, which
`trisign train` wrote. FILE.npz holds x (uint8, [n, pixels]) and, for the accuracy, y [n]."""


def add_commands(commands: Any) -> None:
    """Add ``infer`` to the parser's ``commands``."""
    parser = add_command(
        commands,
        "infer",
        run_infer,
        "predict the classes of samples on a board",
        DESCRIPTION,
        "trisign infer digits-icebreaker --port /dev/ttyUSB1\n"
        "trisign infer digits-icebreaker --port sim --checkpoint run.npz --samples 10\n"
        "trisign infer mine.toml --port /dev/ttyUSB1 --data mine.npz --out classes.npz",
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument("--port", required=True, help="serial port of the board, or sim")
    parser.add_argument(
        "--data",
        default="digits",
        metavar="digits|FILE.npz",
        help="default digits, those kept for test",
    )
    parser.add_argument("--samples", type=int, metavar="N", help="the first N only")
    parser.add_argument("--checkpoint", metavar="FILE", help="write these weights to it first")
    parser.add_argument("--out", metavar="FILE.npz", help="write the classes there, as array y")
    add_json(parser)


def run_infer(options: argparse.Namespace) -> int:
    """``trisign infer``"""
    # Here, not above: what elaborates hardware takes its time to import.
    from ..gen import config
    from ..gen.training_set import files_of
    from ..golden import checkpoint
    from ..golden.output_file import check_apart, check_writable, written_aside
    from .train_board import SIMULATED, check_port, connected

    design = config.load_hardware(options.config)
    check_port(options.port)
    if options.port == SIMULATED and options.checkpoint is None:
        raise ParameterError("checkpoint must be given with port sim: a simulation begins empty")
    if options.out is not None:
        check_writable("out", options.out, endings=(".npz",))
        inputs = {"the configuration": config.find(options.config)}
        inputs |= files_of("data", options.data) | files_of("checkpoint", options.checkpoint)
        check_apart({"out": options.out}, inputs)
    pixels, labels = samples(design, options.data, options.samples)
    state = None
    if options.checkpoint is not None:
        identity = {"configuration": config.configuration_hash(design)}
        state = checkpoint.load(options.checkpoint, identity=identity).state
    with connected(design, options.port, progress) as board:
        if state is not None:
            board.load_state(state)
        classes = board.predict(pixels)
    accuracy = None if labels is None else float(np.mean(classes == labels))
    if options.out is not None:
        with written_aside(options.out, "out") as file:
            np.savez(file, y=classes)
    if options.json:
        print_json({"classes": classes.tolist(), "accuracy": accuracy})
    else:
        print(" ".join(map(str, classes)))
        if accuracy is not None:
            print(f"accuracy {100 * accuracy:.2f} % of {len(classes)}")
    return 0


def samples(
    design: DesignConfig, data: str, count: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Pixels, and labels where there are some."""
    from ..gen.data import DIGITS, load_digits, read_arrays

    if data == DIGITS:
        digits = load_digits()
        arrays: dict[str, NDArray] = {"x": digits.test_pixels, "y": digits.test_labels}
    else:
        arrays = read_arrays(data)
    try:
        if "x" not in arrays:
            raise DataError("x must be an array of the file")
        pixel_max = (1 << design.hardware.pixel_width) - 1
        x = integer_array("x", arrays["x"], 0, pixel_max, (None, design.pixels)).astype(np.uint8)
        y = None
        if "y" in arrays:
            y = integer_array("y", arrays["y"], 0, design.classes - 1, (len(x),))
    except DataError as error:
        raise DataError(f"{data}: {error}") from error
    if not len(x):
        raise DataError(f"{data}: x must hold at least one sample, not 0")
    count = integer("samples", len(x) if count is None else count, 1, len(x))
    return x[:count], None if y is None else y[:count]
