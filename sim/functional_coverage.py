"""Functional coverage: which crosses of what golden did a bench has driven.

A bench with the parameter ``coverage``, the path of a file, adds what it met to that file: a JSON
object, cross → times.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..golden.precision_controller import PrecisionState, Window
from ..golden.precision_parameters import PrecisionParameters
from ..golden.update_parameters import UpdateParameters
from ..golden.update_rules import confident_sign, momentum_range, weight_range

Integers = NDArray[np.int64]


def record(path: str | None, crosses: Iterable[str]) -> None:
    """Add ``crosses`` to the file, where there is one."""
    if path is None:
        return
    file = Path(path)
    met = Counter(json.loads(file.read_text()) if file.exists() else {})
    met.update(crosses)
    file.write_text(json.dumps(met))


def read(path: str | Path) -> set[str]:
    """The crosses of a file."""
    return set(json.loads(Path(path).read_text()))


def update_crosses(
    parameters: UpdateParameters,
    gradient: Integers,
    momentum: Integers,
    weight: Integers,
    new_weight: Integers,
    written: NDArray[np.bool_],
    threshold: int,
) -> Counter[str]:
    """Lanes by group (written, skipped), gate (open, shut), weight and momentum (at an end or not),
    and step (up, down, none).
    """
    p = parameters
    g = np.asarray(gradient, np.int64)
    if p.weight_decay == "coupled":
        g = (g << p.decay_shift) + weight
    gate = confident_sign(p, g, threshold) != 0
    ends = {}
    for name, values, (low, high) in (
        ("weight", weight, weight_range(p)),
        ("momentum", momentum, momentum_range(p)),
    ):
        ends[name] = np.where(values <= low, "low", np.where(values >= high, "high", "inside"))
    step = np.sign(np.asarray(new_weight, np.int64) - weight)
    words = zip(
        np.where(written, "written", "skipped"),
        np.where(gate, "open", "shut"),
        ends["weight"],
        ends["momentum"] if p.momentum_width else np.full(len(g), "none"),
        np.where(step > 0, "up", np.where(step < 0, "down", "stays")),
        strict=True,
    )
    return Counter(
        f"group {group}, gate {open_}, weight {w}, momentum {m}, step {s}"
        for group, open_, w, m, s in words
    )


def window_cross(
    parameters: PrecisionParameters, before: PrecisionState, window: Window, after: PrecisionState
) -> str:
    """A decision by what asked for it and what it did: exponent, its limits, width, its limits."""
    p = parameters
    if window.overflows > window.permitted:
        asks = "raise"
    elif window.half_overflows <= window.permitted:
        asks = "lower"
    else:
        asks = "stay"
    at = {0: "lowest", p.exponent_max: "highest"}.get(before.exponent, "inside")
    limits = p.width_limits
    width = "narrowest" if before.width == limits[0] else "inside"
    if before.width == limits[1]:
        width = "widest"
    moved = _moves(after.exponent - before.exponent)
    wider = _moves(after.width - before.width)
    return f"{asks} at {at}: exponent {moved}; width {width}: {wider}"


def _moves(by: int) -> str:
    return "up" if by > 0 else "down" if by < 0 else "stays"
