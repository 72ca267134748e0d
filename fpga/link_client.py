"""The host's side of the link: requests, each carried out once or reported as failed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence

from ..golden.checks import DataError
from ..golden.link import (
    BURST_MAX,
    DELIMITER,
    PAGE_WORDS,
    VERSION,
    Answer,
    LinkCommand,
    LinkStatus,
    counters_of,
    decode_answer,
    encode_request,
)
from .link_errors import LinkError, NoAnswer, Refused
from .transport import Transport

TIMEOUT = 0.25  # seconds, beyond the time that the bytes themselves take
ATTEMPTS = 5
# Longer than any answer: a line that never stops talking is not a core.
PENDING_MAX = 4096
STATUS_TEXTS: dict[int, str] = {
    LinkStatus.REFUSED: "there is no such address, or it cannot be accessed that way",
    LinkStatus.BUSY: "the trainer is at work; wait for it or stop it",
    LinkStatus.MALFORMED: "it did not understand the request",
}


class LinkClient:
    """Sends a request until it is answered, a few times at most.

    The core carries out a repeated request once and answers it again, so a repetition is safe
    whether the request or its answer was lost.

    Parameters
    ----------
    transport : Transport
    baud : int
        Of the line, for the time that bytes take.
    timeout : float
        Seconds to wait for an answer beyond that.
    attempts : int
        How often a request is sent before NoAnswer.

    Attributes
    ----------
    counters : dict of int
        ``requests``, ``repeats`` (sent again), ``damaged`` (answers with a wrong CRC or frame),
        ``stale`` (answers to earlier requests).
    """

    def __init__(
        self,
        transport: Transport,
        *,
        baud: int = 1_000_000,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.transport = transport
        self.byte_seconds = 10 / baud
        self.timeout = timeout
        self.attempts = attempts
        self.counters = dict.fromkeys(("requests", "repeats", "damaged", "stale"), 0)
        self._sequence = 0
        self._pending = bytearray()

    # Sessions and requests

    def identify(self, address: int, count: int) -> tuple[int, ...]:
        """Begin a session: whatever happened before, sequence numbers agree from here on.

        Returns words read, as ``read`` does.
        """
        self.transport.write(DELIMITER)  # ends what an earlier host may have left half sent
        self.transport.discard()
        self._pending.clear()
        self._sequence = secrets.randbelow(256)
        answer = self._exchange(LinkCommand.IDENTIFY, address, count)
        if answer.version != VERSION:
            raise LinkError(
                f"the board speaks version {answer.version} of the link, this host {VERSION}: "
                "build and program it again",
                self.counters,
            )
        return self._done(answer, "identify").words

    def read(self, address: int, count: int) -> list[int]:
        """Read ``count`` words from ``address`` on, in as many requests as it takes."""
        words: list[int] = []
        while len(words) < count:
            at = address + len(words)
            words += self._request(LinkCommand.READ, at, _burst(at, count - len(words))).words
        return words

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write ``words`` to ``address`` on, in as many requests as it takes."""
        at = 0
        while at < len(words):
            end = at + _burst(address + at, len(words) - at)
            self._request(LinkCommand.WRITE, address + at, words=[int(w) for w in words[at:end]])
            at = end

    def read_at(self, addresses: Iterable[int]) -> list[int]:
        """Read single addresses, those in a row in bursts."""
        return [word for start, count in runs(addresses) for word in self.read(start, count)]

    def status(self) -> dict[str, int]:
        """The core's counters by name, modulo 2^16: see ``golden.link.COUNTERS``."""
        return counters_of(self._request(LinkCommand.STATUS).words)

    def reset(self) -> None:
        """Reset the trainer."""
        self._request(LinkCommand.RESET)

    # One request

    def _request(
        self, command: LinkCommand, address: int = 0, count: int = 0, words: Sequence[int] = ()
    ) -> Answer:
        self._sequence = (self._sequence + 1) & 0xFF
        answer = self._exchange(command, address, count, words)
        return self._done(answer, f"{command.name.lower()} at {address:#08x}")

    def _done(self, answer: Answer, what: str) -> Answer:
        if answer.status != LinkStatus.OK:
            reason = STATUS_TEXTS.get(answer.status, f"status {answer.status}")
            raise Refused(f"the board refused to {what}: {reason}", answer.status, self.counters)
        return answer

    def _exchange(
        self, command: LinkCommand, address: int, count: int, words: Sequence[int] = ()
    ) -> Answer:
        frame = encode_request(self._sequence, command, address, count, words)
        line_seconds = (len(frame) + 4 * count + 32) * self.byte_seconds
        self.counters["requests"] += 1
        for attempt in range(self.attempts):
            if attempt:
                self.counters["repeats"] += 1
                frame = DELIMITER + frame.lstrip(DELIMITER)
            self.transport.write(frame)
            answer = self._answer(command, self.timeout + line_seconds)
            if answer is not None:
                expected = 4 if command == LinkCommand.STATUS else count
                if answer.status == LinkStatus.OK and len(answer.words) != expected:
                    raise LinkError(
                        f"the board answered with {len(answer.words)} words, not {expected}",
                        self.counters,
                    )
                return answer
        raise NoAnswer(
            f"no answer to {command.name.lower()} in {self.attempts} attempts: is the board "
            "powered and programmed, is it the right port, and its baud that of the configuration?",
            self.counters,
        )

    def _answer(self, command: LinkCommand, seconds: float) -> Answer | None:
        """The answer to the request under way, None where it does not come in time."""
        deadline = time.monotonic() + seconds
        while True:
            for frame in self._frames():
                try:
                    answer = decode_answer(frame)
                except DataError:
                    self.counters["damaged"] += 1
                    continue
                if (answer.sequence, answer.command) == (self._sequence, command):
                    return answer
                self.counters["stale"] += 1
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._pending += self.transport.read(left)
            if len(self._pending) > PENDING_MAX and DELIMITER not in self._pending:
                self._pending.clear()
                self.counters["damaged"] += 1

    def _frames(self) -> Iterator[bytes]:
        """Whole frames that have come."""
        while DELIMITER in self._pending:
            frame, _, rest = bytes(self._pending).partition(DELIMITER)
            self._pending[:] = rest
            if frame:
                yield frame


def _burst(address: int, wanted: int) -> int:
    """Words of a request that begins at ``address``."""
    return min(wanted, BURST_MAX, PAGE_WORDS - address % PAGE_WORDS)


def runs(addresses: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of successive addresses."""
    start, count = 0, 0
    for address in addresses:
        if count and address == start + count:
            count += 1
        else:
            if count:
                yield start, count
            start, count = int(address), 1
    if count:
        yield start, count
