"""What is mutated, and the bench that must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib import wiring

from mutation.relation import Relation
from mutation.relations import deep_relation, precision_relation, small_relation
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
        relation=precision_relation(parameters),
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


def _trainer(
    network: dict[str, Any],
    share: int,
    relation: Relation,
    cycles: tuple[int, int],
    **hardware: Any,
) -> Campaign:
    """``cycles``: of training and of predicting, for mutants that are slower and else as good."""
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
        {
            "network": network,
            "hardware": hardware,
            "vectors": str(path),
            "epochs": 2,
            "expected": {"cycles": cycles[0]},
            "expected_of_predictions": {"cycles": cycles[1]},
        },
        "digest",
        share,
        spared=DATA_PATH,
        written=(*(register.name for register in COUNTERS), *COUNTING),
        relation=relation,
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
        "trainer": _trainer(
            SMALL, 600, small_relation(TrainerConfig(**SMALL)), cycles=(2153, 712), rows=2
        ),
        "trainer_deep": _trainer(
            DEEP, 400, deep_relation(TrainerConfig(**DEEP)), cycles=(6025, 770)
        ),
    }
