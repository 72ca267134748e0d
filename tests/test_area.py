"""Areas that must not grow: what synthesis gives now beside the record in areas.json.

The record is renewed, deliberately, with: python tests/test_area.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trisign.fpga.bench_blocks import DOTS, LANES, OURS, Entry, measure

RECORD = Path(__file__).parent / "areas.json"
GROWTH = 1.02
TARGETS = ("up5k", "xc7")
CHECKED = [
    entry
    for entry in (*DOTS, *LANES)
    if entry.lanes <= 64 and entry.variant in (OURS, "balanced", "counter, F = 6", "ema_dst")
]


def name(entry: Entry, target: str) -> str:
    return f"{entry.name} on {target}"


def areas() -> dict[str, int]:
    rows = iter(measure(CHECKED, TARGETS, seeds=0))
    return {name(entry, target): next(rows).luts for target in TARGETS for entry in CHECKED}


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return areas()


def test_the_record_is_of_these_blocks(measured: dict[str, int]) -> None:
    assert json.loads(RECORD.read_text()).keys() == measured.keys()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("entry", CHECKED, ids=lambda entry: entry.name)
def test_no_area_grows(measured: dict[str, int], entry: Entry, target: str) -> None:
    allowed = json.loads(RECORD.read_text())[name(entry, target)] * GROWTH
    assert measured[name(entry, target)] <= allowed


if __name__ == "__main__":
    RECORD.write_text(json.dumps(areas(), indent=2) + "\n")
