"""All that is driven in bulk, by name."""

from __future__ import annotations

from test_precision_controller import CASES as CONTROLLERS
from test_processing_element import CASES as ELEMENTS
from test_update_engine import ENGINES

from bulk.case import Case
from bulk.controllers import controller
from bulk.dots import dot, every_dot
from bulk.elements import element, every_word
from bulk.generators import generator
from bulk.updates import update

CASES: dict[str, Case] = {
    "dot": dot(lanes=64),
    "dot_lut6": dot(lanes=64, structure="compact", tech="lut6", pipeline=(0, 4)),
    "dot_binary": dot(lanes=64, binary=True),
    "dot_every": dot(every_dot, lanes=5),
    "dot_binary_every": dot(every_dot, lanes=10, binary=True, structure="compact", tech="lut6"),
    **{f"element_{name}": element(**fields) for name, fields in ELEMENTS.items()},
    "element_every": element(every_word, lanes=2, words=1, threshold_width=3),
    **{f"update_{name}": update(**fields) for name, fields in ENGINES.items()},
    **{f"controller_{name}": controller(**fields) for name, fields in CONTROLLERS.items()},
    "lfsr": generator("lfsr"),
    "xorshift": generator("xorshift"),
}
