"""For a design that does not fit: what is short, and which fields would make it fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from ..golden.checks import TrisignError
from ..golden.design import MEMORIES, DesignConfig
from ..rtl.convolution_plan import plan_of
from . import boards
from .memory_estimate import memories_of, use_of
from .resources import DOES_NOT_FIT, FITS, Resources, resources_of

LANES_MIN = 4
CHANGES_MAX = 4  # fields of one proposal
NAMED = 4  # memories of a kind that are named


def advice(design: DesignConfig, found: Resources) -> tuple[str, ...]:
    """Lines for people: what is short, and a change of a few fields after which it fits.

    Of several such changes the one that keeps most samples, and then the fastest. But for
    ``store_samples`` none of them changes what is learnt.
    """
    lines = []
    for use in found.use:
        if not use.fits:
            takers = sorted(
                (m for m in found.memories if m.block == use.block), key=lambda m: -m.blocks
            )
            names = ", ".join(f"{m.name} {m.blocks}" for m in takers[:NAMED])
            lines.append(f"short of {use.block}: {names}")
    if found.logic_verdict == DOES_NOT_FIT:
        lut = boards.find(design.board).family.tech.upper()
        lines.append(f"short of {lut}: with registers and carries about {found.logic_cells} cells")
    options = _options(design, found)
    changes = _remedy(design, options)
    if not options:
        lines.append("nothing of the hardware can be smaller: the network is too large")
    elif changes is None:
        lines.append(f"found no values of {', '.join(options)} with which it fits")
    else:
        fields = ", ".join(f"{name} = {_toml(value)}" for name, value in changes.items())
        lines.append(f"by this estimate it fits with {fields}")
    return tuple(lines)


def _options(design: DesignConfig, found: Resources) -> dict[str, list[Any]]:
    """Field of the hardware → values that take less of what is short."""
    hardware = design.hardware
    options: dict[str, list[Any]] = {
        "lanes": _halves(hardware.lanes, LANES_MIN),
        "counter_lanes": _halves(hardware.counter_lanes, 1),
        "rows": [1] if hardware.rows > 1 else [],
    }
    if design.network.convolves:
        most = hardware.accumulator_lanes or hardware.lanes
        options["accumulator_lanes"] = _halves(most, 1)
    if not all(use.fits for use in found.use):
        if boards.find(design.board).single_port is not None:
            others = [name for name in MEMORIES if name not in hardware.single_port]
            options["single_port"] = [
                (*hardware.single_port, *more)
                for count in range(1, len(others) + 1)
                for more in combinations(others, count)
            ]
        options["store_samples"] = [1] if hardware.store_samples > 1 else []
    if found.logic_verdict != FITS:
        options["monitor"] = [False] if hardware.monitor else []
    return {name: values for name, values in options.items() if values}


def _halves(value: int, least: int) -> list[int]:
    found = []
    while value % 2 == 0 and value // 2 >= least:
        value //= 2
        found.append(value)
    return found


def _remedy(design: DesignConfig, options: dict[str, list[Any]]) -> dict[str, Any] | None:
    """The best change after which ``design`` fits; None where none was found."""
    best: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    hardware = design.hardware
    for changes in _changes(options):
        if "lanes" in changes and hardware.counter_lanes == hardware.lanes:
            changes.setdefault("counter_lanes", changes["lanes"])  # they stay as wide as weights
        changed = _changed(design, changes)
        if changed is None or not _fits(changed):
            continue
        if "store_samples" in changes:
            changes, changed = _most_samples(design, changes)
        then = changed.hardware
        unsure = resources_of(changed).verdict != FITS
        cycles = sum(p.forward_cycles for p in plan_of(changed.network, then).layers)
        steps = then.lanes // then.counter_lanes
        size = (len(changes), len(then.single_port))
        rank = (unsure, -then.store_samples, cycles, steps, *size)
        if best is None or rank < best[0]:
            best = (rank, changes)
    return None if best is None else best[1]


def _fits(design: DesignConfig) -> bool:
    """Memories first: LUTs of many lanes take a moment to count."""
    board = boards.find(design.board)
    memories = memories_of(design, board)
    return all(use.fits for use in use_of(memories, board)) and resources_of(design).fits


def _changes(options: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for count in range(1, CHANGES_MAX + 1):
        for names in combinations(options, count):
            for values in product(*(options[name] for name in names)):
                yield dict(zip(names, values, strict=True))


def _changed(design: DesignConfig, changes: dict[str, Any]) -> DesignConfig | None:
    """``design`` with other hardware, None where that is not legal."""
    try:
        changed = replace(design, hardware=replace(design.hardware, **changes))
        plan_of(changed.network, changed.hardware)
    except TrisignError:
        return None
    return changed


def _most_samples(
    design: DesignConfig, changes: dict[str, Any]
) -> tuple[dict[str, Any], DesignConfig]:
    """``changes`` with the most samples with which it still fits; with one it does."""
    least, most = 1, design.hardware.store_samples
    while most - least > 1:
        middle = (least + most) // 2
        changed = _changed(design, changes | {"store_samples": middle})
        if changed is not None and _fits(changed):
            least = middle
        else:
            most = middle
    changes = changes | {"store_samples": least}
    changed = _changed(design, changes)
    assert changed is not None
    return changes, changed


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return str(value).lower()
