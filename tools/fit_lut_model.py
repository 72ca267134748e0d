"""Synthesises cores and fits the coefficients of ``gen/lut_estimate.py`` to them.

``python tools/fit_lut_model.py``: half an hour on two cores where nothing is kept. Renews
tests/luts.json; prints the coefficients and how far each estimate is off.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from trisign.fpga.implement import implement
from trisign.fpga.targets import BOARD_TARGETS
from trisign.gen import blocks, boards, config
from trisign.gen.lut_estimate import FITTED, RELATIVE, counted, features, parts
from trisign.gen.verilog import to_verilog
from trisign.golden.design import DesignConfig
from trisign.golden.trainer_config import TrainerConfig

RECORD = Path(__file__).parent.parent / "tests" / "luts.json"
REFERENCE = "ice40"


def designs() -> dict[str, DesignConfig]:
    """Shipped configurations that embedded tools synthesise, and others around them."""
    shipped = {name: config.load(name) for name in config.shipped()}
    found = {
        name: design
        for name, design in shipped.items()
        if design.board in BOARD_TARGETS and not design.network.convolves
    }
    base, large = found["digits-icebreaker"], found["digits-arty"]
    hardware = replace(base.hardware, single_port=("samples",), counter_lanes=32)
    network = {"layers": (192, 64, 10), "margin": 22, "window": 7, "rng_group": 32}

    def other(name: str, net: dict | None = None, **hard: object) -> None:
        found[name] = replace(
            base,
            name=name,
            network=TrainerConfig(**{**network, **(net or {})}),
            hardware=replace(hardware, **hard),  # type: ignore[arg-type]
        )

    other("p16", lanes=16, counter_lanes=16, pipeline=())
    other("deep", {"layers": (192, 32, 16, 10), "threshold": (4, 2, 0)})
    other("p32-r2", rows=2, monitor=True)
    other("hinge", {"loss": "squared_hinge", "margin": 8})
    other("ema", {"rule": "ema_dst", "probability_shift": 4})
    other("f8", {"counter_width": 8})
    other("classes", {"layers": (192, 32, 26)})
    narrow = replace(large.hardware, lanes=32, counter_lanes=32, pipeline=(), memory_register=False)
    found["six-p32"] = replace(large, name="six-p32", hardware=narrow)
    return found


def synthesised_luts(design: DesignConfig) -> int:
    """LUTs of the core of ``design`` on the part of its board."""
    verilog = to_verilog(blocks.find("core").create(design), "core")
    return implement(verilog, "core", BOARD_TARGETS[design.board], seeds=0).luts


def main() -> int:
    found = designs()
    luts: dict[str, int] = {}
    for number, (name, design) in enumerate(found.items(), 1):
        print(f"[{number}/{len(found)}] {name}", file=sys.stderr, flush=True)
        luts[name] = synthesised_luts(design)
    RECORD.write_text(json.dumps(luts, indent=2) + "\n")
    fit(found, luts)
    return 0


def least_squares(x: np.ndarray, y: np.ndarray, luts: np.ndarray) -> np.ndarray:
    """Coefficients, none negative, of the least relative errors."""
    return nnls(x / luts[:, None], y / luts)[0]


def fit(found: dict[str, DesignConfig], luts: dict[str, int]) -> None:
    """The coefficients on iCE40, then two factors for every other family."""
    family = {name: boards.find(found[name].board).family.name for name in luts}
    rest = {name: luts[name] - counted(found[name]) for name in luts}
    for name in (REFERENCE, *(name for name in RELATIVE if name != REFERENCE)):
        chosen = [n for n in luts if family[n] == name]
        if not chosen:
            continue
        y = np.array([rest[n] for n in chosen])
        size = np.array([luts[n] for n in chosen], float)
        if name == REFERENCE:
            rows = [features(found[n]) for n in chosen]
            x = np.array([list(row.values()) for row in rows], float)
            fitted = least_squares(x, y, size)
            FITTED.update(zip(rows[0], (round(float(w), 1) for w in fitted), strict=True))
            print("FITTED =", json.dumps(FITTED, indent=4))
        x = np.array([parts(found[n]) for n in chosen])
        if len(chosen) < 3:
            x = x.sum(axis=1, keepdims=True)
        factors = np.ones(2) if name == REFERENCE else least_squares(x, y, size) * np.ones(2)
        print(f"{name}: {factors.round(3).tolist()}")
        for n in chosen:
            estimate = counted(found[n]) + factors @ parts(found[n])
            print(f"  {n:24}{luts[n]:7}{estimate:8.0f}{100 * (estimate / luts[n] - 1):7.1f} %")


if __name__ == "__main__":
    sys.exit(main())
