"""LUTs of a core before synthesis: a sum over its parts.

The dot products are counted: their cells are not changed by synthesis. A lane of the update is
what ``trisign bench`` measures. The rest is a constant and so much a lane, fitted to the cores of
``tests/luts.json`` by ``tools/fit_lut_model.py``, which tells how far each is off, and how far it
is for cores that were held out of the fit.
"""

from __future__ import annotations

from functools import cache

from ..golden.design import DesignConfig
from ..golden.ternary_dot import DotParameters
from ..rtl.convolution_plan import ConvolutionPlan, plan_of
from ..rtl.dot_tree import build
from . import boards

# LUTs of one update lane (docs/area.md): ``counter`` a bit of the counter, ``ema_dst`` in all.
COUNTER_LANE = {"lut4": 2.8, "lut6": 2.4}
AVERAGE_LANE = {"lut4": 59, "lut6": 65}

# LUTs of each thing that ``features`` counts.
FITTED: dict[str, float] = {
    "core": 2826.9,
    "lanes": 11.9,
    "lanes choosing words": 3.7,
    "monitored products": 16.5,
    "further hidden layers": 854.3,
    "quantised errors": 1686.3,
    "averaging lanes": 7.8,
    "classes": 26.4,
    "convolving core": 3083.3,
    "convolving lanes": 8.0,
    "summed bits": 2.8,
    "pooled bits": 6.0,
    "further convolutions": 100.0,
}
# Of the same core, relative to iCE40: the constants, and what grows with lanes. An adder on ECP5
# counts by whole carry cells. Cyclone IV is taken for iCE40, whose logic cells are alike.
RELATIVE = {
    "ice40": (1.0, 1.0),
    "cyclone4": (1.0, 1.0),
    "ecp5": (1.49, 0.891),
    "xc7": (1.016, 1.018),
}
# Features that grow with lanes.
OF_LANES = (
    *("lanes", "lanes choosing words", "monitored products", "averaging lanes"),
    *("convolving lanes", "summed bits", "pooled bits"),
)


@cache
def dot_luts(lanes: int, structure: str, tech: str) -> int:
    """LUTs of one dot product."""
    return build(DotParameters(lanes, structure, tech)).luts


def counted(design: DesignConfig) -> float:
    """LUTs of the dot products and of the update lanes."""
    hardware, network = design.hardware, design.network
    dot = dot_luts(hardware.lanes, hardware.structure, hardware.tech)
    if network.rule == "counter":
        lane = COUNTER_LANE[hardware.tech] * network.of("counter_width", 0)
    else:
        lane = AVERAGE_LANE[hardware.tech]
    return dot * hardware.rows + lane * hardware.counter_lanes


def features(design: DesignConfig) -> dict[str, float]:
    """What the other LUTs are linear in."""
    plan, hardware = plan_of(design.network, design.hardware), design.hardware
    lanes, rows = hardware.lanes, hardware.rows
    dense = not isinstance(plan, ConvolutionPlan)
    convolving = dict.fromkeys(
        ("convolving core", "convolving lanes", "summed bits", "pooled bits"), 0
    )
    if isinstance(plan, ConvolutionPlan):
        convolving = {
            "convolving core": 1,
            "convolving lanes": lanes,
            "summed bits": plan.granule * (plan.error_sum_width + plan.gradient_width),
            "pooled bits": rows * plan.sum_width,
        }
    return {
        "core": int(dense),
        "lanes": lanes * dense,
        "lanes choosing words": lanes if plan.counter_steps > 1 else 0,
        "monitored products": lanes * rows if hardware.monitor else 0,
        "further hidden layers": (len(plan.layers) - 2) * dense,
        "quantised errors": int(plan.quantises),
        "averaging lanes": hardware.counter_lanes if design.network.rule == "ema_dst" else 0,
        "classes": plan.layers[-1].units,
        **convolving,
        "further convolutions": 0 if dense else len(plan.layers) - 3,
    }


def parts(design: DesignConfig) -> tuple[float, float]:
    """LUTs on iCE40 besides those that are counted: constants, and what grows with lanes."""
    found = {name: FITTED[name] * value for name, value in features(design).items()}
    of_lanes = sum(found[name] for name in OF_LANES)
    return sum(found.values()) - of_lanes, of_lanes


def estimated_luts(design: DesignConfig) -> int:
    """LUTs of the core of ``design`` on its board."""
    family = boards.find(design.board).family
    relative = zip(RELATIVE[family.name], parts(design), strict=True)
    return round(counted(design) + sum(factor * part for factor, part in relative))
