"""Time of a training epoch at the board's clock, beside a float network of the same size."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..gen import blocks, boards
from ..gen.data import load_digits
from ..gen.training_cycles import cycles_of_run
from ..gen.verilog import to_verilog
from ..golden.checks import TrisignError
from ..golden.compiled import fast_trainer
from ..golden.design import DesignConfig
from ..golden.encoding import encode
from ..golden.layers import Conv
from ..golden.trainer_config import TrainerConfig
from .implement import implement
from .targets import TARGETS

EPOCHS = 25
SEEDS = 5
TELL_SECONDS = 30
FLOAT_SCRIPT = Path(__file__).parent.parent / "tools" / "float_baseline.py"

Report = Callable[[str], None]
T = TypeVar("T")


# What an interpreter is asked before anything is measured, and what it must answer.
PROBE = "import sys, numpy, torch; print(*sorted({'numpy', 'torch'} & sys.modules.keys()))"
PROBE_ANSWER = "numpy torch"
PROBE_SECONDS = 120


class FloatBaselineMissing(TrisignError):
    """There is no environment with PyTorch, or it does not work."""


def float_python(interpreter: str) -> Path:
    """The Python called ``interpreter``, a path or a name on PATH, that the float network runs in.

    Raises
    ------
    FloatBaselineMissing
        One line: it cannot be run, or lacks PyTorch or NumPy.
    """
    found = shutil.which(interpreter)
    if found is None:
        reason = "no such program"
    else:
        try:
            run = subprocess.run(
                [found, "-c", PROBE],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROBE_SECONDS,
            )
            if run.returncode == 0 and run.stdout.strip() == PROBE_ANSWER:
                if not FLOAT_SCRIPT.is_file():
                    raise FloatBaselineMissing(
                        "float must be left out, except in trisign's source tree, which holds the "
                        f"float network; there is no {FLOAT_SCRIPT}"
                    )
                return Path(found).absolute()  # not resolved: an environment's is a link out of it
            reason = (run.stderr.strip().splitlines() or ["it does not answer as Python does"])[-1]
        except OSError as error:
            reason = str(error.strerror)
        except subprocess.TimeoutExpired:
            reason = f"no answer in {PROBE_SECONDS} s"
    raise FloatBaselineMissing(
        f"float must be a Python that has torch and numpy, not {interpreter}: {reason}"
    )


@dataclass(frozen=True)
class FloatRun:
    """PyTorch, Adam, ReLU, one thread: median seconds of an epoch, accuracy after the last."""

    batch: int
    epochs: int
    epoch_seconds: float
    accuracy: float


@dataclass(frozen=True)
class CoreRow:
    """A configuration's trainer on a part.

    Attributes
    ----------
    cycles_a_sample : float
        Averaged over the epochs, from golden's activity on digits (``gen.training_cycles``).
    clock_mhz : float
        The board's.
    epoch_ms : float
        Samples · cycles ÷ that clock, without the time to send samples that are not on chip.
    samples, samples_on_chip : int
        Of an epoch, and how many the configuration holds.
    fmax_mhz : float or None
        Median over the seeds, placed and routed from register to register.
    epoch_ms_at_fmax : float or None
        The same at Fmax.
    accuracy : float
        Of golden, to which the RTL is equal, mean of the seeds 1 to 5 after the last epoch.
    """

    configuration: str
    target: str
    inputs: int
    layers: tuple[str, ...]
    lanes: int
    luts: int
    forward_cycles: int
    cycles_a_sample: float
    cycles_over_forward: float
    clock_mhz: float
    epoch_ms: float
    samples: int
    samples_on_chip: int
    fmax_mhz: float | None
    epoch_ms_at_fmax: float | None
    critical_path: str
    accuracy: float
    float_runs: tuple[FloatRun, ...]

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def layer_names(network: TrainerConfig) -> tuple[str, ...]:
    """The layers above the input: units, or for a convolution e.g. 64C3P2 (its pool is 2)."""
    if network.input_shape is None:
        return tuple(map(str, network.layers[1:]))
    return tuple(
        f"{layer.channels}C{layer.kernel}" + (f"P{layer.pool}" if layer.pool > 1 else "")
        if isinstance(layer, Conv)
        else str(layer.units)
        for layer in network.layers
    )


def float_runs(python: Path, network: TrainerConfig) -> tuple[FloatRun, ...]:
    """Train a float network of the same layers on the trits of digits."""
    digits = load_digits()
    shape = network.input_shape or (network.layer_shapes[0].input_size,)
    with tempfile.TemporaryDirectory(prefix="trisign-float-") as folder:
        data = Path(folder) / "digits.npz"
        np.savez(
            data,
            x=encode(digits.train_pixels, channel_last=network.convolves),
            y=digits.train_labels,
            test_x=encode(digits.test_pixels, channel_last=network.convolves),
            test_y=digits.test_labels,
        )
        command = [str(python), str(FLOAT_SCRIPT), str(data), "--epochs", str(EPOCHS)]
        command += ["--input", *map(str, shape), "--layers", *layer_names(network)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=True)
        except OSError as error:
            raise FloatBaselineMissing(f"{python} cannot be run: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["no message"])[-1]
            raise FloatBaselineMissing(f"{python}: {last}") from error
    return tuple(FloatRun(**found) for found in json.loads(run.stdout)["runs"])


def _patiently(what: str, run: Callable[[], T], report: Report) -> T:
    """``run()``, told when it begins and every half minute."""
    started = time.monotonic()
    report(what)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run)
        while wait([job], TELL_SECONDS).not_done:
            report(f"{what}: {time.monotonic() - started:.0f} s")
        return job.result()


def measure_core(
    design: DesignConfig,
    target: str,
    *,
    seeds: int,
    python: Path | None,
    report: Report = lambda line: None,
) -> CoreRow:
    """Place the trainer of ``design`` on ``target`` and relate it to the float network."""
    network, digits = design.network, load_digits()
    trits, test = (
        encode(pixels, channel_last=network.convolves)
        for pixels in (digits.train_pixels, digits.test_pixels)
    )
    hits = []
    for seed in range(1, SEEDS + 1):
        report(f"{design.name}: {EPOCHS} epochs in golden, seed {seed} of {SEEDS}")
        trainer = fast_trainer(network, seed).fit(trits, digits.train_labels, EPOCHS)
        hits.append(np.mean(trainer.predict(test) == digits.test_labels))
    report(f"{design.name}: cycles")
    _, cycles = cycles_of_run(design, trits, digits.train_labels, EPOCHS)
    verilog = to_verilog(blocks.find("trainer").create(design), "trainer")
    placed = _patiently(
        f"{design.name}: synthesis, place and route on {target}",
        lambda: implement(verilog, "trainer", target, seeds=seeds),
        report,
    )
    fmax, critical = placed.fmax_mhz, placed.critical
    clock_mhz = boards.find(design.board).clock_mhz

    def epoch_ms(mhz: float) -> float:
        return round(len(trits) * cycles.a_sample / mhz / 1e3, 3)

    floats: tuple[FloatRun, ...] = ()
    if python is not None:
        interpreter = python
        floats = _patiently(
            f"{design.name}: {EPOCHS} epochs of the float network",
            lambda: float_runs(interpreter, network),
            report,
        )
    return CoreRow(
        configuration=design.name,
        target=target,
        inputs=network.layer_shapes[0].input_size,
        layers=layer_names(network),
        lanes=design.hardware.lanes,
        luts=placed.luts,
        forward_cycles=cycles.forward,
        cycles_a_sample=round(cycles.a_sample, 1),
        cycles_over_forward=round(cycles.a_sample / cycles.forward, 3),
        clock_mhz=clock_mhz,
        epoch_ms=epoch_ms(clock_mhz),
        samples=len(trits),
        samples_on_chip=design.hardware.store_samples,
        fmax_mhz=fmax,
        epoch_ms_at_fmax=None if fmax is None else epoch_ms(fmax),
        critical_path=f"{critical.path_from} → {critical.path_to}" if critical else placed.note,
        accuracy=round(float(np.mean(hits)), 4),
        float_runs=floats,
    )


def table(rows: Sequence[CoreRow]) -> str:
    """Rows for people."""
    lines = []
    for row in rows:
        shape = "-".join([str(row.inputs), *row.layers])
        lines.append(
            f"{row.configuration} ({shape}, {row.lanes} lanes) on {row.target}: "
            f"{row.luts} {TARGETS[row.target].lut_name}, {row.cycles_a_sample:.1f} cycles a sample "
            f"({row.cycles_over_forward:.2f} × forward)"
        )
        if row.fmax_mhz is None:
            lines.append(f"  not placed: {row.critical_path or 'no seeds'}")
        else:
            lines.append(
                f"  Fmax {row.fmax_mhz:.1f} MHz ({row.epoch_ms_at_fmax:.2f} ms an epoch), slowest "
                f"path {row.critical_path}"
            )
        lines.append(
            f"  trisign, {f'{row.clock_mhz:g} MHz':<9} {row.epoch_ms:9.2f} ms an epoch, accuracy "
            f"{100 * row.accuracy:.2f} %, {EPOCHS} epochs"
        )
        if row.samples_on_chip < row.samples:
            lines.append(
                f"  {row.samples_on_chip} of {row.samples} samples are on chip; the time to send "
                "the others is not counted"
            )
        for run in row.float_runs:
            ms = 1e3 * run.epoch_seconds
            lines.append(
                f"  PyTorch, batch {run.batch:<3} {ms:9.2f} ms an epoch, accuracy "
                f"{100 * run.accuracy:.2f} %, {ms / row.epoch_ms:.2f} × the time of trisign"
            )
    return "\n".join(lines)
