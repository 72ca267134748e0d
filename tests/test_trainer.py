"""The trainer in RTL against golden: every memory write, at every sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trisign.gen import data
from trisign.gen.verilog import to_verilog
from trisign.golden.checks import ParameterError
from trisign.golden.design import HardwareConfig
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.trainer import Trainer
from trisign.rtl.trainer_plan import TrainerPlan
from trisign.sim.runner import BenchResult, run_bench

# 4×4 images of the real digits, so that a run with thousands of writes takes a second.
SMALL = {
    "layers": (48, 12, 10),
    "rng_group": 16,
    "margin": 6,
    "threshold": (2, 0),
    "window": 4,
    "counter_width": 4,
}
DEEP = {**SMALL, "layers": (48, 12, 7, 10), "threshold": (2, 1, 0)}
WIDE = {**SMALL, "layers": (48, 21, 10), "gate_shift": 0}
# Loading takes less than the forward pass: the next sample begins ahead, and few are learnt from.
TALL = {**SMALL, "layers": (48, 40, 10), "margin": 1}
TALL_DEEP = {**DEEP, "layers": (48, 40, 24, 10), "margin": 1}
HINGE = {**DEEP, "loss": "squared_hinge", "gate_shift": (1, 0, 2)}
AVERAGE = {
    "layers": (48, 12, 10),
    "rule": "ema_dst",
    "probability_shift": 1,
    "rng_group": 32,
    "margin": 6,
    "threshold": (2, 0),
    "window": 4,
}
TRAINING = "digest|moved_at_random"
SEVEN = {**DEEP, "counter_width": 7}
REGISTER = {"memory_register": True}
ONE_PORT = {"single_port": ("weights", "counters", "samples")}


def write_vectors(path: Path, samples: int, small: bool) -> str:
    digits = data.load_digits()
    pixels = digits.train_pixels[:samples]
    if small:
        pixels = pixels.reshape(samples, 4, 2, 4, 2).mean(axis=(2, 4)).astype(np.uint8)
    np.savez(path, pixels=pixels.reshape(samples, -1), labels=digits.train_labels[:samples])
    return str(path)


def run(
    network: dict[str, Any],
    hardware: dict[str, Any],
    vectors: str,
    *,
    simulator: str = "icarus",
    test_filter: str | None = None,
    bench: str = "trisign.sim.tb_trainer",
    change: Callable[[str], str] = str,
    **parameters: Any,
) -> BenchResult:
    """``bench`` on the trainer's Verilog, as ``change`` changes it."""
    trainer = Trainer(TrainerConfig(**network), HardwareConfig(**hardware), trace=True)
    return run_bench(
        change(to_verilog(trainer, "trainer")),
        "trainer",
        bench,
        parameters={
            "network": network,
            "hardware": hardware,
            "vectors": vectors,
            **parameters,
        },
        simulator=simulator,
        test_filter=test_filter,
    )


@pytest.mark.parametrize(
    ("network", "lanes", "rows", "counter_lanes", "benches"),
    [
        (SMALL, 16, 1, 16, None),
        (HINGE, 16, 2, 8, None),
        (DEEP, 8, 2, 4, TRAINING),  # a group spans words
        (DEEP, 32, 2, 8, TRAINING),  # a word holds groups; a row ends inside a word
        (WIDE, 16, 4, 16, TRAINING),
        (TALL, 16, 1, 16, None),
        (TALL_DEEP, 16, 2, 8, TRAINING),
        (AVERAGE, 64, 1, 64, TRAINING),  # several random words a cycle
        (AVERAGE, 16, 2, 8, TRAINING),  # a random word serves several cycles
    ],
)
def test_small_networks(
    tmp_path: Path,
    network: dict[str, Any],
    lanes: int,
    rows: int,
    counter_lanes: int,
    benches: str | None,
) -> None:
    hardware = {
        "lanes": lanes,
        "rows": rows,
        "counter_lanes": counter_lanes,
        "store_samples": 12,
        "image": (4, 4),
    }
    vectors = write_vectors(tmp_path / "vectors.npz", 12, small=True)
    result = run(network, hardware, vectors, simulator="icarus", test_filter=benches, epochs=2)
    assert len(result.tests) == (20 if benches is None else 2)


