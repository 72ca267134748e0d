"""Synthesises a set of cores and fits the coefficients of ``gen/lut_estimate.py`` to them.

``python tools/fit_lut_model.py``: about 20 minutes on two cores; results of synthesis are kept in
build/implement. Writes gen/lut_model.json.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from trisign.fpga.implement import implement
from trisign.fpga.implement_command import BOARD_TARGETS
from trisign.gen import blocks, config
from trisign.gen.lut_estimate import MODEL, features
from trisign.gen.verilog import to_verilog
from trisign.golden.design import DesignConfig

TARGETS = {"lut4": "up5k", "lut6": "xc7"}


def varied() -> dict[str, DesignConfig]:
    """Shipped configurations, and others around them."""
    found = {name: config.load(name) for name in config.shipped()}
    base = found["digits-icebreaker"]
    network, hardware = base.network, replace(base.hardware, single_port=(), counter_spill=0)

    def other(name: str, net: dict | None = None, **hard: object) -> None:
        found[name] = replace(
            base,
            name=name,
            network=replace(network, **(net or {})),
            hardware=replace(hardware, **hard),  # type: ignore[arg-type]
        )

    other("p16", lanes=16, counter_lanes=16)
    other("p16-4", lanes=16, counter_lanes=4, monitor=True)
    other("p32-r2", lanes=32, counter_lanes=32, rows=2)
    other("p64", lanes=64, counter_lanes=64, structure="balanced")
    other("deep", {"layers": (192, 32, 16, 10), "threshold": (3, 2, 0)}, lanes=16, counter_lanes=16)
    other("ema", {"rule": "ema_dst", "probability_shift": 4}, lanes=32, counter_lanes=32)
    other("hinge", {"loss": "squared_hinge", "margin": 8}, lanes=32, counter_lanes=32)
    other("f8", {"counter_width": 8}, lanes=32, counter_lanes=32)
    other("classes", {"layers": (192, 32, 26)}, lanes=32, counter_lanes=32)
    return found


def luts(design: DesignConfig, tech: str) -> int:
    """What synthesis gives."""
    mapped = replace(design, hardware=replace(design.hardware, tech=tech))
    verilog = to_verilog(blocks.find("core").create(mapped), "core")
    target = BOARD_TARGETS.get(design.board, TARGETS[tech])
    return implement(verilog, "core", target, seeds=0).luts


def main() -> int:
    designs = varied()
    jobs = {
        (name, design.hardware.tech): replace(design, hardware=design.hardware)
        for name, design in designs.items()
    }
    arty = designs["digits-arty"]
    for name in ("p16", "p32-r2", "p64", "deep", "ema", "hinge"):
        six = replace(designs[name], board=arty.board)
        jobs[name, "lut6"] = replace(six, hardware=replace(six.hardware, tech="lut6"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = dict(zip(jobs, pool.map(lambda job: luts(jobs[job], job[1]), jobs), strict=True))
    model: dict[str, dict] = {"coefficients": {}, "fitted": {}}
    for tech in TARGETS:
        chosen = [job for job in jobs if job[1] == tech]
        rows = [features(jobs[job]) for job in chosen]
        x = np.array([list(row.values()) for row in rows], float)
        y = np.array([measured[job] for job in chosen], float)
        weights, _ = nnls(x / y[:, None], np.ones(len(y)))
        model["coefficients"][tech] = dict(
            zip(rows[0], (round(float(w), 4) for w in weights), strict=True)
        )
        for job, count, value in zip(chosen, y, x @ weights, strict=True):
            model["fitted"][" ".join(job)] = {
                "synthesis": int(count),
                "estimate": round(value),
                "error": round(value / count - 1, 4),
            }
            print(
                f"{job[0]:24} {tech} {count:7.0f} {value:7.0f} {100 * (value / count - 1):6.1f} %"
            )
    MODEL.write_text(json.dumps(model, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
