"""Bench of ``rtl.xorshift.Xorshift32Source``. Parameters: seed."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from ..golden.xorshift import FALLBACK_STATE, Xorshift32, advance
from .agents import pattern
from .scoreboard import compare
from .testbench import Testbench, parameters

WORDS = 1000


async def begin(dut: Any) -> Testbench:
    tb = Testbench(dut)
    dut.load.value = 0
    dut.load_state.value = 0
    await tb.start()
    return tb


def seeded() -> int:
    """State right after reset."""
    return Xorshift32(parameters()["seed"]).state


async def check_words(tb: Testbench, state: int, count: int, stall: bool = False) -> None:
    """Take ``count`` words or a few more; the first is the successor of ``state``."""
    sink = tb.sink("o", pattern(stall, seed=1))
    await tb.until(lambda: len(sink.received) >= count, 10 * count + 20, "words")
    words = []
    for _ in sink.received:
        state = advance(state)
        words.append({"word": state})
    compare(words, [{"word": word} for word in sink.received], cycles=sink.cycles, what="o")
    sink.cancel()


async def load(dut: Any, tb: Testbench, state: int) -> None:
    dut.load.value = 1
    dut.load_state.value = state
    await ClockCycles(tb.clk, 1)
    dut.load.value = 0


@cocotb.test()
@cocotb.parametrize(stall=[False, True])
async def words_after_reset(dut: Any, stall: bool) -> None:
    tb = await begin(dut)
    await check_words(tb, seeded(), WORDS, stall)


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    tb = await begin(dut)
    await check_words(tb, seeded(), 10)
    await tb.reset()
    await check_words(tb, seeded(), 10)


@cocotb.test()
async def single_bits_and_extremes(dut: Any) -> None:
    """Each state with one bit, with one bit missing, all ones: linear, so these tell every XOR."""
    tb = await begin(dut)
    ones = (1 << 32) - 1
    for bit in range(32):
        for state in (1 << bit, ones ^ (1 << bit)):
            await load(dut, tb, state)
            await check_words(tb, state, 3)
    await load(dut, tb, ones)
    await check_words(tb, ones, 3)


@cocotb.test()
async def zero_reads_as_the_fallback(dut: Any) -> None:
    tb = await begin(dut)
    await load(dut, tb, 0)
    await check_words(tb, FALLBACK_STATE, 20)


@cocotb.test()
async def load_wins_over_transfer(dut: Any) -> None:
    tb = await begin(dut)
    dut.o__ready.value = 1
    await ClockCycles(tb.clk, 5)
    await load(dut, tb, 0x12345)
    await check_words(tb, 0x12345, 20)
