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
from trisign.golden.design import DesignConfig

RECORD = json.loads((Path(__file__).parent / "luts.json").read_text())
AGREEMENT = 0.10
HELD_OUT_AGREEMENT = 0.15
GROWTH = 1.02
SMALLEST = "digits-icebreaker"
SHIPPED = [name for name in config.shipped() if config.load(name).board in BOARD_TARGETS]
HELD_OUT = [name for name, entry in RECORD.items() if entry.get("held_out")]


def design_of(name: str) -> DesignConfig:
    if name in SHIPPED:
        return config.load(name)
    return config.parse(RECORD[name]["config"], default_name=name)


def off(name: str) -> float:
    return estimated_luts(design_of(name)) / RECORD[name]["luts"] - 1


@pytest.mark.parametrize("name", SHIPPED)
def test_estimate_is_within_ten_percent_of_synthesis(name: str) -> None:
    assert abs(off(name)) < AGREEMENT


@pytest.mark.parametrize("name", HELD_OUT)
def test_estimate_holds_for_what_it_was_not_fitted_to(name: str) -> None:
    assert abs(off(name)) < HELD_OUT_AGREEMENT


def test_what_is_shipped_is_recorded_and_both_kinds_of_network_are_held_out() -> None:
    assert {*SHIPPED} <= RECORD.keys()
    assert {design_of(name).network.convolves for name in HELD_OUT} == {False, True}


@pytest.mark.parametrize(
    "name",
    [SMALLEST, *(pytest.param(n, marks=pytest.mark.long) for n in SHIPPED if n != SMALLEST)],
)
def test_no_core_grows(name: str) -> None:
    design = config.load(name)
    verilog = to_verilog(blocks.find("core").create(design), "core")
    luts = implement(verilog, "core", BOARD_TARGETS[design.board], seeds=0).luts
    assert luts <= RECORD[name]["luts"] * GROWTH
    # A record far above what there is would let the estimate be wrong.
    assert luts >= RECORD[name]["luts"] / (1 + AGREEMENT / 2)


@pytest.mark.parametrize("name", [SMALLEST, "digits-conv-icebreaker"])
def test_estimate_tells_luts_and_those_of_the_part(name: str) -> None:
    design = config.load(name)
    result = estimate(design)
    assert result.luts == estimated_luts(design)
    assert result.luts_available == boards.find(design.board).luts == 5280
    assert f"logic: about {result.luts} of 5280 LUT4" in text(result)
