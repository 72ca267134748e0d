"""Bench of ``rtl.lfsr.Lfsr16Source``. Parameters: seed, steps."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from ..golden.lfsr import FALLBACK_STATE, Lfsr16, advance
from .agents import pattern
from .scoreboard import compare
from .testbench import Testbench, parameters

WORDS = 300


async def begin(dut: Any) -> Testbench:
    tb = Testbench(dut)
    dut.load.value = 0
    dut.load_state.value = 0
    await tb.start()
    return tb


def expected(state: int, count: int) -> list[dict[str, int]]:
    words = []
    for _ in range(count):
        state = advance(state, parameters()["steps"])
        words.append({"state": state})
    return words


async def check_words(tb: Testbench, start: int, count: int, stall: bool = False) -> None:
    sink = tb.sink("o", pattern(stall, seed=1))
    await tb.until(lambda: len(sink.received) >= count, 10 * count + 20, "words")
    got = [{"state": word} for word in sink.received]
    compare(expected(start, len(got)), got, cycles=sink.cycles, what="o")
    sink.cancel()


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def words_after_reset(dut: Any, stall: bool) -> None:
    tb = await begin(dut)
    await check_words(tb, Lfsr16(parameters()["seed"]).state, WORDS, stall)


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    tb = await begin(dut)
    await check_words(tb, Lfsr16(parameters()["seed"]).state, 10)
    await tb.reset()
    await check_words(tb, Lfsr16(parameters()["seed"]).state, 10)


@cocotb.test()
async def every_state(dut: Any) -> None:
    """All 2^16 loaded states, zero included: the word offered is the golden successor."""
    tb = await begin(dut)
    steps = parameters()["steps"]
    dut.o__ready.value = 0
    dut.load.value = 1
    edge = RisingEdge(tb.clk)
    compared = 0
    for state in range(1 << 16):
        dut.load_state.value = state
        await edge
        if state > 1:
            got = int(dut.o__payload.value)
            want = advance(state - 2 + 1, steps)
            assert got == want, f"state {state - 1:#06x}: golden {want:#06x}, RTL {got:#06x}"
            compared += 1
    assert compared == (1 << 16) - 2
    dut.load_state.value = 0
    await ClockCycles(tb.clk, 2)
    assert int(dut.o__payload.value) == advance(FALLBACK_STATE, steps)


@cocotb.test()
async def load_wins_over_transfer(dut: Any) -> None:
    tb = await begin(dut)
    dut.o__ready.value = 1
    await ClockCycles(tb.clk, 5)
    dut.load.value = 1
    dut.load_state.value = 0x1234
    await ClockCycles(tb.clk, 1)
    dut.load.value = 0
    await check_words(tb, 0x1234, 20)
