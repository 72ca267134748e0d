"""Blocks in Verilator under vectors in bulk, each word held against golden (see ``bulk.run``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from bulk.cases import CASES
from bulk.driver import Batch, Difference, Driver
from bulk.run import run_case, seed_list

from trisign.gen.blocks import PARTS
from trisign.gen.verilog import to_verilog

VECTORS = 10_000
SHORT = (
    "dot", "element_small", "update_counter", "update_ema_dst", "controller_search", "lfsr",
    "xorshift",
)  # fmt: skip
COUNTER = "update_counter"


@pytest.mark.parametrize("name", SHORT)
def test_some_vectors(name: str) -> None:
    run_case(name, seeds=(1,), vectors=VECTORS, keep=False)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_vectors_in_bulk(name: str) -> None:
    """Its share of 10^6 a block, under each of 20 seeds; all there are of up to 20 bits."""
    counts = run_case(name)
    print(f"{name}: {counts}")


def test_every_block_is_among_them() -> None:
    assert {CASES[name].block for name in SHORT} == set(PARTS)


@cache
def counter() -> Driver:
    case = CASES[COUNTER]
    return Driver(case.create(), case.block)


def changed(batch: Batch, change: str) -> Batch:
    """``batch`` as a golden that is wrong would make it."""
    outputs = batch.outputs.copy()
    middle = len(outputs) // 2
    if change == "a bit":
        outputs[middle, 0] ^= 1
    elif change == "a word less":
        outputs = np.delete(outputs, middle, axis=0)
    elif change == "the last word less":
        outputs = outputs[:-1]
    elif change == "a word more":
        outputs = np.insert(outputs, middle, 0, axis=0)
    elif change == "the last word again":
        outputs = np.insert(outputs, len(outputs), outputs[-1], axis=0)
    elif change == "the generator":
        return replace(batch, status={"lfsr_state": batch.status["lfsr_state"] ^ 1})
    return replace(batch, outputs=outputs)


def batches(change: str = "") -> Iterator[Batch]:
    """Three batches of the counter rule, the second one changed."""
    made = CASES[COUNTER].batches(counter(), np.random.default_rng(1), 60_000)
    for number, batch in enumerate(made):
        yield changed(batch, change) if number == 1 else batch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("a bit", "o differs: batch 1, word "),
        ("a word less", "o differs: batch 1, word "),
        ("the last word less", "o has a transfer too many"),
        ("a word more", "o differs: batch 1, word "),
        ("the last word again", "nothing moves"),
        ("the generator", "lfsr_state differs: batch 1"),
    ],
)
def test_every_kind_of_difference_is_found(change: str, message: str) -> None:
    assert counter().run(batches(), seed=1)["batches"] == 3
    with pytest.raises(Difference, match=message):
        counter().run(batches(change), seed=1)


# What a design says, and what a broken one says instead, as a regular expression.
BROKEN = {
    "it changes while it waits": (
        r"assign o__payload\[0\] = (.*);",
        r"assign o__payload[0] = o__ready ? (\1) : ~(\1);",
        "o changed while it waited",
    ),
    "it does not wait": (r"o__ready \?", "1'b1 ?", "o differs: batch 0, word 0"),
}


@pytest.mark.parametrize(
    "name",
    ["it changes while it waits", pytest.param("it does not wait", marks=pytest.mark.long)],
)
def test_a_broken_build_is_found(name: str) -> None:
    before, after, message = BROKEN[name]
    case = CASES["lfsr"]
    component = case.create()
    verilog, count = re.subn(before, after, to_verilog(component, "lfsr"))
    assert count == 1
    driver = Driver(component, "lfsr", verilog=verilog)
    with pytest.raises(Difference, match=message):
        driver.run(case.batches(driver, np.random.default_rng(2), 60_000), seed=2)


def test_seeds_by_number() -> None:
    assert seed_list("7") == [7]
    assert seed_list("1-3,9") == [1, 2, 3, 9]
