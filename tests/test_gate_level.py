"""Trainers in the cells of a part: the same bench as the RTL, and nothing unknown after a reset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from formal.gate_netlist import cells, synthesised
from test_trainer import DEEP, SMALL, write_vectors

from trisign.fpga.targets import BOARD_TARGETS
from trisign.gen.config import load, plain_network, shipped
from trisign.gen.verilog import to_verilog
from trisign.golden.design import HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.convolution_trainer import trainer_of
from trisign.sim.runner import run_bench

RESETS = "digest|reset_in_mid_run"
SMOKE = "digest|predicts_without_learning|refuses"
FAMILIES = ("up5k", "hx8k", "ecp5-25f", "ecp5-85f")
SHIPPED = [
    name
    for name, path in sorted(shipped().items())
    if BOARD_TARGETS.get(load(path).board) in FAMILIES
]


def run(
    network: TrainerConfig,
    hardware: HardwareConfig,
    parameters: dict[str, Any],
    target: str,
    vectors: str,
    *,
    tests: str,
    simulator: str,
    power_up: str = "zero",
    epochs: int = 1,
) -> None:
    verilog = to_verilog(trainer_of(network, hardware, trace=True), "trainer")
    netlist = synthesised(verilog, "trainer", target)
    assert not re.search(r"^ *(always|reg)\b", netlist, re.MULTILINE), "cells alone"
    run_bench(
        netlist + cells(target, power_up=power_up),
        "trainer",
        "trisign.sim.tb_trainer",
        parameters={**parameters, "vectors": vectors, "epochs": epochs},
        simulator=simulator,
        test_filter=tests,
        waves_on_failure=False,
    )


def small(
    tmp_path: Path, target: str, *, network: dict[str, Any] = SMALL, samples: int = 6, **how: Any
) -> None:
    hardware: dict[str, Any] = {"lanes": 8, "store_samples": samples, "image": (4, 4)}
    hardware |= how.pop("hardware", {})
    run(
        TrainerConfig(**network),
        HardwareConfig(**hardware),
        {"network": network, "hardware": hardware},
        target,
        write_vectors(tmp_path / "vectors.npz", samples, True),
        **how,
    )


def test_small_network_in_cells(tmp_path: Path) -> None:
    """iCE40, registers unknown until reset, on a simulator that knows unknown values."""
    hardware: dict[str, Any] = {"single_port": ("counters", "samples")}
    small(tmp_path, "up5k", hardware=hardware, tests="digest", simulator="icarus", epochs=2,
          power_up="unknown")  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("target", ["hx8k", "ecp5-25f"])
@pytest.mark.parametrize("network", [SMALL, DEEP], ids=["two_layers", "three_layers"])
def test_unknown_until_reset(tmp_path: Path, target: str, network: dict[str, Any]) -> None:
    small(tmp_path, target, network=network, tests=RESETS, simulator="icarus",
          power_up="unknown")  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configuration(tmp_path: Path, name: str) -> None:
    """Real digits, every write held against golden."""
    design = load(name)
    samples = 12
    network = plain_network(design.network)
    hardware = plain(design.hardware)
    run(
        design.network,
        design.hardware,
        {"network": network, "hardware": hardware},
        BOARD_TARGETS[design.board],
        write_vectors(tmp_path / "vectors.npz", samples, False),
        tests=SMOKE,
        simulator="verilator",
    )


def plain(hardware: HardwareConfig) -> dict[str, Any]:
    """Fields as JSON takes them."""
    return {name: getattr(hardware, name) for name in hardware.__dataclass_fields__}
