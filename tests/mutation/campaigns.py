"""What is mutated, and the bench that must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
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
from trisign.rtl.register_map import COUNTERS, registers
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
        Registers that the bench writes, in the simulator: their paths.
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
# Registers of the trainer's bench, besides status counters.
COUNTING = ("epoch", "sample", "loader.epochs_left", "loader.samples_left")
# What the trainer's campaigns leave alone has campaigns and proofs of its own (dot products,
# update lanes) or is plain memory and data path.
DATA_PATH = (
    "?lane", "?element", "?assembler", "?errors", "?trits", "?flags", "?bank", "?words",
    "counters.?counter",
)  # fmt: skip


INITIALISER_ZERO = ("column", "row", "lane", "chunk", "padding", "word$*", "bank")


def _shared_relation(config: TrainerConfig, rows: int) -> Relation:
    """Of any trainer: payloads matter while valid, ports of memories while they write.

    States are numbered in the order in which the sequencers name them first.
    """
    weights, pixels = "(<initialiser.fsm_state> == 3)", "(<loader.fsm_state> == 3)"
    drawing = "(<initialiser.fsm_state> != 0 & <initialiser.fsm_state> != 4)"
    of_network = ("base", "layer", "last_input", "last_unit")
    looked_at = {
        "o__payload[31:0]": "<o__valid>",
        "o__payload[32]": "<o__valid> | (|<bus.waiting>)",
        "bus.asked": "(|<bus.waiting>)",
        "bus.chosen": "(|<bus.waiting>)",
        "loader.info1[4:0]": "<loader.valid1>",
        "loader.info2": "<loader.valid2>",
        "loader.info3": "<loader.valid3>",
        "loader.value": "<loader.valid3>",
        "loader.word$*": pixels,
        "loader.plane": pixels,
        "store.words.read__addr": "<store.words.read__en>",
        **{f"initialiser.{name}": drawing for name in of_network},
        "initialiser.address_1": "<initialiser.push>",
        "initialiser.write_address": "<initialiser.assembler.valid>",
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
    looked_at["update.grad*[1]"] = "<>[0]"  # the sign of a trit
    banks = (*(f"weights*.bank{r}" for r in range(rows)), "counters*.counters")
    for memory in (*banks, "activations.words", "store.words"):
        for port in ("write__addr", "write__data"):
            looked_at[f"{memory}.{port}"] = f"<{memory}.write>"
    looked_at |= {f"{memory}.write_mask": f"<{memory}.write>" for memory in banks}
    # What a run reads of the activations it has written before.
    looked_at["activations.words.write__addr"] = "<activations.words.write> & ~<rst>"
    # What is only read is selected for the cycle in which it is looked at.
    for bit, register in enumerate(registers(config).values()):
        if register.access == "ro":
            looked_at[f"bus.selected[{bit}]"] = "<i__ready>"
    holds = (
        *(f"{weights} | <initialiser.{name}> == 0" for name in INITIALISER_ZERO),
        f"~{drawing} | {weights} | (<initialiser.base> == 0 & <initialiser.layer> == 0)",
        # A plane is a word, and an image has four rows of four pixels.
        f"{pixels} | <loader.pixel> == 0",
        "{<loader.y>, <loader.x>} == <loader.pixel> & <loader.lane> == <loader.pixel>",
    )
    return Relation(looked_at, holds=holds)


def _small_relation() -> Relation:
    """Of two layers with trits as errors and two rows at a time."""
    shared = _shared_relation(TrainerConfig(**SMALL), rows=2)
    scanning, last_layer = "(<rows.fsm_state> == 3)", "<rows.fsm_state$*>"
    newer = "<rows.newer_valid>"
    rows_done = f"(<rows.scanned> & ~{newer} & ~<rows.older_valid>)"
    delta, update, drain = (f"(<fsm_state> == {state})" for state in (4, 6, 7))
    rows_taken = f"(<delta.fsm_state> == 1 & ~{update} & ({newer} | <rows.older_valid>))"
    forward = "(<forward.order.issuing> & <forward.order.word> < (<forward.order.layer> ? 1 : 3))"
    looked_at = shared.looked_at | {
        "gate.o__payload": "<gate.o__valid>",
        "delta.bank$*": "<delta.add>",
        "delta.error$*": "<delta.add>",
        "rows.newer": newer,
        "rows.older": "<rows.older_valid>",
        "rows.label_first": last_layer,
        "rows.word_address": "<rows.fsm_state> == 1",
        "rows.pending": scanning,
        "rows.place": scanning,
        **{f"rows.{name}": "<rows.fsm_state>" for name in ("blocks_left", "base", "words")},
        # A block of four trits at a time.
        **{
            f"rows.word[{8 * k + 7}:{8 * k}]": f"{scanning} & <rows.blocks_left> > {k}"
            for k in range(4)
        },
        "forward.sum": "<forward.queued>",
        "forward.queue1": "<forward.queued>[1]",
    }
    # Addresses matter where somebody asks: what comes of others goes nowhere.
    asked = {
        "activations.words": f"{forward} | <rows.fsm_state> == 1 | <delta.fsm_state> == 1",
        "weights*.bank*": f"{forward} | {rows_taken} | <bus.called_2> & ~<i__payload>[0]",
        "counters*.counters": "<bus.called_3> & ~<i__payload>[0]",
    }
    looked_at |= {f"{m}.read__addr": f"<gate.o__valid> | {who}" for m, who in asked.items()}
    holds = (
        # The source of rows works for one pass at a time.
        f"~({last_layer} | (|<rows.fsm_state>)) | ~<rows.scanned>",
        f"~{last_layer} | <rows.fsm_state> == 0",
        f"{delta} | {update} | {drain} | ({rows_done} & <delta.fsm_state> == 0)",
        "(<fsm_state> == 2 | <fsm_state> == 3) -> <layer> == 1",
        f"{delta} -> (<layer> == 1 & <delta.fsm_state> == 1 & <rows.fsm_state> == 0)",
        f"{update} -> (<delta.fsm_state> == 0 | (<delta.fsm_state> == 2 & {last_layer}"
        f" & ~<rows.second> & ~{newer} & ~<rows.older_valid> & <layer> == 1))",
        f"{update} -> (<layer> == 1 ? <rows.fsm_state> == 0 : ~{last_layer})",
        f"{drain} -> (<delta.fsm_state> == 0 & ~{last_layer} & (<layer> == 1 | {rows_done}))",
        "<delta.fsm_state> == 0 | <delta.word> == 0",
        # Three blocks of a hidden layer are scanned; two rows never leave the first bank.
        "<rows.fsm_state> == 0 | <rows.blocks_left> != 0",
        f"<rows.fsm_state> == 0 | <rows.blocks_left> + ({scanning} ? <rows.place> : 2'd0) == 3",
        "<rows.bank> == 0",
        # An error on its way is not zero.
        *(f"{scanning} & <rows.pending>[{k}] -> <rows.word>[{2 * k}]" for k in range(4)),
        f"{newer} -> <rows.newer>[6]",
        "<rows.older_valid> -> <rows.older>[6]",
        "<gate.o__valid> -> <gate.o__payload>[6]",
        # Products of a word of both rows: 16 or 12 lanes of two rows, and none after reset.
        "<forward.count.real_lanes> == 0 | <forward.count.real_lanes> == 12"
        " | <forward.count.real_lanes> == 16",
        "<forward.count.real_rows>[0] == 0 & <forward.count.real_rows> != 3",
        "<forward.queued> != 3",
        # Words of activations are written for the hidden layer.
        "<forward.trits.valid> -> ~<forward.written>",
        "<forward.push$*> -> ~<forward.written>",
    )
    return Relation(looked_at, holds=(*shared.holds, *map(_implied, holds)))


def _deep_relation() -> Relation:
    """Of three layers with errors of a few bits."""
    shared = _shared_relation(TrainerConfig(**DEEP), rows=1)
    return replace(shared, memories=("trainer.loss", "trainer.quantizer"))


def _implied(text: str) -> str:
    """Verilog of ``premise -> conclusion``."""
    premise, arrow, conclusion = text.rpartition(" -> ")
    return f"~({premise}) | {conclusion}" if arrow else text


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
        written=(*(register.name for register in COUNTERS), *COUNTING),
        relation=_small_relation() if network is SMALL else _deep_relation(),
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
