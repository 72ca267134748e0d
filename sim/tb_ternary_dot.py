"""Bench of ``rtl.ternary_dot``: TernaryDot, or BinaryDot where ``parameters.binary``.

Parameters: ``parameters`` (fields of DotParameters), and optionally ``vectors`` (.npz as
``golden.ternary_dot.check_vectors`` takes it).
"""

from __future__ import annotations

import json
import os
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, Timer
from numpy.typing import NDArray

from ..golden.ternary_dot import DotParameters, binary_dot, check_vectors, ternary_dot
from ..golden.trits import from_code, to_code
from .agents import Pattern, never, randomly
from .payload import pack_lanes
from .scoreboard import compare
from .testbench import PARAMETERS_VARIABLE, Testbench

GIVEN = json.loads(os.environ.get(PARAMETERS_VARIABLE, "{}"))
EXHAUSTIVE_BITS = 16

Codes = NDArray[np.int64]


class DotBench(Testbench):
    """A dot product; operands are arrays [n, lanes] of codes, two bits a trit or one a sign."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.parameters = p = DotParameters(**GIVEN["parameters"])
        self.code_width = 1 if p.binary else 2
        self.codes = 1 << self.code_width

    async def begin(self) -> None:
        self.dut.a.value = 0
        self.dut.w.value = 0
        if self.parameters.pipeline:
            self.dut.enable.value = 0
            await self.start()

    def expected(self, a: Codes, w: Codes) -> list[dict[str, int]]:
        if self.parameters.binary:
            sums = binary_dot(a, w)
        else:
            sums = ternary_dot(from_code(a), from_code(w))
        return [{"sum": int(value)} for value in sums]

    async def check(self, a: Codes, w: Codes, idle: Pattern = never) -> None:
        """Compare the sums of all rows of ``a`` and ``w``."""
        words = [
            (pack_lanes(x, self.code_width), pack_lanes(y, self.code_width))
            for x, y in zip(a, w, strict=True)
        ]
        run = self._clocked(words, idle) if self.parameters.pipeline else self._settled(words)
        received, cycles = await run
        compare(
            self.expected(a, w),
            received,
            cycles=cycles,
            inputs=lambda index: f"a {a[index].tolist()}, w {w[index].tolist()}",
            what="dot",
        )

    def _sum(self) -> dict[str, int]:
        value = self.dut.sum.value
        assert value.is_resolvable, f"sum is unknown at cycle {self.cycle}: {value}"
        return {"sum": value.to_signed()}

    async def _settled(self, words: list[tuple[int, int]]) -> tuple[list[Any], list[int]]:
        received, cycles = [], []
        for a, w in words:
            self.dut.a.value = a
            self.dut.w.value = w
            await Timer(10, "ns")
            received.append(self._sum())
            cycles.append(self.cycle)
        return received, cycles

    async def _clocked(
        self, words: list[tuple[int, int]], idle: Pattern
    ) -> tuple[list[Any], list[int]]:
        """Rows enter where ``enable`` is set; sums follow ``latency`` such edges later."""
        received: list[Any] = []
        cycles = []
        edges = -self.parameters.latency
        feed = iter([*words, *[(0, 0)] * self.parameters.latency])
        pending = next(feed, None)
        edge = RisingEdge(self.clk)
        while pending is not None:
            enable = not idle()
            self.dut.enable.value = int(enable)
            # What waits at a disabled edge must not matter.
            self.dut.a.value, self.dut.w.value = pending if enable else (0, 0)
            await edge
            # Values are those before the edge: the sum of the row that entered ``latency`` ago.
            if enable:
                if edges >= 0:
                    received.append(self._sum())
                    cycles.append(self.cycle)
                edges += 1
                pending = next(feed, None)
        self.dut.enable.value = 0
        return received, cycles

    def runs(self, count: int, seed: int) -> tuple[Codes, Codes]:
        """Runs of lanes whose products are mostly alike, so that every sum and carry comes up."""
        generator = np.random.default_rng(seed)
        shape = (count, self.parameters.lanes)
        a, w = (generator.integers(0, self.codes, shape) for _ in range(2))
        signs = np.arange(shape[1]) // (1 << generator.integers(0, 7, (count, 1)))
        signs = np.take_along_axis(generator.integers(-1, 2, shape), signs, axis=1)
        alike = generator.random(shape) < generator.choice([0.5, 0.8, 0.95, 1.0], (count, 1))
        one, other = (0, 1) if self.parameters.binary else (1, 3)
        equal = np.where(signs > 0, one, other)
        a = np.where(alike, np.where(generator.random(shape) < 0.5, one, other), a)
        w = np.where(alike, np.where(equal == one, a, one + other - a), w)
        if not self.parameters.binary:
            w = np.where(alike & (signs == 0), 0, w)
        return a, w

    def random(self, count: int, seed: int, zeros: float = 0.0) -> tuple[Codes, Codes]:
        """Codes of every kind, illegal ones too, with a share of lanes set to the code 0."""
        generator = np.random.default_rng(seed)
        shape = (2, count, self.parameters.lanes)
        codes = generator.integers(0, self.codes, shape)
        codes[generator.random(shape) < zeros] = 0
        return codes[0], codes[1]


@cocotb.test()
async def smoke(dut: Any) -> None:
    tb = DotBench(dut)
    await tb.begin()
    ones = np.ones((1, tb.parameters.lanes), np.int64)
    await tb.check(ones, ones)


@cocotb.test()
@cocotb.parametrize(idle=[False, True])
async def random_codes(dut: Any, idle: bool) -> None:
    tb = DotBench(dut)
    await tb.begin()
    pattern = randomly(seed=1) if idle else never
    for seed, zeros in enumerate((0.0, 0.5, 0.9)):
        await tb.check(*tb.random(400, seed, zeros), pattern)


@cocotb.test()
async def extremes(dut: Any) -> None:
    """Every lane alike, for every pair of codes: both ends of the range, and illegal codes."""
    tb = DotBench(dut)
    await tb.begin()
    pairs = [(x, y) for x in range(tb.codes) for y in range(tb.codes)]
    a, w = (np.repeat([[pair[i]] for pair in pairs], tb.parameters.lanes, axis=1) for i in (0, 1))
    await tb.check(a, w)


@cocotb.test()
async def runs_of_lanes(dut: Any) -> None:
    """Sums all over the range, and their halves, quarters and so on, independently."""
    tb = DotBench(dut)
    await tb.begin()
    await tb.check(*tb.runs(1200, seed=9))


@cocotb.test()
async def one_lane_apart(dut: Any) -> None:
    """Every lane in turn takes pairs of codes, all where lanes are few, while the others rest."""
    tb = DotBench(dut)
    await tb.begin()
    lanes = tb.parameters.lanes
    pairs = [(x, y) for x in range(tb.codes) for y in range(tb.codes)]
    share = 1 + lanes // 64
    turns = [(lane, *pair) for lane in range(lanes) for pair in pairs[lane % share :: share]]
    lane, x, y = np.array(turns).T
    for rest in (0, 1):
        a, w = np.full((2, len(turns), lanes), rest)
        a[np.arange(len(turns)), lane] = x
        w[np.arange(len(turns)), lane] = y
        await tb.check(a, w)


_BITS = 2 * GIVEN.get("parameters", {}).get("lanes", 0)
_BITS *= 1 if GIVEN.get("parameters", {}).get("binary") else 2


@cocotb.test(skip=_BITS > EXHAUSTIVE_BITS)
async def every_input(dut: Any) -> None:
    tb = DotBench(dut)
    await tb.begin()
    lanes, width = tb.parameters.lanes, tb.code_width
    words = np.arange(1 << (lanes * width))
    codes = (words[:, None] >> (width * np.arange(lanes))) & (tb.codes - 1)
    await tb.check(np.repeat(codes, len(words), axis=0), np.tile(codes, (len(words), 1)))


@cocotb.test(skip="vectors" not in GIVEN)
async def recorded(dut: Any) -> None:
    tb = DotBench(dut)
    await tb.begin()
    with np.load(GIVEN["vectors"]) as arrays:
        a, w = check_vectors(tb.parameters, dict(arrays))
    await tb.check(*((a, w) if tb.parameters.binary else (_codes(a), _codes(w))))


def _codes(trits: NDArray[np.int64]) -> Codes:
    return to_code(trits).astype(np.int64)
