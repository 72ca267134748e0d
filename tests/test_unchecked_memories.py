"""Memories whose read and write may collide: a word that collides is unknown, and nobody sees.

Synthesis is told not to make a word that is written while it is read read as it was
(``rtl.ram.Ram.unchecked``). A part then gives anything, so the simulation gives X.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from test_trainer import DEEP, HINGE, SMALL, WIDE, write_vectors

from trisign.gen.verilog import to_verilog
from trisign.golden.design import HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.trainer import Trainer
from trisign.sim.runner import BenchFailure, run_bench

MODULE = re.compile(r"^module .*?^endmodule", re.MULTILINE | re.DOTALL)
READ = re.compile(r"(\S+) <= (words\d*\[(\S+)\]);")
WRITE = re.compile(r"words\d*\[([^]]+)\](?:\[[^]]+\])? <=")
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "small": (SMALL, {"lanes": 16, "counter_lanes": 8}),
    "registered": (SMALL, {"lanes": 16, "memory_register": True, "pipeline": (2,)}),
    "deep": (DEEP, {"lanes": 16}),
    "rows": (WIDE, {"lanes": 16, "rows": 2}),
    "hinge": (HINGE, {"lanes": 16, "memory_register": True}),
    "one_port": (SMALL, {"lanes": 16, "single_port": ("counters", "samples")}),
}


def spoiled(verilog: str) -> tuple[str, int]:
    """``verilog`` whose unchecked memories give X for a word written while it is read."""
    count = 0

    def spoil(match: re.Match[str]) -> str:
        nonlocal count
        body = match[0]
        if "no_rw_check" not in body:
            return body
        (address,) = {*WRITE.findall(body)}
        body, found = READ.subn(
            rf"\1 <= (|write__en && {address} == \3) ? {{1024{{1'bx}}}} : \2;", body
        )
        count += found
        return body

    return MODULE.sub(spoil, verilog), count


def run(verilog: str, network: dict[str, Any], hardware: dict[str, Any], vectors: str) -> None:
    run_bench(
        verilog,
        "trainer",
        "trisign.sim.tb_trainer",
        parameters={"network": network, "hardware": hardware, "vectors": vectors, "epochs": 2},
        simulator="icarus",
        test_filter="digest|predicts_without_learning",
        waves_on_failure=False,
    )


def trainer_verilog(network: dict[str, Any], hardware: dict[str, Any]) -> str:
    trainer = Trainer(TrainerConfig(**network), HardwareConfig(**hardware), trace=True)
    return to_verilog(trainer, "trainer")


@pytest.mark.parametrize("case", CASES)
def test_nobody_looks_at_a_word_that_collided(case: str, tmp_path: Path) -> None:
    network, hardware = CASES[case]
    hardware = {**hardware, "store_samples": 6, "image": (4, 4)}
    vectors = write_vectors(tmp_path / "vectors.npz", 6, True)
    verilog, count = spoiled(trainer_verilog(network, hardware))
    assert count >= 2
    run(verilog, network, hardware, vectors)


def test_a_collision_that_is_looked_at_is_found(tmp_path: Path) -> None:
    """Every read unknown: the bench sees it."""
    network, hardware = SMALL, {"lanes": 16, "store_samples": 4, "image": (4, 4)}
    verilog, _ = spoiled(trainer_verilog(network, hardware))
    broken = verilog.replace("(|write__en && ", "(1'b1 || ")
    assert broken != verilog
    with pytest.raises(BenchFailure):
        run(broken, network, hardware, write_vectors(tmp_path / "vectors.npz", 4, True))
