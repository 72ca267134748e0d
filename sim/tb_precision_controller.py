"""Bench of ``rtl.precision_controller.PrecisionController``.

Parameters: ``parameters`` (fields of PrecisionParameters), ``seed``, and optionally ``vectors``
(.npz as ``golden.precision_controller.check_vectors`` takes it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from numpy.typing import NDArray

from ..golden.checks import signed_range
from ..golden.precision_controller import (
    PrecisionController,
    PrecisionParameters,
    PrecisionState,
    check_vectors,
)
from ..rtl.precision_controller import PrecisionController as Design
from ..rtl.precision_controller import state_layout
from ..rtl.quantizer import input_layout, output_layout
from .agents import pattern
from .payload import Payload
from .scoreboard import compare
from .testbench import PARAMETERS_VARIABLE, Testbench

Tensors = Sequence[NDArray[np.int64]]
GIVEN = json.loads(os.environ.get(PARAMETERS_VARIABLE, "{}"))
EXHAUSTIVE_WIDTH = 16


class PrecisionBench(Testbench):
    """A controller, the golden one beside it, and what both were given."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.parameters = PrecisionParameters(**GIVEN["parameters"])
        self.input = Payload(input_layout(self.parameters))
        self.output = Payload(output_layout(self.parameters))
        self.state = Payload(state_layout(self.parameters))
        self.golden = self.new_golden()
        self.range = signed_range(self.parameters.input_width)

    def new_golden(self) -> PrecisionController:
        return PrecisionController(self.parameters, GIVEN["seed"])

    async def begin(self, idle: bool = False, stall: bool = False) -> None:
        self.dut.load.value = 0
        self.dut.load_state.value = 0
        await self.start()
        self.connect(idle, stall)

    def connect(self, idle: bool = False, stall: bool = False) -> None:
        self.i = self.source("i", pattern(idle, seed=1))
        self.o = self.sink("o", pattern(stall, seed=2))

    def pack(self, tensors: Tensors) -> list[int]:
        return [
            self.input.pack(value=value, last=position == len(tensor) - 1)
            for tensor in tensors
            for position, value in enumerate(tensor)
        ]

    def expected(self, tensors: Tensors) -> list[dict[str, int]]:
        words = []
        for tensor in tensors:
            exponent = self.golden.exponent
            quantized = self.golden.quantize(tensor)
            for position, value in enumerate(quantized):
                last = int(position == len(tensor) - 1)
                words.append({"value": int(value), "exponent": exponent, "last": last})
        return words

    async def check(self, tensors: Tensors) -> None:
        """Send tensors; compare every word, then state and status."""
        expected = self.expected(tensors)
        values = np.concatenate(tensors)
        self.o.clear()
        self.i.send(self.pack(tensors))
        await self.drain(self.o, len(expected), 8 * len(expected) + 100)
        compare(
            expected,
            [self.output.unpack(word) for word in self.o.received],
            cycles=self.o.cycles,
            inputs=lambda index: f"value {values[index]}, exponent {expected[index]['exponent']}",
            what="o",
        )
        self.check_status()

    def check_status(self) -> None:
        golden = self.golden
        assert int(self.dut.idle.value) == 1, f"still busy at cycle {self.cycle}"
        want = {**golden.state._asdict(), "windows": golden.windows, "overflows": golden.overflows}
        have = {
            **self.state.unpack(int(self.dut.state.value)),
            "windows": int(self.dut.windows.value),
            "overflows": int(self.dut.overflows.value),
        }
        compare([want], [have], cycles=[self.cycle], what="status")

    async def taken(self, count: int) -> None:
        """Wait until the design has taken ``count`` values."""
        await self.until(lambda: len(self.i.sent) >= count, 8 * count + 100, f"{count} values")

    async def load(self, state: PrecisionState) -> None:
        """Load a state into both; whatever is under way ends."""
        self.cancel_agents()
        self.golden = self.new_golden()
        self.golden.load(state)
        self.dut.load_state.value = self.state.pack(**state._asdict())
        self.dut.load.value = 1
        await ClockCycles(self.clk, 1)
        self.dut.load.value = 0

    def traffic(self, count: int, seed: int = 0) -> Tensors:
        """About ``count`` values: every length, sparse and dense, the scale resting and jumping."""
        random = np.random.default_rng(seed)
        limit = self.range[1]
        longest = max(2, min(3 * self.parameters.window // 2, 100))
        tensors = []
        scale = random.uniform(0, self.parameters.input_width)
        while count > 0:
            length = int(random.integers(1, longest))
            if random.random() < 0.15:
                scale = random.uniform(-1, self.parameters.input_width)
            values = random.normal(size=length) * 2.0**scale
            values *= random.random(length) < random.choice([0.2, 0.8, 1.0])
            tensors.append(np.clip(np.rint(values), *self.range).astype(np.int64))
            count -= length
        tensors.append(np.array([*self.range, limit, 1, -1, 0], np.int64))
        return tensors


@cocotb.test()
async def smoke(dut: Any) -> None:
    tb = PrecisionBench(dut)
    await tb.begin()
    await tb.check([np.array([tb.range[1]])])
    assert tb.o.cycles[0] - tb.i.cycles[0] == Design.LATENCY


@cocotb.test()
@cocotb.parametrize(idle=[False, True], stall=[False, True])
async def random_tensors(dut: Any, idle: bool, stall: bool) -> None:
    tb = PrecisionBench(dut)
    await tb.begin(idle, stall)
    await tb.check(tb.traffic(1000 if idle or stall else 3000))
    assert tb.golden.windows > 2


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def extremes(dut: Any, stall: bool) -> None:
    """Largest, smallest and no values long enough for the exponent to reach both its limits."""
    tb = PrecisionBench(dut)
    await tb.begin(stall=stall)
    low, high = tb.range
    length = min(tb.parameters.window, 64)
    repeats = -(-tb.parameters.window // length) * (tb.parameters.exponent_max + 3)
    levels = ([high, low], [1, -1], [0, 0], [low, low], [-1, -1])
    for pair in levels:
        await tb.check([np.resize(np.array(pair), length)] * min(repeats, 40))


@cocotb.test()
async def single_values(dut: Any) -> None:
    """Every value a tensor of its own: decisions as often as they can fall."""
    tb = PrecisionBench(dut)
    await tb.begin()
    values = np.concatenate(tb.traffic(600, seed=7))
    await tb.check([np.array([value]) for value in values])


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def reset_in_mid_stream(dut: Any, stall: bool) -> None:
    tb = PrecisionBench(dut)
    await tb.begin(stall=stall)
    for taken in range(20, 20 + 9):
        tb.i.send(tb.pack(tb.traffic(100, seed=3)))
        await tb.taken(taken)
        tb.cancel_agents()
        await tb.reset()
        tb.golden = tb.new_golden()
        tb.connect(stall=stall)
        await tb.check(tb.traffic(50, seed=4))
        tb.cancel_agents()
        await tb.reset()
        tb.connect(stall=stall)


@cocotb.test()
async def load_in_mid_stream(dut: Any) -> None:
    """A load at every phase of a decision; nothing of what went before shows afterwards."""
    tb = PrecisionBench(dut)
    await tb.begin()
    p = tb.parameters
    window = [np.full(p.window, tb.range[1])]
    for phase in range(12):
        for tensors in (window, tb.traffic(100, seed=phase)):
            count = sum(map(len, tensors))
            tb.i.send(tb.pack(tensors))
            await tb.taken(count)
            await ClockCycles(tb.clk, phase)
            exponent = phase % (p.exponent_max + 1)
            width = p.width_limits[phase % 2]
            await tb.load(PrecisionState(exponent, width, phase % p.patience, 1 + 999 * phase))
            tb.connect()
            await tb.check(tb.traffic(100, seed=50 + phase))


@cocotb.test()
async def resume(dut: Any) -> None:
    """A state that was read back and loaded again goes on as it would have."""
    tb = PrecisionBench(dut)
    await tb.begin()
    await tb.check(tb.traffic(1000, seed=5))
    state = PrecisionState(**tb.state.unpack(int(dut.state.value)))
    await tb.check(tb.traffic(300, seed=6))
    await tb.load(state)
    tb.connect()
    await tb.check(tb.traffic(1000, seed=8))


@cocotb.test()
async def throughput(dut: Any) -> None:
    """A value a cycle; a decision costs ``decision_cycles`` between two values."""
    tb = PrecisionBench(dut)
    await tb.begin()
    window = tb.parameters.window
    await tb.check([np.ones(window, np.int64)] * 3)
    gaps = np.diff(tb.i.cycles)
    decision = np.arange(1, 3 * window) % window == 0
    cost = Design(tb.parameters, seed=GIVEN["seed"]).decision_cycles
    assert gaps.tolist() == np.where(decision, cost, Design.INITIATION_INTERVAL).tolist()


@cocotb.test()
async def every_value(dut: Any) -> None:
    """All inputs up to 16 bits, beyond that those next to a power of two.

    At every exponent and width where that is not too long, else at the first.
    """
    tb = PrecisionBench(dut)
    await tb.begin()
    p = tb.parameters
    low, high = tb.range
    if p.input_width <= EXHAUSTIVE_WIDTH:
        values = np.arange(low, high + 1)
    else:
        powers = 1 << np.arange(p.input_width)
        near = np.concatenate([powers - 1, powers, powers + 1])
        values = np.unique(np.clip(np.concatenate([near, -near]), low, high))
    pairs = [(p.exponent, p.width)]
    if len(values) <= 256:
        low, high = p.width_limits
        pairs = [(e, n) for e in range(p.exponent_max + 1) for n in range(low, high + 1)]
    for exponent, width in pairs:
        await tb.load(PrecisionState(exponent, width, 0, tb.golden.lfsr_state))
        tb.connect()
        await tb.check([values])


@cocotb.test(skip="vectors" not in GIVEN)
async def recorded(dut: Any) -> None:
    tb = PrecisionBench(dut)
    await tb.begin()
    with np.load(GIVEN["vectors"]) as arrays:
        await tb.check(check_vectors(tb.parameters, dict(arrays)))
