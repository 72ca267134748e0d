"""Follows a trainer's memory writes and holds each against golden as it happens."""

from __future__ import annotations

from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import Event, RisingEdge
from numpy.typing import NDArray

from ..golden import trits
from ..golden.trainer import Trainer
from ..rtl.trainer_plan import TrainerPlan
from .payload import unpack_lanes


class Write(NamedTuple):
    """One write: where, and what is there afterwards."""

    address: int
    bank: int
    step: int
    weights: NDArray[np.int8]
    counters: NDArray[np.int64]


class RecordingTrainer(Trainer):
    """A golden trainer that notes which groups it writes, in order."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.written: list[tuple[int, int, int]] = []
        super().__init__(*arguments, **named)

    def step_group(self, layer: int, row: int, lanes: slice, *rest: Any) -> None:
        self.written.append((layer, row, lanes.start))
        super().step_group(layer, row, lanes, *rest)


class Follower:
    """Compares every update write of the RTL with golden, sample by sample.

    Attributes
    ----------
    samples, writes : int
        Compared so far.
    """

    def __init__(self, testbench: Any, plan: TrainerPlan, golden: RecordingTrainer) -> None:
        self.testbench = testbench
        self.plan = plan
        self.golden = golden
        self.trace = {
            name: getattr(testbench.dut, f"trace__{name}")
            for name in (
                "write", "address", "bank", "mask", "weights",
                "counter_address", "counters", "sample_done",
            )
        }  # fmt: skip
        self.samples = 0
        self.writes = 0
        self._pending: list[Write] = []
        self._wanted = 0
        self._start = 0
        self._epoch = 1
        self._reached = Event()
        self._samples: list[tuple[Any, int]] = []
        cocotb.start_soon(self._follow_writes())
        cocotb.start_soon(self._follow_samples())

    async def run(self, samples: list[tuple[Any, int]], epoch: int) -> None:
        """Wait until the RTL has trained ``samples`` (trits, label), comparing as it goes.

        ``epoch`` samples make an epoch.
        """
        self._epoch = epoch
        self._samples = samples
        self._pending.clear()
        self._wanted = self.samples + len(samples)
        self._start = self.samples
        self._reached.clear()
        await self._reached.wait()

    async def _follow_writes(self) -> None:
        edge = RisingEdge(self.testbench.clk)
        rise = RisingEdge(self.trace["write"])
        while True:
            await rise
            await edge
            while int(self.trace["write"].value):
                self._pending.append(self._read_write())
                await edge

    def _read_write(self) -> Write:
        hardware, plan = self.plan.hardware, self.plan
        part = hardware.counter_lanes
        step = int(self.trace["counter_address"].value) % plan.counter_steps
        word = int(self.trace["weights"].value) >> (2 * part * step)
        codes = unpack_lanes(word & ((1 << 2 * part) - 1), 2, part)
        counters = unpack_lanes(int(self.trace["counters"].value), plan.counter_width, part, True)
        return Write(
            int(self.trace["address"].value),
            int(self.trace["bank"].value),
            step,
            trits.from_code(codes),
            counters,
        )

    async def _follow_samples(self) -> None:
        done = RisingEdge(self.trace["sample_done"])
        edge = RisingEdge(self.testbench.clk)
        while True:
            await done
            await edge
            if self.samples == self._wanted:
                continue  # nobody asked for this run to be followed
            sample, label = self._samples[self.samples - self._start]
            self.golden.written.clear()
            self.golden.train_sample(sample, label)
            self._compare()
            self.samples += 1
            if (self.samples - self._start) % self._epoch == 0:
                self.golden.finish_epoch()
            if self.samples == self._wanted:
                self._reached.set()

    def _expected(self) -> list[Write]:
        plan, hardware, config = self.plan, self.plan.hardware, self.plan.config
        part, seen, writes = hardware.counter_lanes, set(), []
        for layer, row, start in self.golden.written:
            inputs = plan.layers[layer].inputs
            end = min(start + config.rng_group, inputs)
            for word in range(start // hardware.lanes, -(-end // hardware.lanes)):
                if (layer, row, word) in seen:
                    continue
                seen.add((layer, row, word))
                address, bank = plan.weight_address(layer, row, word)
                for step in range(plan.counter_steps):
                    lanes = slice(
                        word * hardware.lanes + step * part,
                        word * hardware.lanes + (step + 1) * part,
                    )
                    padded = [
                        np.pad(array[row, lanes], (0, part - len(array[row, lanes])))
                        for array in (self.golden.weights[layer], self.golden.counters[layer])
                    ]
                    writes.append(Write(address, bank, step, *padded))
        return writes

    def _compare(self) -> None:
        expected, actual = self._expected(), self._pending
        self._pending = []
        where = f"sample {self.samples}, cycle {self.testbench.cycle}"
        for index, (want, have) in enumerate(zip(expected, actual, strict=False)):
            assert want[:3] == have[:3], (
                f"{where}, write {index}: golden writes (address, bank, step) {want[:3]}, "
                f"RTL {have[:3]}"
            )
            for name in ("weights", "counters"):
                wanted, given = getattr(want, name), getattr(have, name)
                wrong = np.flatnonzero(wanted != given)
                assert not wrong.size, (
                    f"{where}, write {index}, address {want.address}, lane {wrong[0]}: {name} "
                    f"golden {wanted[wrong[0]]}, RTL {given[wrong[0]]}"
                )
        assert len(expected) == len(actual), (
            f"{where}: golden writes {len(expected)} words, RTL {len(actual)}"
        )
        self.writes += len(actual)
