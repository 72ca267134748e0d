"""Areas measured beside those recorded: none of ours may grow.

The record is renewed, deliberately, from a run's result: ``python tools/record_areas.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..golden.checks import DataError

RECORD = Path(__file__).parent.parent / "tests" / "areas.json"
GROWTH = 1.02
# Blocks of these that are not ours are there to be compared with.
BASELINES = ("two popcounts", "adder tree", "behavioural", "popcount")


def recorded() -> dict[str, int]:
    """Name and target → LUTs.

    Raises DataError where there is no record, as in an installed package.
    """
    try:
        record = json.loads(RECORD.read_text())
        return {str(name): int(luts) for name, luts in record.items()}
    except OSError as error:
        raise DataError(
            f"bench must run in trisign's source tree, which holds the record of areas; "
            f"{RECORD} cannot be read: {error.strerror}"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{RECORD} must be a record of areas: {error}") from error


def areas(found: Mapping[str, Any]) -> dict[str, int]:
    """What a result of ``trisign bench`` says of ours: name and target → LUTs."""
    blocks = {
        f"{row['block']} {row['lanes']} {row['variant']} on {row['target']}": row["luts"]
        for row in found.get("blocks", ())
        if row["variant"] not in BASELINES
    }
    cores = {
        f"trainer {row['configuration']} on {row['target']}": row["luts"]
        for row in found.get("core", ())
    }
    return blocks | cores


def comparison(measured: Mapping[str, int], record: Mapping[str, int]) -> tuple[list[str], int]:
    """A line for each area that grew by more than 2 %, and how many were compared."""
    both = [name for name in measured if name in record]
    grown = [
        f"{name}: {measured[name]} LUTs, {record[name]} recorded "
        f"(+{100 * (measured[name] / record[name] - 1):.1f} %)"
        for name in both
        if measured[name] > record[name] * GROWTH
    ]
    return grown, len(both)
