"""Bench of ``rtl.processing_element.ProcessingElement``.

Parameters: ``parameters`` (fields of ProcessingElementParameters), and optionally ``vectors`` (.npz
as ``golden.processing_element.check_vectors`` takes it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import cocotb
import numpy as np
from numpy.typing import NDArray

from ..golden.processing_element import (
    ProcessingElementParameters,
    check_vectors,
    processing_element,
)
from ..golden.trits import from_code, to_code
from ..rtl.processing_element import ProcessingElement
from .agents import pattern
from .payload import Payload
from .scoreboard import compare
from .testbench import PARAMETERS_VARIABLE, Testbench

GIVEN = json.loads(os.environ.get(PARAMETERS_VARIABLE, "{}"))


class Dot(NamedTuple):
    """Operands of one dot product, arrays [words, lanes] of codes."""

    a: NDArray[np.int64]
    w: NDArray[np.int64]


class ElementBench(Testbench):
    """A processing element with the settings that its results are compared under."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.parameters = p = ProcessingElementParameters(**GIVEN["parameters"])
        self.design = ProcessingElement(p)
        self.input = Payload(self.design.i.payload.shape())
        self.output = Payload(self.design.o.payload.shape())
        self.codes = 2 if p.binary else 4

    async def begin(self, idle: bool = False, stall: bool = False) -> None:
        self.configure(
            min(4, self.parameters.threshold_max), min(8, self.parameters.threshold_max), 0
        )
        await self.start()
        self.connect(idle, stall)

    def connect(self, idle: bool = False, stall: bool = False) -> None:
        self.i = self.source("i", pattern(idle, seed=1))
        self.o = self.sink("o", pattern(stall, seed=2))

    def has_taken(self, words: int) -> bool:
        return len(self.i.sent) >= words

    def configure(self, threshold: int, window: int, offset: int) -> None:
        self.threshold, self.window, self.offset = threshold, window, offset
        self.dut.threshold.value = threshold
        self.dut.window.value = window
        self.dut.offset.value = offset

    def pack(self, dots: Iterable[Dot]) -> list[int]:
        return [
            self.input.pack(a=a, w=w, last=index == len(dot.a) - 1)
            for dot in dots
            for index, (a, w) in enumerate(zip(dot.a, dot.w, strict=True))
        ]

    def expected(self, dot: Dot) -> dict[str, int]:
        binary = self.parameters.binary
        a, w = dot if binary else (from_code(dot.a), from_code(dot.w))
        z, trit, window = processing_element(
            a, w, self.threshold, self.window, self.offset, binary=binary
        )
        return {"sum": int(z), "trit": int(to_code(trit)), "window": int(window)}

    async def check(self, dots: list[Dot]) -> list[dict[str, Any]]:
        """Send dot products and compare every result; returns the golden results."""
        expected = [self.expected(dot) for dot in dots]
        words = self.pack(dots)
        self.o.clear()
        self.i.send(words)
        await self.drain(self.o, len(dots), 8 * len(words) + 100)
        compare(
            expected,
            [self.output.unpack(word) for word in self.o.received],
            cycles=self.o.cycles,
            inputs=lambda index: (
                f"r {self.threshold}, a {self.window}, b {self.offset}, "
                f"a {dots[index].a.tolist()}, w {dots[index].w.tolist()}"
            ),
            what="o",
        )
        return expected

    def random(self, count: int, seed: int, words: int | None = None) -> list[Dot]:
        """Dot products of every length and every code, illegal ones too, from sparse to dense."""
        generator = np.random.default_rng(seed)
        dots = []
        for _ in range(count):
            length = words or int(generator.integers(1, self.parameters.words + 1))
            shape = (2, length, self.parameters.lanes)
            codes = generator.integers(0, self.codes, shape)
            codes[generator.random(shape) < generator.choice([0.0, 0.5, 0.9])] = 0
            dots.append(Dot(*codes))
        return dots

    def alike(self, a: int, w: int, words: int) -> Dot:
        """Every lane of every word with the same pair of codes."""
        shape = (words, self.parameters.lanes)
        return Dot(np.full(shape, a), np.full(shape, w))

    def summing_to(self, value: int) -> Dot:
        """One word with the sum ``value``."""
        lanes = self.parameters.lanes
        if self.parameters.binary:
            differing = (lanes - value) // 2
            return Dot(
                np.zeros((1, lanes), np.int64),
                (np.arange(lanes) < differing).astype(np.int64)[None],
            )
        code = int(to_code(np.sign(value)))
        return Dot(
            np.ones((1, lanes), np.int64), np.where(np.arange(lanes) < abs(value), code, 0)[None]
        )

    def sums(self, reach: int) -> list[int]:
        """The sums that one word can have, those beyond ``reach`` but for the extremes left out."""
        lanes = self.parameters.lanes
        every = range(-lanes, lanes + 1, 2 if self.parameters.binary else 1)
        return [value for value in every if abs(value) <= reach or abs(value) == lanes]


