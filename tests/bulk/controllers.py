"""Vectors of precision controllers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from bulk.case import Case, Random, pauses, shares
from bulk.driver import Batch, Driver
from trisign.golden.checks import signed_range
from trisign.golden.precision_controller import PrecisionController, PrecisionState
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.rtl import precision_controller as precision_rtl
from trisign.sim.payload import Payload


def tensors(p: PrecisionParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    """Tensors of every length, sparse and dense, their scale resting and jumping."""
    golden = PrecisionController(p)
    layout = Payload(precision_rtl.state_layout(p))
    longest = max(2, min(3 * p.window // 2, 100))
    scale = 1.0
    for number, size in shares(count):
        load = number % 4 == 3
        settings = {}
        if load:
            state = PrecisionState(
                int(random.integers(p.exponent_max + 1)),
                int(random.integers(p.width_limits[0], p.width_limits[1] + 1)),
                int(random.integers(p.patience)),
                int(random.integers(1, 1 << 16)),
            )
            golden.load(state)
            settings = {"load_state": layout.pack(**state._asdict())}
        lengths = random.integers(1, longest, size * 2 // longest + 1)
        last = np.zeros(int(lengths.sum()), np.int64)
        last[np.cumsum(lengths) - 1] = 1
        values, quantized, exponents = [], [], []
        for length in lengths:
            if random.random() < 0.15:
                scale = random.uniform(-1, p.input_width)
            tensor = random.normal(size=length) * 2.0**scale
            tensor *= random.random(length) < random.choice([0.2, 0.8, 1.0])
            value = np.clip(np.rint(tensor), *signed_range(p.input_width)).astype(np.int64)
            exponents.append(np.full(length, golden.exponent))
            quantized.append(golden.quantize(value))
            values.append(value)
        yield Batch(
            driver.words("i", len(last), value=np.concatenate(values), last=last),
            driver.words(
                "o", len(last), value=np.concatenate(quantized), last=last,
                exponent=np.concatenate(exponents),
            ),
            settings,
            {
                "state": layout.pack(**golden.state._asdict()),
                "windows": golden.windows,
                "overflows": golden.overflows,
                "idle": 1,
            },
            reset=not number,
            load=load,
            **pauses(random),
        )  # fmt: skip


def controller(**fields: Any) -> Case:
    p = PrecisionParameters(**fields)
    return Case(
        "precision_controller", lambda: precision_rtl.PrecisionController(p), partial(tensors, p)
    )
