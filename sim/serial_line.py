"""The far end of a serial line: 8 data bits, no parity, 1 stop bit, at a baud of its own."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, Timer

from ..golden.link import DELIMITER


class SerialLine:
    """Sends to ``rx`` and receives from ``tx`` of a design.

    Parameters
    ----------
    bit_ns : float
        Length of this end's bits.
    """

    def __init__(self, rx: Any, tx: Any, bit_ns: float) -> None:
        self.rx, self.tx = rx, tx
        self.bit_ps = round(bit_ns * 1000)
        self.received = bytearray()
        rx.value = 1
        cocotb.start_soon(self._receive())

    async def send(self, data: bytes, *, stop: int = 1) -> None:
        """Send bytes without a pause; ``stop`` 0 leaves the stop bits out."""
        for byte in data:
            await self._bits(byte << 1 | stop << 9, 10)
        self.rx.value = 1
        if not stop:
            await Timer(2 * self.bit_ps, "ps")

    async def _bits(self, bits: int, count: int) -> None:
        for i in range(count):
            self.rx.value = bits >> i & 1
            await Timer(self.bit_ps, "ps")

    async def pulse(self, part: float) -> None:
        """Hold the line low for a part of a bit."""
        self.rx.value = 0
        await Timer(round(self.bit_ps * part), "ps")
        self.rx.value = 1
        await Timer(20 * self.bit_ps, "ps")

    async def frame(self, limit_bits: int = 4000) -> bytes:
        """The next frame, its delimiter included."""
        for _ in range(limit_bits):
            if DELIMITER in self.received:
                frame, _, rest = bytes(self.received).partition(DELIMITER)
                self.received[:] = rest
                return frame + DELIMITER
            await Timer(self.bit_ps, "ps")
        raise AssertionError(f"no frame within {limit_bits} bits: {bytes(self.received).hex()}")

    async def _receive(self) -> None:
        while True:
            await FallingEdge(self.tx)
            await Timer(self.bit_ps // 2, "ps")
            bits = 0
            for i in range(10):
                bits |= int(self.tx.value) << i
                if i < 9:
                    await Timer(self.bit_ps, "ps")
            assert bits & 1 == 0, "start bit"
            assert bits >> 9 == 1, "stop bit"
            self.received.append(bits >> 1 & 0xFF)
