"""The host against a simulated board: the core's own Verilog behind a pseudo-terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from trisign.fpga.host import Board, BoardStatus, open_board
from trisign.fpga.link_errors import LinkError, NoAnswer, Refused, WrongConfiguration
from trisign.fpga.transport import SerialTransport
from trisign.gen import config
from trisign.gen.data import load_digits
from trisign.golden.compiled import fast_trainer
from trisign.golden.link import LinkStatus
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer
from trisign.golden.trainer_state import COUNTS
from trisign.rtl.register_map import Command, Region, address
from trisign.sim.simulated_board import Line, SimulatedBoard

# The same as in test_train_board, so that both use one build.
DIGITS = """
[design]
name = "small"
board = "icebreaker"
[network]
layers = [192, 8, 10]
rng_group = 16
[hardware]
lanes = 16
store_samples = 40
image = [8, 8]
"""
PICTURES = """
[design]
name = "{rule}-{loss}"
board = "icebreaker"
[network]
layers = [48, 6, 4]
rule = "{rule}"
loss = "{loss}"
margin = 8
rng_group = 32
[hardware]
lanes = 16
store_samples = 40
image = [4, 4]
"""
SAMPLES = 40
SEED = 5
BIT_CYCLES = 8
# A loaded machine simulates slowly; where the line loses frames, waiting is what takes time.
PATIENT: dict[str, Any] = {"timeout": 10.0}
LOSSY: dict[str, Any] = {"timeout": 0.2, "attempts": 12}


def simulation(text: str) -> SimulatedBoard:
    return SimulatedBoard.of(config.parse(text), bit_cycles=BIT_CYCLES)


@pytest.fixture(scope="module")
def digits_core() -> SimulatedBoard:
    return simulation(DIGITS)


@pytest.fixture
def core(digits_core: SimulatedBoard) -> Iterator[SimulatedBoard]:
    """A board that was just configured, on a good line."""
    digits_core.line = Line()
    with digits_core as running:
        yield running


DESIGN = config.parse(DIGITS)


def digits(first: int = 0, count: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    part = slice(first, first + count)
    return data.train_pixels[part], data.train_labels[part]


def golden_run(
    samples: int, epochs: int, *, design: Any = DESIGN, data: Any = None, shift: bool = False
) -> Trainer:
    trainer = fast_trainer(design.network, SEED)
    pixels, labels = data or digits()
    store = SampleStore(pixels[:samples], labels[:samples], image=design.hardware.image)
    trainer.fit_store(store, epochs, shift=shift)
    return trainer


def assert_equal(board: Board, golden: Trainer) -> None:
    """All that the board holds is golden's."""
    expected = golden.state()
    for name, array in board.state().items():
        if name != "xorshift" or board.design.network.rule == "ema_dst":
            assert np.array_equal(array, expected[name]), name


def begin(board: Board) -> None:
    board.load_samples(*digits())
    board.initialise(SEED)


def begin_run(board: Board, epochs: int) -> None:
    """A run that nobody waits for."""
    begin(board)
    board.write_register("epochs", epochs)
    board.write_register("command", Command.RUN)


# What a host does


@pytest.mark.parametrize("shift", [False, True])
def test_digits_as_golden(core: SimulatedBoard, shift: bool) -> None:
    seen: list[BoardStatus] = []
    with open_board(DESIGN, core.port, **PATIENT) as board:
        begin(board)
        assert not board.status().counts["samples_seen"]
        status = board.train(3, shift=shift, progress=seen.append)
        golden = golden_run(SAMPLES, 3, shift=shift)
        assert_equal(board, golden)
        for name in set(COUNTS) & set(status.counts):
            assert status.counts[name] == getattr(golden, name), name
        assert (status.busy, status.initialised, status.saturated) == (False, True, ())
        assert (status.epoch, status.sample) == (3, 0)
        assert seen
        assert all(told.initialised and told.epoch <= 3 for told in seen)
        pixels = digits(100, 50)[0]
        store = SampleStore(pixels, np.zeros(50, np.int64))
        expected = golden.predict(np.array(list(store.epoch(None))))
        assert np.array_equal(board.predict(pixels), expected)
        assert board.link.counters["repeats"] == board.link.counters["damaged"] == 0
        told = board.link_status()
    assert told.pop("accepted") == board.link.counters["requests"]
    assert not any(told.values())


