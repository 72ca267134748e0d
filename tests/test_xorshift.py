"""The xorshift generator in RTL against golden, on both simulators."""

import pytest

from trisign.gen.verilog import to_verilog
from trisign.rtl.xorshift import Xorshift32Source
from trisign.sim.runner import run_bench


@pytest.mark.parametrize(
    ("simulator", "seed"),
    [("icarus", 1), ("icarus", 0), ("icarus", 2**32 - 1), ("verilator", 7)],
)
def test_xorshift(simulator: str, seed: int) -> None:
    run_bench(
        to_verilog(Xorshift32Source(seed=seed), "xorshift"),
        "xorshift",
        "trisign.sim.tb_xorshift",
        parameters={"seed": seed},
        simulator=simulator,
    )
