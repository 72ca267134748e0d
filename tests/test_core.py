# amaranth: UnusedElaboratable=no
"""A whole core by its pins, and the limits of its serial line."""

import re
from typing import Any

import pytest

from trisign.gen.config import short_hash
from trisign.gen.verilog import to_verilog
from trisign.golden.checks import ParameterError
from trisign.golden.design import DesignConfig, HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.core import Core
from trisign.rtl.uart import UartReceiver, bit_cycles
from trisign.sim.runner import run_bench

NETWORK: dict[str, Any] = {"layers": (12, 4, 3), "rng_group": 4, "margin": 4}
HARDWARE: dict[str, Any] = {"lanes": 4, "store_samples": 12}


def test_core() -> None:
    cycles = 8
    design = DesignConfig(
        name="bench",
        board="none",
        network=TrainerConfig(**NETWORK),
        hardware=HardwareConfig(**HARDWARE),
    )
    core = Core(design, cycles * design.hardware.baud, config_hash=int(short_hash(design), 16))
    run_bench(
        to_verilog(core, "core"),
        "core",
        "trisign.sim.core_bench",
        parameters={
            "network": NETWORK,
            "hardware": HARDWARE,
            "bit_cycles": cycles,
            "frames": 20,
            "seed": cycles,
        },
        simulator="verilator",
    )


@pytest.mark.parametrize(
    ("clock_hz", "baud", "cycles"),
    [(24_000_000, 1_000_000, 24), (8_000_000, 1_000_000, 8), (24_000_000, 115_200, 208)],
)
def test_bit_cycles(clock_hz: int, baud: int, cycles: int) -> None:
    assert bit_cycles(clock_hz, baud) == cycles


@pytest.mark.parametrize(
    ("clock_hz", "baud", "error"),
    [
        (
            24_000_000,
            3_000_001,
            "hardware.baud must be at most 3000000 (an eighth of the clock, 24000000 Hz), "
            "not 3000001",
        ),
        (
            24_000_000,
            2_500_000,
            "hardware.baud must be within 1 % of 24000000 Hz ÷ n, e.g. 2400000, not 2500000",
        ),
    ],
)
def test_bauds_that_cannot_be_made(clock_hz: int, baud: int, error: str) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(error)}$"):
        bit_cycles(clock_hz, baud)


@pytest.mark.parametrize("baud", [1199, 12_000_001, 1e6, True])
def test_bauds_of_a_configuration(baud: int) -> None:
    with pytest.raises(ParameterError, match=r"^baud must be an integer from 1200 to 12000000, "):
        HardwareConfig(baud=baud)


def test_too_few_cycles_a_bit() -> None:
    with pytest.raises(ParameterError, match=r"^cycles must be an integer from 8 to 65535, not 7$"):
        UartReceiver(7)
