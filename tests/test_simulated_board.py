"""The simulated board's serial port, with a design that sends back each bit it receives."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trisign.gen import config
from trisign.golden.checks import ParameterError
from trisign.golden.link import (
    DELIMITER,
    Answer,
    LinkCommand,
    LinkStatus,
    counters_of,
    decode_answer,
    encode_request,
)
from trisign.rtl.register_map import IDENTITY
from trisign.sim.runner import BenchFailure
from trisign.sim.simulated_board import Line, SimulatedBoard

ECHO = """\
module echo(clk, rst, rx, tx);
  input clk;
  input rst;
  input rx;
  output tx;
  reg tx = 1;
  always @(posedge clk) tx <= rst | rx;
endmodule
"""
# A core that is small, so that it builds in seconds.
CORE = """\
[design]
name = "small"
board = "icebreaker"
[network]
layers = [48, 12, 10]
rng_group = 16
[hardware]
lanes = 16
structure = "compact"
store_samples = 4
"""
BYTES = bytes(range(256)) * 4
PATIENCE = 20.0


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard(ECHO, "echo", bit_cycles=12.5) as board:
        yield board


def exchange(port: str, sent: bytes, expected: int, quiet: float = 0.5) -> bytes:
    """What comes back: ``expected`` bytes, or fewer and then silence."""
    handle = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        got, left = b"", sent
        until = time.monotonic() + PATIENCE
        while len(got) < expected and time.monotonic() < until:
            wanted = [handle] if left else []
            readable, writable, _ = select.select([handle], wanted, [], quiet)
            if writable:
                left = left[os.write(handle, left[:64]) :]
            if readable:
                got += os.read(handle, 4096)
            if not readable and not writable:
                break
        return got
    finally:
        os.close(handle)


def test_bytes_pass_both_ways_and_hosts_come_and_go(board: SimulatedBoard) -> None:
    for _ in range(2):
        assert exchange(board.port, BYTES, len(BYTES)) == BYTES
    statistics = board.stop()
    assert statistics["to_board"] == statistics["from_board"] == 2 * len(BYTES)
    assert statistics["cycles"] > 2 * len(BYTES) * 125
    for name in ("dropped", "flipped", "repeated", "garbage", "framing_errors", "lost"):
        assert statistics[name] == 0, name
    assert board.stop() == statistics


def test_it_rests_when_nothing_happens(board: SimulatedBoard) -> None:
    time.sleep(2)
    statistics = board.stop()
    assert statistics["cpu_seconds"] < 0.7 * statistics["seconds"]


def test_broken_line(board: SimulatedBoard) -> None:
    board.line = Line(drop=0.1)
    dropped = exchange(board.port, BYTES, len(BYTES))
    assert 0.7 * len(BYTES) < len(dropped) < 0.9 * len(BYTES)
    board.line = Line(flip=0.05)
    flipped = exchange(board.port, BYTES, len(BYTES))
    assert flipped != BYTES
    assert len(flipped) > 0.8 * len(BYTES)
    board.line = Line(repeat=0.1)
    assert len(exchange(board.port, BYTES, 2 * len(BYTES))) > 1.1 * len(BYTES)
    board.line = Line(garbage=0.1)
    assert len(exchange(board.port, BYTES, 2 * len(BYTES))) > 1.1 * len(BYTES)
    board.line = Line(connected=False)
    assert exchange(board.port, b"lost", 4) == b""
    board.line = Line()
    assert exchange(board.port, BYTES, len(BYTES)) == BYTES
    statistics = board.stop()
    for name in ("dropped", "flipped", "repeated", "garbage"):
        assert statistics[name] > 0, name


def test_the_skew_is_of_the_hosts_bits_both_ways() -> None:
    """Bits echoed come as they went, so that only what the design times itself notices."""
    with SimulatedBoard(ECHO, "echo", bit_cycles=8, line=Line(skew=1.25)) as board:
        assert exchange(board.port, BYTES, len(BYTES)) == BYTES
        cycles = board.stop()["cycles"]
    assert cycles > len(BYTES) * 10 * 10


def test_same_seed_same_faults() -> None:
    def faulty(seed: int) -> bytes:
        line = Line(drop=0.02, repeat=0.02)
        with SimulatedBoard(ECHO, "echo", bit_cycles=8, line=line, seed=seed) as board:
            return exchange(board.port, BYTES, 2 * len(BYTES))

    first = faulty(3)
    assert faulty(3) == first
    assert faulty(4) != first


def ask(port: str, frame: bytes) -> Answer | None:
    """What the core answers, if it does."""
    got = exchange(port, frame, 240)
    return decode_answer(got.removesuffix(DELIMITER)) if got else None


def test_core_on_a_good_and_on_a_broken_line() -> None:
    design = config.parse(CORE)
    with SimulatedBoard.of(design, bit_cycles=16, seed=2) as board:
        known = ask(board.port, encode_request(7, LinkCommand.IDENTIFY, count=2))
        assert known is not None
        assert known.words == (IDENTITY, int(config.short_hash(design), 16))
        assert (known.sequence, known.status) == (7, LinkStatus.OK)
        board.line = Line(flip=1)
        assert ask(board.port, encode_request(8, LinkCommand.READ, count=1)) is None
        board.line = Line()
        status = ask(board.port, DELIMITER + encode_request(8, LinkCommand.STATUS, count=4))
        assert status is not None
        counters = counters_of(status.words)
        assert counters["accepted"] == 2
        assert sum(counters.values()) > 2
        board.line = Line(skew=1.02)
        assert ask(board.port, encode_request(9, LinkCommand.READ, count=1)) is not None
        assert board.stop()["framing_errors"] == 0


def test_a_simulation_that_ends_by_itself_is_told(board: SimulatedBoard) -> None:
    assert board._process is not None
    board._process.kill()
    with pytest.raises(BenchFailure, match=r"^the simulated board ended with exit code -9$"):
        board.stop()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"drop": 1.5}, "^drop must be from 0 to 1, not 1.5$"),
        ({"flip": float("nan")}, "^flip must be from 0 to 1, not nan$"),
        ({"skew": 3}, "^skew must be from 0.5 to 2, not 3$"),
    ],
)
def test_line_refuses(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Line(**fields)  # type: ignore[arg-type]


def test_board_refuses(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^bit_cycles must be 1 or more, not 0$"):
        SimulatedBoard(ECHO, "echo", bit_cycles=0)
    with pytest.raises(ParameterError, match=r"^echo must have the ports clk, rst, rx, tx, not "):
        SimulatedBoard(ECHO.replace("rx", "rxd"), "echo", bit_cycles=8)
    with pytest.raises(BenchFailure, match=r"^echo does not build on verilator; log "):
        SimulatedBoard(ECHO.replace("rst |", "nothing |"), "echo", bit_cycles=8)
