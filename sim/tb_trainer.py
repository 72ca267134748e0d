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

from ..golden.lfsr import FALLBACK_STATE
from ..golden.write_log import RecordingTrainer
from ..rtl.register_map import IDENTITY, OFFSET_BITS, REGION_BITS, Command, Region, address
from ..rtl.trainer_plan import BUS_WIDTH
from .testbench import parameters
from .trainer_bench import STATUS_COUNTERS, TrainerBench, controller_word

LONG = 2  # epochs or samples after which a run that goes on for many more is stopped


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
async def every_seed_counts(dut: Any) -> None:
    """All bits of the seed, also none."""
    tb = TrainerBench(dut)
    await tb.begin()
    for seed in (0, 0x5A5A, 0xFFFF):
        await tb.write("seed", seed)
        await tb.write("command", Command.INITIALISE)
        await tb.wait_until_idle(20000)
        expected = RecordingTrainer(tb.network, seed).lfsr_state
        assert await tb.read("lfsr") == expected, f"seed {seed}"


@cocotb.test()
async def registers_hold_what_is_written(dut: Any) -> None:
    """Every bit of every register; those of generators read zero as their fallback."""
    tb = TrainerBench(dut)
    await tb.begin()
    held = {n: r for n, r in tb.registers.items() if r.access == "rw" and not r.external}
    before = {name: await tb.read(name) for name in tb.registers if name not in ("command", *held)}
    for pattern in (0x5A5A, 0xA5A5, 0x3C99, 0xC366):
        values = {name: pattern + 257 * k for k, name in enumerate(held)}
        for name, value in values.items():
            await tb.write(name, value)
        for name, register in held.items():
            width = register.width
            value = values[name] % (1 << width)
            if register.signed and value >> width - 1:
                value -= 1 << width
            have = await tb.read(name)
            assert have == value % (1 << BUS_WIDTH), f"{name}: {value:#x} written, {have:#x} read"
    for name in ("lfsr", "shift_lfsr"):
        for bit in range(16):
            await tb.write(name, 1 << bit)
            assert await tb.read(name) == 1 << bit, name
        await tb.write(name, 0)
        assert await tb.read(name) == FALLBACK_STATE, name
        before[name] = FALLBACK_STATE
    for name, value in before.items():
        assert await tb.read(name) == value, f"{name} has changed"


@cocotb.test()
async def runs_end_when_they_must(dut: Any) -> None:
    """No epochs or samples are no run; each bit of their number is more than one of them."""
    tb = await ready_to_train(dut)
    await tb.write("learn", 0)
    for epochs, samples in ((0, 2), (2, 0), (0, 0)):
        await tb.write("epochs", epochs)
        await tb.write("samples", samples)
        await tb.write("command", Command.RUN)
        assert await tb.read("status") == 2, f"{epochs} epochs of {samples} samples"
    assert await tb.read("samples_seen") == 0
    # What is counted, the other number, and how far a long run is followed.
    for counted, other, fixed, stride in (("epoch", "samples", 1, 1), ("sample", "epochs", 2, 5)):
        await tb.write(other, fixed)
        for bit in range(0, 16, stride):
            await tb.write(f"{counted}s", 1 << bit)
            await tb.write("command", Command.RUN)
            if 1 << bit > LONG:
                await reaches(tb, counted, LONG)
                assert await tb.read("status") == 3, f"{1 << bit} {counted}s ended early"
                await tb.write("command", Command.STOP)
            await tb.wait_until_idle(20000)
            if 1 << bit <= LONG:
                assert await tb.read("epoch") == (1 << bit if counted == "epoch" else fixed)


async def reaches(tb: TrainerBench, name: str, value: int) -> None:
    """Read a register until it is ``value`` or more."""
    for _ in range(1000):
        if await tb.read(name) >= value:
            return
    raise AssertionError(f"{name} does not reach {value}")


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
    beyond = [
        address(region, offset)
        for region, depth in {Region.REGISTERS: len(tb.addresses), **depths}.items()
        for offset in (depth, *(1 << bit for bit in range(OFFSET_BITS) if 1 << bit > depth))
    ]
    beyond += [region << OFFSET_BITS for region in range(len(Region), 1 << REGION_BITS)]
    beyond += [
        place | 1 << bit
        for place in range(len(tb.addresses))
        for bit in range(len(tb.addresses).bit_length(), OFFSET_BITS)
    ]
    access = {name: register.access for name, register in tb.registers.items()}
    wrong = [
        *((write, place, 0) for place in beyond for write in (0, 1)),
        *((1, tb.addresses[name], 1) for name in access if access[name] == "ro"),
        *((0, tb.addresses[name], 0) for name in access if access[name] == "wo"),
    ]
    busy = [
        (0, address(Region.WEIGHTS, 0), 0),
        (1, address(Region.WEIGHTS, 0), 0),
        (1, address(Region.COUNTERS, 0), 0),
        (1, address(Region.STORE, 0), 0),
    ]
    await all_refused(tb, wrong)
    await tb.compare_memories()
    await tb.write("epochs", 1)
    await tb.write("command", Command.RUN)
    await all_refused(tb, busy)
    await tb.wait_until_idle(20000)


async def all_refused(tb: TrainerBench, requests: list[tuple[int, int, int]]) -> None:
    done = len(tb.bus_out.received)
    tb.bus_in.send(tb.request.pack(write=w, address=a, data=d) for w, a, d in requests)
    limit = 40 * len(requests) + 100
    await tb.until(lambda: len(tb.bus_out.received) == done + len(requests), limit, "answers")
    for request, word in zip(requests, tb.bus_out.received[done:], strict=True):
        answer = tb.response.unpack(word)
        assert answer["error"] == 1, f"request {request} was not refused: {answer}"


@cocotb.test()
async def counters_carry_through_every_bit(dut: Any) -> None:
    tb = await ready_to_train(dut)
    for pattern in (0x55555555, 0xAAAAAAAA, 0x7FFFFFFF):
        before = {name: getattr(tb.golden, name) for name in STATUS_COUNTERS}
        for name in (*STATUS_COUNTERS, "cycles"):
            getattr(core_of(dut), name).value = pattern
        await tb.train(1)
        for name in STATUS_COUNTERS:
            counted = name != "resting" or tb.hardware.monitor
            more = getattr(tb.golden, name) - before[name] if counted else 0
            tb._equal(name, pattern + more, await tb.read(name))
        cycles = await tb.read("cycles") - pattern
        assert 0 < cycles <= len(tb.labels) * tb.sample_limit()
    assert await tb.read("saturated") == 0


def core_of(dut: Any) -> Any:
    """Where the status counters are: a level deeper where a wrapper chooses among mutants."""
    return getattr(dut, "block", dut)


@cocotb.test()
async def counters_saturate_and_say_so(dut: Any) -> None:
    tb = await ready_to_train(dut)
    assert await tb.read("saturated") == 0
    core_of(dut).cycles.value = 0xFFFFFFF0
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
