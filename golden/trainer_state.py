"""The state of a trainer as plain arrays: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, integer_array
from .precision_controller import PrecisionState

if TYPE_CHECKING:
    from .trainer import Trainer

COUNTS = (
    "epochs_finished",
    "samples_seen",
    "samples_active",
    "correct",
    "groups_drawn",
    "groups_written",
    "sign_flips",
    "resting",
)
GENERATORS = {"lfsr": 2**16 - 1, "shift_lfsr": 2**16 - 1, "xorshift": 2**32 - 1}


def export(trainer: Trainer) -> dict[str, NDArray]:
    """Arrays ``weights_l``, ``counters_l``, ``controller_l`` a layer, generators and counts."""
    state: dict[str, NDArray] = {}
    for l, (weights, counters) in enumerate(zip(trainer.weights, trainer.counters, strict=True)):
        state[f"weights_{l}"] = weights.copy()
        state[f"counters_{l}"] = counters.copy()
    for l, controller in enumerate(trainer.controllers):
        state[f"controller_{l}"] = np.array(controller.state, np.int64)
    for name in GENERATORS:
        state[name] = np.array(getattr(trainer, name).state, np.int64)
    for name in COUNTS:
        state[name] = np.array(getattr(trainer, name), np.int64)
    return state


def load(trainer: Trainer, state: Mapping[str, ArrayLike]) -> None:
    """Check all of ``state`` against the trainer's configuration, then take it over.

    Raises DataError naming the array and its legal range or shape; the trainer is then unchanged.
    """
    wanted = export(trainer)
    for name in wanted:
        if name not in state:
            raise DataError(f"state must hold {name!r}, not only {sorted(state)}")
    for name in state:
        if name not in wanted:
            raise DataError(f"state must hold nothing but {sorted(wanted)}, not {name!r}")
    checked = {name: _check(trainer, name, state[name], wanted[name].shape) for name in wanted}

    for l in range(trainer.config.layer_count):
        trainer.weights[l][...] = checked[f"weights_{l}"]
        trainer.counters[l][...] = checked[f"counters_{l}"]
    for l, controller in enumerate(trainer.controllers):
        controller.load(PrecisionState(*map(int, checked[f"controller_{l}"])))
    for name in GENERATORS:
        getattr(trainer, name).state = int(checked[name])
    for name in COUNTS:
        setattr(trainer, name, int(checked[name]))


def _check(
    trainer: Trainer, name: str, value: ArrayLike, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    kind, _, layer = name.rpartition("_")
    if name in GENERATORS:
        return integer_array(name, value, 1, GENERATORS[name], shape)
    if name in COUNTS:
        return integer_array(name, value, 0, 2**63 - 1, shape)
    if kind == "weights":
        return integer_array(name, value, -1, 1, shape)
    if kind == "counters":
        limit = trainer.config.momentum_limit(int(layer))
        return integer_array(name, value, -limit, limit, shape)
    array = integer_array(name, value, 0, 2**16 - 1, shape)
    p = trainer.controllers[int(layer)].parameters
    ranges = ((0, p.exponent_max), p.width_limits, (0, p.patience - 1), (1, 2**16 - 1))
    for i, (low, high) in enumerate(ranges):
        if not low <= array[i] <= high:
            raise DataError(f"{name}[{i}] must be from {low} to {high}, not {array[i]}")
    return array
