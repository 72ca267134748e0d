"""Vectors of the two generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bulk.case import Case, Random, pauses, shares
from bulk.driver import Batch, Driver
from trisign.golden import lfsr, xorshift
from trisign.rtl import lfsr as lfsr_rtl
from trisign.rtl import xorshift as xorshift_rtl


def words(
    advance: Callable[[int], int], seeded: int, bits: int,
    driver: Driver, random: Random, count: int,
) -> Iterator[Batch]:  # fmt: skip
    """Of a generator: after reset, then from states loaded at random."""
    state = seeded
    for number, size in shares(count):
        if number:
            state = int(random.integers(1, 1 << bits))
        start, made = state, []
        for _ in range(size):
            state = advance(state)
            made.append(state)
        yield Batch(
            driver.none("i"),
            driver.words("o", size, value=np.array(made)),
            {"load_state": start if number else 0},
            reset=not number,
            load=bool(number),
            stall=pauses(random).get("stall", 0.0),
        )


def successors(steps: int) -> Callable[[int], int]:
    """``golden.lfsr.advance`` by ``steps``, looked up."""
    table: list[int] = []

    def advance(state: int) -> int:
        if not table:
            table.extend(lfsr.advance(each, steps) for each in range(1 << 16))
        return table[state]

    return advance


def generator(block: str) -> Case:
    if block == "xorshift":
        seeded = xorshift.Xorshift32(1).state
        create = xorshift_rtl.Xorshift32Source
        return Case(block, create, partial(words, xorshift.advance, seeded, 32))
    seeded = lfsr.Lfsr16(1).state
    steps = 16
    return Case(
        block,
        lambda: lfsr_rtl.Lfsr16Source(steps=steps),
        partial(words, successors(steps), seeded, 16),
    )
