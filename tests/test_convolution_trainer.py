"""The trainer of networks with convolutions in RTL: every memory write is golden's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_trainer import write_vectors
from test_training_cycles import estimate_and_rtl
from test_unchecked_memories import spoiled

from trisign.__main__ import main
from trisign.gen import config
from trisign.gen.config import ConfigError, build_network
from trisign.gen.convolution_cycles import measure_convolution_activity
from trisign.gen.data import load_digits
from trisign.gen.verilog import to_verilog
from trisign.golden.checks import ParameterError
from trisign.golden.design import HardwareConfig
from trisign.golden.encoding import encode
from trisign.golden.layers import Conv
from trisign.golden.trainer import Trainer
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.convolution_plan import ConvolutionPlan, plan_of
from trisign.rtl.convolution_trainer import ConvolutionTrainer, trainer_of
from trisign.rtl.trainer_plan import TrainerPlan
from trisign.sim.runner import BenchResult, run_bench

# 4×4 images of the real digits.
SMALL = {
    "input_shape": (4, 4, 3),
    "layers": [{"conv": 8, "padding": -1}, {"conv": 8, "pool": 2}, 10],
    "threshold": (2, 2, 0),
    "window": (4, 6, 0),
    "offset": (1, 2, 0),
    "counter_width": 4,
    "gate_shift": 0,
    "margin": 24,
    "rng_group": 24,
}
# Pooling at once, a kernel of one tap, a hidden dense layer; both confidences; groups that rest.
ODD = {
    "input_shape": (4, 4, 3),
    "layers": [{"conv": 8, "kernel": 5, "pool": 2, "padding": 1}, {"conv": 4, "kernel": 1}, 12, 10],
    "threshold": (2, 0, 1, 0),
    "window": (4, 6, 4, 0),
    "offset": (1, 0, 0, 0),
    "counter_width": 4,
    "gate_shift": (1, 0, 2, 1),
    "confidence": (1, 0, 0, 0),
    "gradient_confidence": (1, 2, 0, 0),
    "margin": 24,
    "rng_group": 12,
}
# No padding; averages in place of counters.
BARE = {
    "input_shape": (4, 4, 3),
    "layers": [{"conv": 16, "pool": 2, "padding": "none"}, 10],
    "rule": "ema_dst",
    "probability_shift": 1,
    "threshold": 2,
    "window": 6,
    "offset": 1,
    "gate_shift": 0,
    "margin": 24,
    "rng_group": 32,
}
DIGEST = {
    "input_shape": (8, 8, 3),
    "layers": [{"conv": 8, "padding": -1}, {"conv": 16, "pool": 2}, 10],
    "threshold": (2, 3, 0),
    "window": (4, 6, 0),
    "offset": (1, 4, 0),
    "counter_width": 7,
    "gate_shift": 0,
    "margin": 24,
}
ALL_MEMORIES = ("weights", "counters", "samples")


def run(
    network: dict[str, Any],
    hardware: dict[str, Any],
    vectors: str,
    *,
    simulator: str = "icarus",
    test_filter: str = "digest",
    change: Callable[[str], str] = str,
    **parameters: Any,
) -> BenchResult:
    trainer = trainer_of(build_network(network), HardwareConfig(**hardware), trace=True)
    assert isinstance(trainer, ConvolutionTrainer)
    verilog = to_verilog(trainer, "trainer")
    if simulator == "icarus":  # which knows X: what collides in an unchecked memory
        verilog, count = spoiled(verilog)
        assert count >= 8
    return run_bench(
        change(verilog),
        "trainer",
        "trisign.sim.tb_trainer",
        parameters={"network": network, "hardware": hardware, "vectors": vectors, **parameters},
        simulator=simulator,
        test_filter=test_filter,
    )


ODD_LAYOUT = {
    "lanes": 24,
    "rows": 4,
    "counter_lanes": 6,
    "single_port": ALL_MEMORIES,
    "memory_register": True,
    "pipeline": (2,),
}


@pytest.mark.parametrize(
    ("network", "layout"),
    [
        (ODD, ODD_LAYOUT),
        pytest.param(ODD, {"lanes": 24, "rows": 2}, marks=pytest.mark.long),
        pytest.param(BARE, {"lanes": 32, "rows": 2}, marks=pytest.mark.long),
    ],
    ids=["odd", "rows", "bare"],
)
def test_small_networks(tmp_path: Path, network: dict[str, Any], layout: dict[str, Any]) -> None:
    vectors = write_vectors(tmp_path / "vectors.npz", 8, small=True)
    hardware = {"store_samples": 8, **layout}
    result = run(network, hardware, vectors, test_filter="digest|moved", epochs=2)
    assert len(result.tests) == 2


def test_lanes_rows_and_granules_do_not_change_the_weights(tmp_path: Path) -> None:
    """And a reset in mid run leaves no sums behind, a stop no half of a sample; it predicts."""
    vectors = write_vectors(tmp_path / "vectors.npz", 8, small=True)
    read = []
    for lanes, rows, granule, benches in (
        (12, 1, 4, "digest|reset_in|stops|predicts"),
        (24, 4, 8, "digest"),
    ):
        memories = tmp_path / f"{lanes}-{rows}.npz"
        hardware = {
            "lanes": lanes,
            "rows": rows,
            "accumulator_lanes": granule,
            "store_samples": 8,
            "structure": "compact",
        }
        result = run(SMALL, hardware, vectors, test_filter=benches, seed=5, memories=str(memories))
        assert len(result.tests) == len(benches.split("|"))
        with np.load(memories) as file:
            read.append(dict(file))
    assert len(read[0]) == 6
    assert all(array.any() for array in read[0].values())
    for name, array in read[0].items():
        assert np.array_equal(array, read[1][name]), name


@pytest.mark.long
def test_digest_network(tmp_path: Path) -> None:
    """The second digest of the design: 200 real digits; golden's digest has a test of its own."""
    vectors = write_vectors(tmp_path / "vectors.npz", 200, small=False)
    run(
        DIGEST,
        {"lanes": 64, "store_samples": 200},
        vectors,
        simulator="verilator",
        expected={"groups_written": 9600, "lfsr": 4641},
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["digits-conv-ulx3s-85f", "digits-conv-ulx3s-25f", "digits-conv-icebreaker"]
)
def test_an_epoch_of_shipped_configurations(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """All samples that the board holds: each write, then all memories, counts and predictions."""
    given = ["--epochs", "1", "--samples", str(config.load(name).hardware.store_samples)]
    assert main(["train", name, "--engine", "rtl", "--json", *given, "--out", str(tmp_path)]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["equal"]
    assert found["rtl"]["writes_compared"] > 100_000


CASE = """
[network]
input_shape = [8, 8, 3]
layers = [{{conv = 8, padding = -1}}, {{conv = 16, pool = 2}}, 10]
threshold = [2, 3, 0]
window = [4, 6, 0]
offset = [1, 4, 0]
gate_shift = 0
rng_group = 32
margin = 24
[hardware]
{}
"""


@pytest.mark.parametrize(
    "hardware",
    [
        pytest.param(
            "lanes = 64\nrows = 2\nmemory_register = true\npipeline = [4]\n", marks=pytest.mark.long
        ),
        'lanes = 32\ncounter_lanes = 4\nsingle_port = ["counters", "samples"]\n',
    ],
    ids=["rows", "narrow"],
)
def test_cycles_agree_with_rtl(
    hardware: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """All samples active: what the estimate has to get right. And the command trains in RTL."""
    estimated = estimate_and_rtl(tmp_path, capfd, CASE.format(hardware), 2)
    assert estimated["active_share"] == 1.0


def test_activity_is_what_golden_did() -> None:
    """Counted again from the NumPy model, sample by sample."""
    network = build_network(DIGEST)
    digits = load_digits()
    x = encode(digits.train_pixels[:20], channel_last=True)
    found = measure_convolution_activity(network, x, digits.train_labels[:20], epochs=2)
    rows, errors = [0, 0, 0], [0, 0, 0]

    class Counting(Trainer):
        def update(self, layer: int, error: np.ndarray, x: np.ndarray) -> None:
            units = error.reshape(-1, self.config.shapes[layer][0]) != 0
            rows[layer] += int(units.any(axis=0).sum())
            errors[layer] += int(units.sum())
            super().update(layer, error, x)

    golden = Counting(network).fit(x, digits.train_labels[:20], 2)
    assert (found.rows, found.errors) == (tuple(rows), tuple(errors))
    assert golden.error_counts.tolist() == [list(pair) for pair in zip(rows, errors, strict=True)]
    assert (found.samples, found.active) == (40, golden.samples_active)


@pytest.mark.parametrize(
    ("network", "hardware", "message"),
    [
        ({}, {"lanes": 72, "accumulator_lanes": 3}, r"accumulator_lanes must divide lanes \(72\)"),
        ({}, {"lanes": 72, "accumulator_lanes": 2}, r"accumulator_lanes must be at least 3 \(plan"),
        (
            {},
            {"lanes": 72, "rows": 4, "accumulator_lanes": 2},
            "rows must divide accumulator_lanes",
        ),
        ({"rng_group": 16}, {"lanes": 16}, "lanes must be a multiple of 3"),
        ({"counter_width": (4, 4, 5)}, {"lanes": 72}, "counter_width must be the same"),
        ({"counter_increment": 2}, {"lanes": 72}, "network.counter_increment: values above 1"),
    ],
)
def test_plan_refuses(network: dict[str, Any], hardware: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{message}"):
        plan_of(build_network({**SMALL, **network}), HardwareConfig(**hardware))


def test_plan_of_the_network_of_the_85f() -> None:
    design = config.load_hardware("digits-conv-ulx3s-85f")
    plan = plan_of(design.network, design.hardware)
    assert isinstance(plan, ConvolutionPlan)
    assert isinstance(plan_of(TrainerConfig(), HardwareConfig()), TrainerPlan)
    assert [(p.words, p.granules, p.slots) for p in plan.layers] == [
        (1, 3, 3),
        (3, 9, 3),
        (11, 32, 3),
    ]
    assert [p.map_base for p in plan.layers] == [96, 0, 64]
    assert (plan.granule, plan.hidden_words, plan.map_depth) == (32, 96, 96 + 2 * 64)
    # A unit below is seen by nine positions of up to four cells, each with 64 units.
    assert plan.error_sum_width == 10
    assert (plan.gradient_bound, plan.gradient_width) == (64, 8)
    assert plan.weight_depth == 32 // 4 + 64 // 4 * 3 + 3 * 11


def test_convolutions_without_a_plan_train_in_golden_alone(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(
        '[design]\nboard = "icebreaker"\n[network]\ninput_shape = [8, 8, 3]\n'
        "layers = [{conv = 7}, 10]\nrng_group = 32\n[hardware]\nlanes = 32\n"
    )
    assert config.load(path).network.layers[0] == Conv(7)
    with pytest.raises(
        ConfigError, match=r"odd\.toml: hardware\.accumulator_lanes must be at least 3"
    ):
        config.load_hardware(path)
