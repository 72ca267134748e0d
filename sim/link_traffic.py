"""Requests and everything that can happen to them on a serial line."""

from __future__ import annotations

import random
from collections.abc import Iterator

from ..golden.link import (
    BURST_MAX,
    DELIMITER,
    HEADER,
    PACKET_LIMIT,
    VERSION,
    LinkCommand,
    cobs_encode,
    encode_request,
    with_crc,
)
from ..rtl.register_map import Region, address
from .model_board import ModelBoard

DAMAGES = ("flip", "drop", "duplicate", "cut", "garbage", "insert", "stale", "long", "none")
SAFE_REGISTERS = ("seed", "epochs", "samples", "margin", "lfsr", "threshold_0", "offset_1")


class LinkTraffic:
    """Bytes for a link, half of the frames damaged.

    Parameters
    ----------
    board : ModelBoard
        Whose registers and memories are asked for.
    seed : int
    burst_max : int
        Words of the longest requests.
    """

    def __init__(self, board: ModelBoard, seed: int, *, burst_max: int = BURST_MAX) -> None:
        self.burst_max = burst_max
        self.random = random.Random(seed)
        self.board = board
        self.sequence = 0
        self.sent: list[bytes] = []
        addresses = {name: i for i, name in enumerate(board.registers)}
        self._registers = [addresses[name] for name in SAFE_REGISTERS]

    def session(self) -> bytes:
        """A request that begins a session."""
        self.sequence = self.random.randrange(256)
        return self._keep(encode_request(self.sequence, LinkCommand.IDENTIFY, 0, 2))

    def request(self) -> bytes:
        """The next request of the session: any command, sometimes an address that is none."""
        r = self.random
        self.sequence = (self.sequence + 1) & 0xFF
        kind = r.random()
        if kind < 0.02:
            return self._keep(encode_request(self.sequence, LinkCommand.STATUS))
        if kind < 0.03:
            return self._keep(encode_request(self.sequence, LinkCommand.RESET))
        if kind < 0.04:
            return self._keep(self._malformed())
        count = r.choice((0, 1, 1, 2, 3, 3, 4, r.randrange(self.burst_max + 1)))
        where = address(Region.STORE, r.randrange(self.board.plan.store_depth + 2))
        if r.random() < 0.3:
            where, count = r.choice(self._registers), 1
        if r.random() < 0.05:
            where = r.randrange(1 << 24) | 8 << 20
        words = [r.choice((0, r.getrandbits(8), r.getrandbits(32))) for _ in range(count)]
        if kind < 0.5 and words:
            return self._keep(encode_request(self.sequence, LinkCommand.WRITE, where, words=words))
        return self._keep(encode_request(self.sequence, LinkCommand.READ, where, count))

    def _malformed(self) -> bytes:
        """Sound but for an unknown command, or a length or count that does not fit."""
        r = self.random
        command = r.choice((0, 6, 99, *LinkCommand))
        if command == LinkCommand.IDENTIFY:  # would begin a session
            command = LinkCommand.STATUS
        payload = bytearray(r.randbytes(4 * r.randrange(1, 6) + r.choice((0, 0, 0, 1, 2))))
        payload[3] = r.choice((0, 1, 2, 3, BURST_MAX, BURST_MAX + 1, 64, r.randrange(256)))
        length = (len(payload) + r.choice((0, 0, 0, 1, 4, 128))) & 0xFF
        header = HEADER.pack(VERSION, self.sequence, command, length)
        if command == LinkCommand.RESET or r.random() < 0.5:
            payload += bytes(4)
        return cobs_encode(with_crc(header + payload))

    def _keep(self, frame: bytes) -> bytes:
        self.sent = [*self.sent[-20:], frame]
        return frame

    def damaged(self, frame: bytes) -> bytes:
        """What becomes of ``frame``: nothing, one of ``DAMAGES``, or several of them."""
        r = self.random
        while True:
            kind = r.choice(DAMAGES)
            data = bytearray(frame)
            at = r.randrange(len(data))
            if kind == "flip":
                for _ in range(r.choice((1, 1, 1, 2, 3, 8))):
                    data[r.randrange(len(data))] ^= 1 << r.randrange(8)
            elif kind == "drop":
                del data[at]
            elif kind == "duplicate":
                data *= 2
            elif kind == "cut":
                data = data[:at]
            elif kind == "garbage":
                data[:0] = r.randbytes(r.randrange(1, 40))
            elif kind == "insert":
                data.insert(at, r.randrange(256))
            elif kind == "stale":
                data[:0] = r.choice(self.sent)
            elif kind == "long":
                data[:-1] = bytes(
                    r.randrange(1, 256) for _ in range(PACKET_LIMIT + r.randrange(-3, 99))
                )
            frame = bytes(data) or DELIMITER
            if r.random() < 0.7:
                return frame

    def exchange(self, number: int) -> Iterator[tuple[bytes, bool]]:
        """What travels for request ``number``: bytes, and whether an answer must come.

        A host that got no answer sends a delimiter and its request again.
        """
        request = self.session() if number % 50 == 0 else self.request()
        if self.random.random() < 0.5:
            yield self.damaged(request), False
            yield DELIMITER, False
            # A stale IDENTIFY among the damage: the host has to begin anew.
            if not self.board.link.is_due(request):
                request = self.session()
        yield request, True
