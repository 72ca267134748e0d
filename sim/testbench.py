"""What every bench shares: clock, reset, parameters, and waiting with a limit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from .agents import Pattern, Sink, Source, never

PARAMETERS_VARIABLE = "TRISIGN_PARAMETERS"
PERIOD_NS = 10


def parameters() -> dict[str, Any]:
    """The bench's parameters, as given to ``runner.run_bench``."""
    return json.loads(os.environ[PARAMETERS_VARIABLE])


class Testbench:
    """Clock, reset and a cycle counter around a design.

    Attributes
    ----------
    dut : handle
    clk : handle
    cycle : int
        Rising edges since the clock started.
    """

    __test__ = False

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.clk = getattr(dut, "clk", None)
        self._start_cycle = 0
        self._agents: list[Source | Sink] = []

    @property
    def cycle(self) -> int:
        return int(cocotb.simtime.get_sim_time("ns")) // PERIOD_NS

    async def start(self) -> None:
        """Start the clock and reset the design."""
        Clock(self.clk, PERIOD_NS, "ns").start()
        # The first edge comes before ``rst``, and what a bench sees at an edge is from before it.
        await self.reset(3)

    async def reset(self, cycles: int = 2) -> None:
        """Hold reset for ``cycles`` rising edges."""
        self.dut.rst.value = 1
        await ClockCycles(self.clk, cycles)
        self.dut.rst.value = 0

    def source(self, name: str, idle: Pattern = never) -> Source:
        """A source on stream ``name``."""
        agent = Source(self, name, idle)
        self._agents.append(agent)
        return agent

    def sink(self, name: str, stall: Pattern = never) -> Sink:
        """A sink on stream ``name``."""
        agent = Sink(self, name, stall)
        self._agents.append(agent)
        return agent

    def cancel_agents(self) -> None:
        """Stop every source and sink, e.g. before a reset in mid-stream."""
        for agent in self._agents:
            agent.cancel()
        self._agents.clear()

    async def until(self, done: Callable[[], bool], limit: int, what: str) -> None:
        """Wait for ``done()``, at most ``limit`` cycles; ``what`` names the wait in the error."""
        edge = RisingEdge(self.clk)
        for _ in range(limit):
            if done():
                return
            await edge
        raise AssertionError(f"{what}: still waiting after {limit} cycles (cycle {self.cycle})")

    async def drain(self, sink: Sink, count: int, limit: int, settle: int = 8) -> None:
        """Wait until ``sink`` has ``count`` transfers, then check that no more follow."""
        await self.until(lambda: len(sink.received) >= count, limit, f"{sink.name}: {count} words")
        await ClockCycles(self.clk, settle)
        assert len(sink.received) == count, (
            f"{sink.name}: {len(sink.received)} transfers where {count} were due"
        )
