"""What can go wrong between host and board."""

from __future__ import annotations

from collections.abc import Mapping

from ..golden.checks import TrisignError


class LinkError(TrisignError):
    """The line to the board fails.

    Attributes
    ----------
    counters : dict of int
        What the host has counted: see ``LinkClient.counters``.
    """

    def __init__(self, message: str, counters: Mapping[str, int] | None = None) -> None:
        self.counters = dict(counters or {})
        noted = ", ".join(f"{name} {count}" for name, count in self.counters.items() if count)
        super().__init__(f"{message} ({noted})" if noted else message)


class NoAnswer(LinkError):
    """No answer came, however often the request was repeated."""


class Refused(LinkError):
    """The board answered that it will not do what was asked.

    Attributes
    ----------
    status : int
        ``golden.link.LinkStatus``.
    """

    def __init__(
        self, message: str, status: int, counters: Mapping[str, int] | None = None
    ) -> None:
        self.status = status
        super().__init__(message, counters)


class WrongConfiguration(LinkError):
    """The board holds another configuration than the one asked for."""
