"""The LFSR in RTL against golden, on both simulators."""

import pytest

from trisign.gen.verilog import to_verilog
from trisign.rtl.lfsr import Lfsr16Source
from trisign.sim.runner import run_bench


@pytest.mark.parametrize(
    ("simulator", "seed", "steps"),
    [("icarus", 1, 1), ("icarus", 0, 2), ("icarus", 65535, 16), ("verilator", 1, 3)],
)
def test_lfsr(simulator: str, seed: int, steps: int) -> None:
    verilog = to_verilog(Lfsr16Source(seed=seed, steps=steps), "lfsr")
    run_bench(
        verilog,
        "lfsr",
        "trisign.sim.tb_lfsr",
        parameters={"seed": seed, "steps": steps},
        simulator=simulator,
    )
