"""The link between host and core: its packets, and what a core makes of the bytes it receives.

A packet travels as a COBS frame (S. Cheshire, M. Baker, IEEE/ACM Trans. Networking 7(2), 1999) that
ends with a zero byte. Its CRC is CRC-32 (ISO-HDLC, that of Ethernet and ``zlib.crc32``), which
leaves 1 damaged packet in 2^32 undetected; bit by bit it costs no more logic than its 32 registers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from .checks import DataError, integer

VERSION = 1
DELIMITER = b"\x00"
PACKET_LIMIT = 240  # bytes of a decoded packet; beyond lie the counters in the link's memory
BURST_MAX = 55  # words, so that requests and answers stay below PACKET_LIMIT
ADDRESS_LIMIT = 1 << 24
PAGE_WORDS = 256  # addresses of a request count on within a page
REPEAT_BYTES = 2  # of the CRC that tell a repeated request from another of its sequence number
HEADER = struct.Struct("<BBBB")
TARGET = struct.Struct("<I")
CRC = struct.Struct("<I")
REQUEST_MIN = HEADER.size + TARGET.size + CRC.size


class LinkCommand(IntEnum):
    """What a request asks for."""

    IDENTIFY = 1
    READ = 2
    WRITE = 3
    STATUS = 4
    RESET = 5


class LinkStatus(IntEnum):
    """How a request went; the last byte of an answer's payload."""

    OK = 0
    REFUSED = 1
    BUSY = 2
    MALFORMED = 3


COMMAND_MEANINGS = {
    LinkCommand.IDENTIFY: "a READ that begins a session: any version and sequence number will do",
    LinkCommand.READ: "read `count` words from `address`; the answer carries them",
    LinkCommand.WRITE: "write the words that follow to `address`; ends at the first one refused",
    LinkCommand.STATUS: "the answer carries the link's counters, 16 bits each, modulo 2^16",
    LinkCommand.RESET: "reset the trainer; memories and link keep their contents",
}
STATUS_MEANINGS = {
    LinkStatus.OK: "done",
    LinkStatus.REFUSED: "no such address, or a register of the other direction; reads as 0",
    LinkStatus.BUSY: "a memory while the trainer is busy; reads as 0",
    LinkStatus.MALFORMED: "unknown command, or length and count do not fit; nothing was done",
}
COUNTERS = {
    "accepted": "packets carried out",
    "crc_errors": "frames whose CRC is wrong, or that are shorter than the shortest request",
    "cobs_errors": "frames that end within a block",
    "oversize": f"frames of more than {PACKET_LIMIT} bytes",
    "duplicates": "the last packet accepted again (its sequence number, and the first "
    f"{REPEAT_BYTES} bytes of its CRC): answered from the buffer, not carried out again",
    "out_of_sequence": "packets whose version or sequence number is not due: no answer",
    "dropped": "frames that came while an answer was under way: no answer",
    "framing_errors": "bytes without a stop bit",
}


@dataclass(frozen=True)
class Field:
    """Bytes of a packet, in order; ``size`` in bytes, or what it depends on."""

    name: str
    size: str
    meaning: str


REQUEST_FIELDS = (
    Field("version", "1", f"{VERSION}"),
    Field("sequence", "1", "one more than the last accepted request's, modulo 256"),
    Field("command", "1", "see below"),
    Field("length", "1", "bytes between this field and the CRC"),
    Field(
        "address",
        "3",
        "first bus address, see the register map; the next ones count on within a page of "
        f"{PAGE_WORDS} words; 0 for STATUS and RESET",
    ),
    Field("count", "1", f"words, 0 to {BURST_MAX}"),
    Field("words", "4 · count, WRITE only", "what to write"),
    Field("CRC", "4", "CRC-32 of everything before it"),
)
ANSWER_FIELDS = (
    Field("version", "1", f"{VERSION}"),
    Field("sequence", "1", "that of the request"),
    Field("command", "1", "that of the request"),
    Field("length", "1", "bytes between this field and the CRC"),
    Field("words", "4 · count", "what was read; 4 words for STATUS, none for WRITE and RESET"),
    Field("status", "1", "see below"),
    Field("CRC", "4", "CRC-32 of everything before it"),
)


@dataclass(frozen=True)
class Answer:
    """An answer's contents."""

    version: int
    sequence: int
    command: int
    words: tuple[int, ...]
    status: int


def cobs_encode(packet: bytes) -> bytes:
    """``packet`` (at most 254 bytes) as a frame, delimiter included."""
    assert len(packet) <= 254
    blocks = packet.split(DELIMITER)
    return b"".join(bytes([len(block) + 1]) + block for block in blocks) + DELIMITER


def cobs_decode(frame: bytes) -> bytes:
    """The packet in ``frame`` (without its delimiter); raises DataError where it is cut short."""
    packet = bytearray()
    at = 0
    while at < len(frame):
        end = at + frame[at]
        if end > len(frame):
            raise DataError("a frame must hold whole COBS blocks")
        packet += frame[at + 1 : end] + DELIMITER
        at = end
    return bytes(packet[:-1])


def with_crc(body: bytes) -> bytes:
    """``body`` and its CRC."""
    return body + CRC.pack(zlib.crc32(body))


def encode_request(
    sequence: int, command: int, address: int = 0, count: int = 0, words: Sequence[int] = ()
) -> bytes:
    """The frame of a request; ``count`` is that of ``words`` where there are any.

    Raises ParameterError for an address or a count that no packet can carry.
    """
    count = integer("count", len(words) or count, 0, BURST_MAX)
    integer("address", address, 0, ADDRESS_LIMIT - 1)
    payload = TARGET.pack(count << 24 | address) + struct.pack(f"<{len(words)}I", *words)
    return cobs_encode(with_crc(HEADER.pack(VERSION, sequence, command, len(payload)) + payload))


