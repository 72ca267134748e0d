"""RTL against golden on recorded vectors: real traffic of a training run, or a user's own."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gen import blocks
from ..gen.data import check_samples, load_digits, read_arrays
from ..gen.verilog import to_verilog
from ..golden import precision_controller, processing_element, ternary_dot, update_engine
from ..golden.checks import DataError, choice, integer
from ..golden.design import DesignConfig
from .runner import SIMULATORS, BenchFailure, build_root, require_simulator, run_bench
from .traffic import Arrays, dot_rows, dot_words, error_tensors, record, update_rows

RECORDED_TEST = "recorded"
SAMPLES_DEFAULT = 20
SAMPLES_MAX = 1 << 20
SAMPLE_ARRAYS = {"x", "y"}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Vectors:
    """The vectors of a block.

    Parameters
    ----------
    count : callable
        Checks arrays for a design and returns how many vectors they are; raises DataError.
    record : callable
        The arrays that a design records of training on (pixels, labels) from a seed.
    """

    count: Callable[[DesignConfig, Mapping[str, Any]], int]
    record: Callable[[DesignConfig, NDArray, NDArray, int], Arrays]


@dataclass(frozen=True)
class Comparison:
    """How a block is compared.

    Parameters
    ----------
    parameters : callable
        The bench's parameters for a design.
    vectors : Vectors, optional
        How vectors are made and checked; None for a block that takes no input to record, whose
        whole bench runs instead.
    """

    parameters: Callable[[DesignConfig], dict[str, Any]]
    vectors: Vectors | None = None


@dataclass(frozen=True)
class Outcome:
    """What a comparison came to.

    Attributes
    ----------
    source : str
        Where the vectors are from.
    vectors : int or None
        How many were compared; None where the bench made its own.
    tests : int
        Tests of the bench that ran and passed.
    difference : str or None
        The first difference; None where RTL and golden are equal.
    """

    block: str
    configuration: str
    simulator: str
    source: str
    vectors: int | None
    tests: int
    seconds: float
    difference: str | None

    @property
    def equal(self) -> bool:
        """True where RTL equals golden on every vector."""
        return self.difference is None

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return asdict(self) | {"equal": self.equal}


def _bench(parameters: Any) -> dict[str, Any]:
    return {"parameters": asdict(parameters), "seed": 1}


def _dot_count(design: DesignConfig, arrays: Mapping[str, Any]) -> int:
    a, _ = ternary_dot.check_vectors(blocks.dot_parameters(design), arrays)
    return len(a)


def _dot_traffic(design: DesignConfig, *training: Any) -> Arrays:
    return dot_words(record(design, *training), design.hardware.lanes)


def _element_count(design: DesignConfig, arrays: Mapping[str, Any]) -> int:
    parameters = blocks.processing_element_parameters(design)
    return len(processing_element.check_vectors(parameters, arrays).a)


def _element_traffic(design: DesignConfig, *training: Any) -> Arrays:
    return dot_rows(record(design, *training), design.hardware.lanes)


def _update_count(design: DesignConfig, arrays: Mapping[str, Any]) -> int:
    return len(update_engine.check_vectors(blocks.update_parameters(design), arrays))


def _precision_count(design: DesignConfig, arrays: Mapping[str, Any]) -> int:
    parameters = blocks.precision_parameters(design)
    return sum(map(len, precision_controller.check_vectors(parameters, arrays)))


def _precision_traffic(design: DesignConfig, *training: Any) -> Arrays:
    return error_tensors(record(blocks.with_integer_errors(design), *training))


COMPARISONS = {
    "ternary_dot": Comparison(
        lambda design: _bench(blocks.dot_parameters(design)),
        Vectors(_dot_count, _dot_traffic),
    ),
    "processing_element": Comparison(
        lambda design: _bench(blocks.processing_element_parameters(design)),
        Vectors(_element_count, _element_traffic),
    ),
    "update_engine": Comparison(
        lambda design: {"engine": asdict(blocks.update_parameters(design)), "seed": 1},
        Vectors(_update_count, lambda *training: update_rows(record(*training))),
    ),
    "precision_controller": Comparison(
        lambda design: _bench(blocks.precision_parameters(design)),
        Vectors(_precision_count, _precision_traffic),
    ),
    "lfsr": Comparison(lambda design: {"seed": 1, "steps": 1}),
    "xorshift": Comparison(lambda design: {"seed": 1}),
}


def compare(
    design: DesignConfig,
    block: str,
    *,
    vectors: str | Path | None = None,
    samples: int | None = None,
    simulator: str = "icarus",
    seed: int = 1,
    verilog: str | None = None,
    report: Report = lambda line: None,
) -> Outcome:
    """Run a block's RTL on vectors and hold every output against golden.

    Parameters
    ----------
    design : DesignConfig
        Gives the block its parameters, and the network whose training is recorded.
    block : str
        One of ``COMPARISONS``.
    vectors : path, optional
        An .npz file: the arrays that the block's golden model checks, or samples ``x`` (uint8
        [n, pixels]) and labels ``y`` [n] to record a training run on. Digits by default.
    samples : int, optional
        How many samples to record, 1 or more; 20 by default, fewer where there are fewer.
    simulator : str
        ``icarus`` or ``verilator``.
    seed : int
        Seed of the recorded training run.
    verilog : str, optional
        Verilog to run in place of the block's own.
    report : callable
        Told each step.

    Raises
    ------
    ParameterError, DataError
        Bad input.
    ToolError
        The simulator is missing.
    """
    comparison = COMPARISONS[choice("block", block, COMPARISONS)]
    require_simulator(choice("simulator", simulator, SIMULATORS))
    parameters, test_filter = comparison.parameters(design), None
    if comparison.vectors is None:
        if vectors is not None or samples is not None:
            raise DataError(f"vectors and samples must be left out: {block} takes none")
        source, count = "its bench", None
    else:
        source, arrays = load_vectors(design, comparison.vectors, vectors, samples, seed)
        try:
            count = comparison.vectors.count(design, arrays)
        except DataError as error:
            raise DataError(f"{source}: {error}") from error
        parameters["vectors"] = str(keep(block, arrays))
        test_filter = RECORDED_TEST
    if verilog is None:
        verilog = to_verilog(blocks.find(block).create(design), block)
    what = source if count is None else f"{count} vectors of {source}"
    report(f"{block}: {what}, on {simulator}")
    difference, tests, seconds = None, 0, 0.0
    try:
        result = run_bench(
            verilog,
            block,
            f"{__package__}.tb_{block}",
            parameters=parameters,
            simulator=simulator,
            test_filter=test_filter,
        )
        tests, seconds = len(result.tests), round(result.seconds, 2)
    except BenchFailure as error:
        difference = str(error)
    return Outcome(block, design.name, simulator, source, count, tests, seconds, difference)


def load_vectors(
    design: DesignConfig,
    kind: Vectors,
    vectors: str | Path | None,
    samples: int | None,
    seed: int,
) -> tuple[str, Mapping[str, Any]]:
    """What the vectors are, in words, and the arrays."""
    if samples is not None:
        integer("samples", samples, 1, SAMPLES_MAX)
    if vectors is None:
        digits = load_digits()
        arrays: dict[str, NDArray] = {"x": digits.train_pixels, "y": digits.train_labels}
        source = "digits"
    else:
        arrays, source = read_arrays(vectors), str(vectors)
        if not arrays.keys() & SAMPLE_ARRAYS:
            if samples is not None:
                raise DataError(f"samples must be left out: {vectors} holds vectors, not samples")
            return source, arrays
    pixel_max = (1 << design.hardware.pixel_width) - 1
    try:
        x, y = check_samples(
            arrays, pixels=design.pixels, pixel_max=pixel_max, classes=design.classes
        )
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    if samples is not None and samples > len(x):
        raise DataError(f"samples must be from 1 to {len(x)}, those of {source}, not {samples}")
    x, y = x[: samples or SAMPLES_DEFAULT], y[: samples or SAMPLES_DEFAULT]
    return f"{source}, {len(x)} samples", kind.record(design, x, y, seed)


def keep(block: str, arrays: Mapping[str, Any]) -> Path:
    """The arrays in a file of the build folder, where a rerun finds them again."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    # Archives carry no times, so equal arrays are one file.
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:12]
    path = build_root() / "vectors" / f"{block}-{digest}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")
        aside.write_bytes(buffer.getvalue())
        aside.replace(path)
    return path


def text(outcome: Outcome) -> str:
    """The outcome for people."""
    head = f"{outcome.block} ({outcome.configuration}) on {outcome.simulator}"
    if not outcome.equal:
        return f"{head}: RTL and golden are not equal on {outcome.source}\n{outcome.difference}"
    what = f"{outcome.tests} tests" if outcome.vectors is None else f"{outcome.vectors} vectors"
    return f"{head}: RTL equals golden on all {what} of {outcome.source}, {outcome.seconds:.1f} s"
