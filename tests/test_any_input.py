"""Whatever it is given, a parameter object or the command line answers or says one clear line.

Configuration files: tests/test_config.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trisign.__main__ import main
from trisign.golden.checks import TrisignError
from trisign.golden.design import HardwareConfig
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.processing_element import ProcessingElementParameters
from trisign.golden.ternary_dot import DotParameters
from trisign.golden.trainer_config import Conv, Dense, TrainerConfig
from trisign.golden.update_parameters import UpdateParameters
from trisign.rtl.trainer_plan import TrainerPlan

OBJECTS = (
    DotParameters,
    ProcessingElementParameters,
    UpdateParameters,
    PrecisionParameters,
    HardwareConfig,
    TrainerConfig,
    Conv,
    Dense,
)
NUMBERS = st.integers(-3, 70) | st.sampled_from([1 << 16, 1 << 40, -(1 << 70)]) | st.floats()
WORDS = st.sampled_from(
    ["counter", "ema_dst", "signum", "balanced", "compact", "lut4", "lut6", "squared_hinge",
     "absolute", "sums", "tanh", "coupled", "stochastic", "samples", "weights", ""]
)  # fmt: skip
ANYTHING = st.recursive(
    NUMBERS | st.booleans() | st.none() | WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=6,
)


def one_line(error: TrisignError) -> None:
    """Fail unless ``error`` is told in one line."""
    assert "\n" not in str(error)


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
def test_parameter_objects(kind: type) -> None:
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(names), ANYTHING, max_size=4))
    def check(values: dict[str, Any]) -> None:
        values = dict.fromkeys(required, 8) | values
        try:
            made = kind(**values)
        except TrisignError as error:
            one_line(error)
            return
        hash(made)
        assert made == dataclasses.replace(made)

    check()


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {"lanes": st.sampled_from([1, 2, 8, 16, 48, 64, 128])},
        optional={
            "rows": st.integers(0, 5),
            "counter_lanes": st.integers(0, 70),
            "single_port": st.lists(st.sampled_from(["samples", "weights", "counters"])).map(tuple),
            "counter_spill": st.integers(0, 70),
            "memory_register": st.booleans(),
        },
    ),
    st.lists(st.integers(1, 70), min_size=2, max_size=4).map(tuple),
)
def test_networks_on_hardware(hardware: dict[str, Any], layers: tuple[int, ...]) -> None:
    try:
        TrainerPlan(TrainerConfig(layers=layers), HardwareConfig(**hardware))
    except TrisignError as error:
        one_line(error)


# No configuration among them that work would begin with.
ARGUMENTS = st.sampled_from(
    ["boards", "generate", "estimate", "implement", "build", "program", "compare", "train",
     "infer", "bench", "doctor", "nowhere", "nowhere.toml", ".", "bad.toml", "empty.toml",
     "binary.toml", "ternary_dot", "--config", "--out", "--json", "--epochs", "--samples", "--seed",
     "--engine", "--data", "--vectors", "--seeds", "--jobs", "--target", "--port", "golden", "rtl",
     "board", "-1", "0", "1e9", "99999999999", "", "-", "--", "/dev/null", "\\udce9", "x y"]
)  # fmt: skip
# What would run a minute or more where it is right.
SLOW = {"compare", "bench", "implement"}


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=st.lists(ARGUMENTS, min_size=1, max_size=6))
def test_command_line(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No traceback: an exit code that the manual knows, and for bad input one line."""
    if words[0] in SLOW:
        words = [words[0], "--nowhere", *words[1:]]
    folder = tmp_path_factory.mktemp("any")
    (folder / "bad.toml").write_text("[design\n")
    (folder / "empty.toml").write_text("")
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    said, told = io.StringIO(), io.StringIO()
    with inside(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            code: Any = main(words)
        except SystemExit as stop:
            code = stop.code or 0
    assert code in (0, 1, 2), words
    assert "Traceback" not in told.getvalue()
    if code == 2:
        lines = [line for line in told.getvalue().splitlines() if "error" in line]
        assert len(lines) == 1, (words, told.getvalue())
