"""The command that trains: train."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..gen.commands import CONFIG_HELP, add_command, add_json, print_json, progress
from ..golden.checks import ParameterError

ENGINES = ("golden", "rtl", "board")

DESCRIPTION = """\
The golden engine is the specification, compiled. The rtl engine simulates the generated trainer and
holds every memory write against golden as it happens, and all memories after each epoch. The board
engine trains on the board at --port, or with --port sim on a simulation of its whole core behind a
pseudo-terminal; all that the board holds is held against golden after each epoch.

FILE.npz holds x (uint8, [n, pixels]) and y [n]. Images in IDX format, plain or gzip, have their
labels beside them: train-images-idx3-ubyte, train-labels-idx1-ubyte. The training error told is
that of each sample before its update. A run that was interrupted goes on to the same bits with
--resume.

Exit code 0 when trained; 1 and the first difference where RTL or board and golden differ."""

EXAMPLES = """\
trisign train digits-icebreaker
trisign train digits-icebreaker --engine rtl --samples 200 --epochs 2
trisign train digits-icebreaker --engine board --port /dev/ttyUSB1
trisign train digits-icebreaker --engine board --port sim --epochs 1
trisign train digits-ulx3s-85f --shift --epochs 200 --checkpoint run.npz --plot run.png
trisign train mine.toml --data mine.npz --test-fraction 0.2 --json"""


def add_commands(commands: Any) -> None:
    """Add the command of this module to the parser's ``commands``."""
    parser = add_command(
        commands,
        "train",
        run_train,
        "train a network: in the golden model, in simulated RTL, or on a board",
        DESCRIPTION,
        EXAMPLES,
    )
    parser.add_argument("config", metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument("--engine", choices=ENGINES, default="golden", help="default golden")
    parser.add_argument("--port", help="serial port of the board, or sim; with --engine board")
    parser.add_argument(
        "--data", default="digits", metavar="digits|FILE", help=".npz or IDX; default digits"
    )
    test = parser.add_mutually_exclusive_group()
    test.add_argument("--test", metavar="FILE", help="samples to test with")
    test.add_argument(
        "--test-fraction", type=float, metavar="F", help="share of --data FILE kept for test"
    )
    parser.add_argument("--epochs", type=int, default=25, metavar="N", help="default 25")
    parser.add_argument("--samples", type=int, metavar="N", help="train on the first N only")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument(
        "--shift", action="store_true", help="move each image by up to a pixel, at random"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="write the state after every epoch")
    parser.add_argument("--resume", action="store_true", help="go on from --checkpoint")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for record, learning curve and final checkpoint; new, empty or of train",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the learning curve, as .png, .pdf or .svg"
    )
    parser.add_argument(
        "--simulator", default="verilator", metavar="NAME", help="verilator (default) or icarus"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_json(parser)


def run_train(options: argparse.Namespace) -> int:
    """``trisign train``"""
    # Here, not above: what elaborates hardware takes its time to import.
    from ..gen import config
    from ..gen.training_set import training_set
    from ..sim import train_rtl
    from ..sim.runner import BenchFailure
    from ..sim.train import TrainingRun, check_choices
    from . import train_board

    started = time.monotonic()
    load = config.load if options.engine == "golden" else config.load_hardware
    design = load(options.config)
    in_rtl, on_board = options.engine == "rtl", options.engine == "board"
    if on_board and options.port is None:
        raise ParameterError("port must be given with --engine board")
    if options.port is not None:
        if not on_board:
            raise ParameterError(
                f"port must be left out without --engine board, not {options.port!r}"
            )
        train_board.check_port(options.port)
    if in_rtl:
        train_rtl.check_simulator(options.simulator)
    check_outputs(options)
    check_choices(
        design,
        seed=options.seed,
        epochs=options.epochs,
        shift=options.shift,
        checkpoint_path=options.checkpoint,
        resume=options.resume,
    )
    samples = training_set(
        design,
        options.data,
        test=options.test,
        test_fraction=options.test_fraction,
        samples=options.samples,
    )
    if in_rtl:
        train_rtl.check(design, len(samples.pixels))
    if on_board:
        train_board.check(design, len(samples.pixels))
    run = TrainingRun(
        design,
        samples,
        seed=options.seed,
        epochs=options.epochs,
        shift=options.shift,
        checkpoint_path=options.checkpoint,
        resume=options.resume,
        compile=not in_rtl,
        report=(lambda line: None) if options.quiet else progress,
    )
    head: dict[str, Any] = {"engine": options.engine, "equal": None}
    try:
        if in_rtl:
            head |= {"rtl": train_rtl.train_rtl(run, options.simulator), "equal": True}
        elif on_board:
            head |= {"board": train_board.train_board(run, options.port), "equal": True}
        else:
            run.train_golden()
            head |= {"compiled": run.compiled}
    except (BenchFailure, train_board.BoardDiffers) as error:
        if options.json:
            print_json(head | {"equal": False, "difference": str(error)})
        else:
            print(f"{design.name}: {options.engine} differs from golden\n{error}")
        return 1
    record = run.record() | head | {"seconds": round(time.monotonic() - started, 3)}
    if options.plot is not None:
        run.plot(options.plot)
    if options.out is not None:
        run.write_folder(options.out, record)
    if options.json:
        print_json(record)
    else:
        print(text(record))
    return 0


def check_outputs(options: argparse.Namespace) -> None:
    """Raise DataError unless all that the command will write can be, in places of their own."""
    from ..gen.config import find
    from ..gen.output_folder import TRAIN, check_replaceable
    from ..gen.plot import ENDINGS
    from ..gen.training_set import files_of
    from ..golden.output_file import check_apart, check_writable

    if options.checkpoint is not None:
        check_writable("checkpoint", options.checkpoint)
    if options.plot is not None:
        check_writable("plot", options.plot, endings=ENDINGS)
    if options.out is not None:
        check_replaceable(options.out, TRAIN)
    outputs = {name: getattr(options, name) for name in ("checkpoint", "plot", "out")}
    inputs = {"the configuration": find(options.config)}
    inputs |= files_of("data", options.data) | files_of("test", options.test)
    check_apart({name: path for name, path in outputs.items() if path is not None}, inputs)


def text(record: dict[str, Any]) -> str:
    """The record for people."""

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.2f} %"

    data, rtl = record["data"], record.get("rtl")
    lines = [
        f"{record['configuration']} ({record['configuration_sha256'][:8]}): {record['epochs']} "
        f"epochs on {data['samples']} samples of {data['source']}, seed {record['seed']}",
        f"test accuracy      {percent(record['final_test_accuracy'])} of {data['test_samples']}",
        f"training accuracy  {percent(record['train_accuracy'][-1])}",
        f"weights            {' '.join(record['digests']['weights'])}",
        f"counters           {' '.join(record['digests']['counters'])}",
        f"groups written     {record['groups_written']}, LFSR {record['generators']['lfsr']}",
    ]
    if rtl is not None:
        lines.append(
            f"RTL on {rtl['simulator']} equals golden: {rtl['writes_compared']} writes, "
            f"{rtl['predictions']} predictions"
        )
        if rtl["cycles"]:
            lines.append(
                f"cycles a sample    {rtl['cycles_per_sample']:.1f}, "
                f"{rtl['cycles_over_forward']:.3f} × the forward pass ({rtl['forward_cycles']}), "
                f"{rtl['cycles_over_prediction']:.3f} × prediction alone "
                f"({rtl['prediction_cycles_per_sample']:.1f})"
            )
    board = record.get("board")
    if board is not None:
        lines.append(
            f"board on {board['port']} equals golden: all it holds after each epoch, "
            f"{board['predictions']} predictions"
        )
        if "cycles_per_sample" in board:
            lines.append(f"cycles a sample    {board['cycles_per_sample']:.1f}")
    lines.append(f"seconds            {record['seconds']:.1f}")
    return "\n".join(lines)
