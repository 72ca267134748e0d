"""The update engine in RTL against golden: every rule, both simulators, broken on purpose."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trisign.gen.verilog import to_verilog
from trisign.golden.update_engine import RULES, UpdateParameters
from trisign.golden.update_rules import gradient_range, momentum_range, weight_range
from trisign.rtl import update_draws, update_engine, update_lane
from trisign.rtl.update_engine import UpdateEngine
from trisign.sim.runner import run_bench

BENCH = "trisign.sim.tb_update_engine"

SUMMED: dict[str, Any] = {"gradient_width": 6, "threshold_width": 5}
# 16 bits of gradient, momentum, weight, threshold and shift together, or less.
SMALL: dict[str, Any] = {
    "lanes": 64,
    "gradient_width": 3,
    "momentum_frac": 2,
    "momentum_shift": 2,
    "weight_width": 5,
    "weight_frac": 2,
    "lr_shift_max": 3,
}
GATED: dict[str, Any] = {**SMALL, "threshold_width": 2}
RANDOM: dict[str, Any] = {
    **SUMMED,
    "lanes": 16,
    "rng_group": 32,
    "gate_shift_max": 1,
    "weight_width": 8,
    "weight_frac": 3,
    "lr_shift_max": 6,
    "decay_shift": 3,
    "rounding": "stochastic",
}
UNGATED_RANDOM = {**RANDOM, "threshold_width": 0}

EXHAUSTIVE = set(RULES)
ENGINES: dict[str, dict[str, Any]] = {
    "counter": {"rule": "counter", "gate_shift_max": 3},
    "counter_summed": {
        "rule": "counter",
        **SUMMED,
        "lanes": 16,
        "rng_group": 48,
        "counter_width": 4,
        "gate_shift_max": 2,
    },
    "ema_dst": {"rule": "ema_dst", "lanes": 32, "gate_shift_max": 2},
    "ema_dst_tanh": {
        "rule": "ema_dst",
        **SUMMED,
        "lanes": 16,
        "rng_group": 32,
        "momentum_frac": 5,
        "momentum_shift": 3,
        "dead_zone": 0,
        "probability": "tanh",
        "probability_shift_max": 3,
    },
    "sign_sgd": {"rule": "sign_sgd", **SMALL},
    "sign_sgd_decoupled": {"rule": "sign_sgd", **UNGATED_RANDOM, "weight_decay": "decoupled"},
    "signum": {"rule": "signum", **SMALL},
    "signum_coupled": {"rule": "signum", **UNGATED_RANDOM, "weight_decay": "coupled"},
    "signadam": {"rule": "signadam", **SMALL, "momentum_frac": 4},
    "signadam_decoupled": {"rule": "signadam", **UNGATED_RANDOM, "weight_decay": "decoupled"},
    "signadam_pp": {"rule": "signadam_pp", **GATED},
    "signadam_pp_coupled": {"rule": "signadam_pp", **RANDOM, "weight_decay": "coupled"},
    "signadam_pp_published": {"rule": "signadam_pp_published", **GATED},
    "signadam_pp_published_coupled": {
        "rule": "signadam_pp_published",
        **RANDOM,
        "weight_decay": "coupled",
        "rounding": "nearest",
    },
}


def run(engine: dict[str, Any], simulator: str = "icarus", seed: int = 1, **kwargs: Any) -> Any:
    design = UpdateEngine(UpdateParameters(**engine), seed=seed)
    settings = {"engine": engine, "seed": seed, **kwargs.pop("parameters", {})}
    return run_bench(
        to_verilog(design, "update_engine"),
        "update_engine",
        BENCH,
        parameters=settings,
        simulator=simulator,
        **kwargs,
    )


def test_every_rule_has_an_engine() -> None:
    assert {engine["rule"] for engine in ENGINES.values()} == set(RULES)


@pytest.mark.parametrize("name", ENGINES)
def test_update_engine(name: str) -> None:
    result = run(ENGINES[name])
    assert ("every_input" in result.tests) == (name in EXHAUSTIVE), result.tests


@pytest.mark.parametrize("name", ["counter_summed", "ema_dst", "signadam_pp"])
def test_update_engine_on_verilator(name: str) -> None:
    run({**ENGINES[name], "lanes": 16}, "verilator", seed=3)


@pytest.mark.parametrize(
    ("name", "lanes"),
    [("counter", 16), ("counter", 128), ("ema_dst", 16), ("ema_dst", 64), ("ema_dst", 128)],
)
def test_lanes_never_change_the_result(name: str, lanes: int) -> None:
    """Golden knows no P, so engines that equal it equal one another."""
    run({**ENGINES[name], "lanes": lanes}, test_filter="random_rows.*idle=True.*stall=True")


def vectors_file(folder: Path, engine: dict[str, Any], **changes: Any) -> Path:
    """Vectors of 3 rows, the second shorter, as a recording would hold them."""
    p = UpdateParameters(**engine)
    rng = np.random.default_rng(5)
    ranges = {"grad": gradient_range(p), "momentum": momentum_range(p), "weight": weight_range(p)}
    arrays: dict[str, Any] = {
        name: rng.integers(low, high + 1, (3, 150)).astype(np.int8)
        for name, (low, high) in ranges.items()
    }
    arrays |= {"length": [150, 70, 150], "gate_shift": 1, "lfsr_state": 77, "xorshift_state": 99}
    path = folder / "vectors.npz"
    np.savez(path, **(arrays | changes))
    return path


@pytest.mark.parametrize("name", ["counter", "ema_dst"])
def test_recorded_vectors(name: str, tmp_path: Path) -> None:
    path = vectors_file(tmp_path, ENGINES[name])
    result = run(ENGINES[name], parameters={"vectors": str(path)}, test_filter="recorded_vectors")
    assert result.tests == ("recorded_vectors",)


# Engine, module, what its source says, what the sabotaged source says instead.
SABOTAGE = {
    "counter: gate lets |g| = α pass": (
        "counter_summed", update_lane, "Cat(negative, ~alpha)", "Cat(Const(1, 1), ~alpha)",
    ),
    "counter: never restarts": ("counter", update_lane, "width - 1), ~changed)", "width))"),
    "counter: weight is not clipped": (
        "counter", update_lane, "changed.eq(passes & ~same_sign)", "changed.eq(passes)",
    ),
    "counter: illegal weight code reads as −1": (
        "counter", update_lane, "Mux(weight.nonzero, weight", "Mux(weight.as_value().any(), weight",
    ),
    "counter: skipped groups are stepped": (
        "counter", update_engine, "Mux(is_open, word.grad[k], 0)", "(word.grad[k])",
    ),
    "counter: the gate looks at one bit too few": (
        "counter", update_draws, "drawn[s][:s].any()", "drawn[s][: s - 1].any()",
    ),
    "ema_dst: floor": ("ema_dst", update_lane, "Cat(~above_half,", "Cat(Const(0, 1),"),
    "ema_dst: momentum is not reset": (
        "ema_dst", update_lane, "average & ~fires.replicate(len(average))", "average",
    ),
    "ema_dst: one word for all lanes": (
        "ema_dst", update_draws, "xorshift.lane_word(word, k)", "word",
    ),
    "sign_sgd: floor": ("sign_sgd", update_lane, "= unit >> 1", "= Const(0)"),
    "sign_sgd: wraps": (
        "sign_sgd", update_lane, "Mux(stepped > limit, limit,", "Mux(Const(0), limit,",
    ),
    "sign_sgd: the decay is not rounded with the step": (
        "sign_sgd_decoupled", update_lane, "(self.weight << p.decay_left_shift)", "0",
    ),
    "signum: steps by the gradient": (
        "signum", update_lane, "Cat(self.momentum_next.any(), self.momentum_next[-1]).as_signed()",
        "source",
    ),
    "signum: decay after the gate": (
        "signum_coupled", update_lane, "(raw << p.decay_shift) + self.weight",
        "(raw << p.decay_shift)",
    ),
    "signadam: momentum unread": ("signadam", update_lane, "elif p.source_frac:", "elif False:"),
    "signadam: random bits are not masked": (
        "signadam_decoupled", update_lane, "self.random & (unit - 1)[:dropped_max]", "self.random",
    ),
    "signadam_pp: α has another LSB than the decayed gradient": (
        "signadam_pp_coupled", update_lane, "self.threshold << p.decay_frac", "self.threshold",
    ),
    "signadam_pp_published: momentum read": (
        "signadam_pp_published", update_lane, "elif p.source_frac:", "elif True:",
    ),
    "signadam_pp_published: momentum is not kept": (
        "signadam_pp_published", update_lane, "self.momentum_next.eq(self._average(",
        "self.momentum_next.eq(0 & self._average(",
    ),
}  # fmt: skip


def sabotaged(module: ModuleType, text: str, instead: str) -> ModuleType:
    """``module`` built anew from a source in which ``text`` was replaced."""
    source = Path(str(module.__file__)).read_text()
    assert text in source, f"{module.__name__} does not say {text!r}"
    spec = importlib.util.spec_from_loader(module.__name__, loader=None)
    assert spec is not None
    broken = importlib.util.module_from_spec(spec)
    exec(
        compile(source.replace(text, instead), f"{module.__name__} sabotaged", "exec"),
        broken.__dict__,
    )
    return broken


def test_every_rule_is_sabotaged() -> None:
    assert {ENGINES[key]["rule"] for key, *_ in SABOTAGE.values()} == set(RULES)


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench that passes broken hardware proves nothing; each of these must fail it."""
    key, module, text, instead = SABOTAGE[name]
    engine = {**ENGINES[key], "lanes": 16}
    broken = sabotaged(module, text, instead)
    build = broken.UpdateEngine if module is update_engine else UpdateEngine
    for component in ("UpdateLane", "UpdateDraws"):
        if module is not update_engine and hasattr(broken, component):
            monkeypatch.setattr(update_engine, component, getattr(broken, component))
    result = run_bench(
        to_verilog(build(UpdateParameters(**engine)), "update_engine"),
        "update_engine",
        BENCH,
        parameters={"engine": engine},
        test_filter="random_rows.*idle=False.*stall=False|extremes|illegal_codes",
        waves_on_failure=False,
        check=False,
    )
    assert result.tests
    assert result.failures, f"the bench passes although {name}"
    assert any("golden" in failure.message for failure in result.failures), result.failures
