"""Bench of ``rtl.precision_controller.PrecisionController``.

Parameters: ``parameters`` (fields of PrecisionParameters), ``seed``, and optionally ``coverage``
(file of ``functional_coverage``) and ``vectors`` (.npz as
``golden.precision_controller.check_vectors`` takes it).
"""

from __future__ import annotations

import itertools
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
    Window,
    check_vectors,
)
from ..rtl.precision_controller import PrecisionController as Design
from ..rtl.precision_controller import state_layout
from ..rtl.quantizer import input_layout, output_layout
from .agents import pattern
from .functional_coverage import record, window_cross
from .payload import Payload
from .scoreboard import compare
from .testbench import PARAMETERS_VARIABLE, Testbench

Tensors = Sequence[NDArray[np.int64]]
GIVEN = json.loads(os.environ.get(PARAMETERS_VARIABLE, "{}"))
EXHAUSTIVE_WIDTH = 16
FALLBACK = 0xACE1


class Watched(PrecisionController):
    """The golden controller; its decisions are counted where the bench was asked to."""

    def decided(self, before: PrecisionState, window: Window) -> None:
        record(GIVEN.get("coverage"), [window_cross(self.parameters, before, window, self.state)])


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
        return Watched(self.parameters, GIVEN["seed"])

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

    async def load(self, state: PrecisionState, lfsr: int | None = None) -> None:
        """Load a state into both, the design's generator from ``lfsr`` where that is given."""
        self.cancel_agents()
        self.golden = self.new_golden()
        self.golden.load(state)
        given = state._asdict() | ({} if lfsr is None else {"lfsr": lfsr})
        self.dut.load_state.value = self.state.pack(**given)
        self.dut.load.value = 1
        await ClockCycles(self.clk, 1)
        assert int(self.dut.i__ready.value) == 0, "takes a value that is lost by the load"
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
async def every_decision(dut: Any) -> None:
    """A window that asks for more, for less and for nothing, exact and not, in states of note."""
    tb = PrecisionBench(dut)
    await tb.begin()
    p, random = tb.parameters, np.random.default_rng(6)
    narrowest, widest = p.width_limits
    exponents = sorted({0, 1 & p.exponent_max, p.exponent_max // 2, p.exponent_max})
    for exponent, width, streak, bits, kind in itertools.product(
        exponents,
        sorted({narrowest, min(narrowest + 1, widest), (narrowest + widest) // 2, widest}),
        sorted({0, p.patience - 1}),
        (-1, 0, 1),  # of the largest magnitudes, beyond the half of the range
        ("upper half", "exact", "mostly small", "one beyond", "least but two", "least but two"),
    ):
        top = min(exponent + width - 1 + bits, p.input_width - 1)
        low, high = 1 << max(top - 1, 0), (1 << top) - 1
        values = random.integers(low, max(low, high) + 1, min(p.window, 64))
        if kind == "mostly small":
            rest = len(values[2:])
            values[2:] = 2 ** random.uniform(0, max(exponent, 1), rest)
        elif kind == "exact":
            values = np.maximum(values >> exponent << exponent, low)
        elif kind == "least but two":
            values[2:] = 1
        if kind in ("one beyond", "least but two"):
            values[0] = tb.range[1]
        await tb.load(PrecisionState(exponent, width, streak, int(random.integers(1, 1 << 16))))
        tb.connect()
        signed = np.clip(values * random.choice([-1, 1], len(values)), *tb.range)
        await tb.check([signed] * -(-p.window // len(signed)))


@cocotb.test()
async def one_value_beyond(dut: Any) -> None:
    """Beside it one in the upper half of the range: what is permitted decides, either way."""
    tb = PrecisionBench(dut)
    await tb.begin()
    p, random = tb.parameters, np.random.default_rng(7)
    exponent = min(1, p.exponent_max)
    for width, bit in itertools.product({*p.width_limits}, range(p.input_width)):
        for _ in range(6):
            values = np.full(p.window, 1 << exponent)
            values[0] = -(1 << bit)
            values[1:2] = ((1 << width - 1) - 1) << exponent
            await tb.load(PrecisionState(exponent, width, 0, int(random.integers(1, 1 << 16))))
            tb.connect()
            await tb.check([np.clip(values, *tb.range)])


@cocotb.test()
async def load_forgets_what_was_counted(dut: Any) -> None:
    """A coarse value on its way into the sums; then a window without any error."""
    tb = PrecisionBench(dut)
    await tb.begin()
    p = tb.parameters
    for phase in range(8):
        tb.i.send(tb.pack([np.array([tb.range[1]])]))
        await tb.taken(1)
        await ClockCycles(tb.clk, phase)
        await tb.load(PrecisionState(0, p.width_limits[0], 0, 1))
        tb.connect()
        await tb.check([np.ones(p.window, np.int64)])


@cocotb.test()
async def every_generator_state_loads(dut: Any) -> None:
    """Single bits, and zero, which reads as the fallback."""
    tb = PrecisionBench(dut)
    await tb.begin()
    p = tb.parameters
    for lfsr in (*(1 << bit for bit in range(16)), 0):
        state = PrecisionState(p.exponent, p.width, 0, lfsr or FALLBACK)
        await tb.load(state, lfsr=lfsr)
        tb.connect()
        await tb.check(tb.traffic(20, seed=lfsr))


@cocotb.test()
async def idle_is_low_while_a_value_is_inside(dut: Any) -> None:
    """Also while it waits at the output, which takes it whether or not anybody takes from it."""
    tb = PrecisionBench(dut)
    await tb.begin(stall=False)
    tb.o.cancel()
    assert int(dut.idle.value) == 1
    window = tb.parameters.window
    tb.i.send(tb.pack([np.array([tb.range[1]])]))
    await tb.taken(1)
    for _ in range(Design.LATENCY + 2):
        await ClockCycles(tb.clk, 1)
        assert int(dut.idle.value) == 0, f"idle with a value inside at cycle {tb.cycle}"
    dut.o__ready.value = 1
    tb.i.send(tb.pack([np.full(window - 1, tb.range[1])]))
    await tb.taken(window)
    busy = 0
    while not int(dut.idle.value):
        busy += 1
        await ClockCycles(tb.clk, 1)
        assert busy < 100
    assert busy > Design.LATENCY, "idle while a decision falls"


@cocotb.test()
async def reset_of_one_cycle_while_values_are_offered(dut: Any) -> None:
    tb = PrecisionBench(dut)
    await tb.begin()
    for phase in range(6):
        tb.i.send(tb.pack(tb.traffic(60, seed=phase)))
        await tb.taken(30 + phase)
        tb.cancel_agents()
        dut.i__payload.value = tb.input.pack(value=tb.range[1], last=1)
        dut.i__valid.value = 1
        dut.rst.value = 1
        await ClockCycles(tb.clk, 1)
        dut.i__valid.value = 0
        dut.rst.value = 0
        tb.golden = tb.new_golden()
        tb.connect()
        await ClockCycles(tb.clk, 1)
        tb.check_status()
        await ClockCycles(tb.clk, 8)
        assert not tb.o.received, "a value of before the reset"
        await tb.check(tb.traffic(60, seed=phase))
        tb.cancel_agents()
        await tb.reset()
        tb.golden = tb.new_golden()
        tb.connect()


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
