"""Stream agents: a source that idles, a sink that stalls, the stream rules checked throughout."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.triggers import Event, RisingEdge

Pattern = Callable[[], bool]


def never() -> bool:
    """Pattern that never pauses."""
    return False


def randomly(probability: float = 0.5, seed: int = 0) -> Pattern:
    """Pattern that pauses a cycle with the given probability, in bursts as they fall."""
    generator = random.Random(seed)
    return lambda: generator.random() < probability


def pattern(paused: bool, probability: float = 0.5, seed: int = 0) -> Pattern:
    """``randomly`` where ``paused``, else ``never``: one axis of the {idle} × {stall} grid."""
    return randomly(probability, seed) if paused else never


class Source:
    """Drives a stream into the design.

    Parameters
    ----------
    testbench : Testbench
    name : str
        The stream member, e.g. ``i`` for ports i__payload, i__valid, i__ready.
    idle : Pattern
        Cycles in which no new transfer is offered. A transfer once offered stays until taken.
    """

    def __init__(self, testbench: Any, name: str, idle: Pattern = never) -> None:
        dut = testbench.dut
        self.testbench = testbench
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready", None)
        self.idle = idle
        self.queue: deque[int] = deque()
        self.sent: list[int] = []
        self.cycles: list[int] = []
        self._queued = Event()
        self.valid.value = 0
        self.payload.value = 0
        self.task = cocotb.start_soon(self._drive())

    def send(self, payloads: Iterable[int]) -> None:
        """Queue payloads; they are offered in order."""
        self.queue.extend(payloads)
        self._queued.set()

    @property
    def busy(self) -> bool:
        """True until everything queued has been taken."""
        return bool(self.queue)

    def cancel(self) -> None:
        """Stop driving and forget what was queued."""
        self.task.cancel()
        self.queue.clear()
        self.valid.value = 0

    async def _drive(self) -> None:
        edge = RisingEdge(self.testbench.clk)
        offered = False
        while True:
            if not self.queue:
                # Nothing to do until there is: the simulator runs on without a wake-up a cycle.
                self._queued.clear()
                await self._queued.wait()
                await edge
            if not offered and self.queue and not self.idle():
                self.payload.value = self.queue[0]
                self.valid.value = 1
                offered = True
            await edge
            if offered and (self.ready is None or self.ready.value):
                self.sent.append(self.queue.popleft())
                self.cycles.append(self.testbench.cycle)
                offered = False
                self.valid.value = 0


class Sink:
    """Takes a stream out of the design and checks the stream rules as it does.

    A transfer that was offered and not taken must be offered again, unchanged, in the next cycle.
    On a four-state simulator an unknown ``valid``, or an unknown payload while valid, is an error.

    Attributes
    ----------
    received : list of int
        Payloads, in order.
    cycles : list of int
        The cycle of each transfer.
    """

    def __init__(self, testbench: Any, name: str, stall: Pattern = never) -> None:
        dut = testbench.dut
        self.testbench = testbench
        self.name = name
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid", None)
        self.ready = getattr(dut, f"{name}__ready")
        self.stall = stall
        self.received: list[int] = []
        self.cycles: list[int] = []
        self.ready.value = 0
        self.task = cocotb.start_soon(self._take())

    def cancel(self) -> None:
        """Stop taking."""
        self.task.cancel()
        self.ready.value = 0

    def clear(self) -> None:
        """Forget what was received."""
        self.received.clear()
        self.cycles.clear()

    async def _take(self) -> None:
        edge = RisingEdge(self.testbench.clk)
        waiting: int | None = None
        while True:
            ready = not self.stall()
            self.ready.value = int(ready)
            quiet = self.stall is never and self.valid is not None
            if quiet and not self._known(self.valid):
                # An idle stream that is never stalled needs no wake-up a cycle.
                await RisingEdge(self.valid)
            await edge
            valid = self.valid is None or self._known(self.valid)
            if waiting is not None:
                assert valid, f"{self.name}: valid dropped at cycle {self.testbench.cycle}"
            if not valid:
                continue
            word = self._known(self.payload)
            if waiting is not None:
                assert word == waiting, (
                    f"{self.name}: payload changed while it waited at cycle "
                    f"{self.testbench.cycle}: {waiting:#x} became {word:#x}"
                )
            waiting = None if ready else word
            if ready:
                self.received.append(word)
                self.cycles.append(self.testbench.cycle)

    def _known(self, handle: Any) -> int:
        value = handle.value
        assert value.is_resolvable, f"{handle._name} is unknown at cycle {self.testbench.cycle}"
        return int(value)
