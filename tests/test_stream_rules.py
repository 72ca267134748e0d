"""Stream rules proved of every block: bounded, by induction where that closes, never empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from amaranth.lib import wiring
from formal.stream_rules import Flow, Rules

from trisign.gen.verilog import to_verilog
from trisign.golden.design import HardwareConfig
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.processing_element import ProcessingElementParameters
from trisign.golden.trainer_config import TrainerConfig
from trisign.golden.update_parameters import UpdateParameters
from trisign.rtl.group_gate import GroupGate
from trisign.rtl.lfsr import Lfsr16Source
from trisign.rtl.precision_controller import PrecisionController
from trisign.rtl.processing_element import ProcessingElement
from trisign.rtl.row_source import RowSource
from trisign.rtl.trainer_plan import TrainerPlan
from trisign.rtl.uart import UartTransmitter
from trisign.rtl.update_engine import UpdateEngine
from trisign.rtl.xorshift import Xorshift32Source


@dataclass(frozen=True)
class Case:
    """A component, small enough for a solver, and what must hold of it.

    ``bound`` is at least twice the cycles a transfer can spend inside when nothing stalls.
    """

    create: Callable[[], wiring.Component]
    bound: int
    zero: tuple[str, ...] = ()
    flow: Flow | None = None
    counts_last: bool = False
    inductive: bool = True
    reached: tuple[str, ...] = field(default=("o_held",))
    loose: tuple[str, ...] = ()


def element(**fields: object) -> Case:
    parameters = ProcessingElementParameters(**{"lanes": 2, "words": 2, **fields})  # type: ignore[arg-type]
    latency = ProcessingElement(parameters).LATENCY
    return Case(
        lambda: ProcessingElement(parameters),
        bound=2 * latency + 4,
        flow=Flow(drain=latency + 1),
        counts_last=True,
        reached=("o_held", "left"),
    )


def engine(rule: str, **fields: object) -> Case:
    parameters = UpdateParameters(rule=rule, **{"lanes": 2, "rng_group": 2, **fields})  # type: ignore[arg-type]
    return Case(
        lambda: UpdateEngine(parameters),
        bound=5,
        zero=("load",),
        flow=Flow(drain=2),
        reached=("o_held", "left"),
    )


PLAN = TrainerPlan(
    TrainerConfig(layers=(4, 2, 2), rng_group=4, threshold=0, margin=2),
    HardwareConfig(lanes=4, store_samples=2, planes=((1, 4),)),
)
CASES = {
    "lfsr": Case(Lfsr16Source, bound=6, zero=("load",)),
    "xorshift": Case(Xorshift32Source, bound=6, zero=("load",)),
    "element": element(),
    "element_pipelined": element(lanes=4, pipeline=(2, 4)),
    "counter": engine("counter", gate_shift_max=2),
    "ema_dst": engine("ema_dst", lanes=32, rng_group=32),
    "signadam_pp": engine("signadam_pp", gradient_width=4, threshold_width=3, weight_width=6,
                          weight_frac=4, momentum_frac=4, momentum_shift=3),
    "precision": Case(
        lambda: PrecisionController(
            PrecisionParameters(
                input_width=4, exponent_max=2, window=3, width=3, overflow_random_bits=1
            )
        ),
        bound=12,
        zero=("load",),
        flow=Flow(drain=4),
        reached=("o_held", "left"),
    ),
    # The trainer's: what a layer's registers say stays as it is meanwhile.
    "group_gate": Case(lambda: GroupGate(PLAN), bound=6, reached=("i_held", "o_held")),
    "row_source": Case(lambda: RowSource(PLAN), bound=6, loose=("start", "read_data")),
    "uart_transmitter": Case(lambda: UartTransmitter(8), bound=24, reached=("i_held",)),
}  # fmt: skip


def rules(name: str, *, flow: bool = True) -> Rules:
    case = CASES[name]
    component = case.create()
    module = name.replace("-", "_")
    wanted = case.flow if flow else None
    if wanted is not None and case.counts_last:
        last = component.i.payload.shape()["last"].offset  # type: ignore[attr-defined]
        wanted = replace(wanted, counted=f"i__payload[{last}]")
    verilog = to_verilog(component, module)
    zero = tuple(n for n in case.zero if f" {n}" in verilog)
    return Rules(verilog, module, zero=zero, flow=wanted, loose=case.loose)


@pytest.mark.parametrize("name", CASES)
def test_within_the_bound(name: str) -> None:
    proved, said = rules(name).bounded(CASES[name].bound)
    assert proved, said


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.inductive])
def test_waiting_transfers_never_change(name: str) -> None:
    """By induction: in every cycle there ever is."""
    proved, said = rules(name, flow=False).induction(12)
    assert proved, said


@pytest.mark.parametrize("name", CASES)
def test_proofs_are_not_empty(name: str) -> None:
    """A stalled transfer, and one that leaves, can happen under the assumptions."""
    found = rules(name)
    for condition in CASES[name].reached:
        assert found.reaches(condition, CASES[name].bound), condition


def test_a_broken_stream_is_disproved() -> None:
    """Transfers lost, made up, or changed while they wait."""
    broken = """
module broken(clk, rst, i__payload, i__valid, i__ready, o__payload, o__valid, o__ready);
  input clk;
  input rst;
  input [3:0] i__payload;
  input i__valid;
  output i__ready;
  output [3:0] o__payload;
  output o__valid;
  input o__ready;
  assign i__ready = READY;
  assign o__payload = i__payload;
  assign o__valid = VALID;
endmodule
"""
    for ready, valid, fine in (
        ("o__ready", "i__valid", True),
        ("o__ready", "i__valid & i__payload[0]", False),  # some are lost
        ("o__ready", "1'b1", False),  # some are made up
        ("1'b1", "i__valid", False),  # changes while it waits
    ):
        text = broken.replace("READY", ready).replace("VALID", valid)
        proved, said = Rules(text, "broken", flow=Flow(drain=1)).bounded(4)
        assert proved is fine, said
