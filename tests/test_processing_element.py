"""The processing element: golden model, benches on both simulators, broken variants."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisign.gen.verilog import to_verilog
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.processing_element import (
    ProcessingElementParameters,
    check_vectors,
    processing_element,
    threshold,
)
from trisign.rtl import processing_element as rtl
from trisign.sim.runner import BenchResult, run_bench

CASES: dict[str, dict[str, Any]] = {
    "small": {"lanes": 8, "words": 3},
    "trainer": {"lanes": 64, "words": 3},
    "binary": {"lanes": 16, "words": 4, "binary": True, "threshold_width": 4},
    "deep": {"lanes": 16, "words": 5, "pipeline": (0, 4), "output_register": True},
    "one_lane": {"lanes": 1, "words": 7, "threshold_width": 3},
    "wide": {"lanes": 70, "words": 2, "tech": "lut6", "structure": "compact"},
}


def bench(
    p: ProcessingElementParameters,
    simulator: str = "icarus",
    make: Callable[[ProcessingElementParameters], Any] = rtl.ProcessingElement,
    **options: Any,
) -> BenchResult:
    given: dict[str, Any] = {"parameters": asdict(p)}
    if "vectors" in options:
        given["vectors"] = str(options.pop("vectors"))
    return run_bench(
        to_verilog(make(p), "processing_element"),
        "processing_element",
        "trisign.sim.tb_processing_element",
        parameters=given,
        simulator=simulator,
        **options,
    )


# Golden.


def test_golden_by_hand() -> None:
    a = [[[1, 1, -1], [1, 0, 1]], [[-1, -1, 0], [0, 0, -1]]]
    w = [[[1, 1, -1], [1, 1, -1]], [[1, 1, 0], [1, 1, 1]]]
    result = processing_element(a, w, r=2, a=1, b=1)
    assert result.sum.tolist() == [2, -4]
    assert result.trit.tolist() == [0, -1]
    assert result.window.tolist() == [True, False]
    binary = processing_element(np.zeros((2, 3), int), np.ones((2, 3), int), r=5, a=0, binary=True)
    assert (binary.sum, binary.trit, binary.window) == (-6, -1, False)


def test_threshold_is_the_rule_of_the_trainer() -> None:
    z = np.arange(-40, 41)
    for r in range(12):
        for a in range(12):
            result = threshold(z, r, a)
            assert result.trit.tolist() == [1 if v > r else -1 if v < -r else 0 for v in z]
            assert result.window.tolist() == [abs(abs(int(v)) - r) <= a for v in z]


def test_sum_width_holds_the_extremes() -> None:
    p = ProcessingElementParameters(lanes=64, words=3, threshold_width=7)
    assert p.offset_range == (-128, 127)
    assert p.sum_width == 10  # −192 − 127 … 192 + 128
    assert ProcessingElementParameters(lanes=64, words=6, threshold_width=7).sum_width == 11


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lanes": 0}, "lanes must be an integer from 1 to 1024, not 0"),
        ({"words": 0}, "words must be an integer from 1 to 4096, not 0"),
        ({"threshold_width": 17}, "threshold_width must be an integer from 1 to 16, not 17"),
        ({"output_register": 1}, "output_register must be true or false, not 1"),
        ({"tech": "asic"}, "tech must be one of 'lut4', 'lut6', not 'asic'"),
        ({"pipeline": [4, 2]}, "pipeline must be levels in ascending order, not [4, 2]"),
    ],
)
def test_bad_parameters(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        ProcessingElementParameters(**{"lanes": 8, "words": 2, **fields})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": None}, "w must be one of the arrays, not missing from ['a']"),
        ({"r": 1}, "arrays must be a, w, threshold, window, offset, not 'r'"),
        ({"a": np.full((2, 3, 4), 2)}, "a[0][0][0] must be from -1 to 1, not 2"),
        ({"a": np.zeros((2, 3), int)}, "a must have shape (any, any, 4), not (2, 3)"),
        ({"a": np.zeros((2, 4, 4), int)}, "a must have 1 or more rows of 1 to 3 words, not 2 of 4"),
        ({"threshold": 1024}, "threshold must be from 0 to 1023, not 1024"),
        ({"offset": [1, 2]}, "offset must have shape (), not (2,)"),
    ],
)
def test_bad_vectors(change: dict[str, Any], message: str) -> None:
    arrays = {"a": np.zeros((2, 3, 4), int), "w": np.ones((2, 3, 4), int)} | change
    given = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    with pytest.raises(DataError, match=re.escape(message)):
        check_vectors(ProcessingElementParameters(4, 3), given)


# Benches.


@pytest.mark.parametrize("case", ["small", "binary", "deep", "one_lane", "wide"])
def test_icarus(case: str) -> None:
    assert len(bench(ProcessingElementParameters(**CASES[case])).tests) >= 11


@pytest.mark.parametrize("case", ["trainer"])
def test_verilator(case: str) -> None:
    bench(ProcessingElementParameters(**CASES[case]), "verilator")


def test_recorded_vectors(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    a, w = generator.integers(-1, 2, (2, 30, 3, 8))
    settings: dict[str, Any] = {"threshold": 3, "window": 2, "offset": -1}
    np.savez(tmp_path / "dots.npz", a=a, w=w, **settings)
    p = ProcessingElementParameters(**CASES["small"])
    result = bench(p, vectors=tmp_path / "dots.npz", test_filter="recorded$")
    assert result.tests == ("recorded",)


# Broken on purpose: source text → what replaces it.
BROKEN = {
    "threshold includes r": ("nonzero.eq(distance < 0)", "nonzero.eq(distance <= 0)"),
    "window too narrow": ("distance) >= 0", "distance) > 0"),
    "window too wide": ("distance) >= 0", "distance) >= -1"),
    "sign swapped": ("& self.sum[-1]", "& ~self.sum[-1]"),
    "illegal trit put out": ("(distance < 0) & self.sum[-1]", "self.sum[-1]"),
    "magnitude off by one": ("Cat(~negative, ~low, 1)", "Cat(1, ~low, 1)"),
    "accumulator not cleared": ("first.eq(last)", "first.eq(0)"),
    "offset added": ("Mux(first, ~self.offset, total)", "Mux(first, self.offset, total)"),
    "offset lost": ("Mux(first, ~self.offset, total)", "Mux(first, ~0, total)"),
    "idle words counted": ("with m.If(valid):", "with m.If(1):"),
    "every word is a result": ("sum_valid.eq(valid & last)", "sum_valid.eq(valid)"),
    "result not held": ("advance.eq(~self.o.valid | self.o.ready)", "advance.eq(1)"),
    "first survives reset": ("first = Signal(init=1)", "first = Signal(init=1, reset_less=True)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_is_found(name: str) -> None:
    old, new = BROKEN[name]
    source = inspect.getsource(rtl)
    assert source.count(old) == 1
    module = types.ModuleType("trisign.rtl.broken")
    exec(compile(source.replace(old, new), f"<{name}>", "exec"), module.__dict__)
    p = ProcessingElementParameters(**CASES["small"])
    result = bench(p, make=module.ProcessingElement, check=False, waves_on_failure=False)
    assert result.failures
