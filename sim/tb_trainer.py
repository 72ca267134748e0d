"""Bench of ``rtl.trainer.Trainer``: every memory write is held against golden as it happens.

Parameters: ``network`` and ``hardware`` (fields of TrainerConfig and HardwareConfig), ``vectors``
(an .npz file with ``pixels`` [n, pixels] and ``labels`` [n]), ``seed``, ``epochs``; ``memories``, a
file for the weights and counters read at the end of ``digest``; ``expected`` and
``expected_of_predictions``, values of registers at the end of ``digest`` and of
``predicts_without_learning``.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from ..golden.lfsr import FALLBACK_STATE
from ..golden.write_log import RecordingTrainer
from ..rtl.register_map import (
    COUNTERS,
    IDENTITY,
    OFFSET_BITS,
    REGION_BITS,
    Command,
    Region,
    Register,
    address,
)
from ..rtl.trainer_plan import BUS_WIDTH
from .testbench import parameters
from .trainer_bench import STATUS_COUNTERS, TrainerBench, controller_word
from .trainer_settings import controllers_to_try, settings_to_try

LONG = 2  # epochs or samples after which a run that goes on for many more is stopped
FULL = 0xFFFFFFFF  # a status counter
# Registers of 16 bits that count what is done and what is left.
COUNTING = ("epoch", "sample", "loader.epochs_left", "loader.samples_left")
MARGINS = (1, 2, 3)  # that are met by some samples and not by others
STEPS = 3  # that are watched of a register that counts


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
    await tb.compare_expected("expected")


@cocotb.test()
async def initial_weights(dut: Any) -> None:
    tb = TrainerBench(dut)
    await tb.begin()
    assert await tb.read("identity") == IDENTITY
    assert await tb.read("status") == dut.busy.value == 0
    await tb.write("command", Command.INITIALISE)
    assert await tb.read("status") == dut.busy.value == 1
    await tb.wait_for_run()
    assert dut.busy.value == 0
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
        await tb.wait_for_run()
        expected = RecordingTrainer(tb.network, seed).lfsr_state
        assert await tb.read("lfsr") == expected, f"seed {seed}"


@cocotb.test()
async def registers_hold_what_is_written(dut: Any) -> None:
    """Every bit of every register; those of generators read zero as their fallback."""
    tb = TrainerBench(dut)
    await tb.begin()
    held = {n: r for n, r in tb.registers.items() if r.access == "rw" and not r.external}
    before = {name: await tb.read(name) for name in tb.registers if name not in ("command", *held)}
    for pattern in (0x5A5A, 0x3C99):
        values = {name: pattern + 257 * k for k, name in enumerate(held)}
        await all_hold(tb, held, values)
        # In reverse: what one writes into another is not always written again behind it.
        await all_hold(tb, held, {name: ~values[name] for name in reversed(held)})
    for name in ("lfsr", "shift_lfsr"):
        for bit in range(16):
            await tb.write(name, 1 << bit)
            assert await tb.read(name) == 1 << bit, name
        await tb.write(name, 0)
        assert await tb.read(name) == FALLBACK_STATE, name
        before[name] = FALLBACK_STATE
    for l, controller in enumerate(tb.golden.controllers):
        word = controller_word(controller) & ~0xFFFF
        await tb.write(f"controller_{l}", word)
        before[f"controller_{l}"] = word | FALLBACK_STATE
    for name, value in before.items():
        assert await tb.read(name) == value, f"{name} has changed"


async def all_hold(tb: TrainerBench, held: dict[str, Register], values: dict[str, int]) -> None:
    """Write ``values`` to registers, and read them back."""
    for name, value in values.items():
        await tb.write(name, value)
    # Whether a value stays shows at two reads an odd number of cycles apart.
    for pause in (0, 0, 1):
        if pause:
            await ClockCycles(tb.clk, pause)
        for name, register in held.items():
            width = register.width
            value = values[name] % (1 << width)
            if register.signed and value >> width - 1:
                value -= 1 << width
            have, value = await tb.read(name), value % (1 << BUS_WIDTH)
            assert have == value, f"{name}: {values[name]:#x} written, {have:#x} read"


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
            await tb.wait_for_run()
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
    await tb.compare_predictions()
    for name in ("samples_active", "groups_drawn", "groups_written", "sign_flips"):
        assert await tb.read(name) == 0, name
    await tb.compare_expected("expected_of_predictions")
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
    await tb.wait_for_run()
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
    """After a stop the state is that of golden after some whole number of samples.

    The next run begins with the first sample.
    """
    tb = await ready_to_train(dut)
    await tb.write("epochs", 1000)
    await tb.write("command", Command.RUN)
    await ClockCycles(tb.clk, 3000)
    await tb.write("command", Command.STOP)
    await tb.wait_for_run()
    seen = await tb.read("samples_seen")
    assert seen > 0
    golden = RecordingTrainer(tb.network, tb.seed)
    for k in range(seen):
        golden.train_sample(tb.trits[k % len(tb.trits)], int(tb.labels[k % len(tb.trits)]))
        if k % len(tb.trits) == len(tb.trits) - 1:
            golden.finish_epoch()
    tb.golden = tb.follower.golden = golden
    assert await tb.read("epoch") * len(tb.trits) + await tb.read("sample") == seen
    tb._equal("shift_lfsr", golden.shift_lfsr.state, await tb.read("shift_lfsr"))
    await tb.compare_status()
    await tb.compare_memories()
    await tb.train(1)
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
    # Addresses of registers with a wrong bit beyond those that tell registers apart, or with two.
    first = (len(tb.addresses) - 1).bit_length()
    beyond += [place | 1 << b for place in range(1 << first) for b in range(first, OFFSET_BITS)]
    beyond += [
        place | 3 << bit
        for place in range(len(tb.addresses))
        for bit in range(first, OFFSET_BITS - 1)
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
    await tb.wait_for_run()


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
        # Whether a value stays shows at two reads an odd number of cycles apart.
        names = [register.name for register in COUNTERS]
        once, again = [await tb.read(n) for n in names], [await tb.read(n) for n in names]
        await ClockCycles(tb.clk, 1)
        assert once == again == [await tb.read(name) for name in names]
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
    before = {name: getattr(tb.golden, name) for name in STATUS_COUNTERS}
    names = [register.name for register in COUNTERS]
    for name in names:
        getattr(core_of(dut), name).value = FULL
    await tb.train(1)
    more = {name: getattr(tb.golden, name) - before[name] for name in STATUS_COUNTERS}
    more["resting"] *= tb.hardware.monitor
    counted = [name for name in names if name == "cycles" or more[name]]
    assert [await tb.read(name) for name in names] == [FULL] * len(names)
    assert await tb.read("saturated") == sum(1 << names.index(name) for name in counted)
    others = [name for name in tb.registers if name not in ("command", "saturated", *names)]
    beside = [await tb.read(name) for name in others]
    await tb.write("command", Command.CLEAR_COUNTERS)
    assert [await tb.read(name) for name in names] == [0] * len(names)
    assert await tb.read("saturated") == 0
    # What counters hold is not seen at other addresses.
    tb._equal("other registers", beside, [await tb.read(name) for name in others])


@cocotb.test()
async def counters_of_epochs_and_samples_carry(dut: Any) -> None:
    """What is done goes up, and what is left goes down, through every bit."""
    tb = await ready_to_train(dut)
    await tb.write("learn", 0)
    held = [
        name
        for name, register in tb.registers.items()
        if register.access == "rw" and name not in ("epochs", "samples")
    ]
    before = [await tb.read(n) for n in held]
    for name in COUNTING:
        step, of_epochs = (-1 if "left" in name else 1), "epoch" in name
        await tb.write("epochs", 0xFFFF if of_epochs else 1)
        await tb.write("samples", 1 if of_epochs else 0xFFFF)
        for start in (0x5555, 0xAAAA, 0x8001 if step < 0 else 0x7FFE):
            await tb.write("command", Command.RUN)
            await reaches(tb, "epoch" if of_epochs else "sample", 1)
            register = register_at(dut, name)
            register.value = start
            seen = await values_of(tb, register, STEPS + 2)
            # What it was before may be seen as well.
            first = seen.index(start)
            tb._equal(name, [start + step * k for k in range(STEPS + 1)], seen[first:][: STEPS + 1])
            await tb.write("command", Command.STOP)
            await tb.wait_for_run()
            if step > 0:
                shown = await tb.read("epoch" if of_epochs else "sample")
                tb._equal(name, int(register.value), shown)
                # Nor is it seen at other addresses.
                tb._equal("other registers", before, [await tb.read(n) for n in held])


async def values_of(tb: TrainerBench, register: Any, count: int) -> list[int]:
    """The next ``count`` values that a register takes."""
    seen: list[int] = []
    for _ in range(count * tb.sample_limit()):
        await RisingEdge(tb.clk)
        if not seen or int(register.value) != seen[-1]:
            seen.append(int(register.value))
        if len(seen) == count:
            return seen
    raise AssertionError(f"values {seen} and no more of {count}")


def register_at(dut: Any, path: str) -> Any:
    """A register of the trainer; its path is its name where a netlist is flat."""
    handle = core_of(dut)
    if hasattr(handle, path.replace(".", "_")):
        return getattr(handle, path.replace(".", "_"))
    for name in path.split("."):
        handle = getattr(handle, name)
    return handle


@cocotb.test()
async def registers_do_what_they_say(dut: Any) -> None:
    """Every gate shift, margins that are met, sums of one sign, pixels of every value.

    Each layer has settings of its own; precision controllers meet errors too large and too small.
    """
    tb = TrainerBench(dut)
    await tb.begin()
    random = np.random.default_rng(5)
    pixels = random.integers(0, 1 << tb.hardware.pixel_width, (11, *tb.pixels.shape[1:]))
    labels = random.integers(0, tb.network.classes, 11)
    # Every other sample is predicted correctly from the start.
    labels[::2] = tb.golden.predict(tb.encode(pixels.astype(np.uint8)))[::2]
    tb.use_samples(pixels.astype(np.uint8), labels)
    await tb.load_samples()
    await tb.initialise()
    for state, settings in zip((0x5AA5, 0xA55A, 0x33CC, 0xCC33), settings_to_try(tb), strict=True):
        await tb.write("shift_lfsr", state)
        await tb.change(**settings)
        await tb.train(1)
        await tb.compare_status()
        tb._equal("shift_lfsr", state, await tb.read("shift_lfsr"))
    controllers = tb.golden.controllers
    moves = set()
    for settings, beginnings in controllers_to_try(tb):
        await tb.change(**settings)
        for controller, beginning in zip(controllers, beginnings, strict=True):
            controller.load(beginning)
        await tb.write_controllers()
        await tb.train(1)
        for l, beginning in enumerate(beginnings):
            moves.add((l, controllers[l].exponent - beginning.exponent))
    assert len(moves) == 3 * len(controllers), f"exponents up, down or neither: {moves}"
    # Samples that are learnt from and samples that are not, in several orders.
    for margin in MARGINS:
        await tb.change(margin=margin)
        await tb.train(1)
    await tb.compare_memories()
    await tb.compare_predictions()
    # A squared hinge asks for something of every class, and is seldom content.
    assert controllers or 0 < tb.golden.samples_active < tb.golden.samples_seen


@cocotb.test()
async def all_products_rest(dut: Any) -> None:
    """Weights of zero, written by the host."""
    tb = await ready_to_train(dut)
    weights = [np.zeros_like(weights) for weights in tb.golden.weights]
    await tb.write_words(Region.WEIGHTS, *tb.image.weights(weights))
    await tb.write("learn", 0)
    await tb.write("epochs", 1)
    await tb.write("command", Command.RUN)
    await tb.wait_for_run()
    products = len(tb.labels) * tb.network.weight_count if tb.hardware.monitor else 0
    tb._equal("resting", products, await tb.read("resting"))
