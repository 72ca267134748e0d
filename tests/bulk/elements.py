"""Vectors of processing elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bulk.case import Case, Ints, Random, pauses, shares
from bulk.dots import operands
from bulk.driver import Batch, Driver
from trisign.golden.processing_element import ProcessingElementParameters, processing_element
from trisign.golden.trits import from_code, to_code
from trisign.rtl import processing_element as element_rtl


def elements(
    p: ProcessingElementParameters, driver: Driver, random: Random, count: int
) -> Iterator[Batch]:
    low, high = p.offset_range
    for number, size in shares(count):
        lengths = random.integers(1, p.words + 1, -(-size // p.words))
        a, w = operands(random, int(lengths.sum()), p.lanes, p.binary)
        limits = [0, 1, min(p.lanes, p.threshold_max), p.threshold_max]
        settings = {
            "threshold": int(random.integers(random.choice(limits) + 1)),
            "window": int(random.integers(random.choice(limits) + 1)),
            "offset": int(random.choice(np.array([0, random.integers(-3, 3), low, high]))),
        }
        yield element_batch(p, driver, a, w, lengths, settings, reset=not number, **pauses(random))


def every_word(
    p: ProcessingElementParameters, driver: Driver, random: Random, count: int
) -> Iterator[Batch]:
    """Dot products of one word: operands, threshold, window and offset."""
    words = np.arange(1 << 4 * p.lanes)
    codes = words[:, None] >> 2 * np.arange(2 * p.lanes) & 3
    low, high = p.offset_range
    for number in range((p.threshold_max + 1) ** 2):
        threshold, window = divmod(number, p.threshold_max + 1)
        for offset in range(low, high + 1):
            yield element_batch(
                p, driver, codes[:, : p.lanes], codes[:, p.lanes :], np.ones(len(words), np.int64),
                {"threshold": threshold, "window": window, "offset": offset},
                reset=not number and offset == low, **pauses(random),
            )  # fmt: skip


def element_batch(
    p: ProcessingElementParameters,
    driver: Driver,
    a: Ints,
    w: Ints,
    lengths: Ints,
    settings: dict[str, int],
    **how: Any,
) -> Batch:
    """Dot products of ``lengths`` words each."""
    ends = np.cumsum(lengths)
    total, trit, window = (np.zeros(len(lengths), np.int64) for _ in range(3))
    x, y = (a, w) if p.binary else (from_code(a), from_code(w))
    for length in np.unique(lengths):
        which = np.flatnonzero(lengths == length)
        rows = (ends[which] - length)[:, None] + np.arange(length)
        result = processing_element(
            x[rows], y[rows], settings["threshold"], settings["window"], settings["offset"],
            binary=p.binary,
        )  # fmt: skip
        total[which], trit[which], window[which] = result
    last = np.zeros(len(a), np.int64)
    last[ends - 1] = 1
    return Batch(
        driver.words("i", len(a), a=a, w=w, last=last),
        driver.words("o", len(lengths), sum=total, trit=to_code(trit), window=window),
        settings,
        **how,
    )


def element(batches: Callable[..., Iterator[Batch]] = elements, **fields: Any) -> Case:
    p = ProcessingElementParameters(**fields)
    return Case(
        "processing_element",
        lambda: element_rtl.ProcessingElement(p),
        partial(batches, p),
        exhaustive=batches is every_word,
    )
