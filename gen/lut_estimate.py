"""LUTs of a core before synthesis: a sum over its parts, fitted once to what synthesis gave.

The coefficients in ``lut_model.json`` are written by ``tools/fit_lut_model.py``, with the designs
that they were fitted to and how far each is off.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from ..golden.design import DesignConfig
from ..golden.ternary_dot import DotParameters
from ..rtl.dot_tree import build
from ..rtl.trainer_plan import TrainerPlan

MODEL = Path(__file__).parent / "lut_model.json"


def features(design: DesignConfig) -> dict[str, float]:
    """What the number of LUTs is taken to be linear in."""
    plan, hardware, network = (
        TrainerPlan(design.network, design.hardware),
        design.hardware,
        design.network,
    )
    lanes, rows, part = hardware.lanes, hardware.rows, hardware.counter_lanes
    if hardware.structure == "plain":
        dot = 8.0 * lanes
    else:
        dot = build(DotParameters(lanes, structure=hardware.structure, tech=hardware.tech)).luts
    averages = network.rule == "ema_dst"
    return {
        "core": 1,
        "dot products": dot * rows,
        "rows of lanes": lanes * rows,
        "lanes": lanes,
        "updated lanes": part * (0 if averages else plan.counter_width),
        "averaging lanes": part if averages else 0,
        "lanes choosing words": lanes if plan.counter_steps > 1 else 0,
        "monitor": lanes * rows if hardware.monitor else 0,
        "layers": len(plan.layers),
        "quantised errors": 1 if plan.quantises else 0,
        "classes": plan.layers[-1].units,
    }


@cache
def _model() -> dict[str, dict[str, float]]:
    return json.loads(MODEL.read_text())["coefficients"]


def estimated_luts(design: DesignConfig) -> int:
    """LUTs of the core of ``design``, of the technology of its hardware."""
    coefficients = _model()[design.hardware.tech]
    return round(sum(coefficients[name] * value for name, value in features(design).items()))
