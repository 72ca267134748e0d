"""Bench of ``rtl.link.Link`` in front of a small trainer: every answer and counter against golden.

Parameters: ``network`` and ``hardware`` (fields of the parameter objects), ``frames``, ``seed``,
``pause``.
"""

from __future__ import annotations

import time
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, First, Timer, ValueChange

from ..golden.design import DesignConfig, HardwareConfig
from ..golden.link import (
    DELIMITER,
    LinkCommand,
    LinkStatus,
    counters_of,
    decode_answer,
    encode_request,
)
from ..golden.trainer_config import TrainerConfig
from ..rtl.register_map import Command, Region, address, register_addresses
from .link_traffic import LinkTraffic
from .linked_trainer import ANSWER_BYTES, INPUT_BYTES
from .model_board import ModelBoard
from .testbench import PERIOD_NS, Testbench, parameters

WAIT_CYCLES = 20000
PROGRESS = 5000
STORE_BURST = 32  # words; divides a page


def bench_design() -> DesignConfig:
    """The design of the parameters."""
    return DesignConfig(
        name="bench",
        board="none",
        network=TrainerConfig(**parameters()["network"]),
        hardware=HardwareConfig(**parameters()["hardware"]),
    )


class LinkBench(Testbench):
    """Frames in and answers out, beside the golden link."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.board = ModelBoard(bench_design())
        self.answers = 0
        self.sequence = 0

    async def begin(self, pause: bool = False) -> None:
        for signal in (self.dut.start, self.dut.framing_error, self.dut.length, self.dut.data):
            signal.value = 0
        self.dut.pause.value = pause
        await self.start()
        # Configuration clears the counters, a reset does not.
        link = self.board.link
        for command in (LinkCommand.IDENTIFY, LinkCommand.STATUS):
            frame = encode_request(self.sequence, command)
            link.receive(frame)
            answer = decode_answer(await self.exchange(frame))
            self.sequence += 1
        link.counters = counters_of(answer.words)
        for at in range(0, self.board.plan.store_depth, STORE_BURST):
            count = min(STORE_BURST, self.board.plan.store_depth - at)
            where = address(Region.STORE, at)
            await self.request(LinkCommand.WRITE, where, words=[0] * count)
        self.sequence = self.board.link.sequence

    async def push(self, data: bytes) -> None:
        """Send bytes; returns when the link has taken them."""
        for at in range(0, len(data), INPUT_BYTES):
            part = data[at : at + INPUT_BYTES]
            self.dut.data.value = int.from_bytes(part, "little")
            self.dut.length.value = len(part)
            self.dut.start.value = 1
            await ClockCycles(self.clk, 1)
            self.dut.start.value = 0
            await ClockCycles(self.clk, 2)
            for _ in range(WAIT_CYCLES):
                left = int(self.dut.pending.value)
                if not left:
                    break
                await ClockCycles(self.clk, max(1, 3 * left))
            assert not left, f"the link does not take bytes: {left} of {len(part)} left"

    async def next_answer(self) -> bytes:
        """The next answer, without its delimiter."""
        wait = Timer(WAIT_CYCLES * PERIOD_NS, "ns")
        while int(self.dut.answers.value) == self.answers & 0xFFFF:
            fired = await First(ValueChange(self.dut.answers), wait)
            assert fired is not wait, f"no answer within {WAIT_CYCLES} cycles"
            await FallingEdge(self.clk)  # the other registers have changed as well
        self.answers += 1
        assert int(self.dut.answers.value) == self.answers & 0xFFFF, "two answers to one request"
        length = int(self.dut.answer_length.value)
        held = int(self.dut.answer.value)
        return held.to_bytes(ANSWER_BYTES, "little")[ANSWER_BYTES - length :]

    async def exchange(self, frame: bytes) -> bytes:
        """Send a frame that is answered."""
        await self.push(frame)
        return await self.next_answer()

    async def check(self, data: bytes) -> list[bytes]:
        """Send ``data``, frame by frame; the answers, each equal to golden's."""
        got = []
        *frames, rest = data.split(DELIMITER)
        for frame in frames:
            await self.push(frame + DELIMITER)
            for expected in self.board.link.receive(frame + DELIMITER):
                answer = await self.next_answer() + DELIMITER
                assert answer == expected, (
                    f"answer to {frame.hex()}:\ngolden {expected.hex()}\nRTL    {answer.hex()}"
                )
                got.append(answer)
        if rest:
            await self.push(rest)
            self.board.link.receive(rest)
        return got

    async def request(self, command: LinkCommand, *args: Any, **named: Any) -> Any:
        """A request of the session, checked; its answer."""
        self.sequence = (self.board.link.sequence + 1) & 0xFF
        (answer,) = await self.check(encode_request(self.sequence, command, *args, **named))
        return decode_answer(answer[:-1])

    async def check_counters(self) -> None:
        """Every counter equal to golden's."""
        await self.request(LinkCommand.STATUS)

    async def check_store(self) -> None:
        """The sample store holds what the accepted requests wrote, and nothing else."""
        depth = self.board.plan.store_depth
        for at in range(0, depth, STORE_BURST):
            count = min(STORE_BURST, depth - at)
            await self.request(LinkCommand.READ, address(Region.STORE, at), count)


