"""Area and clock of the blocks beside the usual ways to write them, in one run of one tool."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from amaranth.lib import wiring

from ..gen.verilog import to_verilog
from ..golden.update_parameters import RULES, UpdateParameters
from ..rtl import dot_baselines
from ..rtl.ternary_dot import BinaryDot, TernaryDot
from ..rtl.update_engine import UpdateEngine
from ..rtl.update_lane import UpdateLane
from .implement import implement
from .report import Implementation
from .targets import TARGETS

TARGETS_DEFAULT = ("up5k", "ecp5-25f", "xc7")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """One way to build a block.

    Parameters
    ----------
    block : str
        What is compared: entries of one block and one number of lanes have equal results.
    variant : str
        How it is built; ``OURS`` among them is what the others are related to.
    lanes : int
    create : callable
        The component for a LUT technology (``lut4``, ``lut6``).
    state_bits : int, optional
        Bits kept a weight, weight included.
    """

    block: str
    variant: str
    lanes: int
    create: Callable[[str], wiring.Component]
    state_bits: int | None = None

    @property
    def name(self) -> str:
        return f"{self.block} {self.lanes} {self.variant}"


OURS = "compact"


def _dots(block: str, ours: Any, lanes: int, baselines: dict[str, Any]) -> list[Entry]:
    """Both structures of ``ours``, and what it is measured against."""

    def structured(structure: str) -> Entry:
        return Entry(block, structure, lanes, lambda tech: ours(lanes, structure, tech))

    def baseline(variant: str) -> Entry:
        return Entry(block, variant, lanes, lambda _: baselines[variant](lanes))

    return [*map(structured, (OURS, "balanced")), *map(baseline, baselines)]


TERNARY = {
    "two popcounts": dot_baselines.MaskedPopcountDot,
    "adder tree": dot_baselines.AdderTreeDot,
    "behavioural": dot_baselines.BehaviouralDot,
}
BINARY = {"popcount": dot_baselines.BehaviouralBinaryDot}
DOTS = (
    *_dots("ternary_dot", TernaryDot, 64, TERNARY),
    *_dots("ternary_dot", TernaryDot, 256, {}),
    *_dots("binary_dot", BinaryDot, 64, BINARY),
)


def _lane(rule: str, **more: int) -> Entry:
    parameters = UpdateParameters(rule=rule, **more)  # type: ignore[arg-type]
    variant = ", ".join([rule, *(f"F = {value}" for value in more.values())])
    return Entry(
        "update_lane", variant, 1, lambda _: UpdateLane(parameters), parameters.state_width
    )


LANES = (
    *(_lane(rule) for rule in RULES if rule != "counter"),
    *(_lane("counter", counter_width=width) for width in (5, 6, 7, 8)),
)


def _engine(rule: str) -> Entry:
    parameters = UpdateParameters(rule=rule, lanes=64, gate_shift_max=3)
    return Entry(
        "update_engine", rule, 64, lambda _: UpdateEngine(parameters), parameters.state_width
    )


ENGINES = (_engine("counter"), _engine("ema_dst"))
ENTRIES = DOTS + LANES + ENGINES


@dataclass(frozen=True)
class Row:
    """One entry on one target; ``ratio`` is its LUTs over those of the compact structure.

    ``state_bits`` are kept a weight in memory, weight included; None where there is no state.
    """

    block: str
    variant: str
    lanes: int
    target: str
    luts: int
    luts_a_lane: float
    levels: int
    fmax_mhz: float | None
    ratio: float | None
    state_bits: int | None

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def measure(
    entries: Sequence[Entry],
    targets: Iterable[str] = TARGETS_DEFAULT,
    *,
    seeds: int = 1,
    report: Report = lambda line: None,
    finished: Callable[[list[Row]], None] = lambda rows: None,
) -> list[Row]:
    """Implement ``entries`` on ``targets``, two at a time on two cores; rows in order.

    ``seeds`` = 0 measures areas alone. ``finished`` is given the rows of a block on a target as
    soon as they are there.
    """
    blocks = dict.fromkeys(entry.block for entry in entries)
    jobs = [
        (entry, target)
        for block in blocks
        for target in targets
        for entry in entries
        if entry.block == block
    ]
    texts = {}
    for entry, target in jobs:
        tech = TARGETS[target].tech
        if (entry.name, tech) not in texts:
            report(f"{entry.name}: Verilog for {tech}")
            texts[entry.name, tech] = to_verilog(entry.create(tech), entry.block)
    results: dict[tuple[str, str], Implementation] = {}
    left = {key: sum(_table(job) == key for job in jobs) for key in map(_table, jobs)}
    started, fresh = time.monotonic(), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {
            pool.submit(
                implement,
                texts[entry.name, TARGETS[target].tech],
                entry.block,
                target,
                seeds=seeds,
            ): (entry, target)
            for entry, target in jobs
        }
        for number, done in enumerate(as_completed(waiting), 1):
            entry, target = waiting[done]
            result = results[entry.name, target] = done.result()
            how = "kept" if result.cached else f"{result.seconds:.0f} s"
            fresh += not result.cached
            if fresh and number < len(jobs):
                rest = (time.monotonic() - started) / fresh * (len(jobs) - number)
                how += f", at most {max(1, round(rest / 60))} min left"
            report(f"[{number}/{len(jobs)}] {entry.name} on {target}: {how}")
            left[_table((entry, target))] -= 1
            if not left[_table((entry, target))]:
                done_now = [job for job in jobs if _table(job) == _table((entry, target))]
                finished([_row(*job, results) for job in done_now])
    return [_row(entry, target, results) for entry, target in jobs]


def _table(job: tuple[Entry, str]) -> tuple[str, str]:
    """Jobs whose rows stand in one table."""
    entry, target = job
    return entry.block, target


def _row(entry: Entry, target: str, results: dict[tuple[str, str], Implementation]) -> Row:
    result = results[entry.name, target]
    ours = results.get((f"{entry.block} {entry.lanes} {OURS}", target))
    return Row(
        block=entry.block,
        variant=entry.variant,
        lanes=entry.lanes,
        target=target,
        luts=result.luts,
        luts_a_lane=round(result.luts / entry.lanes, 3),
        levels=result.levels,
        fmax_mhz=result.fmax_mhz,
        ratio=round(result.luts / ours.luts, 3) if ours else None,
        state_bits=entry.state_bits,
    )


def table(rows: Sequence[Row]) -> str:
    """Rows for people, one table a block and target."""
    parts = []
    for block, target in dict.fromkeys((row.block, row.target) for row in rows):
        chosen = [row for row in rows if (row.block, row.target) == (block, target)]
        lut = TARGETS[target].lut_name
        with_state = any(row.state_bits is not None for row in chosen)
        lines = [["lanes", "variant", lut, "a lane", "levels", "Fmax MHz"]]
        lines[0].append("bits a weight" if with_state else "area / ours")
        for row in chosen:
            last = row.state_bits if with_state else row.ratio and f"{row.ratio:.2f}"
            lines.append(
                [
                    str(row.lanes),
                    row.variant,
                    str(row.luts),
                    f"{row.luts_a_lane:.2f}",
                    str(row.levels),
                    "-" if row.fmax_mhz is None else f"{row.fmax_mhz:.1f}",
                    str(last),
                ]
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [f"{block} on {target}"]
        for line in lines:
            cells = [
                item.ljust(width) if i == 1 else item.rjust(width)
                for i, (item, width) in enumerate(zip(line, widths, strict=True))
            ]
            text.append("  ".join(cells).rstrip())
        parts.append("\n".join(text))
    return "\n\n".join(parts)
