"""Vectors of update engines, of all rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bulk.case import Case, Ints, Random, pauses, shares
from bulk.driver import Batch, Driver
from trisign.golden.trits import to_code
from trisign.golden.update_engine import UpdateEngine, UpdateParameters
from trisign.golden.update_rules import gradient_range, momentum_range, weight_range
from trisign.rtl import update_engine as update_rtl


def updates(p: UpdateParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    golden = UpdateEngine(p)
    ranges = (gradient_range(p), momentum_range(p), weight_range(p))
    for number, size in shares(count):
        settings = {
            "threshold": int(random.integers(1 << p.threshold_width) >> random.integers(4)),
            "gate_shift": int(random.integers(p.gate_shift_max + 1)),
            "shift": int(random.integers(p.shift_max + 1)),
        }
        rows = []
        while size > 0:
            lengths = np.array([1, p.lanes, p.rng_group, random.integers(1, 3000)])
            length = int(random.choice(lengths))
            values = [lane_values(random, length, *limits) for limits in ranges]
            rows.append(tuple(values))
            size -= length
        load = number % 4 == 3
        if load:
            golden.lfsr.state = int(random.integers(1, 1 << 16))
            golden.xorshift.state = int(random.integers(1, 1 << 32))
        yield update_batch(
            p, driver, golden, rows, settings, random, reset=not number, load=load, **pauses(random)
        )


def lane_values(random: Random, length: int, low: int, high: int) -> Ints:
    """Over the whole range, a third of them at or beside an end or zero."""
    special = np.clip([low, low + 1, -1, 0, 1, high - 1, high], low, high)
    values = random.integers(low, high + 1, length)
    return np.where(random.random(length) < 1 / 3, random.choice(special, length), values)


def update_batch(
    p: UpdateParameters,
    driver: Driver,
    golden: UpdateEngine,
    rows: list[tuple[Ints, ...]],
    settings: dict[str, int],
    random: Random,
    **how: Any,
) -> Batch:
    """Rows of gradient, momentum and weight."""
    loaded = {"load_lfsr": golden.lfsr.state, "load_xorshift": golden.xorshift.state}
    golden.configure(**settings)
    parts: dict[str, list[Ints]] = {}

    def keep(name: str, lanes: Any) -> None:
        filled = np.zeros(-(-len(lanes) // p.lanes) * p.lanes, np.int64)
        filled[: len(lanes)] = lanes
        parts.setdefault(name, []).append(filled.reshape(-1, p.lanes))

    ends = []
    for gradient, momentum, weight in rows:
        result = golden.process_row(gradient, momentum, weight)
        for name, values in (
            ("grad", coded(random, gradient) if p.gradient_width == 2 else gradient),
            ("momentum", momentum),
            ("weight", coded(random, weight) if p.has_trit_weights else weight),
            ("new_momentum", result.momentum),
            ("new_weight", to_code(result.weight) if p.has_trit_weights else result.weight),
            ("written", result.written),
        ):
            keep(name, values)
        end = random.integers(0, p.lanes, len(parts["grad"][-1]))
        end[-1] = (len(gradient) - 1) % p.lanes
        ends.append(end)
    all_of = {name: np.concatenate(lanes) for name, lanes in parts.items()}
    last = np.concatenate([np.arange(len(end)) == len(end) - 1 for end in ends])
    count, groups = len(last), update_rtl.groups_per_word(p)
    spacing = p.rng_group if groups > 1 else 0
    written = all_of["written"][:, spacing * np.arange(groups)] @ (1 << np.arange(groups))
    state = {"momentum": all_of["momentum"]} if p.momentum_width else {}
    new_state = {"momentum": all_of["new_momentum"]} if p.momentum_width else {}
    status = {"lfsr_state": golden.lfsr.state, "xorshift_state": golden.xorshift.state}
    return Batch(
        driver.words(
            "i", count, grad=all_of["grad"], weight=all_of["weight"], end=np.concatenate(ends),
            last=last, **state,
        ),
        driver.words(
            "o", count, weight=all_of["new_weight"], write=written, last=last, **new_state
        ),
        {name: value for name, value in (settings | loaded).items() if name in driver.settings},
        {name: status[name] for name in driver.status},
        **how,
    )  # fmt: skip


def coded(random: Random, trits: Ints) -> Ints:
    """Codes of ``trits``, half of the zeros as the illegal code that reads as zero."""
    illegal = (trits == 0) & (random.random(len(trits)) < 1 / 2)
    return np.where(illegal, 2, to_code(trits))


def update(**fields: Any) -> Case:
    p = UpdateParameters(**fields)
    if p.lanes > 16:
        p = replace(p, lanes=16)
    return Case("update_engine", lambda: update_rtl.UpdateEngine(p), partial(updates, p))