@cocotb.test()
async def every_answer_is_golden(dut: Any) -> None:
    """Damaged and good frames: as many as the parameter ``frames`` says."""
    tb = LinkBench(dut)
    await tb.begin(parameters()["pause"])
    traffic = LinkTraffic(tb.board, parameters()["seed"])
    frames, answers, started = 0, 0, time.monotonic()
    for request in range(parameters()["frames"]):
        if frames >= parameters()["frames"]:
            break
        for data, must_answer in traffic.exchange(request):
            got = await tb.check(data)
            frames += data.count(DELIMITER)
            answers += len(got)
            assert len(got) == 1 or not must_answer, f"a good request has {len(got)} answers"
        if request % PROGRESS == PROGRESS - 1:
            dut._log.info(
                "%d frames, %d answers, %.0f s", frames, answers, time.monotonic() - started
            )
            await tb.check_store()
    await tb.check(traffic.session())
    await tb.check_counters()
    await tb.check_store()
    seconds = time.monotonic() - started
    counters = tb.board.link.counters
    dut._log.info("%d frames, %d answers, %.0f s: %s", frames, answers, seconds, counters)


@cocotb.test()
async def a_repeated_write_is_not_carried_out_again(dut: Any) -> None:
    """A lost answer to RUN: the request comes again, the trainer runs once."""
    tb = LinkBench(dut)
    await tb.begin()
    addresses = register_addresses(tb.board.design.network)
    # Nothing stored but zeros, so that a run takes its time and no weights.
    await tb.push(
        frame := encode_request(
            tb.sequence + 1, LinkCommand.WRITE, addresses["command"], words=[Command.RUN]
        )
    )
    first = await tb.next_answer()
    for _ in range(3):
        assert await tb.exchange(frame) == first
    await ClockCycles(tb.clk, 20000)
    read = encode_request(tb.sequence + 2, LinkCommand.READ, addresses["samples_seen"], 1)
    seen = decode_answer(await tb.exchange(read)).words[0]
    assert seen == tb.board.design.hardware.store_samples


@cocotb.test()
async def a_busy_trainer_says_so(dut: Any) -> None:
    tb = LinkBench(dut)
    await tb.begin()
    addresses = register_addresses(tb.board.design.network)
    tb.sequence += 1
    await tb.exchange(
        encode_request(tb.sequence, LinkCommand.WRITE, addresses["epochs"], words=[500])
    )
    tb.sequence += 1
    await tb.exchange(
        encode_request(tb.sequence, LinkCommand.WRITE, addresses["command"], words=[Command.RUN])
    )
    tb.sequence += 1
    store = address(Region.STORE, 0)
    answer = decode_answer(
        await tb.exchange(encode_request(tb.sequence, LinkCommand.READ, store, 3))
    )
    assert (answer.status, answer.words) == (LinkStatus.BUSY, (0, 0, 0))
    tb.sequence += 1
    words = [1, 2]
    frame = encode_request(tb.sequence, LinkCommand.WRITE, store, words=words)
    assert decode_answer(await tb.exchange(frame)).status == LinkStatus.BUSY
    tb.sequence += 1
    frame = encode_request(tb.sequence, LinkCommand.READ, addresses["status"], 1)
    assert decode_answer(await tb.exchange(frame)).words[0] & 1
    # RESET ends the run at once; registers are those of the beginning.
    tb.sequence += 1
    frame = encode_request(tb.sequence, LinkCommand.RESET)
    assert decode_answer(await tb.exchange(frame)).status == LinkStatus.OK
    tb.sequence += 1
    frame = encode_request(tb.sequence, LinkCommand.READ, addresses["status"], 1)
    assert decode_answer(await tb.exchange(frame)).words == (0,)
    tb.sequence += 1
    frame = encode_request(tb.sequence, LinkCommand.READ, addresses["epochs"], 1)
    assert decode_answer(await tb.exchange(frame)).words == (1,)


@cocotb.test()
async def what_comes_during_an_answer_is_dropped(dut: Any) -> None:
    tb = LinkBench(dut)
    await tb.begin()
    tb.sequence += 1
    first = encode_request(tb.sequence, LinkCommand.READ, address(Region.STORE, 0), 40)
    await tb.push(first + encode_request(tb.sequence + 1, LinkCommand.READ, 0, 1))
    expected = tb.board.link.receive(first)
    assert await tb.next_answer() + DELIMITER == expected[0]
    tb.board.link.count("dropped")
    await tb.check_counters()


@cocotb.test()
async def framing_errors_are_counted(dut: Any) -> None:
    tb = LinkBench(dut)
    await tb.begin()
    for _ in range(300):  # beyond the low byte of the counter
        dut.framing_error.value = 1
        await ClockCycles(tb.clk, 1)
        dut.framing_error.value = 0
        await ClockCycles(tb.clk, 10)
        tb.board.link.count("framing_errors")
    await tb.check_counters()


@cocotb.test()
async def trouble_lasts_until_a_host_identifies_itself(dut: Any) -> None:
    tb = LinkBench(dut)
    await tb.begin()
    assert not int(dut.trouble.value)
    await tb.check(b"\x07garbage\x00")
    await tb.check_counters()
    assert int(dut.trouble.value)
    await tb.request(LinkCommand.IDENTIFY, 0, 2)
    assert not int(dut.trouble.value)
