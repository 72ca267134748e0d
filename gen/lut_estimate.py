"""LUTs of a core before synthesis: a sum over its parts.

The dot products are counted: their cells are not changed by synthesis. A lane of the update is
what ``trisign bench`` measures. The rest is a constant and so much a lane, fitted to the cores of
``tests/luts.json`` by ``tools/fit_lut_model.py``, which tells how far each is off.
"""

from __future__ import annotations

from ..golden.design import DesignConfig
from ..golden.ternary_dot import DotParameters
from ..rtl.dot_tree import build
from ..rtl.trainer_plan import TrainerPlan
from . import boards

# LUTs of one update lane (docs/area.md): ``counter`` a bit of the counter, ``ema_dst`` in all.
COUNTER_LANE = {"lut4": 2.8, "lut6": 2.4}
AVERAGE_LANE = {"lut4": 59, "lut6": 65}

# LUTs of each thing that ``features`` counts.
FITTED: dict[str, float] = {
    "core": 2782.7,
    "lanes": 15.9,
    "lanes choosing words": 4.0,
    "monitored products": 16.1,
    "further hidden layers": 854.3,
    "quantised errors": 1686.3,
    "averaging lanes": 7.8,
    "classes": 26.4,
}
# Of the same core, relative to iCE40: the constants, and what grows with lanes. An adder on ECP5
# counts by whole carry cells. Cyclone IV is taken for iCE40, whose logic cells are alike.
RELATIVE = {
    "ice40": (1.0, 1.0),
    "cyclone4": (1.0, 1.0),
    "ecp5": (0.957, 1.667),
    "xc7": (1.02, 1.02),
}
# Features that grow with lanes.
OF_LANES = ("lanes", "lanes choosing words", "monitored products", "averaging lanes")


def counted(design: DesignConfig) -> float:
    """LUTs of the dot products and of the update lanes."""
    hardware, network = design.hardware, design.network
    dot = build(DotParameters(hardware.lanes, hardware.structure, hardware.tech)).luts
    if network.rule == "counter":
        lane = COUNTER_LANE[hardware.tech] * network.of("counter_width", 0)
    else:
        lane = AVERAGE_LANE[hardware.tech]
    return dot * hardware.rows + lane * hardware.counter_lanes


def features(design: DesignConfig) -> dict[str, float]:
    """What the other LUTs are linear in."""
    plan, hardware = TrainerPlan(design.network, design.hardware), design.hardware
    lanes, rows = hardware.lanes, hardware.rows
    return {
        "core": 1,
        "lanes": lanes,
        "lanes choosing words": lanes if plan.counter_steps > 1 else 0,
        "monitored products": lanes * rows if hardware.monitor else 0,
        "further hidden layers": len(plan.layers) - 2,
        "quantised errors": int(plan.quantises),
        "averaging lanes": hardware.counter_lanes if design.network.rule == "ema_dst" else 0,
        "classes": plan.layers[-1].units,
    }


def parts(design: DesignConfig) -> tuple[float, float]:
    """LUTs on iCE40 besides those that are counted: constants, and what grows with lanes."""
    found = {name: FITTED[name] * value for name, value in features(design).items()}
    of_lanes = sum(found[name] for name in OF_LANES)
    return sum(found.values()) - of_lanes, of_lanes


def estimated_luts(design: DesignConfig) -> int | None:
    """LUTs of the core of ``design`` on its board; None for networks with convolutions."""
    if design.network.convolves:
        return None
    family = boards.find(design.board).family
    relative = zip(RELATIVE[family.name], parts(design), strict=True)
    return round(counted(design) + sum(factor * part for factor, part in relative))
