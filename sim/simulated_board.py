"""A board without the board: a design with a UART, in Verilator, behind a pseudo-terminal.

Any program opens ``SimulatedBoard.port`` as a serial port; it may set what baud rate it likes, for
the host's end of the line is simulated bit by bit at the design's own. Simulated time runs free: as
fast as it can while anything happens, and resting when nothing does.

By hand: ``python -m trisign.sim.simulated_board CONFIG`` prints the port, and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tty
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ..golden.checks import ParameterError, integer
from ..golden.design import DesignConfig
from .program import build_program
from .runner import BenchFailure, ports

MAIN = Path(__file__).with_suffix(".cpp")
PORTS = {"clk", "rst", "rx", "tx"}
STOP_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the serial line does to the bytes that pass, in either direction.

    Parameters
    ----------
    drop, flip, repeat, garbage : float
        Probability, 0 … 1, that a byte is lost; has one of the ten bits of its frame inverted;
        comes twice; has a random byte before it.
    skew : float
        Length of the host's bits ÷ that of the design's, 0.5 … 2.
    connected : bool
        False: nothing passes.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    drop: float = 0.0
    flip: float = 0.0
    repeat: float = 0.0
    garbage: float = 0.0
    skew: float = 1.0
    connected: bool = True

    def __post_init__(self) -> None:
        for name in ("drop", "flip", "repeat", "garbage"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if not 0.5 <= self.skew <= 2:
            raise ParameterError(f"skew must be from 0.5 to 2, not {self.skew}")


class SimulatedBoard:
    """A running simulation with a serial port; a context manager.

    Parameters
    ----------
    verilog : str
        A design with ports ``clk``, ``rst``, ``rx``, ``tx``; while an output ``running`` is 1 the
        simulation never rests.
    name : str
        Its top module.
    bit_cycles : float
        Clock cycles of a bit on the line, 1 or more.
    line : Line
    seed : int
        Of what the line does.

    Attributes
    ----------
    port : str
        The pseudo-terminal to open, e.g. ``/dev/pts/3``; it stays the same, and open, from start
        to stop.
    statistics : dict
        After ``stop``: ``cycles``, ``seconds``, ``cpu_seconds``, bytes ``to_board`` and
        ``from_board``, and those ``dropped``, ``flipped``, ``repeated``, of ``garbage``, with
        ``framing_errors`` at the host's end, and ``lost`` because the host did not read them.

    Raises
    ------
    ParameterError
        The design has no serial line, or ``bit_cycles`` is too small.
    ToolError, BenchFailure
        It cannot be built, or ended by itself.
    """

    def __init__(
        self, verilog: str, name: str, *, bit_cycles: float, line: Line | None = None, seed: int = 1
    ) -> None:
        if not bit_cycles >= 1:
            raise ParameterError(f"bit_cycles must be 1 or more, not {bit_cycles}")
        self.program = build(verilog, name)
        self.bit_cycles = bit_cycles
        self.seed = integer("seed", seed, 0, 2**63 - 1)
        self.port = ""
        self.statistics: dict[str, Any] = {}
        self._line = line or Line()
        self._process: subprocess.Popen | None = None

    @classmethod
    def of(
        cls, design: DesignConfig, *, bit_cycles: int | None = None, **options: Any
    ) -> SimulatedBoard:
        """The board of a configuration: the core that its bitstream holds.

        A bit of its line takes the cycles that it takes on the board, or ``bit_cycles``: as few as
        8 make loading and reading take a fraction of the simulated time.
        """
        from ..gen import boards
        from ..gen.config import short_hash
        from ..gen.verilog import to_verilog
        from ..rtl.core import Core

        clock_hz = round(boards.find(design.board).clock_mhz * 1e6)
        if bit_cycles is not None:
            clock_hz = bit_cycles * design.hardware.baud
        core = Core(design, clock_hz, config_hash=int(short_hash(design), 16))
        return cls(to_verilog(core, "core"), "core", bit_cycles=core.bit_cycles, **options)

    @property
    def line(self) -> Line:
        """What the line does; set it to change that while the board runs."""
        return self._line

    @line.setter
    def line(self, line: Line) -> None:
        self._line = line
        if self._process is not None:
            text = " ".join(str(float(value)) for value in astuple(line)[:-1])
            os.write(self._control, f"{text} {int(line.connected)}\n".encode())

    def start(self) -> SimulatedBoard:
        """Start the simulation, in reset state; ``port`` can be opened from now on."""
        # The far end stays open here too, so that hosts may come and go.
        near, self._far = os.openpty()
        tty.setraw(self._far)
        reading, self._control = os.pipe()
        try:
            self._process = subprocess.Popen(
                [self.program, str(near), str(reading), str(self.bit_cycles), str(self.seed)],
                pass_fds=(near, reading),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            os.close(near)
            os.close(reading)
        self.port = os.ttyname(self._far)
        self.line = self._line
        return self

    def stop(self) -> dict[str, Any]:
        """End the simulation; ``statistics``. Nothing happens where it has ended before.

        Raises BenchFailure where the simulation had ended by itself.
        """
        process, self._process = self._process, None
        if process is None:
            return self.statistics
        os.close(self._control)
        try:
            out, _ = process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        finally:
            os.close(self._far)
        if process.returncode:
            raise BenchFailure(f"the simulated board ended with exit code {process.returncode}")
        self.statistics = json.loads(out)
        return self.statistics

    def __enter__(self) -> SimulatedBoard:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def build(verilog: str, name: str) -> Path:
    """The simulation as a program; it is kept, and built only where it has not been before."""
    found = set(ports(verilog, name))
    if not found >= PORTS:
        raise ParameterError(
            f"{name} must have the ports {', '.join(sorted(PORTS))}, "
            f"not {', '.join(sorted(found)) or 'none'}"
        )
    flags = ["-DHAS_RUNNING"] * ("running" in found)
    return build_program(verilog, name, MAIN, "board", flags=flags)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate a configuration's board until Ctrl-C."""
    from ..gen import config

    parser = argparse.ArgumentParser(
        prog="python -m trisign.sim.simulated_board", description=__doc__
    )
    parser.add_argument("config", help="configuration: a TOML file, or a shipped one's name")
    options = parser.parse_args(arguments)
    with SimulatedBoard.of(config.load(options.config)) as board:
        print(board.port, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print(json.dumps(board.stop()), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
