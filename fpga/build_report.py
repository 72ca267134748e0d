"""What the build of a board came to, as an object, text, and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .report import Timing


@dataclass(frozen=True)
class Resource:
    """How much of one thing the part has is used."""

    used: int
    available: int


@dataclass(frozen=True)
class BuildReport:
    """One configuration on its board.

    Attributes
    ----------
    configuration, configuration_sha256, board, part : str
    clock_mhz : float
        What the clock must reach.
    resources : dict
        LUTs, registers and memories of the synthesised top, and logic cells once packed (a LUT, a
        carry and a register share one).
    timings : tuple of Timing
        One a seed; empty where the design does not fit.
    note : str
        Why there is no bitstream, empty where there is one.
    bitstream : str
        Name of its file, empty where there is none.
    seed : int or None
        The one it was placed with: the fastest.
    seconds : float
        Time the tools took when they ran, of all seeds together.
    cached : bool
        True where all results were kept from an earlier run.
    """

    configuration: str
    configuration_sha256: str
    board: str
    part: str
    clock_mhz: float
    resources: Mapping[str, Resource]
    timings: tuple[Timing, ...] = ()
    note: str = ""
    bitstream: str = ""
    seed: int | None = None
    seconds: float = 0.0
    cached: bool = False

    @property
    def fmax_min_mhz(self) -> float | None:
        """Slowest seed."""
        return min((timing.fmax_mhz for timing in self.timings), default=None)

    @property
    def fmax_median_mhz(self) -> float | None:
        """Median over the seeds, of the two middle ones the lower."""
        found = [timing.fmax_mhz for timing in self.timings]
        return statistics.median_low(found) if found else None

    @property
    def slow_seeds(self) -> list[int]:
        """Seeds that miss the clock."""
        return [timing.seed for timing in self.timings if timing.fmax_mhz < self.clock_mhz]

    def as_json(self) -> dict[str, Any]:
        """Plain data; clocks in MHz, time in seconds."""
        return {
            **asdict(self),
            "fmax_min_mhz": self.fmax_min_mhz,
            "fmax_median_mhz": self.fmax_median_mhz,
            "meets_clock": not self.note,
        }

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.configuration} ({self.configuration_sha256[:8]}) on {self.board}: {self.part}, "
            f"{self.clock_mhz:g} MHz",
            "",
        ]
        rows = [("resource", "used", "available", "share")]
        for name, resource in self.resources.items():
            share = f"{100 * resource.used / resource.available:.1f} %"
            rows.append((name, str(resource.used), str(resource.available), share))
        lines += [f"{a:<12}{b:>8}{c:>11}{d:>9}" for a, b, c, d in rows]
        if self.timings:
            lines += ["", "seed  Fmax MHz  slowest path"]
            for timing in self.timings:
                path = f"{timing.path_from} → {timing.path_to}"
                lines.append(f"{timing.seed:>4}{timing.fmax_mhz:>10.2f}  {path}")
            lines += [
                "",
                f"Fmax: lowest {self.fmax_min_mhz:.2f} MHz, median {self.fmax_median_mhz:.2f} MHz; "
                f"{self.clock_mhz:g} MHz {self._met()}",
            ]
        lines.append(f"time of the tools: {self.seconds:.0f} s{', kept' if self.cached else ''}")
        lines.append(f"no bitstream: {self.note}" if self.note else self._made())
        return "\n".join(lines)

    def _met(self) -> str:
        count = len(self.timings)
        if self.slow_seeds:
            return f"missed by {len(self.slow_seeds)} of {count} seeds"
        return "met by the seed" if count == 1 else f"met by all {count} seeds"

    def _made(self) -> str:
        return f"bitstream: {self.bitstream} (seed {self.seed})"
