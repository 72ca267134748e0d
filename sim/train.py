"""Runs a training: epochs, measures, checkpoints and the record, whichever engine does the work."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gen.config import configuration_hash
from ..gen.output_folder import GENERATOR, MANIFEST, TRAIN, replaced
from ..gen.plot import learning_curve
from ..gen.training_set import TrainingSet
from ..golden import checkpoint, compiled
from ..golden.checks import DataError, ParameterError, integer
from ..golden.design import DesignConfig
from ..golden.encoding import encode
from ..golden.sample_store import SampleStore
from ..golden.trainer import Trainer
from ..golden.trainer_state import COUNTS, GENERATORS

EPOCHS_MAX = 65535
RECORD_FILE, PLOT_FILE, CHECKPOINT_FILE = "record.json", "learning_curve.png", "checkpoint.npz"

Report = Callable[[str], None]


class TrainingRun:
    """A run as far as it has come.

    Parameters
    ----------
    design : DesignConfig
    samples : TrainingSet
    seed : int
    epochs : int
        1 … 65535, those of a checkpoint included.
    shift : bool
        Move each image at random; the design must say what an image is.
    checkpoint_path : path, optional
        Written before the first epoch and after every one.
    resume : bool
        Go on from that file.
    compile : bool
        Prefer the compiled twin of the golden trainer.
    report : callable
        Told each step.

    Attributes
    ----------
    trainer : Trainer
        In the state after the last finished epoch.
    store : SampleStore
    history : list of dict
        An entry an epoch: ``train_accuracy`` (each sample before its update), ``active_share``,
        ``flip_ratio`` (steps ÷ weights), ``test_accuracy`` (None without test samples),
        ``seconds``.
    resumed_from : int or None
        Epochs that the checkpoint had finished.

    Raises
    ------
    ParameterError, DataError
        Bad input, or a checkpoint that does not belong to this run; no file has been touched.
    """

    def __init__(
        self,
        design: DesignConfig,
        samples: TrainingSet,
        *,
        seed: int = 1,
        epochs: int = 25,
        shift: bool = False,
        checkpoint_path: str | Path | None = None,
        resume: bool = False,
        compile: bool = True,
        report: Report = lambda line: None,
    ) -> None:
        self.design = design
        self.samples = samples
        check_choices(
            design,
            seed=seed,
            epochs=epochs,
            shift=shift,
            checkpoint_path=checkpoint_path,
            resume=resume,
        )
        self.seed, self.epochs = int(seed), int(epochs)
        self.shift = shift
        self.report = report
        hardware = design.hardware
        self.store = SampleStore(
            samples.pixels,
            samples.labels,
            planes=hardware.planes,
            image=design.image,
            channel_last=design.network.convolves,
        )
        self.test_trits = encode(
            samples.test_pixels, hardware.planes, channel_last=design.network.convolves
        )
        self.checkpoint_path = None if checkpoint_path is None else Path(checkpoint_path)
        self.compiled = compile and compiled.kernel is not None
        if compile and not self.compiled:
            report("numba is missing: training with NumPy, which takes far longer")
        make = compiled.CompiledTrainer if self.compiled else Trainer
        self.trainer: Trainer = make(design.network, self.seed)
        self.history: list[dict[str, Any]] = []
        self.resumed_from: int | None = None
        if resume and self.checkpoint_path is not None:
            self._resume(self.checkpoint_path)
        self._counts = self._present_counts()

    @property
    def identity(self) -> dict[str, str | int | bool]:
        """What a checkpoint must agree in, so that going on gives the bits of one long run."""
        return {
            "configuration": configuration_hash(self.design),
            "seed": self.seed,
            "shift": self.shift,
            "data": self.samples.digest,
        }

    def save(self) -> None:
        """Write the checkpoint, where one is wanted."""
        if self.checkpoint_path is not None:
            checkpoint.save(
                self.checkpoint_path,
                self.trainer.state(),
                identity=self.identity,
                history=self.history,
            )

    def train_golden(self) -> None:
        """Train the golden model for the epochs that are left."""
        self.save()
        while self.trainer.epochs_finished < self.epochs:
            start = time.perf_counter()
            self.trainer.fit_store(self.store, shift=self.shift)
            self.epoch_finished(time.perf_counter() - start)

    def epoch_finished(self, seconds: float, **measured: Any) -> None:
        """Note what the epoch came to, tell it, and write the checkpoint."""
        before, self._counts = self._counts, self._present_counts()
        done = {name: self._counts[name] - before[name] for name in COUNTS}
        seen = done["samples_seen"]
        test_accuracy = None
        if len(self.test_trits):
            hits = self.trainer.predict(self.test_trits) == self.samples.test_labels
            test_accuracy = float(np.mean(hits))
        self.history.append(
            {
                "train_accuracy": done["correct"] / seen,
                "active_share": done["samples_active"] / seen,
                "flip_ratio": done["sign_flips"] / self.design.network.weight_count,
                "test_accuracy": test_accuracy,
                "seconds": round(seconds, 6),
                **measured,
            }
        )
        tested = "" if test_accuracy is None else f", test accuracy {100 * test_accuracy:.2f} %"
        self.report(
            f"epoch {self.trainer.epochs_finished}/{self.epochs}: "
            f"training error {100 * (1 - done['correct'] / seen):.2f} %, "
            f"active {100 * done['samples_active'] / seen:.1f} %{tested}, "
            f"{seen / max(seconds, 1e-9):,.0f} samples/s"
        )
        self.save()

    def column(self, name: str) -> list[Any]:
        """One value of every finished epoch."""
        return [entry.get(name) for entry in self.history]

    def record(self) -> dict[str, Any]:
        """The run as plain values."""
        trainer, samples = self.trainer, self.samples
        return {
            "configuration": self.design.name,
            "configuration_sha256": configuration_hash(self.design),
            "seed": self.seed,
            "shift": self.shift,
            "data": {
                "source": samples.source,
                "samples": len(samples.pixels),
                "digest": samples.digest,
                "test_source": samples.test_source,
                "test_samples": len(samples.test_pixels),
            },
            "epochs": trainer.epochs_finished,
            "resumed_from": self.resumed_from,
            "train_accuracy": self.column("train_accuracy"),
            "active_share": self.column("active_share"),
            "flip_ratio": self.column("flip_ratio"),
            "test_accuracy": self.column("test_accuracy"),
            "epoch_seconds": self.column("seconds"),
            "final_test_accuracy": self.column("test_accuracy")[-1],
            "digests": {
                "weights": [digest(w) for w in trainer.weights],
                "counters": [digest(c) for c in trainer.counters],
            },
            "generators": {name: getattr(trainer, name).state for name in GENERATORS},
            **{name: getattr(trainer, name) for name in COUNTS if name != "epochs_finished"},
        }

    def plot(self, path: str | Path) -> None:
        """Draw the learning curve."""
        learning_curve(
            path,
            title=f"{self.design.name}, {self.samples.source}, seed {self.seed}",
            train_accuracy=self.column("train_accuracy"),
            test_accuracy=self.column("test_accuracy"),
            active_share=self.column("active_share"),
            flip_ratio=self.column("flip_ratio"),
        )

    def write_folder(self, out: str | Path, record: dict[str, Any]) -> None:
        """Record, learning curve and a checkpoint to go on from, in a folder of their own."""
        with replaced(out, TRAIN) as draft:
            (draft / RECORD_FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
            self.plot(draft / PLOT_FILE)
            checkpoint.save(
                draft / CHECKPOINT_FILE,
                self.trainer.state(),
                identity=self.identity,
                history=self.history,
            )
            files = [{"file": name} for name in (RECORD_FILE, PLOT_FILE, CHECKPOINT_FILE)]
            manifest = {
                "generator": GENERATOR,
                "kind": TRAIN,
                "configuration_sha256": configuration_hash(self.design),
                "files": files,
            }
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")

    def _resume(self, path: Path) -> None:
        state, history = checkpoint.load(path, identity=self.identity)
        try:
            self.trainer.load_state(state)
        except DataError as error:
            raise DataError(f"{path} must be a readable checkpoint: {error}") from error
        done = self.trainer.epochs_finished
        if len(history) != done:
            raise DataError(
                f"{path} must be a readable checkpoint: its state is that after {done} epochs, "
                f"its history has {len(history)}"
            )
        if done > self.epochs:
            raise ParameterError(
                f"epochs must be {done} or more, those that {path} has finished, not {self.epochs}"
            )
        self.history, self.resumed_from = history, done
        self.report(f"going on from {path}, {done} epochs finished")

    def _present_counts(self) -> dict[str, int]:
        return {name: getattr(self.trainer, name) for name in COUNTS}


def digest(array: NDArray) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the C-order bytes.

    Of int8, or little-endian int16 for counters that need it.
    """
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(plain.tobytes()).hexdigest()[:16]


def check_choices(
    design: DesignConfig,
    *,
    seed: int,
    epochs: int,
    shift: bool,
    checkpoint_path: str | Path | None,
    resume: bool,
) -> None:
    """Raise ParameterError or DataError for what is wrong with a run whatever its samples are."""
    integer("seed", seed, 0, 2**32 - 1)
    integer("epochs", epochs, 1, EPOCHS_MAX)
    if shift and design.image is None:
        raise ParameterError("hardware.image must be a pair (height, width) to shift, not None")
    if resume and checkpoint_path is None:
        raise ParameterError("resume must come with a checkpoint to go on from")
    if checkpoint_path is not None and not resume and Path(checkpoint_path).exists():
        raise DataError(
            f"checkpoint {checkpoint_path} exists: go on from it with --resume, or name another"
        )