@pytest.mark.parametrize(
    ("network", "layout", "benches"),
    [
        (SMALL, {"lanes": 16, **REGISTER}, None),
        (TALL_DEEP, {"lanes": 16, "pipeline": (2, 4), **REGISTER}, TRAINING),
        # Loading takes longer than training; rows do not fill the banks, which begin undefined.
        (WIDE, {"lanes": 16, "rows": 4, "counter_lanes": 8, **ONE_PORT}, None),
        # A word of the host lies in both parts of a counter word.
        (SEVEN, {"lanes": 8, "rows": 2, "counter_spill": 8, **ONE_PORT, **REGISTER}, None),
        (HINGE, {"lanes": 16, "single_port": ("counters", "samples"), **REGISTER}, TRAINING),
        (AVERAGE, {"lanes": 32, "rows": 2, "single_port": ("weights",)}, TRAINING),
    ],
)
def test_memories(
    tmp_path: Path, network: dict[str, Any], layout: dict[str, Any], benches: str | None
) -> None:
    hardware = {"store_samples": 12, "image": (4, 4), **layout}
    vectors = write_vectors(tmp_path / "vectors.npz", 12, small=True)
    result = run(network, hardware, vectors, simulator="icarus", test_filter=benches, epochs=2)
    assert len(result.tests) == (20 if benches is None else 2)


def test_digest_network_on_verilator(tmp_path: Path) -> None:
    """The network of the first digest: 300 real digits; golden's digest has a test of its own."""
    hardware = {
        "lanes": 16,
        "store_samples": 300,
        "image": (8, 8),
        "structure": "compact",
        "pipeline": (4, 9),
    }
    vectors = write_vectors(tmp_path / "vectors.npz", 300, small=False)
    expected = {"groups_written": 14330, "lfsr": 10317}
    run({}, hardware, vectors, simulator="verilator", test_filter="digest", expected=expected)


def test_lanes_and_rows_do_not_change_the_weights(tmp_path: Path) -> None:
    """The same network and seed on three machines: the memories read back are the same."""
    network = {**SMALL, "layers": (48, 20, 10), "rng_group": 64, "gate_shift": 0}
    vectors = write_vectors(tmp_path / "vectors.npz", 12, small=True)
    read = []
    for lanes, rows in ((16, 1), (32, 2), (64, 1)):
        memories = tmp_path / f"{lanes}-{rows}.npz"
        run(
            network,
            {"lanes": lanes, "rows": rows, "store_samples": 12, "structure": "compact"},
            vectors,
            simulator="icarus",
            test_filter="digest",
            seed=5,
            memories=str(memories),
        )
        with np.load(memories) as file:
            read.append(dict(file))
    assert read[0].keys() == {"weights_0", "weights_1", "counters_0", "counters_1"}
    assert all(array.any() for array in read[0].values())
    for other in read[1:]:
        for name, array in read[0].items():
            assert np.array_equal(array, other[name]), name


@pytest.mark.parametrize(
    ("network", "hardware", "message"),
    [
        ({}, {"lanes": 48}, r"lanes must divide rng_group \(64\) or be a multiple of it, not 48"),
        ({}, {"lanes": 64, "rows": 3}, "rows must be a power of two, not 3"),
        ({}, {"lanes": 4, "rows": 4}, r"rows must divide lanes \(4\) with a quotient of 2"),
        ({"counter_width": (6, 5)}, {}, "counter_width must be the same for every layer"),
    ],
)
def test_plan_refuses(network: dict[str, Any], hardware: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TrainerPlan(TrainerConfig(**network), HardwareConfig(**hardware))


def test_plan_of_the_digest_network() -> None:
    plan = TrainerPlan(TrainerConfig(), HardwareConfig(store_samples=1437, image=(8, 8)))
    assert plan.weight_depth == 64 * 3 + 10
    assert [layer.row_groups * layer.period for layer in plan.layers] == [192, 10]
    assert plan.record_words == 9
    assert plan.activation_depth == 2 * 3 + 3
