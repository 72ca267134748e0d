"""The precision controller in RTL against golden, on both simulators."""

from __future__ import annotations

import inspect
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisign.gen.verilog import to_verilog
from trisign.golden.precision_controller import PrecisionParameters
from trisign.rtl import precision_controller, quantizer, window_statistics
from trisign.rtl.precision_controller import PrecisionController
from trisign.sim.runner import BenchResult, run_bench

SEED = 5
SMALL: dict[str, Any] = {"input_width": 8, "exponent_max": 7, "window": 16, "width": 3}
SEARCH: dict[str, Any] = {
    **SMALL,
    "exponent_max": 4,
    "window": 8,
    "overflow_random_bits": 1,
    "width_search": True,
    "width_max": 6,
    "patience": 3,
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {"exponent": 3},
    "small": {**SMALL, "count_width": 3},
    "nearest": {**SMALL, "stochastic": False, "overflow_base": 2, "overflow_random_bits": 0},
    "search": SEARCH,
    "search_by_sums": {**SEARCH, "error_measure": "sums", "widen_shift": 4, "narrow_shift": 6},
    "search_fixed_exponent": {**SEARCH, "dynamic_exponent": False, "exponent": 2},
    "wide": {"input_width": 32, "exponent_max": 16, "width": 16, "window": 40},
    "narrow": {"input_width": 2, "exponent_max": 1, "width": 2, "window": 5},
    "integers": {"input_width": 4, "exponent_max": 0, "width": 8, "window": 7},
    "one_value_windows": {**SEARCH, "window": 1, "overflow_random_bits": 0, "patience": 1},
}
BASIC = r"random_tensors.*idle=False.*stall=False|extremes.*False"
WITHOUT_PAUSES = f"{BASIC}|throughput|every_value"


def bench(
    parameters: PrecisionParameters,
    simulator: str = "icarus",
    design: PrecisionController | None = None,
    **options: Any,
) -> BenchResult:
    verilog = to_verilog(
        design or PrecisionController(parameters, seed=SEED), "precision_controller"
    )
    given = {"parameters": asdict(parameters), "seed": SEED}
    for name in ("vectors", "coverage"):
        if name in options:
            given[name] = str(options.pop(name))
    return run_bench(
        verilog,
        "precision_controller",
        "trisign.sim.tb_precision_controller",
        parameters=given,
        simulator=simulator,
        **options,
    )


@pytest.mark.parametrize("case", ["small", "search"])
def test_icarus(case: str) -> None:
    bench(PrecisionParameters(**CASES[case]))


@pytest.mark.parametrize(
    "case",
    [
        "nearest",
        "search_by_sums",
        "search_fixed_exponent",
        "wide",
        "narrow",
        "integers",
        "one_value_windows",
    ],
)
def test_icarus_without_pauses(case: str) -> None:
    bench(PrecisionParameters(**CASES[case]), test_filter=WITHOUT_PAUSES)


@pytest.mark.parametrize("case", ["defaults", "search"])
def test_verilator(case: str) -> None:
    bench(PrecisionParameters(**CASES[case]), "verilator")


def test_recorded_vectors(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    np.savez(tmp_path / "v.npz", value=np.rint(random.normal(size=(60, 10)) * 40).astype(np.int16))
    result = bench(
        PrecisionParameters(window=20), vectors=tmp_path / "v.npz", test_filter="recorded"
    )
    assert len(result.tests) == 1


# Each entry: what is wrong, the parameters, and either the parameters the RTL is built with
# instead, or the source that is broken (module, text, replacement).
MISBUILT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nearest for stochastic": (SMALL, {"stochastic": False}),
    "window too long": (SMALL, {"window": 17}),
    "permitted overflow not random": (SMALL, {"overflow_random_bits": 0}),
    "no patience": (SEARCH, {"patience": 1}),
    "other error measure": (SEARCH, {"error_measure": "sums"}),
}
BROKEN = {
    "floor for stochastic": (
        quantizer,
        "carry.eq((shifted.fraction + noise)[fraction_width])",
        "carry.eq(0)",
    ),
    "asymmetric saturation": (
        quantizer,
        "Mux(shifted.negative, -quantized, quantized)",
        "Mux(shifted.negative, -quantized - (quantized == limit), quantized)",
    ),
    "half range off by a bit": (quantizer, "~(limit >> 1)", "~(limit >> 2)"),
    "random bits shared": (precision_controller, ", WORD_STEPS)", ", 1)"),
    "zeros count": (
        precision_controller,
        "counted.eq(nonzero & (remaining != 0))",
        "counted.eq(remaining != 0)",
    ),
    "decision inside a tensor": (
        precision_controller,
        "complete & quantizer.i.payload.last",
        "complete & nonzero",
    ),
    "no hold": (precision_controller, "quantizer.hold.eq(deciding)", "quantizer.hold.eq(0)"),
    "exponent not clipped below": (
        precision_controller,
        "with m.If(target < 0):",
        "with m.If(target < -9):",
    ),
    "exponent not clipped above": (
        precision_controller,
        "with m.Elif(target > p.exponent_max):",
        "with m.Elif(target > 99):",
    ),
    "width alone moves the range": (
        precision_controller,
        "state.exponent + up - down - widen + narrow",
        "state.exponent + up - down",
    ),
    "streak survives": (
        precision_controller,
        "verdict.coarse | ~verdict.fine | patient",
        "verdict.coarse | patient",
    ),
    "width decided while the range moves": (
        precision_controller,
        "settled = clipped | ~(up | down)",
        "settled = Const(1)",
    ),
    "error without saturation": (window_statistics, "quantized << self.exponent", "magnitude"),
    "sums run on": (
        window_statistics,
        "m.d.sync += [error.eq(0), total.eq(0)]",
        "m.d.sync += total.eq(0)",
    ),
}


def broken_design(
    monkeypatch: pytest.MonkeyPatch, parameters: PrecisionParameters, sabotage: str
) -> PrecisionController:
    """The design with one piece of its source replaced."""
    module, old, new = BROKEN[sabotage]
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in {module.__name__}"
    changed = types.ModuleType(module.__name__)
    changed.__package__ = module.__package__
    code = source.replace(old, new).replace("import Module,", "import Const, Module,")
    exec(compile(code, f"<{sabotage}>", "exec", dont_inherit=True), changed.__dict__)
    if module is precision_controller:
        return changed.PrecisionController(parameters, seed=SEED)
    name = {quantizer: "Quantizer", window_statistics: "WindowStatistics"}[module]
    monkeypatch.setattr(precision_controller, name, getattr(changed, name))
    return PrecisionController(parameters, seed=SEED)


def must_fail(parameters: PrecisionParameters, design: PrecisionController) -> None:
    result = bench(
        parameters,
        design=design,
        test_filter=BASIC,
        waves_on_failure=False,
        check=False,
    )
    messages = [failure.message for failure in result.failures]
    assert any("differs" in message or "waiting" in message for message in messages), messages


@pytest.mark.parametrize("sabotage", MISBUILT)
def test_bench_fails_on_misbuilt_rtl(sabotage: str) -> None:
    right, wrong = MISBUILT[sabotage]
    design = PrecisionController(PrecisionParameters(**{**right, **wrong}), seed=SEED)
    must_fail(PrecisionParameters(**right), design)


@pytest.mark.parametrize("sabotage", BROKEN)
def test_bench_fails_on_broken_rtl(sabotage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = PrecisionParameters(**SEARCH)
    must_fail(parameters, broken_design(monkeypatch, parameters, sabotage))
