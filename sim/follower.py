"""Follows a trainer's memory writes and holds each against golden as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Event, RisingEdge
from numpy.typing import NDArray

from ..golden.write_log import RecordingTrainer
from ..rtl.trainer_plan import TrainerPlan
from .trace import FIELDS, TraceFormat

Epoch = tuple[NDArray[np.int8], NDArray[np.int64]]


class Follower:
    """Compares every update write of the RTL with golden, in the cycle in which it happens.

    Attributes
    ----------
    samples, writes : int
        Compared so far.
    """

    def __init__(self, testbench: Any, plan: TrainerPlan, golden: RecordingTrainer) -> None:
        dut = testbench.dut
        self.testbench = testbench
        self.plan = plan
        self.golden = golden
        self.samples = 0
        self.writes = 0
        self._write, self._sample_done = dut.trace__write, dut.trace__sample_done
        self._format = TraceFormat({name: getattr(dut, f"trace__{name}") for name in FIELDS}, plan)
        self._following = False
        self._reached = Event()
        cocotb.start_soon(self._follow_writes())
        cocotb.start_soon(self._follow_samples())

    async def run(self, epochs: Iterable[Epoch]) -> None:
        """Wait until the RTL has trained ``epochs`` (trits, labels), comparing as it goes.

        Golden is ahead of the RTL in between, and in the state after the last epoch at the end.
        """
        self._coming = self._expected(epochs)
        self._next_sample()
        self._reached.clear()
        await self._reached.wait()

    def _expected(self, epochs: Iterable[Epoch]) -> Iterator[list[str]]:
        """The writes of each sample."""
        steps = self.plan.counter_steps
        for samples, labels in epochs:
            for log in self.golden.record_epoch(samples, labels, self.plan.hardware.lanes):
                writes, bounds = self._format.expected(log), (log.bounds * steps).tolist()
                for start, end in pairwise(bounds):
                    yield writes[start:end]
            self.golden.finish_epoch()

    def _next_sample(self) -> None:
        """Take up the writes of the next sample, or end where there is none."""
        writes = next(self._coming, None)
        self._following = writes is not None
        self._wanted = writes or []
        self._made = 0
        if not self._following:
            self._reached.set()

    async def _follow_writes(self) -> None:
        edge, rise, write = RisingEdge(self.testbench.clk), RisingEdge(self._write), self._write
        while True:
            await rise
            await edge
            while write.value:
                if self._following:
                    self._compare_write()
                await edge

    def _compare_write(self) -> None:
        made, wanted = self._made, self._wanted
        assert made < len(wanted), f"{self._where()}: golden writes {made} words, RTL more"
        write = self._format.read(made % self.plan.counter_steps)
        if write != wanted[made]:
            difference = self._format.difference(wanted[made], write)
            raise AssertionError(f"{self._where()}, write {made}: {difference}")
        self._made = made + 1

    async def _follow_samples(self) -> None:
        edge, done = RisingEdge(self.testbench.clk), RisingEdge(self._sample_done)
        while True:
            await done
            await edge
            # While a cycle settles, a simulator may show a pulse of no length.
            if not self._following or not self._sample_done.value:
                continue
            made, wanted = self._made, len(self._wanted)
            assert made == wanted, f"{self._where()}: golden writes {wanted} words, RTL {made}"
            self.samples += 1
            self.writes += made
            self._next_sample()

    def _where(self) -> str:
        return f"sample {self.samples}, cycle {self.testbench.cycle}"