def decode_answer(frame: bytes) -> Answer:
    """The answer in ``frame`` (without its delimiter); raises DataError where it is damaged."""
    packet = cobs_decode(frame)
    body, crc = packet[: -CRC.size], packet[-CRC.size :]
    if len(packet) < HEADER.size + 1 + CRC.size or CRC.pack(zlib.crc32(body)) != crc:
        raise DataError("the CRC of an answer must match")
    version, sequence, command, length = HEADER.unpack_from(body)
    payload = body[HEADER.size :]
    if length != len(payload) or length % 4 != 1:
        raise DataError(f"the length of an answer must match, not {length}")
    words = struct.unpack(f"<{length // 4}I", payload[:-1])
    return Answer(version, sequence, command, words, payload[-1])


def counters_of(words: Sequence[int]) -> dict[str, int]:
    """The counters by name, from the words of an answer to STATUS."""
    values = [(word >> shift) & 0xFFFF for word in words for shift in (0, 16)]
    return dict(zip(COUNTERS, values, strict=True))


def _within_page(address: int, index: int) -> int:
    page = address - address % PAGE_WORDS
    return page + (address + index) % PAGE_WORDS


Access = Callable[[bool, int, int], tuple[int, LinkStatus]]


class Link:
    """The core's side: bytes in, the frames of answers out. RTL: ``rtl.link.Link``.

    Parameters
    ----------
    access : callable
        A word of the trainer's bus: (write, address, data) → (data read, status).
    reset : callable
        Reset the trainer.

    Attributes
    ----------
    counters : dict of int
        Modulo 2^16.
    """

    def __init__(self, access: Access, reset: Callable[[], None] = lambda: None) -> None:
        self.access = access
        self.reset = reset
        self.counters = dict.fromkeys(COUNTERS, 0)
        self._last: tuple[int, bytes] = (0, bytes(REPEAT_BYTES))
        self._answer = b""
        self._frame = bytearray()

    @property
    def sequence(self) -> int:
        """Sequence number of the last accepted request."""
        return self._last[0]

    def is_due(self, frame: bytes) -> bool:
        """Whether a whole request of this session is the next one, or the last one repeated."""
        packet = cobs_decode(frame[: -len(DELIMITER)])
        sequence = packet[1]
        is_next = sequence == (self.sequence + 1) & 0xFF
        return is_next or (sequence, packet[-CRC.size :][:REPEAT_BYTES]) == self._last

    def receive(self, data: bytes) -> list[bytes]:
        """The answers to what ``data`` completes."""
        answers = []
        for byte in data:
            if byte:
                self._frame.append(byte)
            elif self._frame:
                answer = self._packet(bytes(self._frame))
                self._frame.clear()
                if answer:
                    answers.append(answer)
        return answers

    def count(self, name: str) -> None:
        """Note an event."""
        self.counters[name] = (self.counters[name] + 1) & 0xFFFF

    def _packet(self, frame: bytes) -> bytes:
        """The answer to a frame, none where there is no answer."""
        if len(frame) > PACKET_LIMIT + 1:  # its first code byte stands for nothing
            self.count("oversize")
            return b""
        try:
            packet = cobs_decode(frame)
        except DataError:
            self.count("cobs_errors")
            return b""
        body, crc = packet[: -CRC.size], packet[-CRC.size :]
        if len(packet) < REQUEST_MIN or CRC.pack(zlib.crc32(body)) != crc:
            self.count("crc_errors")
            return b""
        version, sequence, command, length = HEADER.unpack_from(body)
        if command != LinkCommand.IDENTIFY:
            if version == VERSION and (sequence, crc[:REPEAT_BYTES]) == self._last:
                self.count("duplicates")
                return self._answer
            if version != VERSION or sequence != (self._last[0] + 1) & 0xFF:
                self.count("out_of_sequence")
                return b""
        self.count("accepted")
        self._last = (sequence, crc[:REPEAT_BYTES])
        words, status = self._execute(command, length, body[HEADER.size :])
        payload = struct.pack(f"<{len(words)}I", *words) + bytes([status])
        header = HEADER.pack(VERSION, sequence, command, len(payload))
        self._answer = cobs_encode(with_crc(header + payload))
        return self._answer

    def _execute(self, command: int, length: int, payload: bytes) -> tuple[list[int], LinkStatus]:
        (target,) = TARGET.unpack_from(payload)
        address, count = target & 0xFFFFFF, target >> 24
        size = TARGET.size + (4 * count if command == LinkCommand.WRITE else 0)
        known = command in list(LinkCommand)
        if not known or count > BURST_MAX or length != len(payload) or length != size:
            return [], LinkStatus.MALFORMED
        if command == LinkCommand.STATUS:
            values = list(self.counters.values())
            return [a | b << 16 for a, b in zip(values[::2], values[1::2], strict=True)], (
                LinkStatus.OK
            )
        if command == LinkCommand.RESET:
            self.reset()
            return [], LinkStatus.OK
        worst = LinkStatus.OK
        if command == LinkCommand.WRITE:
            for i, (word,) in enumerate(struct.iter_unpack("<I", payload[TARGET.size :])):
                _, worst = self.access(True, _within_page(address, i), word)
                if worst:
                    break
            return [], worst
        words = []
        for i in range(count):
            word, status = self.access(False, _within_page(address, i), 0)
            words.append(word)
            worst = worst or status
        return words, LinkStatus(worst)
