"""Areas that must not grow: what synthesis gives now beside the record in areas.json.

``trisign bench`` compares everything in the record, with engines, ECP5 and whole trainers; it is
renewed, deliberately, from a result of that: python tools/record_areas.py build/bench/RESULT.json
"""

from __future__ import annotations

import pytest

from trisign.fpga.bench_blocks import DOTS, LANES, OURS, Entry, measure
from trisign.fpga.bench_record import GROWTH, areas, comparison, recorded

TARGETS = ("up5k", "xc7")
CHECKED = [
    entry
    for entry in (*DOTS, *LANES)
    if entry.lanes <= 64 and entry.variant in (OURS, "balanced", "counter, F = 6", "ema_dst")
]


def name(entry: Entry, target: str) -> str:
    return f"{entry.name} on {target}"


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    rows = measure(CHECKED, TARGETS, seeds=0)
    return areas({"blocks": [row.as_json() for row in rows]})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("entry", CHECKED, ids=lambda entry: entry.name)
def test_no_area_grows(measured: dict[str, int], entry: Entry, target: str) -> None:
    assert measured[name(entry, target)] <= recorded()[name(entry, target)] * GROWTH


def test_an_area_above_its_record_is_told() -> None:
    record = {"a": 100, "b": 100, "gone": 100}
    grown, compared = comparison({"a": 102, "b": 103, "new": 1000}, record)
    assert compared == 2
    assert grown == ["b: 103 LUTs, 100 recorded (+3.0 %)"]
