"""Bench of ``rtl.update_engine.UpdateEngine``.

Parameters
----------
engine : dict
    Fields of ``UpdateParameters``.
seed : int
    Seed of the engine's generators, 1 by default.
coverage : str
    Path of a file of ``functional_coverage``, where wanted.
vectors : str
    Path of an .npz file, for the test ``recorded_vectors`` alone. Its arrays: ``grad``,
    ``momentum`` (where the rule keeps one) and ``weight``, integers [rows, inputs], each row
    beginning a row of the engine; optionally ``length`` [rows], how many lanes of each row count,
    and one integer each ``threshold``, ``gate_shift``, ``shift``, ``lfsr_state`` and
    ``xorshift_state``. ``golden.update_engine.check_vectors`` checks them.
"""

from __future__ import annotations

import itertools
import math
import os
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from ..golden.update_engine import UpdateEngine, UpdateParameters, check_vectors
from ..golden.update_rules import gradient_range, momentum_range, weight_range
from ..rtl import update_engine as rtl
from .agents import pattern
from .functional_coverage import record
from .testbench import PARAMETERS_VARIABLE, Testbench, parameters
from .update_traffic import Row, UpdateTraffic, decode_trits

EXHAUSTIVE_BITS = 16
EVERY_LANE_BITS = 12
RANDOM_ROWS = 40


def engine_parameters() -> UpdateParameters:
    return UpdateParameters(**parameters()["engine"])


def input_bits() -> int:
    """Bits that determine a lane's result, random words apart; 0 outside of a simulation."""
    if PARAMETERS_VARIABLE not in os.environ:
        return 0
    p = engine_parameters()
    lane = p.gradient_width + p.state_width
    return lane + p.threshold_width + p.shift_max.bit_length()


