"""Estimated LUTs beside the record in luts.json, and the record beside what synthesis gives now.

The record is renewed, deliberately, with: python tools/fit_lut_model.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trisign.fpga.implement import implement
from trisign.fpga.targets import BOARD_TARGETS
from trisign.gen import blocks, boards, config
from trisign.gen.estimate import estimate, text
from trisign.gen.lut_estimate import estimated_luts
from trisign.gen.verilog import to_verilog

RECORD = json.loads((Path(__file__).parent / "luts.json").read_text())
AGREEMENT = 0.10
GROWTH = 1.02
SMALLEST = "digits-icebreaker"
SHIPPED = [
    name
    for name in config.shipped()
    if not config.load(name).network.convolves and config.load(name).board in BOARD_TARGETS
]


@pytest.mark.parametrize("name", SHIPPED)
def test_estimate_is_within_ten_percent_of_synthesis(name: str) -> None:
    luts = estimated_luts(config.load(name))
    assert luts is not None
    assert abs(luts / RECORD[name] - 1) < AGREEMENT


@pytest.mark.parametrize(
    "name",
    [SMALLEST, *(pytest.param(n, marks=pytest.mark.long) for n in SHIPPED if n != SMALLEST)],
)
def test_no_core_grows(name: str) -> None:
    design = config.load(name)
    verilog = to_verilog(blocks.find("core").create(design), "core")
    luts = implement(verilog, "core", BOARD_TARGETS[design.board], seeds=0).luts
    assert luts <= RECORD[name] * GROWTH
    # A record far above what there is would let the estimate be wrong.
    assert luts >= RECORD[name] / (1 + AGREEMENT / 2)


def test_estimate_tells_luts_and_those_of_the_part() -> None:
    design = config.load(SMALLEST)
    result = estimate(design)
    assert result.luts == estimated_luts(design)
    assert result.luts_available == boards.find(design.board).luts == 5280
    assert f"logic: about {result.luts} of 5280 LUT4" in text(result)
