"""What is mutated, and the bench that must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib import wiring

from mutation.relation import Relation
from trisign.gen import data
from trisign.golden.design import HardwareConfig
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.ternary_dot import DotParameters
from trisign.golden.trainer_config import TrainerConfig
from trisign.golden.update_parameters import UpdateParameters
from trisign.rtl.precision_controller import PrecisionController
from trisign.rtl.register_map import COUNTERS
from trisign.rtl.ternary_dot import TernaryDot
from trisign.rtl.trainer import Trainer
from trisign.rtl.update_engine import UpdateEngine


@dataclass(frozen=True)
class Campaign:
    """A block and its bench.

    Parameters
    ----------
    create : callable
        The component.
    block : str
        Its name and, after ``tb_``, its bench's.
    parameters : dict
        Of the bench.
    quick : str
        Regular expression of tests that notice most mutants soon; the others follow where they
        do not.
    share : int
        Mutants; those of a group make 1,000.
    tests : str
        Regular expression of the tests that run.
    spared : tuple of str
        Parts of the names of cells that are not mutated.
    written : tuple of str
        Registers that the bench writes, in the simulator.
    relation : Relation
        What nobody looks at, and what callers keep to: for proofs of equivalence.
    """

    create: Callable[[], wiring.Component]
    block: str
    parameters: dict[str, Any]
    quick: str
    share: int = 1000
    tests: str = ""
    spared: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    relation: Relation = field(default_factory=Relation)


def _dot() -> Campaign:
    parameters = DotParameters(64, structure="balanced")
    return Campaign(
        lambda: TernaryDot(64, "balanced"),
        "ternary_dot",
        {"parameters": asdict(parameters)},
        "smoke|extremes",
    )


def _engine(share: int, **fields: Any) -> Campaign:
    gate_shift_max = fields["gate_shift_max"]
    relation = Relation(
        looked_at={"o__payload": "<o__valid>"}, given=(f"<gate_shift> <= {gate_shift_max}",)
    )
    return Campaign(
        lambda: UpdateEngine(UpdateParameters(**fields), seed=1),
        "update_engine",
        {"engine": fields, "seed": 1},
        "smoke|extremes|every_setting|random_rows/idle=False/stall=False",
        share,
        relation=relation,
    )


def _precision_relation(p: PrecisionParameters) -> Relation:
    """Values in flight matter while valid, a verdict as it is read; states are those in range."""
    taken, shifted = "<quantizer.taken>", "<quantizer.shifted>"
    closing, remaining = "<statistics.closing>", "<remaining>"
    counted, verdict = "<statistics.counted>", "<statistics.verdict>"
    counted_difference = "<statistics.counted_difference>"
    narrowest, widest = p.width_limits

    def reachable(state: str) -> str:
        return (
            f"({state}[2:0] <= {p.exponent_max} & {state}[5:3] >= {narrowest}"
            f" & {state}[5:3] <= {widest} & {state}[7:6] < {p.patience})"
        )

    # Bits of an item: valid, last, negative, counted, closing, magnitude.
    inside = " + ".join(f"({{4'b0, {item}[0] & {item}[3]}})" for item in (taken, shifted))
    ending = [f"({item}[0] & {item}[4])" for item in (taken, shifted)]
    ending += [f"{closing}[{k}]" for k in range(4)]
    return Relation(
        looked_at={
            "o__payload": "<o__valid>",
            "quantizer.taken[12:1]": f"{taken}[0]",
            "quantizer.shifted[4:1]": f"{shifted}[0]",
            "quantizer.shifted[12:5]": f"{shifted}[0] & {shifted}[3]",
            "quantizer.shifted[24:13]": f"{shifted}[0]",
            "statistics.magnitude": "<statistics.counted>",
            "statistics.quantized": "<statistics.counted>",
            "statistics.difference": "<statistics.counted_difference>",
            "statistics.verdict": f"{closing}[3]",
            "statistics.error[11]": "1'b0",  # a sign, of sums alone
        },
        given=(f"~<load> | {reachable('<load_state>')}",),
        holds=(
            reachable("<state>"),
            "<state>[23:8] != 0",
            # One value that closes is inside while a decision is due, and no value behind it.
            f"<deciding> == ({' | '.join(ending)})",
            f"{' + '.join(f'{{3{chr(39)}b0, {end}}}' for end in ending)} <= 1",
            f"~{ending[1]} | ~{taken}[0]",
            f"~(|{closing}) | ~({taken}[0] | {shifted}[0])",
            # No more overflows than values counted.
            f"{{1'b0, {remaining}}} + {inside}"
            f" + {{1'b0, <statistics.half_overflows>}} <= {p.window}",
            "<statistics.overflows> <= <statistics.half_overflows>",
            *(f"~{i}[0] | {i}[12:5] <= {1 << p.input_width - 1}" for i in (taken, shifted)),
            *(f"~({i}[0] & {i}[3]) | (|{i}[12:5])" for i in (taken, shifted)),
            # Nothing is summed after the verdict, which says no two things at once.
            f"~{closing}[1] | ~{counted}",
            f"~(|{closing}[3:2]) | ~({counted} | {counted_difference})",
            f"~{verdict}[0] | {verdict}[1]",
            f"~({verdict}[2] & {verdict}[3])",
            # A value is shifted by the exponent; the error of a rounded one is in bounds.
            f"~{shifted}[0] | {{{shifted}[20:13], {shifted}[24:21]}}"
            f" == (({{4'b0, {shifted}[12:5]}} << 4) >> <state>[2:0])",
            f"~{counted} | (<statistics.magnitude> <= 128"
            " & (<statistics.magnitude>[7] == 0 | (|<statistics.quantized>)))",
            f"~{counted} | (<statistics.quantized> << <state>[2:0]) < <statistics.magnitude> + 16",
            f"~{counted_difference} | <statistics.difference> <= 127"
            " | <statistics.difference> >= 512 - 16",
            f"<statistics.error>[10:0] + 127 * ({remaining} + {inside} + {counted}"
            f" + {counted_difference}) <= 127 * {p.window}",
            f"<statistics.total> + 128 * ({remaining} + {inside} + {counted}) <= 128 * {p.window}",
        ),
    )


def _precision() -> Campaign:
    parameters = PrecisionParameters(
        input_width=8, exponent_max=4, window=8, width=3, overflow_random_bits=1,
        width_search=True, width_max=6, patience=3, count_width=4,
    )  # fmt: skip
    return Campaign(
        lambda: PrecisionController(parameters, seed=5),
        "precision_controller",
        {"parameters": asdict(parameters), "seed": 5},
        "smoke|extremes|random_tensors/idle=False/stall=False",
        relation=_precision_relation(parameters),
    )


SMALL: dict[str, Any] = {
    "layers": (48, 12, 10), "rng_group": 16, "margin": 6, "threshold": (2, 0), "window": 4,
    "counter_width": 4,
}  # fmt: skip
# Every state of the sequencer: two hidden layers, errors of a few bits.
DEEP: dict[str, Any] = {
    **SMALL, "layers": (48, 12, 7, 10), "threshold": (2, 1, 0), "loss": "squared_hinge",
    "gate_shift": (1, 0, 2),
}  # fmt: skip
HARDWARE: dict[str, Any] = {
    "lanes": 16, "counter_lanes": 8, "store_samples": 12, "image": (4, 4),
}  # fmt: skip
# What the trainer's campaigns leave alone has campaigns and proofs of its own (dot products,
# update lanes) or is plain memory and data path.
DATA_PATH = (
    "?lane", "?element", "?assembler", "?errors", "?trits", "?flags", "?bank", "?words",
    "counters.?counter",
)  # fmt: skip


def _trainer_relation() -> Relation:
    """Payloads matter while valid, and what goes to a memory's port while it writes."""
    looked_at = {
        "o__payload[31:0]": "<o__valid>",
        "o__payload[32]": "<o__valid> | (|<bus.waiting>)",
        "bus.chosen": "(|<bus.waiting>)",
        "loader.info1[4:0]": "<loader.valid1>",
        "loader.info2": "<loader.valid2>",
        "loader.info3": "<loader.valid3>",
        "loader.value": "<loader.valid3>",
        "store.words.read__addr": "<store.words.read__en>",
    }
    for word in ("address", "bank", "mask", "weights", "counter_address", "counters"):
        looked_at[f"trace__{word}"] = "<trace__write>"
    first = ("address", "counter_address", "learning", "negative", "step")
    second = ("address_later1", "counter_address_later1", "read_bank", "step_later1")
    looked_at |= {f"update.{name}_later1": "<update.reading>[0]" for name in first}
    looked_at |= {f"update.{name}_later1": "<update.reading>[1]" for name in second}
    looked_at["update.read_bank"] = "<update.reading>[0]"
    operands = ("grad", "weight", "momentum")
    looked_at |= {f"update.{name}*": "<update.reading>[1]" for name in operands}
    banks = ("weights*.bank0", "weights*.bank1", "counters*.counters")
    for memory in (*banks, "activations.words", "store.words"):
        for port in ("write__addr", "write__data"):
            looked_at[f"{memory}.{port}"] = f"<{memory}.write>"
    looked_at |= {f"{memory}.write_mask": f"<{memory}.write>" for memory in banks}
    return Relation(looked_at)


