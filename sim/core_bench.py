"""Bench of ``rtl.core.Core``: its pins, against the golden link.

Parameters: ``network`` and ``hardware`` (fields of the parameter objects), ``bit_cycles``,
``frames``, ``seed``.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import Timer

from ..golden.link import DELIMITER, LinkCommand, counters_of, decode_answer, encode_request
from ..rtl.register_map import Region, address
from .link_traffic import LinkTraffic
from .model_board import ModelBoard
from .serial_line import SerialLine
from .tb_link import bench_design
from .testbench import PERIOD_NS, Testbench, parameters


class CoreBench(Testbench):
    """A host's end of the line, beside the golden link."""

    async def begin(self, baud: float = 1.0) -> None:
        self.board = ModelBoard(bench_design())
        bit_ns = parameters()["bit_cycles"] * PERIOD_NS / baud
        self.line = SerialLine(self.dut.rx, self.dut.tx, bit_ns)
        await self.start()
        status = encode_request(1, LinkCommand.STATUS)
        for frame in (encode_request(0, LinkCommand.IDENTIFY, 0, 2), status):
            await self.line.send(frame)
            answer = decode_answer((await self.line.frame())[:-1])
            self.board.link.receive(frame)
        self.board.link.counters = counters_of(answer.words)
        words = [0] * min(50, self.board.plan.store_depth)
        await self.check(
            encode_request(2, LinkCommand.WRITE, address(Region.STORE, 0), words=words)
        )

    async def check(self, data: bytes) -> int:
        """Send ``data``; answers must be golden's. How many there were."""
        answers = 0
        *frames, rest = data.split(DELIMITER)
        for frame in frames:
            await self.line.send(frame + DELIMITER)
            for expected in self.board.link.receive(frame + DELIMITER):
                answer = await self.line.frame()
                assert answer == expected, f"golden {expected.hex()}, RTL {answer.hex()}"
                answers += 1
        await self.line.send(rest)
        self.board.link.receive(rest)
        return answers

    async def check_counters(self) -> None:
        """Every counter equal to golden's, and no byte too many."""
        sequence = (self.board.link.sequence + 1) & 0xFF
        await self.check(DELIMITER + encode_request(sequence, LinkCommand.STATUS))
        await Timer(100 * self.line.bit_ps, "ps")
        assert not self.line.received


@cocotb.test()
@cocotb.parametrize(baud=[0.98, 1.0, 1.02])
async def every_answer_is_golden(dut: Any, baud: float) -> None:
    """Good and damaged frames, the host's baud up to 2 % off."""
    tb = CoreBench(dut)
    await tb.begin(baud)
    traffic = LinkTraffic(tb.board, parameters()["seed"], burst_max=4)
    for number in range(parameters()["frames"]):
        for data, must_answer in traffic.exchange(number):
            assert await tb.check(data) or not must_answer
    await tb.check_counters()


@cocotb.test()
async def noise_and_framing_errors(dut: Any) -> None:
    tb = CoreBench(dut)
    await tb.begin()
    await tb.line.pulse(0.3)  # gone at the middle of a start bit
    await tb.check_counters()
    for _ in range(3):
        await tb.line.send(b"\x55", stop=0)
        tb.board.link.count("framing_errors")
    await tb.line.pulse(30)  # the line is cut for a while
    tb.board.link.count("framing_errors")
    await tb.check_counters()


@cocotb.test()
async def every_byte_value(dut: Any) -> None:
    """Words of all byte values go in and come out."""
    tb = CoreBench(dut)
    await tb.begin()
    generator = random.Random(1)
    values = list(range(256))
    generator.shuffle(values)
    sequence = 2
    for at in range(0, 256, 64):
        words = [int.from_bytes(bytes(values[i : i + 4])) for i in range(at, at + 64, 4)]
        for command in (LinkCommand.WRITE, LinkCommand.READ):
            sequence += 1
            sent = words if command == LinkCommand.WRITE else []
            where = address(Region.STORE, 0)
            frame = encode_request(sequence, command, where, len(words), sent)
            assert await tb.check(frame) == 1
    await tb.check_counters()
