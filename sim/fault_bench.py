"""Bench of ``rtl.trainer.Trainer`` under upsets: bits of its memories flip while it trains.

Parameters: those of ``tb_trainer``. On Icarus, where a bench reaches every signal.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles

from ..rtl.register_map import Command
from .tb_trainer import ready_to_train
from .trainer_bench import BUSY, TrainerBench

EPOCHS = 6
SPACING = 40  # cycles between upsets
UPSETS = 100


def memories(dut: Any, tb: TrainerBench) -> list[Any]:
    """The words of weights and counters."""
    weights, counters = inside(dut, "weights"), inside(dut, "counters")
    banks = [inside(weights, f"bank{k}") for k in range(tb.plan.hardware.rows)]
    parts = [inside(counters, part) for part in tb.plan.counter_parts]
    return [memory.words for memory in (*banks, *parts)]


def inside(module: Any, name: str) -> Any:
    """An instance by its name, to which the writer of the Verilog may have added a number."""
    return next(
        child
        for child in module
        if isinstance(child, HierarchyObject) and child._name.strip("\\ ").split("$")[0] == name
    )


def upset(memory: Any, generator: random.Random) -> None:
    """Flip one bit."""
    word = memory[generator.randrange(len(memory))]
    if word.value.is_resolvable:
        word.value = int(word.value) ^ 1 << generator.randrange(len(word))


@cocotb.test()
async def runs_to_its_end(dut: Any) -> None:
    tb = await ready_to_train(dut)
    generator = random.Random(1)
    found = memories(dut, tb)
    await tb.write("epochs", EPOCHS)
    await tb.write("command", Command.RUN)
    for _ in range(UPSETS):
        assert await tb.read("status") & BUSY, "the run ended before the last upset"
        upset(generator.choice(found), generator)
        await ClockCycles(tb.clk, generator.randrange(SPACING))
    await tb.wait_until_idle(5000)
    assert await tb.read("samples_seen") == EPOCHS * len(tb.labels)
    assert await tb.read("epoch") == EPOCHS
    # A fresh start: nothing of all that is left.
    await tb.initialise()
    await tb.train(1)
    await tb.compare_memories()