def _trainer(network: dict[str, Any], share: int, **hardware: Any) -> Campaign:
    digits = data.load_digits()
    pixels = digits.train_pixels[:12].reshape(12, 4, 2, 4, 2).mean(axis=(2, 4)).astype(np.uint8)
    path = Path("build/mutate/digits.npz").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        np.savez(path, pixels=pixels.reshape(12, -1), labels=digits.train_labels[:12])
    hardware = {**HARDWARE, **hardware}
    return Campaign(
        lambda: Trainer(TrainerConfig(**network), HardwareConfig(**hardware), trace=True),
        "trainer",
        {"network": network, "hardware": hardware, "vectors": str(path), "epochs": 2},
        "digest",
        share,
        spared=DATA_PATH,
        written=tuple(register.name for register in COUNTERS),
        relation=_trainer_relation() if network is SMALL else Relation(),
    )


def campaigns() -> dict[str, Campaign]:
    """Every campaign by name."""
    return {
        "ternary_dot": _dot(),
        "counter": _engine(400, rule="counter", lanes=8, rng_group=8, gate_shift_max=2),
        "ema_dst": _engine(300, rule="ema_dst", lanes=8, rng_group=32, gate_shift_max=1),
        "signadam_pp": _engine(
            300,
            rule="signadam_pp",
            lanes=2,
            rng_group=2,
            gate_shift_max=1,
            gradient_width=5,
            threshold_width=4,
        ),
        "precision_controller": _precision(),
        "trainer": _trainer(SMALL, 600, rows=2),
        "trainer_deep": _trainer(DEEP, 400),
    }
