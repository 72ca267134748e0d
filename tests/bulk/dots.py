"""Vectors of dot products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bulk.case import Case, Ints, Random, pauses, shares
from bulk.driver import Batch, Driver
from bulk.streamed_dot import StreamedDot
from trisign.golden.ternary_dot import DotParameters, binary_dot, ternary_dot
from trisign.golden.trits import from_code


def operands(random: Random, count: int, lanes: int, binary: bool) -> tuple[Ints, Ints]:
    """Codes, illegal ones too, of rows whose sums lie all over the range."""
    small: Any = {"dtype": np.uint8}
    top = 2 if binary else 4
    a, w = (random.integers(0, top, (count, lanes), **small) for _ in range(2))
    often = random.choice([0, 128, 230, 255], (count, 1))
    alike = random.integers(0, 256, (count, lanes), **small) < often
    opposite = random.integers(0, 2, (count, 1), **small)
    if binary:
        return a, np.where(alike, a ^ opposite, w)
    a = np.where(alike & (random.random((count, 1)) < 0.7), a | 1, a)
    return a, np.where(alike, a ^ (opposite << 1), w)


def dots(p: DotParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    for number, size in shares(count):
        a, w = operands(random, size, p.lanes, p.binary)
        yield dot_batch(p, driver, a, w, reset=not number, **pauses(random))


def every_dot(p: DotParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    width = 1 if p.binary else 2
    words = np.arange(1 << p.lanes * width)
    codes = words[:, None] >> width * np.arange(p.lanes) & (1 << width) - 1
    for number, code in enumerate(codes):
        rows = np.broadcast_to(code, codes.shape)
        yield dot_batch(p, driver, rows, codes, reset=not number, **pauses(random))


def dot_batch(p: DotParameters, driver: Driver, a: Ints, w: Ints, **how: Any) -> Batch:
    total = binary_dot(a, w) if p.binary else ternary_dot(from_code(a), from_code(w))
    inputs = driver.words("i", len(a), a=a, w=w)
    return Batch(inputs, driver.words("o", len(a), value=total), **how)


def dot(batches: Callable[..., Iterator[Batch]] = dots, **fields: Any) -> Case:
    p = DotParameters(**fields)
    return Case(
        "ternary_dot", lambda: StreamedDot(p), partial(batches, p), exhaustive=batches is every_dot
    )
