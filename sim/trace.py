"""What the member ``trace`` of a trainer shows in a cycle with a write, and what it ought to show.

A write is compared as a string of bits, as a simulator gives them: a log of golden becomes such
strings in one go, so that the comparison itself takes next to no time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..golden import trits
from ..golden.write_log import WriteLog
from ..rtl.trainer_plan import TrainerPlan

# As they follow each other in a string.
FIELDS = ("address", "bank", "mask", "counter_address", "weights", "counters")
# Those with an element a lane.
BY_LANE = ("weights", "counters")
TRITS = {"00": "0", "01": "1", "11": "-1"}


def bits(values: ArrayLike, width: int) -> NDArray[np.uint8]:
    """Integers [n] or [n, lanes] as bits [n, lanes · width], lane 0 last and its bit 0 last."""
    array = np.asarray(values, np.int64)
    found = (array[..., None] >> np.arange(width)) & 1
    return found.reshape(len(array), -1)[:, ::-1].astype(np.uint8)


def shown(name: str, text: str) -> str:
    """The bits of an element for people; as they are where they do not stand for a value."""
    if name == "weights":
        return TRITS.get(text, text)
    if set(text) - {*"01"}:
        return text
    signed = name == "counters" and text[0] == "1"
    return str(int(text, 2) - (signed << len(text)))


class TraceFormat:
    """Strings of the trace's fields.

    Parameters
    ----------
    trace : dict of handle
        The signals of FIELDS.
    plan : TrainerPlan
    """

    def __init__(self, trace: dict[str, Any], plan: TrainerPlan) -> None:
        self.plan = plan
        self._handles = [trace[name] for name in FIELDS]
        self._widths = {name: len(trace[name]) for name in FIELDS}
        self.part = plan.hardware.counter_lanes
        self._widths["weights"] = 2 * self.part

    def read(self, step: int) -> str:
        """The write in this cycle; of its weights those of counter word ``step``."""
        address, bank, mask, counter_address, weights, counters = (
            str(handle.value) for handle in self._handles
        )
        end = len(weights) - 2 * self.part * step
        weights = weights[end - 2 * self.part : end]
        return f"{address}{bank}{mask}{counter_address}{weights}{counters}"

    def expected(self, log: WriteLog) -> list[str]:
        """The writes of the words of ``log``, one a counter word."""
        plan, part, steps = self.plan, self.part, self.plan.counter_steps
        if not len(log.places):
            return []
        layer, row, word = log.places.T
        group, bank = np.divmod(row, plan.hardware.rows)
        of_layer = np.array([(p.weight_base, p.words) for p in plan.layers])[layer]
        address = np.repeat(of_layer[:, 0] + group * of_layer[:, 1] + word, steps)
        bank = np.repeat(bank, steps)
        step = np.tile(np.arange(steps), len(layer))
        chunks = part // plan.weight_chunk
        chunk = np.arange(plan.weight_chunks)
        values = {
            "address": bits(address, self._widths["address"]),
            "bank": bits(bank, self._widths["bank"]),
            "mask": bits(chunk // chunks == step[:, None], 1),
            "counter_address": bits(
                (address * plan.hardware.rows + bank) * steps + step,
                self._widths["counter_address"],
            ),
            "weights": bits(trits.to_code(log.weights).reshape(-1, part), 2),
            "counters": bits(log.counters.reshape(-1, part), plan.counter_width),
        }
        characters = np.concatenate([values[name] for name in FIELDS], axis=1) + ord("0")
        text, width = characters.astype(np.uint8).tobytes().decode(), characters.shape[1]
        return [text[start : start + width] for start in range(0, len(text), width)]

    def difference(self, golden: str, rtl: str) -> str:
        """In words, where two strings of a write differ first."""
        start = 0
        for name in FIELDS:
            end = start + self._widths[name]
            ours, theirs = golden[start:end], rtl[start:end]
            start = end
            lanes = self.part if name in BY_LANE else 1
            width = len(ours) // lanes
            for lane in range(lanes):
                place = slice(len(ours) - (lane + 1) * width, len(ours) - lane * width)
                if ours[place] != theirs[place]:
                    where = f"lane {lane}: {name}" if lanes > 1 else name
                    values = (shown(name, text[place]) for text in (ours, theirs))
                    return "{} golden {}, RTL {}".format(where, *values)
        raise ValueError("the strings are equal")
