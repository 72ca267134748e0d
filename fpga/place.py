"""What nextpnr says: resources in its log, clocks and slowest paths in its report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .report import Timing

_USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_PINS = ("SB_IO", "TRELLIS_IO")
_CELL_SUFFIX = re.compile(r"_(?:SB_|TRELLIS_|LUT4_|CCU2C_|DP16KD_|PDPW16KD_)")


def read_used(log: Path) -> dict[str, tuple[int, int]]:
    """Resources of the part in a log: name → (used, available)."""
    found = _USED.findall(log.read_text(errors="replace"))
    return {kind: (int(used), int(available)) for kind, used, available in found}


def misfit(used: Mapping[str, tuple[int, int]]) -> str:
    """The first resource, pins aside, of which the part has too few; empty where all suffice."""
    for kind, (count, available) in used.items():
        if count > available and kind not in _PINS:
            return f"does not fit: {count} of {available} {kind}"
    return ""


def read_report(path: Path) -> dict[str, Any]:
    """The JSON report of one run."""
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def read_timing(report: Mapping[str, Any], seed: int, prefix: str) -> Timing:
    """Slowest clock of a report, and the slowest path between registers.

    Parameters
    ----------
    prefix : str
        Instance that ends of the path are named inside of.
    """
    path = next(
        entry["path"]
        for entry in report["critical_paths"]
        if entry["from"].startswith("posedge") and entry["to"].startswith("posedge")
    )
    slowest = min(clock["achieved"] for clock in report["fmax"].values())
    return Timing(
        seed=seed,
        fmax_mhz=math.floor(100 * slowest) / 100,  # never up: it is held against a limit
        path_from=_endpoint(path[0]["from"], prefix),
        path_to=_endpoint(path[-1]["to"], prefix),
    )


def _endpoint(end: Mapping[str, str], prefix: str) -> str:
    """Signal at a path's end, named as inside the instance ``prefix``.

    Tools name a cell after the net it drives and append what it is: ``sum_SB_LUT4_O_3_LC``.
    """
    cell = end["cell"].removeprefix(f"{prefix}.").replace("\\", "")
    return _CELL_SUFFIX.split(cell)[0] or cell
