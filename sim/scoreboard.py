"""Exact comparison of what the design said with what the golden model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Record = dict[str, Any]


def compare(
    expected: Sequence[Record],
    actual: Sequence[Record],
    *,
    cycles: Sequence[int] | None = None,
    inputs: Callable[[int], Any] | None = None,
    what: str = "output",
) -> int:
    """Compare records field by field and lane by lane; returns how many values were compared.

    Parameters
    ----------
    expected, actual : sequences of dict
        Field name → int or array, as ``Payload.unpack`` gives them.
    cycles : sequence of int, optional
        Cycle of each actual record.
    inputs : callable, optional
        ``inputs(index)`` tells what was put in for a record.

    Raises
    ------
    AssertionError
        With word, field, lane, cycle, both values and the inputs of the first difference, or
        with both counts where they differ. Comparing nothing at all is an error too.
    """
    compared = 0
    for index, (want, have) in enumerate(zip(expected, actual, strict=False)):
        assert want.keys() == have.keys(), f"{what}: fields {sorted(want)} against {sorted(have)}"
        for name in want:
            wanted, given = np.atleast_1d(want[name]), np.atleast_1d(have[name])
            assert wanted.shape == given.shape, f"{what}.{name}: {wanted.shape} / {given.shape}"
            compared += wanted.size
            wrong = np.flatnonzero(wanted != given)
            if wrong.size:
                lane = int(wrong[0])
                parts = [f"{what}.{name} differs: word {index}, lane {lane}"]
                if cycles is not None:
                    parts.append(f"cycle {cycles[index]}")
                parts.append(f"golden {int(wanted[lane])}, RTL {int(given[lane])}")
                if inputs is not None:
                    parts.append(f"inputs {inputs(index)}")
                raise AssertionError("; ".join(parts))
    assert len(expected) == len(actual), (
        f"{what}: golden has {len(expected)} words, RTL {len(actual)}"
    )
    assert compared, f"{what}: nothing was compared"
    return compared
