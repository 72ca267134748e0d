"""What an implementation came to, as an object, a line of a table, and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .targets import TARGETS, Target

# Columns of text; the others are numbers.
_LEFT = ("block", "memories", "slowest path")


@dataclass(frozen=True)
class Timing:
    """Place and route with one seed: highest clock, and where its slowest path starts and ends."""

    seed: int
    fmax_mhz: float
    path_from: str
    path_to: str


@dataclass(frozen=True)
class Implementation:
    """One block on one target.

    Attributes
    ----------
    luts, registers, carries, memories, levels, lut_levels, other
        Of the synthesised block alone: see ``fpga.netlist.Area``.
    cells, cells_available : int or None
        Logic cells the block alone fills once packed (LUT, carry and register share one), and
        those the part has.
    timings : tuple of Timing
        One a seed; empty where the target is not placed or the block does not fit.
    note : str
        Why there is no timing, where there is none.
    seconds : float
        Time the tools took when they ran.
    cached : bool
        True where all results were kept from an earlier run.
    folder : str
        Where netlists and logs are.
    """

    block: str
    target: str
    luts: int
    registers: int
    carries: int
    memories: Mapping[str, int]
    levels: int
    lut_levels: int
    other: Mapping[str, int]
    cells: int | None = None
    cells_available: int | None = None
    timings: tuple[Timing, ...] = ()
    note: str = ""
    seconds: float = 0.0
    cached: bool = False
    folder: str = field(default="", compare=False)

    @property
    def fmax_mhz(self) -> float | None:
        """Median over the seeds, of the two middle ones the lower."""
        if not self.timings:
            return None
        return statistics.median_low(timing.fmax_mhz for timing in self.timings)

    @property
    def critical(self) -> Timing | None:
        """The seed whose clock is the median."""
        return next((t for t in self.timings if t.fmax_mhz == self.fmax_mhz), None)

    def as_json(self) -> dict[str, Any]:
        """Plain data for a report; clocks in MHz, time in seconds."""
        critical = self.critical
        return {
            **asdict(self),
            "part": TARGETS[self.target].part,
            "fmax_mhz": self.fmax_mhz,
            "path_from": critical and critical.path_from,
            "path_to": critical and critical.path_to,
        }


def table(results: Sequence[Implementation]) -> str:
    """Text report: one table a target, in the order in which targets first appear."""
    parts = []
    targets = [TARGETS[name] for name in dict.fromkeys(result.target for result in results)]
    for target in targets:
        rows = [result for result in results if result.target == target.name]
        parts.append(_target_table(target, rows))
    seeds = max((len(result.timings) for result in results), default=0)
    return "\n\n".join([*parts, _legend(seeds)])


def _target_table(target: Target, results: Sequence[Implementation]) -> str:
    header = ["block", target.lut_name, "registers", "carries", "memories", "levels"]
    if target.place:
        header += ["cells", "of part", "Fmax MHz", "slowest path"]
    lines = [header, *(_row(target, result) for result in results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    cell = f", cells {target.cell}" if target.cell else ""
    text = [f"{target.name}: {target.part}; {target.synthesis}{cell}", ""]
    for line in lines:
        cells = [
            item.ljust(width) if title in _LEFT else item.rjust(width)
            for item, width, title in zip(line, widths, header, strict=True)
        ]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def _legend(seeds: int) -> str:
    lines = [
        "LUTs, registers, carries, memories: the synthesised block alone.",
        "levels: logic cells on its longest path, carries included.",
    ]
    if seeds:
        which = "one seed" if seeds == 1 else f"median of {seeds} seeds"
        lines += [
            "cells: what the block alone fills once packed.",
            f"Fmax: placed and routed, from register to register, {which}; "
            "in_PORT and out_PORT are registers at its ports.",
        ]
    return "\n".join(lines)


def _row(target: Target, result: Implementation) -> list[str]:
    memories = ", ".join(f"{count} {name}" for name, count in result.memories.items()) or "-"
    row = [
        result.block,
        str(result.luts),
        str(result.registers),
        str(result.carries),
        memories,
        str(result.levels),
    ]
    if target.place:
        share = "-"
        if result.cells is not None and result.cells_available:
            share = f"{100 * result.cells / result.cells_available:.1f} %"
        critical = result.critical
        row += [
            "-" if result.cells is None else str(result.cells),
            share,
            "-" if result.fmax_mhz is None else f"{result.fmax_mhz:.1f}",
            f"{critical.path_from} → {critical.path_to}" if critical else result.note,
        ]
    return row