@pytest.mark.parametrize(
    ("rule", "loss"), [("ema_dst", "crammer_singer"), ("counter", "squared_hinge")]
)
def test_other_rules_as_golden(rule: str, loss: str) -> None:
    generator = np.random.default_rng(2)
    data = generator.integers(0, 16, (SAMPLES, 16)), generator.integers(0, 4, SAMPLES)
    simulated = simulation(PICTURES.format(rule=rule, loss=loss))
    design = config.parse(PICTURES.format(rule=rule, loss=loss))
    with simulated, open_board(design, simulated.port, **PATIENT) as board:
        board.load_samples(*data)
        board.initialise(SEED)
        board.train(2, shift=True)
        half = golden_run(SAMPLES, 2, design=design, data=data, shift=True)
        assert_equal(board, half)
        board.reset()
        board.initialise(SEED + 1)
        board.load_state(half.state())
        board.train(1, first_epoch=2, shift=True)
        assert_equal(board, golden_run(SAMPLES, 3, design=design, data=data, shift=True))


def test_busy_and_stopped(core: SimulatedBoard) -> None:
    with open_board(DESIGN, core.port, **PATIENT) as board:
        begin_run(board, 65535)
        status = board.status()
        assert status.busy
        assert status.initialised
        with pytest.raises(Refused, match="the trainer is at work") as refused:
            board.read_weights()
        assert refused.value.status == LinkStatus.BUSY
        assert board.status().counts["samples_seen"] > status.counts["samples_seen"]
        board.stop()
        status = board.status()
        assert not status.busy
        seen = status.counts["samples_seen"]
        assert seen == status.epoch * SAMPLES + status.sample
        golden = golden_run(SAMPLES, status.epoch)
        if status.sample:
            pixels, labels = digits(0, status.sample)
            golden.fit_store(SampleStore(pixels, labels))
        assert_equal(board, golden)


def test_reset_in_mid_run(core: SimulatedBoard) -> None:
    with open_board(DESIGN, core.port, **PATIENT) as board:
        begin_run(board, 65535)
        board.write_register("margin", 3)
        assert board.status().busy
        board.reset()
        status = board.status()
        assert (status.busy, status.epoch, status.sample) == (False, 0, 0)
        assert not any(status.counts.values())
        assert board.read_register("margin") == DESIGN.network.margin
        before = board.state()
        assert before["weights_0"].any()
        assert before["counters_0"].any()
        words = board.image.store(*digits())
        stored = np.array(board.link.read(address(Region.STORE, 0), len(words)))
        assert np.array_equal(stored & 0xFFFF, words & 0xFFFF)
        inputs = np.arange(len(words)) % board.plan.record_words < board.plan.record_words - 1
        assert np.array_equal(stored[inputs], words[inputs])
        for name, array in board.state().items():
            assert np.array_equal(array, before[name]), name
        board.write_register("samples", SAMPLES)
        board.initialise(SEED)
        board.train(1)
        assert_equal(board, golden_run(SAMPLES, 1))


def test_another_configuration_is_refused(core: SimulatedBoard) -> None:
    other = dataclasses.replace(DESIGN, name="other")
    with pytest.raises(WrongConfiguration, match=r"^the board holds configuration [0-9a-f]{8}, "):
        open_board(other, core.port, **PATIENT)


# What a line does


class Watched(SerialTransport):
    """A serial port that calls ``event`` before a write, once, when ``countdown`` writes passed."""

    def __init__(self, port: str, event: Callable[[], None], countdown: int) -> None:
        super().__init__(port, DESIGN.hardware.baud)
        self.event = event
        self.countdown = countdown

    def write(self, data: bytes) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            self.event()
        super().write(data)


def retried(call: Callable[[], Any], board: Board, seconds: float = 60.0) -> tuple[Any, int]:
    """Do ``call`` until it succeeds; its result, and how often it failed."""
    until, failures = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        told: LinkError | None = None
        try:
            return call(), failures
        except LinkError as error:
            told = error
        assert told.counters == board.link.counters
        assert told.counters["requests"] > 0
        failures += 1
        with contextlib.suppress(LinkError):
            board.identify()
    raise AssertionError(f"no success in {seconds} s, {failures} failures")


