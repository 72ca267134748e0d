"""Trains on a board, real or simulated; after each epoch all it holds is held against golden."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..golden.checks import DataError
from ..golden.design import DesignConfig
from ..rtl.register_map import Command
from ..sim.train import Report, TrainingRun
from . import transport
from .host import Board, BoardStatus, open_board

SIMULATED = "sim"
# Simulated time has no need of a slow line: as few cycles a bit as a UART can do with.
SIMULATED_BIT_CYCLES = 8
# For an answer: a loaded machine simulates slowly, and nothing is lost on the way.
SIMULATED_SECONDS = 10.0
TELL_SECONDS = 2.0


class BoardDiffers(AssertionError):
    """What the board holds is not what golden holds."""


@contextmanager
def connected(
    design: DesignConfig, port: str, report: Report = lambda line: None
) -> Iterator[Board]:
    """The board on serial port ``port``, or with ``sim`` its simulation."""
    if port != SIMULATED:
        with open_board(design, port) as board:
            yield board
        return
    from ..sim.simulated_board import SimulatedBoard

    report("building the simulated board")
    with SimulatedBoard.of(design, bit_cycles=SIMULATED_BIT_CYCLES) as simulated:
        report(f"simulated board on {simulated.port}")
        with open_board(design, simulated.port, timeout=SIMULATED_SECONDS) as board:
            yield board


def check_port(port: str) -> None:
    """Raise unless ``port`` can be one: ``sim``, a device that is there, or a URL of pyserial."""
    if port != SIMULATED:
        transport.check_port(port)


def check(design: DesignConfig, samples: int) -> None:
    """Raise unless the store of this design holds ``samples``, or they can be streamed."""
    limit = design.hardware.store_samples
    if samples > limit and design.network.loss != "crammer_singer":
        raise DataError(
            f"samples must be from 1 to {limit} (hardware.store_samples) with "
            f"network.loss {design.network.loss!r}, not {samples}"
        )


def train_board(run: TrainingRun, port: str) -> dict[str, Any]:
    """Train ``run`` on the board for the epochs that are left; what was measured.

    Where there are more samples than the store holds, they are sent anew each epoch.

    Raises
    ------
    BoardDiffers
        Board and golden differ. ``run`` and its checkpoint are those of the last equal epoch.
    LinkError
        The line or the board fails.
    """
    samples, golden = run.samples, run.trainer
    fits = len(samples.pixels) <= run.design.hardware.store_samples
    with connected(run.design, port, run.report) as board:
        run.save()
        if fits:
            board.load_samples(samples.pixels, samples.labels)
        board.reset()
        board.write_register("samples", len(samples.pixels) if fits else 1)
        board.initialise(run.seed)
        if run.resumed_from:
            board.load_state(golden.state())
        compare(board, run)
        while golden.epochs_finished < run.epochs:
            started = time.perf_counter()
            tell = _Teller(run)
            board.write_register("command", Command.CLEAR_COUNTERS)
            how: dict[str, Any] = {
                "first_epoch": golden.epochs_finished, "shift": run.shift, "progress": tell,
            }  # fmt: skip
            if fits:
                status = board.train(1, **how)
            else:
                status = board.train_stream(samples.pixels, samples.labels, 1, **how)
            seconds = time.perf_counter() - started
            golden.fit_store(run.store, shift=run.shift)
            compare(board, run)
            run.epoch_finished(seconds, cycles=status.counts["cycles"])
        measured = _predict(board, run)
        measured["port"] = port
        measured["link"] = {"host": dict(board.link.counters), "board": board.link_status()}
    cycles = run.column("cycles")
    if cycles and None not in cycles:
        measured["cycles_per_sample"] = sum(cycles) / (len(cycles) * len(samples.pixels))
    return measured


def compare(board: Board, run: TrainingRun) -> None:
    """Every weight, counter and generator of the board against golden."""
    golden, unused = run.trainer.state(), set()
    if run.design.network.rule != "ema_dst":
        unused = {"xorshift"}  # a generator that this board does not have
    for name, found in board.state().items():
        if name in unused:
            continue
        wrong = np.argwhere(np.asarray(golden[name]) != found)
        if len(wrong):
            place = tuple(wrong[0])
            raise BoardDiffers(
                f"after epoch {run.trainer.epochs_finished}, {name}{list(map(int, place)) or ''}: "
                f"golden {np.asarray(golden[name])[place]}, board {found[place]}"
            )


def _predict(board: Board, run: TrainingRun) -> dict[str, Any]:
    """The board's predictions of the test samples, which must be golden's."""
    pixels = run.samples.test_pixels
    if not len(pixels):
        return {"predictions": 0}
    found = board.predict(pixels)
    expected = run.trainer.predict(run.test_trits)
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        raise BoardDiffers(
            f"prediction of test sample {wrong[0]}: golden {expected[wrong[0]]}, "
            f"board {found[wrong[0]]}"
        )
    return {"predictions": len(pixels)}


class _Teller:
    """Tells now and then how far an epoch is."""

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.told = time.monotonic()

    def __call__(self, status: BoardStatus) -> None:
        now = time.monotonic()
        if now - self.told >= TELL_SECONDS:
            self.told = now
            seen = status.counts["samples_seen"]
            epoch = self.run.trainer.epochs_finished + 1
            self.run.report(f"epoch {epoch}: {seen}/{len(self.run.samples.pixels)} samples")
