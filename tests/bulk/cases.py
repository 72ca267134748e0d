"""All that is driven in bulk, by name."""

from __future__ import annotations

from test_precision_controller import CASES as CONTROLLERS  # type: ignore[import-not-found, unused-ignore]
from test_processing_element import CASES as ELEMENTS  # type: ignore[import-not-found, unused-ignore]
from test_update_engine import ENGINES  # type: ignore[import-not-found, unused-ignore]

from bulk.case import Case  # type: ignore[import-not-found, unused-ignore]
from bulk.controllers import controller  # type: ignore[import-not-found, unused-ignore]
from bulk.dots import dot, every_dot  # type: ignore[import-not-found, unused-ignore]
from bulk.elements import element, every_word  # type: ignore[import-not-found, unused-ignore]
from bulk.generators import generator  # type: ignore[import-not-found, unused-ignore]
from bulk.updates import update  # type: ignore[import-not-found, unused-ignore]

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
