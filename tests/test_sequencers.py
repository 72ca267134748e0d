"""Every state machine of a core: each state can be reached, and from each the first one again.

The graph is that of ``formal.sequencers``: it holds every step there can be, so a state that no
step leaves, or that none leads to, is one in the RTL. That a pass does end is what the benches and
tests/test_faults.py show.
"""

from __future__ import annotations

from typing import Any

import pytest
from formal.sequencers import machines, reached, steps
from test_trainer import HINGE, SMALL

from trisign.gen.blocks import BLOCKS
from trisign.gen.config import load
from trisign.gen.generate import block_verilog
from trisign.gen.verilog import to_verilog
from trisign.golden.design import HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.trainer import Trainer

STUCK = """
module stuck(clk, rst, go, state);
  input clk;
  wire clk;
  input rst;
  wire rst;
  input go;
  wire go;
  output [1:0] state;
  reg [1:0] fsm_state = 2'h0;
  assign state = ~fsm_state;
  always @(posedge clk)
    fsm_state <= rst ? 2'h0 : fsm_state == 0 ? (go ? 2'h1 : 2'h0) : 2'h1;
endmodule
"""


def check(verilog: str, least: int) -> None:
    found = machines(verilog)
    assert len(found) >= least
    for machine in found:
        graph = steps(verilog, machine)
        states = reached(graph, machine.first)
        assert states == set(range(len(states))), f"{machine}: states {sorted(states)}"
        back = reached({(b, a) for a, b in graph if a in states}, machine.first)
        assert back == states, f"{machine}: no way back from {sorted(states - back)}"
        assert len(states) > 1, f"{machine} never leaves its first state"


def trainer(network: dict[str, Any]) -> str:
    hardware = HardwareConfig(lanes=8, store_samples=4, image=(4, 4))
    return to_verilog(Trainer(TrainerConfig(**network), hardware), "trainer")


def test_trainer() -> None:
    check(trainer(SMALL), 6)


@pytest.mark.long
def test_trainer_of_integers() -> None:
    check(trainer(HINGE), 6)


@pytest.mark.long
def test_core() -> None:
    """A shipped one, its link too."""
    design = load("digits-icebreaker")
    check(block_verilog(BLOCKS["core"], design)[0], 8)


def test_a_machine_that_is_stuck_is_found() -> None:
    with pytest.raises(AssertionError, match="no way back"):
        check(STUCK, 1)
