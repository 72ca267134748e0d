"""Bench of ``rtl.trainer.Trainer``: every memory write is held against golden as it happens.

Parameters: ``network`` and ``hardware`` (fields of TrainerConfig and HardwareConfig), ``vectors``
(an .npz file with ``pixels`` [n, pixels] and ``labels`` [n]), ``seed``, ``epochs``; ``memories``, a
file for the weights and counters read at the end of ``digest``.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from ..golden.write_log import RecordingTrainer
from ..rtl.register_map import IDENTITY, Command, Region, address
from .testbench import parameters
from .trainer_bench import Refused, TrainerBench, controller_word


async def ready_to_train(dut: Any, idle: bool = False, stall: bool = False) -> TrainerBench:
    tb = TrainerBench(dut)
    await tb.begin(idle, stall)
    await tb.load_samples()
    await tb.initialise()
    return tb


@cocotb.test()
async def digest(dut: Any) -> None:
    """The whole training run of the parameters: status, weights, counters, generator."""
    tb = await ready_to_train(dut)
    await tb.train()
    await tb.compare_status()
    memories = await tb.compare_memories()
    if "memories" in parameters():
        np.savez(parameters()["memories"], **memories)
    cycles = await tb.read("cycles")
    dut._log.info("cycles %d samples %d writes %d", cycles, tb.follower.samples, tb.follower.writes)
    for name, expected in parameters().get("expected", {}).items():
        actual = await tb.read(name)
        assert actual == expected, f"{name}: expected {expected}, RTL {actual}"


@cocotb.test()
async def initial_weights(dut: Any) -> None:
    tb = TrainerBench(dut)
    await tb.begin()
    assert await tb.read("identity") == IDENTITY
    assert await tb.read("status") == 0
    await tb.initialise()
    assert await tb.read("status") == 2
    await tb.compare_memories()
    other = TrainerBench(dut)
    other.bus_in, other.bus_out = tb.bus_in, tb.bus_out
    other.seed = 40503
    other.golden = RecordingTrainer(other.network, other.seed)
    await other.initialise()
    await other.compare_memories()


@cocotb.test()
@cocotb.parametrize(idle=[False, True], stall=[False, True])
async def bus_survives_idle_and_stall(dut: Any, idle: bool, stall: bool) -> None:
    tb = await ready_to_train(dut, idle, stall)
    await tb.compare_memories()
    words = tb.image.store(tb.pixels, tb.labels)
    assert await tb.read_words(Region.STORE, range(len(words))) == words.tolist()


@cocotb.test()
async def predicts_without_learning(dut: Any) -> None:
    tb = await ready_to_train(dut)
    await tb.train()
    await tb.write("command", Command.CLEAR_COUNTERS)
    await tb.write("learn", 0)
    await tb.write("epochs", 1)
    await tb.write("command", Command.RUN)
    await tb.wait_until_idle(20000)
    expected = tb.golden.predict(tb.trits)
    offsets = tb.image.prediction_offsets(len(expected))
    read = tb.image.predictions(await tb.read_words(Region.STORE, offsets))
    tb._equal("predictions", expected, read)
    tb._equal("correct", np.sum(expected == tb.labels), await tb.read("correct"))
    for name in ("samples_active", "groups_drawn", "groups_written", "sign_flips"):
        assert await tb.read(name) == 0, name
    await tb.compare_memories()


@cocotb.test()
async def resumes_from_a_checkpoint(dut: Any) -> None:
    """Weights, counters and generator written back after other training give the same bits."""
    tb = await ready_to_train(dut)
    await tb.train()
    golden = tb.golden
    saved = [
        (Region.WEIGHTS, *tb.image.weights(golden.weights)),
        (Region.COUNTERS, *tb.image.counters(golden.counters)),
    ]
    lfsr = golden.lfsr_state
    controllers = [controller_word(controller) for controller in golden.controllers]
    await tb.write("seed", 7)
    await tb.write("command", Command.INITIALISE)
    await tb.wait_until_idle(20000)
    for region, offsets, words in saved:
        await tb.write_words(region, offsets, words)
    await tb.write("lfsr", lfsr)
    await tb.write("xorshift", golden.xorshift.state)
    for l, word in enumerate(controllers):
        await tb.write(f"controller_{l}", word)
    await tb.compare_memories()
    await tb.train()
    await tb.compare_memories()


@cocotb.test()
async def trains_on_images_moved_at_random(dut: Any) -> None:
    tb = await ready_to_train(dut)
    await tb.train(3, shift=True)
    tb._equal("shift_lfsr", tb.golden.shift_lfsr.state, await tb.read("shift_lfsr"))
    await tb.compare_memories()
    await tb.train(1, shift=False)
    await tb.compare_memories()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    tb = await ready_to_train(dut)
    await tb.write("command", Command.RUN)
    await ClockCycles(tb.clk, 777)
    assert await tb.read("status") & 1
    tb.cancel_agents()
    await tb.reset()
    fresh = TrainerBench(dut)
    fresh.follower = type(tb.follower)(fresh, fresh.plan, fresh.golden)
    fresh.bus_in, fresh.bus_out = fresh.source("i"), fresh.sink("o")
    assert await fresh.read("status") == 0
    await fresh.load_samples()
    await fresh.initialise()
    await fresh.train(1)
    await fresh.compare_memories()


@cocotb.test()
async def stops_between_samples(dut: Any) -> None:
    """After a stop the state is that of golden after some whole number of samples."""
    tb = await ready_to_train(dut)
    await tb.write("epochs", 1000)
    await tb.write("command", Command.RUN)
    await ClockCycles(tb.clk, 3000)
    await tb.write("command", Command.STOP)
    await tb.wait_until_idle(20000)
    seen = await tb.read("samples_seen")
    assert seen > 0
    golden = RecordingTrainer(tb.network, tb.seed)
    for k in range(seen):
        golden.train_sample(tb.trits[k % len(tb.trits)], int(tb.labels[k % len(tb.trits)]))
        if k % len(tb.trits) == len(tb.trits) - 1:
            golden.finish_epoch()
    tb.golden = golden
    assert await tb.read("epoch") * len(tb.trits) + await tb.read("sample") == seen
    await tb.compare_status()
    await tb.compare_memories()


@cocotb.test()
async def refuses_what_it_must(dut: Any) -> None:
    tb = await ready_to_train(dut)
    depths = {
        Region.STORE: tb.plan.store_depth,
        Region.WEIGHTS: int(tb.image.weight_offsets()[-1]) + 1,
        Region.COUNTERS: int(tb.image.counter_offsets()[-1]) + 1,
    }
    wrong = [
        (0, len(tb.addresses), 0),
        (1, tb.addresses["identity"], 1),
        (0, tb.addresses["command"], 0),
        (0, 15 << 20, 0),
        *((0, address(region, depth), 0) for region, depth in depths.items()),
        *((1, address(region, depth), 0) for region, depth in depths.items()),
    ]
    busy = [
        (0, address(Region.WEIGHTS, 0), 0),
        (1, address(Region.WEIGHTS, 0), 0),
        (1, address(Region.COUNTERS, 0), 0),
        (1, address(Region.STORE, 0), 0),
    ]
    for request in wrong:
        await refused(tb, request)
    await tb.compare_memories()
    await tb.write("epochs", 1)
    await tb.write("command", Command.RUN)
    for request in busy:
        await refused(tb, request)
    await tb.wait_until_idle(20000)


async def refused(tb: TrainerBench, request: tuple[int, int, int]) -> None:
    try:
        await tb.exchange([request])
    except Refused:
        return
    raise AssertionError(f"request {request} was not refused")


@cocotb.test()
async def counters_saturate_and_say_so(dut: Any) -> None:
    tb = await ready_to_train(dut)
    assert await tb.read("saturated") == 0
    dut.cycles.value = 0xFFFFFFF0
    await tb.write("epochs", 1)
    await tb.write("command", Command.RUN)
    await tb.wait_until_idle(20000)
    assert await tb.read("cycles") == 0xFFFFFFFF
    saturated = await tb.read("saturated")
    names = [name for name, r in tb.registers.items() if r.access == "ro" and r.width == 32]
    counters = names[names.index("samples_seen") :]
    assert saturated == 1 << counters.index("cycles")
    await tb.write("command", Command.CLEAR_COUNTERS)
    assert await tb.read("cycles") == 0
    assert await tb.read("saturated") == 0
