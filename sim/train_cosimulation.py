"""A training run in a simulator; ``train_rtl`` starts it and reads what it tells.

Parameters, besides those of ``TrainerBench``: ``epochs`` of the whole run; ``shift``;
``config_hash``; ``folder``, where events and the state after each epoch go. ``vectors`` also holds
``test_pixels`` and ``test_labels``, and arrays ``state.NAME`` where the run goes on from a
checkpoint.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from ..golden.checkpoint import STATE_PREFIX
from ..golden.compiled import recording_trainer
from ..rtl.register_map import Command, Region
from .testbench import PERIOD_NS, parameters
from .trainer_bench import BUSY, STATUS_COUNTERS, TrainerBench, controller_word

EVENTS_FILE = "events.jsonl"
LOOK_CYCLES = 2000
TELL_SECONDS = 5.0


class TrainingBench(TrainerBench):
    """A trainer that is trained epoch by epoch, and tells how it gets on."""

    make_golden = staticmethod(recording_trainer)

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.shift: bool = given["shift"]
        self.config_hash: int = given["config_hash"]
        self.folder = Path(given["folder"])
        self.folder.mkdir(parents=True, exist_ok=True)
        with np.load(given["vectors"]) as vectors:
            self.test_pixels, self.test_labels = vectors["test_pixels"], vectors["test_labels"]
            self.resumed = {
                name.removeprefix(STATE_PREFIX): vectors[name]
                for name in vectors.files
                if name.startswith(STATE_PREFIX)
            }

    def tell(self, event: str, **values: Any) -> None:
        """Tell an event to whoever started the simulation."""
        with (self.folder / EVENTS_FILE).open("a") as file:
            file.write(json.dumps({"event": event, **values}) + "\n")

    async def begin_run(self) -> None:
        """Samples, weights, counters and generators, as the run begins or goes on."""
        self._equal("config_hash", self.config_hash, await self.read("config_hash"))
        await self.load_samples()
        await self.initialise()
        if self.resumed:
            self.golden.load_state(self.resumed)
            await self.write_words(Region.WEIGHTS, *self.image.weights(self.golden.weights))
            await self.write_words(Region.COUNTERS, *self.image.counters(self.golden.counters))
        for name in ("lfsr", "shift_lfsr", "xorshift"):
            await self.write(name, getattr(self.golden, name).state)
        for l, controller in enumerate(self.golden.controllers):
            await self.write(f"controller_{l}", controller_word(controller))
        await self.compare_memories()

    async def train_epoch(self) -> None:
        """One epoch: writes compared as they happen, everything else at its end."""
        golden = self.golden
        before = {name: getattr(golden, name) for name in STATUS_COUNTERS}
        writes = self.follower.writes
        await self.write("margin", golden.margin)
        await self.write("probability_shift", golden.probability_shift)
        for l, gate_shift in enumerate(golden.gate_shift):
            await self.write(f"gate_shift_{l}", gate_shift)
        await self.write("command", Command.CLEAR_COUNTERS)
        started, cpu_started = time.monotonic(), time.process_time()
        teller = cocotb.start_soon(self._tell_progress())
        await self.train(1, shift=self.shift)
        teller.cancel()
        await self.compare_memories()
        self._equal("shift_lfsr", golden.shift_lfsr.state, await self.read("shift_lfsr"))
        for name, count in before.items():
            if name != "resting" or self.hardware.monitor:
                self._equal(name, getattr(golden, name) - count, await self.read(name))
        state = f"epoch-{golden.epochs_finished}.npz"
        np.savez(self.folder / state, **golden.state())  # type: ignore[arg-type]
        self.tell(
            "epoch",
            state=state,
            seconds=time.monotonic() - started,
            cpu_seconds=time.process_time() - cpu_started,
            cycles=await self.read("cycles"),
            writes=self.follower.writes - writes,
        )

    async def predict(self) -> None:
        """Predict the test samples, or as many as the store holds, without learning."""
        pixels, labels = self.test_pixels, self.test_labels
        if not len(pixels):
            pixels, labels = self.pixels, self.labels
        limit = self.hardware.store_samples
        pixels, labels = pixels[:limit], labels[:limit]
        words = self.image.store(pixels, labels)
        await self.write_words(Region.STORE, range(len(words)), words)
        for name, value in (("samples", len(pixels)), ("learn", 0), ("shift", 0), ("epochs", 1)):
            await self.write(name, value)
        await self.write("command", Command.CLEAR_COUNTERS)
        await self.write("command", Command.RUN)
        for _ in range(len(pixels) * self.sample_limit() // LOOK_CYCLES + 1):
            if not await self.read("status") & BUSY:
                break
            await Timer(LOOK_CYCLES * PERIOD_NS, "ns")
        expected = self.golden.predict(self.encode(pixels))
        offsets = self.image.prediction_offsets(len(pixels))
        read = self.image.predictions(await self.read_words(Region.STORE, offsets))
        self._equal("predictions", expected, read)
        correct = await self.read("correct")
        self._equal("correct", np.sum(expected == labels), correct)
        await self.compare_memories()
        self.tell(
            "predicted", samples=len(pixels), correct=correct, cycles=await self.read("cycles")
        )

    async def _tell_progress(self) -> None:
        first, told, at_cycle = self.follower.samples, time.monotonic(), self.cycle
        while True:
            await Timer(LOOK_CYCLES * PERIOD_NS, "ns")
            now = time.monotonic()
            if now - told >= TELL_SECONDS:
                rate = (self.cycle - at_cycle) / (now - told)
                told, at_cycle = now, self.cycle
                self.tell(
                    "progress",
                    epoch=self.golden.epochs_finished,
                    sample=self.follower.samples - first,
                    samples=len(self.labels),
                    rate=rate,
                )


@cocotb.test()
async def training(dut: Any) -> None:
    tb = TrainingBench(dut)
    await tb.begin()
    await tb.begin_run()
    while tb.golden.epochs_finished < tb.epochs:
        await tb.train_epoch()
    await tb.predict()
