"""A block that is driven in bulk, and how its vectors come in batches.

A vector is what golden is asked for once: a dot product, a word of a processing element, the update
of a weight, a value to quantise, a word of a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from bulk.driver import Batch, Driver

BATCH = 20_000  # vectors
PAUSES = (0.0, 0.25, 0.75)
Ints = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A block with parameters.

    Parameters
    ----------
    block : str
        Its name everywhere.
    create : callable
        The component.
    batches : callable
        ``batches(driver, random, count)``: ``count`` vectors or a few more; all there are where it
        is exhaustive, whatever ``count``.
    exhaustive : bool
        One run tells everything: seeds only change where streams idle and stall.
    """

    block: str
    create: Callable[[], wiring.Component]
    batches: Callable[[Driver, Random, int], Iterator[Batch]]
    exhaustive: bool = False


def pauses(random: Random) -> dict[str, float]:
    """Half of all batches run at full rate."""
    if random.random() < 1 / 2:
        return {}
    return {"idle": float(random.choice(PAUSES)), "stall": float(random.choice(PAUSES))}


def shares(count: int) -> Iterator[tuple[int, int]]:
    """Number and size of the batches that make ``count`` vectors."""
    for number, start in enumerate(range(0, count, BATCH)):
        yield number, min(BATCH, count - start)