@cocotb.test()
async def smoke(dut: Any) -> None:
    tb = ElementBench(dut)
    await tb.begin()
    await tb.check([tb.alike(1, 1, tb.parameters.words)])
    assert tb.o.cycles[0] - tb.i.cycles[-1] == tb.design.LATENCY


@cocotb.test()
@cocotb.parametrize(idle=[False, True], stall=[False, True])
async def random_dots(dut: Any, idle: bool, stall: bool) -> None:
    tb = ElementBench(dut)
    await tb.begin(idle, stall)
    low, high = tb.parameters.offset_range
    for seed, offset in enumerate((0, 1, -2, low, high)):
        tb.configure(tb.threshold, tb.window, offset)
        await tb.check(tb.random(60, seed))


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def single_words(dut: Any, stall: bool) -> None:
    """A result every cycle."""
    tb = ElementBench(dut)
    await tb.begin(stall=stall)
    await tb.check(tb.random(200, seed=9, words=1))
    if not stall:
        assert np.diff(tb.o.cycles).tolist() == [tb.design.INITIATION_INTERVAL] * 199


@cocotb.test()
async def threshold_and_window_edges(dut: Any) -> None:
    """Every sum of a word under thresholds and windows around it: both sides of every edge."""
    tb = ElementBench(dut)
    await tb.begin()
    top = tb.parameters.threshold_max
    dots = [tb.summing_to(value) for value in tb.sums(reach=14)]
    settings = {(r, a) for r in (0, 1, 2, 5, top) for a in (0, 1, 2, 5, top) if max(r, a) <= top}
    seen = set()
    for threshold, window in sorted(settings):
        for offset in (0, 1, -2):
            tb.configure(threshold, window, offset)
            seen |= {(r["trit"], r["window"]) for r in await tb.check(dots)}
    assert len(seen) == 6, f"only {sorted(seen)} were reached"


@cocotb.test()
async def extremes(dut: Any) -> None:
    """The longest sums of both signs with the offsets at both ends: nothing overflows."""
    tb = ElementBench(dut)
    await tb.begin()
    words = tb.parameters.words
    top = tb.parameters.threshold_max
    dots = [tb.alike(a, w, words) for a in range(tb.codes) for w in range(tb.codes)]
    for offset in tb.parameters.offset_range:
        for threshold, window in ((0, 0), (top, top), (0, top), (top, 0)):
            tb.configure(threshold, window, offset)
            await tb.check(dots)


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def reset_in_mid_stream(dut: Any, stall: bool) -> None:
    """A reset in the middle of a dot product leaves nothing of it, at whatever stage it is."""
    tb = ElementBench(dut)
    await tb.begin(stall=stall)
    for taken in range(1, 2 * tb.parameters.words + tb.design.LATENCY + 2):
        tb.i.send(tb.pack(tb.random(50, seed=taken, words=tb.parameters.words)))
        await tb.until(partial(tb.has_taken, taken), 500, "words")
        tb.cancel_agents()
        await tb.reset()
        tb.connect(stall=stall)
        await tb.check(tb.random(3, seed=100 + taken))


@cocotb.test(skip="vectors" not in GIVEN)
async def recorded(dut: Any) -> None:
    tb = ElementBench(dut)
    await tb.begin()
    with np.load(GIVEN["vectors"]) as arrays:
        vectors = check_vectors(tb.parameters, dict(arrays))
    tb.configure(vectors.threshold, vectors.window, vectors.offset)
    a, w = vectors.a, vectors.w
    if not tb.parameters.binary:
        a, w = to_code(a).astype(np.int64), to_code(w).astype(np.int64)
    await tb.check([Dot(x, y) for x, y in zip(a, w, strict=True)])
