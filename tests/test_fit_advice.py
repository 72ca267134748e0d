"""What ``trisign estimate`` says of a design that does not fit, and that it is true."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from trisign.gen import config
from trisign.gen.estimate import Estimate, estimate, text
from trisign.golden.design import DesignConfig

NETWORK = "[network]\nlayers = [192, 64, 10]\n"


def design(board: str, network: str = NETWORK, hardware: str = "") -> DesignConfig:
    return config.parse(f'[design]\nboard = "{board}"\n{network}[hardware]\n{hardware}')


def proposed(result: Estimate) -> dict[str, object]:
    """Fields that the last line of the advice names, as a configuration takes them."""
    lead, fields = result.advice[-1].split(" it fits with ")
    assert lead == "by this estimate"
    # Commas between fields, not within a list.
    lines = fields.replace(", ", "\n").replace('"\n"', '", "')
    return tomllib.loads(lines)


@pytest.mark.parametrize(
    ("design", "short", "fields"),
    [
        (
            design("icebreaker", hardware="store_samples = 100\n"),
            [
                "short of EBR: counters 24, weights 8, activations 8, samples 8",
                "short of LUT4: with registers and carries about 7603 cells",
            ],
            {"lanes", "counter_lanes", "single_port", "monitor"},
        ),
        (
            design("ice40_hx8k_b_evn"),
            ["short of EBR: counters 24, weights 8, activations 4, samples 2"],
            {"lanes", "counter_lanes"},
        ),
        (
            design("ulx3s_25f", hardware="lanes = 32\ncounter_lanes = 8\nstore_samples = 20000\n"),
            ["short of EBR: samples 352, counters 6, weights 2, link 1"],
            {"store_samples"},
        ),
    ],
    ids=["icebreaker", "hx8k", "samples"],
)
def test_what_is_proposed_fits(design: DesignConfig, short: list[str], fields: set[str]) -> None:
    result = estimate(design)
    assert not result.fits
    assert [*result.advice[:-1]] == short
    changes = proposed(result)
    assert changes.keys() == fields
    changed = replace(design, hardware=replace(design.hardware, **changes))  # type: ignore[arg-type]
    assert estimate(changed).verdict == "fits"
    assert all(f"  {line}" in text(result).splitlines() for line in result.advice)
    assert result.as_json()["advice"] == result.advice


def test_as_many_samples_as_there_is_room_for() -> None:
    full = design("ulx3s_25f", hardware="lanes = 32\ncounter_lanes = 8\nstore_samples = 20000\n")
    most = proposed(estimate(full))["store_samples"]
    assert isinstance(most, int)
    more = replace(full, hardware=replace(full.hardware, store_samples=most + 1))
    assert not estimate(more).fits


def test_logic_alone_may_be_short() -> None:
    """Counters in SPRAM, and 64 lanes."""
    ports = 'single_port = ["counters"]\ncounter_lanes = 4\n'
    result = estimate(design("icebreaker", hardware=ports))
    assert all(use.fits for use in result.use)
    assert not result.fits
    assert [line.split(":")[0] for line in result.advice[:-1]] == ["short of LUT4"]
    assert not {"single_port", "store_samples"} & proposed(result).keys()


def test_a_network_may_be_too_large_for_its_part() -> None:
    result = estimate(design("ulx3s_25f", "[network]\nlayers = [768, 5120, 10]\n"))
    assert result.advice[-1] == "found no values of lanes, counter_lanes with which it fits"


def test_nothing_may_be_left_to_make_smaller() -> None:
    network = "[network]\nlayers = [192, 5120, 10]\nrng_group = 5\n"
    result = estimate(design("ice40_hx8k_b_evn", network, "lanes = 5\ncounter_lanes = 5\n"))
    assert result.advice[-1] == "nothing of the hardware can be smaller: the network is too large"
