"""What a write ought to look like on a trainer's trace, packed here word by word."""

from __future__ import annotations

import re

import numpy as np
import pytest

from trisign.golden import trits
from trisign.golden.design import HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.golden.write_log import WriteLog
from trisign.rtl.trainer_plan import TrainerPlan
from trisign.sim.payload import pack_lanes
from trisign.sim.trace import FIELDS, TraceFormat, shown

LANES, PART, ROWS = 16, 8, 2
PLAN = TrainerPlan(
    TrainerConfig(layers=(40, 5, 3), rng_group=8, counter_width=5),
    HardwareConfig(lanes=LANES, counter_lanes=PART, rows=ROWS, planes=((1, 4),)),
)
WIDTHS = {
    "address": 5,
    "bank": 1,
    "mask": PLAN.weight_chunks,
    "counter_address": 7,
    "weights": 2 * LANES,
    "counters": 5 * PART,
}


class Wire:
    """A signal as a bench sees it."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.number = 0

    def __len__(self) -> int:
        return self.width

    @property
    def value(self) -> str:
        return format(self.number, f"0{self.width}b")


@pytest.fixture
def wires() -> dict[str, Wire]:
    return {name: Wire(WIDTHS[name]) for name in FIELDS}


def random_log(words: int = 20) -> WriteLog:
    rng = np.random.default_rng(1)
    layer = rng.integers(0, 2, words)
    row = rng.integers(0, np.array([5, 3])[layer])
    word = rng.integers(0, np.array([3, 1])[layer])
    return WriteLog(
        bounds=np.array([0, words]),
        places=np.stack([layer, row, word], axis=1),
        weights=rng.integers(-1, 2, (words, LANES)).astype(np.int8),
        counters=rng.integers(-15, 16, (words, LANES)).astype(np.int16),
    )


def drive(wires: dict[str, Wire], log: WriteLog, index: int, step: int) -> None:
    """Put the write of a counter word on the trace."""
    address, bank = PLAN.weight_address(*log.places[index])
    part = slice(step * PART, (step + 1) * PART)
    chunks = PART // PLAN.weight_chunk
    numbers = {
        "address": address,
        "bank": bank,
        "mask": ((1 << chunks) - 1) << step * chunks,
        "counter_address": (address * ROWS + bank) * (LANES // PART) + step,
        # What the mask leaves out may be anything.
        "weights": pack_lanes(trits.to_code(log.weights[index]), 2)
        | (0b10 << 2 * PART * (1 - step)),
        "counters": pack_lanes(log.counters[index, part], 5),
    }
    for name, number in numbers.items():
        wires[name].number = int(number)


def test_writes_of_random_words(wires: dict[str, Wire]) -> None:
    log = random_log()
    form = TraceFormat(wires, PLAN)
    expected = form.expected(log)
    assert len(expected) == 2 * len(log.places)
    for index, golden in enumerate(expected):
        drive(wires, log, *divmod(index, 2))
        assert form.read(index % 2) == golden
    assert form.expected(random_log(0)) == []


@pytest.mark.parametrize(
    ("name", "bit", "message"),
    [
        ("address", 0, r"address golden \d+, RTL \d+"),
        ("bank", 0, r"bank golden \d, RTL \d"),
        ("mask", 0, r"mask golden \d+, RTL \d+"),
        ("counter_address", 3, r"counter_address golden \d+, RTL \d+"),
        ("weights", 7, r"lane 3: weights golden -?[01], RTL (-?1|0|10)"),
        ("counters", 39, r"lane 7: counters golden -?\d+, RTL -?\d+"),
    ],
)
def test_each_field_is_compared(wires: dict[str, Wire], name: str, bit: int, message: str) -> None:
    log = random_log()
    form = TraceFormat(wires, PLAN)
    golden = form.expected(log)[0]
    drive(wires, log, 0, 0)
    wires[name].number ^= 1 << bit
    assert form.read(0) != golden
    assert re.fullmatch(message, form.difference(golden, form.read(0)))


@pytest.mark.parametrize(
    ("name", "text", "meaning"),
    [
        ("address", "0110", "6"),
        ("address", "01x0", "01x0"),
        ("weights", "11", "-1"),
        ("weights", "10", "10"),
        ("counters", "11110", "-2"),
        ("counters", "01111", "15"),
    ],
)
def test_elements_are_shown_as_people_read_them(name: str, text: str, meaning: str) -> None:
    assert shown(name, text) == meaning
