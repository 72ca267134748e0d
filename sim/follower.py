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

TRACED = (
    "write", "address", "bank", "weights", "counter_address", "counters", "sample_done",
)  # fmt: skip


class Place(NamedTuple):
    """Where a write goes: bank word, bank, and which counter word of it."""

    address: int
    bank: int
    step: int


class RecordingTrainer(Trainer):
    """A golden trainer that notes which groups it writes, in order."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.written: list[tuple[int, int, int]] = []
        super().__init__(*arguments, **named)

    def step_group(self, layer: int, row: int, lanes: slice, *rest: Any) -> None:
        self.written.append((layer, row, lanes.start))
        super().step_group(layer, row, lanes, *rest)


def unpack_words(words: list[int], width: int, lanes: int) -> NDArray[np.int64]:
    """Unsigned elements [words, lanes] of ``width`` bits, all words at once."""
    size = (width * lanes + 7) // 8
    raw = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8)
    bits = np.unpackbits(raw.reshape(len(words), size), axis=1, bitorder="little")
    fields = bits[:, : width * lanes].reshape(len(words), lanes, width).astype(np.int64)
    return fields @ (np.int64(1) << np.arange(width, dtype=np.int64))


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
        self.trace = {name: getattr(testbench.dut, f"trace__{name}") for name in TRACED}
        self.samples = 0
        self.writes = 0
        lanes = plan.hardware.lanes
        self._padded = [
            [np.zeros((p.units, p.words * lanes), np.int64) for _ in range(2)] for p in plan.layers
        ]
        self._places: list[Place] = []
        self._words: list[tuple[int, int]] = []
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
        self._forget_writes()
        self._wanted = self.samples + len(samples)
        self._start = self.samples
        self._reached.clear()
        await self._reached.wait()

    def _forget_writes(self) -> None:
        self._places.clear()
        self._words.clear()

    async def _follow_writes(self) -> None:
        edge = RisingEdge(self.testbench.clk)
        write = self.trace["write"]
        rise = RisingEdge(write)
        while True:
            await rise
            await edge
            while int(write.value):
                self._note_write()
                await edge

    def _note_write(self) -> None:
        value = {name: int(self.trace[name].value) for name in TRACED[1:-1]}
        step = value["counter_address"] % self.plan.counter_steps
        self._places.append(Place(value["address"], value["bank"], step))
        part = 2 * self.plan.hardware.counter_lanes
        weights = (value["weights"] >> part * step) & ((1 << part) - 1)
        self._words.append((weights, value["counters"]))

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

    def _expected(self) -> tuple[list[Place], NDArray[np.int64], NDArray[np.int64]]:
        """Places in order, and what golden has there: weights and counters [writes, lanes]."""
        plan, hardware = self.plan, self.plan.hardware
        part, lanes, group = hardware.counter_lanes, hardware.lanes, plan.config.rng_group
        words: dict[tuple[int, int, int], None] = {}
        for layer, row, start in self.golden.written:
            end = min(start + group, plan.layers[layer].inputs)
            for word in range(start // lanes, -(-end // lanes)):
                words[layer, row, word] = None
        places = [
            Place(*plan.weight_address(*word), step)
            for word in words
            for step in range(plan.counter_steps)
        ]
        found: tuple[list, list] = ([], [])
        for l, padded in enumerate(self._padded):
            if any(layer == l for layer, _, _ in words):
                padded[0][:, : plan.layers[l].inputs] = self.golden.weights[l]
                padded[1][:, : plan.layers[l].inputs] = self.golden.counters[l]
        for layer, row, word in words:
            for kind in range(2):
                found[kind].append(self._padded[layer][kind][row, word * lanes :][:lanes])
        weights, counters = (np.array(kind, np.int64).reshape(-1, part) for kind in found)
        return places, weights, counters

    def _compare(self) -> None:
        places, *golden = self._expected()
        where = f"sample {self.samples}, cycle {self.testbench.cycle}"
        for index, (want, have) in enumerate(zip(places, self._places, strict=False)):
            assert want == have, f"{where}, write {index}: golden {want}, RTL {have}"
        assert len(places) == len(self._places), (
            f"{where}: golden writes {len(places)} words, RTL {len(self._places)}"
        )
        if places:
            width, part = self.plan.counter_width, self.plan.hardware.counter_lanes
            weights, counters = zip(*self._words, strict=True)
            unsigned = unpack_words([*counters], width, part)
            rtl = (
                trits.from_code(unpack_words([*weights], 2, part)),
                unsigned - ((unsigned >> (width - 1)) << width),
            )
            for name, wanted, given in zip(("weights", "counters"), golden, rtl, strict=True):
                wrong = np.argwhere(wanted != given)
                assert not len(wrong), (
                    f"{where}, write {wrong[0][0]} {places[wrong[0][0]]}, lane {wrong[0][1]}: "
                    f"{name} golden {wanted[tuple(wrong[0])]}, RTL {given[tuple(wrong[0])]}"
                )
        self.writes += len(places)
        self._forget_writes()
