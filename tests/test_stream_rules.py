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
from trisign.rtl.cobs import CobsDecoder
from trisign.rtl.group_gate import GroupGate
from trisign.rtl.lfsr import Lfsr16Source
from trisign.rtl.link import Link
from trisign.rtl.precision_controller import PrecisionController
from trisign.rtl.processing_element import ProcessingElement
from trisign.rtl.register_map import registers
from trisign.rtl.row_source import RowSource
from trisign.rtl.sample_loader import SampleLoader
from trisign.rtl.trainer_bus import TrainerBus
from trisign.rtl.trainer_plan import TrainerPlan
from trisign.rtl.uart import UartReceiver, UartTransmitter
from trisign.rtl.update_engine import UpdateEngine
from trisign.rtl.xorshift import Xorshift32Source


@dataclass(frozen=True)
class Case:
    """A component, small enough for a solver, and what must hold of it.

    ``bound`` is at least twice the cycles a transfer can spend inside when nothing stalls; the
    link's are a packet, and its bound is not. ``bounded_only`` names streams left out of induction.
    """

    create: Callable[[], wiring.Component]
    bound: int
    zero: tuple[str, ...] = ()
    flow: Flow | None = None
    counts_last: bool = False
    inductive: bool = True
    reached: tuple[str, ...] = field(default=("o_held",))
    loose: tuple[str, ...] = ()
    environment: str = ""
    promises: str = ""
    free_memories: bool = False
    bounded_only: tuple[str, ...] = ()


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
# A byte is taken before the next one replaces it: within the time of a bit.
TAKEN_IN_TIME = """
  reg [3:0] waits = 0;
  always @(posedge clk) waits <= o__valid & ~o__ready ? waits + 1 : 0;
  always @* assume (waits < 8);
"""
# A run of two samples begins where none is; a buffer comes back after its sample was taken.
SAMPLES = """
  reg [1:0] outside = 0;
  always @(posedge clk) outside <= rst ? 0 : outside + (o__valid & o__ready) - \\release ;
  always @* assume (~\\release | outside != 0);
  always @* assume (~(start & busy) & ~load & ~stop & ~shift);
  always @* assume (epochs == 1 && samples == 2);
"""
EVERY_SAMPLE = """
  reg [1:0] offered = 0;
  reg begun = 0;
  always @(posedge clk) begun <= ~rst & (begun | start);
  always @(posedge clk) offered <= start ? 0 : offered + (o__valid & o__ready);
  wire ended = begun & ~start & ~busy;
  always @* if (ended) assert (offered + o__valid == 2);
  always @* assert (offered <= 2);
"""
# The bus answers what it was asked, no sooner, and the link asks one thing at a time.
BUS = """
  reg asked = 0;
  wire asks = request__valid & request__ready;
  wire told = response__valid & response__ready;
  always @(posedge clk) asked <= ~rst & (asks | (asked & ~told));
  always @* assume (~response__valid | asked);
"""
ONE_AT_A_TIME = "always @* if (started) assert (~(request__valid & asked));"


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
    # Each request is answered once, whatever the memories say.
    "trainer_bus": Case(
        lambda: TrainerBus(PLAN, initial=dict.fromkeys(registers(PLAN.config), 1)),
        bound=14,
        flow=Flow(drain=8),
        reached=("i_held", "o_held", "left"),
        loose=("*",),
    ),
    "sample_loader": Case(
        lambda: SampleLoader(PLAN), bound=48, loose=("*",), reached=("o_held", "ended"),
        environment=SAMPLES, promises=EVERY_SAMPLE,
    ),
    "uart_receiver": Case(
        lambda: UartReceiver(8), bound=96, loose=("rx",), environment=TAKEN_IN_TIME,
    ),
    "uart_transmitter": Case(lambda: UartTransmitter(8), bound=24, reached=("i_held",)),
    "cobs": Case(CobsDecoder, bound=8, reached=("i_held", "o_held")),
    "link": Case(
        # That an answer's bytes wait unchanged rests on what the memory holds: benches show it.
        Link, bound=8, loose=("*",), environment=BUS, promises=ONE_AT_A_TIME, free_memories=True,
        bounded_only=("o",), reached=("i_held",),
    ),
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
    environment = case.environment + (case.promises if flow else "")
    return Rules(
        verilog, module, zero=zero, flow=wanted, loose=case.loose, environment=environment,
        free_memories=case.free_memories, spared=() if flow else case.bounded_only,
    )  # fmt: skip


# Bounds of 40 cycles and more take half a minute each.
BOUNDED = [
    pytest.param(name, marks=pytest.mark.long) if case.bound >= 40 else name
    for name, case in CASES.items()
]


@pytest.mark.parametrize("name", BOUNDED)
def test_within_the_bound(name: str) -> None:
    proved, said = rules(name).bounded(CASES[name].bound)
    assert proved, said


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.inductive])
def test_waiting_transfers_never_change(name: str) -> None:
    """By induction: in every cycle there ever is."""
    proved, said = rules(name, flow=False).induction(12)
    assert proved, said


@pytest.mark.parametrize("name", BOUNDED)
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