LINES = {
    "flip": Line(flip=0.001),
    "drop": Line(drop=0.001),
    "repeat": Line(repeat=0.001),
    "garbage": Line(garbage=0.001),
    "all": Line(flip=0.0005, drop=0.0005, repeat=0.0005, garbage=0.0005, skew=1.02),
    "slow": Line(skew=1.02),
    "fast": Line(skew=0.98),
}


@pytest.mark.parametrize("name", LINES)
def test_right_or_told(core: SimulatedBoard, name: str) -> None:
    """Every word that the host has written is there, whatever the line did to it on its way."""
    core.line = LINES[name]
    clean = not (core.line.flip or core.line.drop or core.line.repeat or core.line.garbage)
    transport = SerialTransport(core.port, DESIGN.hardware.baud)
    with Board(DESIGN, transport, **(PATIENT if clean else LOSSY)) as board:
        failures = retried(lambda: begin(board), board)[1]
        failures += retried(lambda: board.train(1), board)[1]
        golden = golden_run(SAMPLES, 1)
        pixels, labels = digits(100)
        failures += retried(lambda: board.load_samples(pixels, labels), board)[1]
        _, more = retried(lambda: assert_equal(board, golden), board)
        failures += more
        repeats = board.link.counters["repeats"]
        core.line = Line()
        board.identify()
        words = board.image.store(pixels, labels)
        assert board.link.read(address(Region.STORE, 0), len(words)) == words.tolist()
        assert_equal(board, golden)
        told = board.link_status()
    assert (repeats > 0) == (not clean)
    assert failures <= repeats
    if clean:
        assert not any(value for name, value in told.items() if name != "accepted")
    if name == "flip":
        assert told["crc_errors"] + told["cobs_errors"] > 0


@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_cable_pulled_and_put_back(core: SimulatedBoard, seconds: float) -> None:
    """In the middle of loading; a short time goes unnoticed, a long one is told."""
    back = [0.0]

    def pull() -> None:
        core.line = Line(connected=False)
        back[0] = time.monotonic() + seconds

    class PutBack(Watched):
        def read(self, timeout: float) -> bytes:
            if back[0] and time.monotonic() > back[0]:
                core.line, back[0] = Line(), 0.0
            return super().read(timeout)

    with Board(DESIGN, PutBack(core.port, pull, 4), timeout=0.2, attempts=5) as board:
        started = time.monotonic()
        _, failures = retried(lambda: board.load_samples(*digits()), board)
        assert time.monotonic() - started < 30
        assert (failures > 0) == (seconds > 1)
        assert board.link.counters["repeats"] > 0
        retried(lambda: board.initialise(SEED), board)
        retried(lambda: board.train(2), board)
        assert_equal(board, golden_run(SAMPLES, 2))


def test_pulled_for_ever(core: SimulatedBoard) -> None:
    with open_board(DESIGN, core.port, timeout=0.1, attempts=3) as board:
        core.line = Line(connected=False)
        started = time.monotonic()
        with pytest.raises(NoAnswer, match=r"repeats 2\)$"):
            board.load_samples(*digits())
        assert time.monotonic() - started < 5


EPOCHS = 800


def test_host_killed_in_mid_training(core: SimulatedBoard) -> None:
    """The run goes on without a host; the next host finds where it is, and its end."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def host() -> None:
        board = open_board(DESIGN, core.port, **PATIENT)
        begin(board)
        board.train(EPOCHS, progress=lambda status: theirs.send(status.epoch))

    child = context.Process(target=host)
    child.start()
    assert child.pid is not None
    assert ours.poll(60)
    ours.recv()
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with open_board(DESIGN, core.port, **PATIENT) as board:
        status = board.status()
        assert status.busy
        assert 0 < status.counts["samples_seen"] < EPOCHS * SAMPLES
        assert 0 <= status.counts["samples_seen"] - status.epoch * SAMPLES <= 2 * SAMPLES
        assert status.sample < SAMPLES
        assert board.wait(samples=EPOCHS * SAMPLES).epoch == EPOCHS
        assert_equal(board, golden_run(SAMPLES, EPOCHS))