class Bench:
    """An engine, golden and RTL side by side, fed with the same rows and settings."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.tb = Testbench(dut)
        self.p = engine_parameters()
        self.traffic = UpdateTraffic(self.p)
        self.golden = UpdateEngine(self.p, parameters().get("seed", 1))
        self.rng = np.random.default_rng(7)

    async def start(self) -> Bench:
        self.dut.i__valid.value = 0
        self.dut.i__payload.value = 0
        self.dut.o__ready.value = 0
        self.dut.load.value = 0
        self.dut.load_lfsr.value = 0
        if self.p.random_width:
            self.dut.load_xorshift.value = 0
        self.configure()
        await self.tb.start()
        return self

    def configure(self, *, threshold: int = 0, gate_shift: int = 0, shift: int = 0) -> None:
        """Set golden's and the design's run-time inputs."""
        self.golden.configure(threshold=threshold, gate_shift=gate_shift, shift=shift)
        if self.p.threshold_width:
            self.dut.threshold.value = threshold
        if self.p.gate_shift_max:
            self.dut.gate_shift.value = gate_shift
        if self.p.shift_max:
            self.dut.shift.value = shift

    def configure_randomly(self) -> None:
        p = self.p
        self.configure(
            threshold=int(self.rng.integers(1 << p.threshold_width)),
            gate_shift=int(self.rng.integers(p.gate_shift_max + 1)),
            shift=int(self.rng.integers(p.shift_max + 1)),
        )

    async def load(self, lfsr_state: int, xorshift_state: int) -> None:
        """Load the design's generators; golden's take what a zero reads as."""
        self.dut.load.value = 1
        self.dut.load_lfsr.value = lfsr_state
        if self.p.random_width:
            self.dut.load_xorshift.value = xorshift_state
        await ClockCycles(self.tb.clk, 1)
        self.dut.load.value = 0
        self.golden.lfsr.state = lfsr_state or 0xACE1
        self.golden.xorshift.state = xorshift_state or 0x1234567

    async def run(self, rows: list[Row], idle: bool = False, stall: bool = False) -> None:
        """Feed ``rows`` and compare every word and the generator states with golden."""
        words, expected = self.traffic.words(rows, self.golden)
        record(parameters().get("coverage"), self.traffic.met)
        source = self.tb.source("i", pattern(idle, seed=1))
        sink = self.tb.sink("o", pattern(stall, seed=2))
        source.send(words)
        await self.tb.drain(sink, len(words), 20 * len(words) + 100)
        self.traffic.compare(words, expected, sink.received, sink.cycles)
        self.compare_states()
        if not idle and not stall:
            delays = {o - i for i, o in zip(source.cycles, sink.cycles, strict=True)}
            assert delays == {rtl.UpdateEngine.LATENCY}, f"latencies {delays}"
            spacing = set(np.diff(sink.cycles).tolist())
            assert spacing <= {rtl.UpdateEngine.INITIATION_INTERVAL}, f"intervals {spacing}"
        self.tb.cancel_agents()

    def compare_states(self) -> None:
        states = [("lfsr_state", self.golden.lfsr.state)]
        if self.p.random_width:
            states.append(("xorshift_state", self.golden.xorshift.state))
        for name, want in states:
            have = int(getattr(self.dut, name).value)
            assert have == want, f"{name}: golden {want:#x}, RTL {have:#x}, cycle {self.tb.cycle}"


@cocotb.test()
async def smoke(dut: Any) -> None:
    bench = await Bench(dut).start()
    await bench.run([bench.traffic.random_row(bench.rng, bench.p.lanes)])


@cocotb.test()
@cocotb.parametrize(idle=[False, True], stall=[False, True])
async def random_rows(dut: Any, idle: bool, stall: bool) -> None:
    """Rows of every kind of length, under several settings."""
    bench = await Bench(dut).start()
    for _ in range(4):
        bench.configure_randomly()
        await bench.run(bench.traffic.random_rows(bench.rng, RANDOM_ROWS // 4), idle, stall)


@cocotb.test()
async def every_setting(dut: Any) -> None:
    """Each threshold of note, gate shift and step shift."""
    bench = await Bench(dut).start()
    p = bench.p
    top = (1 << p.threshold_width) - 1
    thresholds = sorted({0, min(1, top), top // 2, top})
    for gate_shift in range(p.gate_shift_max + 1):
        bench.configure(gate_shift=gate_shift, threshold=min(1, top))
        await bench.run(bench.traffic.random_rows(bench.rng, 5))
    for threshold, shift in itertools.product(thresholds, range(p.shift_max + 1)):
        bench.configure(threshold=threshold, shift=shift)
        await bench.run(bench.traffic.random_rows(bench.rng, 2))


@cocotb.test()
async def extremes(dut: Any) -> None:
    """All combinations of the ends, the middle and their neighbours of every input of a lane."""
    bench = await Bench(dut).start()
    p = bench.p
    axes = []
    for low, high in (gradient_range(p), momentum_range(p), weight_range(p)):
        middle = (-1, 0, 1)
        near = {low, low + 1, *middle, high - 1, high}
        axes.append(sorted(v for v in near if low <= v <= high))
    lanes = np.array(list(itertools.product(*axes))).T
    top = (1 << p.threshold_width) - 1
    for threshold in sorted({0, 1 & top, top}):
        for shift in sorted({0, 1 & p.shift_max, p.shift_max}):
            bench.configure(threshold=threshold, shift=shift)
            await bench.run([Row(*lanes)])
    for threshold in sorted({0, 1 & top, top}) if p.gate_shift_max else ():
        bench.configure(threshold=threshold, gate_shift=p.gate_shift_max)
        await bench.run([Row(*lanes)] * 3)


@cocotb.test()
async def illegal_codes(dut: Any) -> None:
    """The illegal trit code reads as zero, in weights and in two-bit gradients, skipped or not."""
    bench = await Bench(dut).start()
    p = bench.p
    bench.configure(gate_shift=p.gate_shift_max)
    rows = []
    for row in bench.traffic.random_rows(bench.rng, 10):
        length = len(row.weight)
        if p.gradient_width == 2:
            codes = bench.rng.integers(0, 4, length)
            row = row._replace(gradient=decode_trits(codes), gradient_code=codes)
        if p.has_trit_weights:
            codes = bench.rng.integers(0, 4, length)
            row = row._replace(weight=decode_trits(codes), weight_code=codes)
        rows.append(row)
    await bench.run(rows)


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """Reset drops the word at the output, begins a row, and restores the seed."""
    bench = await Bench(dut).start()
    rows = bench.traffic.random_rows(bench.rng, 10)
    words, _ = bench.traffic.words(rows, UpdateEngine(bench.p))
    # An unfinished row is left behind: the last word taken does not end it.
    sink = bench.tb.sink("o", pattern(True, seed=3))
    bench.tb.source("i").send(words)
    await bench.tb.until(lambda: len(sink.received) > len(words) // 2, 20 * len(words), "words")
    bench.tb.cancel_agents()
    await bench.tb.reset()
    await bench.run(rows, stall=True)


@cocotb.test()
async def takes_a_word_while_the_output_stalls(dut: Any) -> None:
    """An empty output register is filled whether or not anybody takes from it."""
    bench = await Bench(dut).start()
    words, _ = bench.traffic.words([bench.traffic.random_row(bench.rng, 1)], UpdateEngine(bench.p))
    source = bench.tb.source("i")
    source.send(words)
    await bench.tb.until(lambda: not source.busy, 10, "a word to be taken")


@cocotb.test()
async def loaded_states(dut: Any) -> None:
    """Generators start from what was loaded; a zero never stalls them."""
    bench = await Bench(dut).start()
    bench.configure(gate_shift=bench.p.gate_shift_max)
    for lfsr_state, xorshift_state in ((0x1234, 0xDEADBEEF), (1, 1), (0, 0), (0xFFFF, 0xFFFFFFFF)):
        await bench.load(lfsr_state, xorshift_state)
        await bench.run(bench.traffic.random_rows(bench.rng, 4))
    for bit in range(32):
        await bench.load(1 << bit % 16, 1 << bit)
        await bench.run([bench.traffic.random_row(bench.rng, 1)])


@cocotb.test(skip=not 0 < input_bits() <= EXHAUSTIVE_BITS)
async def every_input(dut: Any) -> None:
    """Every gradient, momentum, weight, threshold and shift there is; few enough, in every lane."""
    bench = await Bench(dut).start()
    p = bench.p
    axes = [
        np.arange(low, high + 1)
        for low, high in (gradient_range(p), momentum_range(p), weight_range(p))
    ]
    inputs = np.array([axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij")])
    # A number of them that has no factor in common with the lanes, as often as there are lanes.
    count = inputs.shape[1]
    while math.gcd(count, p.lanes) > 1:
        count += 1
    size = count * (p.lanes if input_bits() <= EVERY_LANE_BITS else 1)
    lanes = [np.resize(np.resize(column, count), size) for column in inputs]
    for threshold in range(1 << p.threshold_width):
        for shift in range(p.shift_max + 1):
            bench.configure(threshold=threshold, shift=shift)
            await bench.run([Row(*lanes)])


def vectors_path() -> str | None:
    return parameters().get("vectors") if PARAMETERS_VARIABLE in os.environ else None


@cocotb.test(skip=not vectors_path())
async def recorded_vectors(dut: Any) -> None:
    bench = await Bench(dut).start()
    with np.load(str(vectors_path())) as file:
        vectors = check_vectors(bench.p, dict(file))
    bench.configure(threshold=vectors.threshold, gate_shift=vectors.gate_shift, shift=vectors.shift)
    await bench.load(vectors.lfsr_state, vectors.xorshift_state)
    await bench.run([Row(*vectors.row(k)) for k in range(len(vectors))])
