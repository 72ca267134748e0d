"""Trains in the simulated RTL, every memory write held against golden as it happens."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..gen.config import plain_network, short_hash
from ..gen.verilog import to_verilog
from ..golden.checkpoint import STATE_PREFIX
from ..golden.checks import DataError, choice
from ..golden.design import DesignConfig
from ..rtl.convolution_plan import plan_of
from ..rtl.convolution_trainer import trainer_of
from .compare import keep
from .runner import SIMULATORS, require_simulator, run_bench
from .train import Report, TrainingRun

EVENTS_FILE = "events.jsonl"
POLL_SECONDS = 0.2


def check_simulator(simulator: str) -> None:
    """Raise unless ``simulator`` is one of ours and can be found."""
    require_simulator(choice("simulator", simulator, SIMULATORS))


def check(design: DesignConfig, samples: int) -> None:
    """Raise unless this design can train ``samples`` in simulation."""
    limit = design.hardware.store_samples
    if samples > limit:
        raise DataError(
            f"samples must be from 1 to {limit} (hardware.store_samples), not {samples}"
        )


def trainer_verilog(design: DesignConfig) -> str:
    """Verilog of the trainer with the trace that a bench follows."""
    trainer = trainer_of(
        design.network, design.hardware, config_hash=int(short_hash(design), 16), trace=True
    )
    return to_verilog(trainer, "trainer")


def train_rtl(run: TrainingRun, simulator: str) -> dict[str, Any]:
    """Train ``run`` in RTL for the epochs that are left; what was measured.

    Raises
    ------
    BenchFailure
        RTL and golden differ; the message has the first difference. ``run`` and its checkpoint are
        those of the last epoch that was equal throughout.
    """
    run.report(f"generating the Verilog of {run.design.name}")
    verilog = trainer_verilog(run.design)
    run.save()
    vectors: dict[str, Any] = {
        "pixels": run.samples.pixels,
        "labels": run.samples.labels,
        "test_pixels": run.samples.test_pixels,
        "test_labels": run.samples.test_labels,
    }
    if run.resumed_from:
        state = run.trainer.state()
        vectors |= {STATE_PREFIX + name: array for name, array in state.items()}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trisign-train-") as folder:
        events = Events(run, Path(folder))
        run.report(f"building it for {simulator}")
        with events.handled():
            run_bench(
                verilog,
                "trainer",
                f"{__package__}.train_cosimulation",
                parameters={
                    "network": plain_network(run.design.network),
                    "hardware": plain(run.design.hardware),
                    "config_hash": int(short_hash(run.design), 16),
                    "vectors": str(keep("train", vectors)),
                    "seed": run.seed,
                    "epochs": run.epochs,
                    "shift": run.shift,
                    "folder": folder,
                },
                simulator=simulator,
                waves_on_failure=False,
            )
    return summary(run, events.predicted, simulator, time.monotonic() - started)


def summary(
    run: TrainingRun, predicted: Mapping[str, Any], simulator: str, seconds: float
) -> dict[str, Any]:
    """Cycles of the run, beside those of the forward pass alone.

    ``forward_cycles`` is what the rows of all layers take; ``prediction_cycles_per_sample`` is
    measured with learning off, loading and loss included. Training is related to both. Cycles a
    second are those of the epochs, comparison included, by the clock and by processor time.
    """
    plan = plan_of(run.design.network, run.design.hardware)
    cycles = [entry["cycles"] for entry in run.history if "cycles" in entry]
    measured: dict[str, Any] = {
        "simulator": simulator,
        "cycles": cycles,
        "writes_compared": sum(entry.get("writes", 0) for entry in run.history),
        "forward_cycles": sum(layer.forward_cycles for layer in plan.layers),
        "predictions": predicted["samples"],
        "prediction_accuracy": predicted["correct"] / predicted["samples"],
        "prediction_cycles_per_sample": predicted["cycles"] / predicted["samples"],
        "seconds": round(seconds, 2),
    }
    if cycles:
        a_sample = sum(cycles) / (len(cycles) * len(run.samples.pixels))
        measured["cycles_per_sample"] = a_sample
        measured["cycles_over_forward"] = a_sample / measured["forward_cycles"]
        measured["cycles_over_prediction"] = a_sample / measured["prediction_cycles_per_sample"]
        for rate, spent in (
            ("cycles_per_second", "seconds"),
            ("cycles_per_cpu_second", "cpu_seconds"),
        ):
            known = [entry for entry in run.history if "cycles" in entry and spent in entry]
            simulated = sum(entry[spent] for entry in known)
            measured[rate] = sum(entry["cycles"] for entry in known) / max(simulated, 1e-9)
    return measured


def plain(parameters: Any) -> dict[str, Any]:
    """Fields of a parameter object as JSON carries them; ``gen.config.build`` takes them back."""
    return dataclasses.asdict(parameters)


class Events:
    """What the bench tells while it runs, in the file ``events.jsonl`` of ``folder``.

    Attributes
    ----------
    predicted : dict
        What the predictions at the end of the run came to.
    """

    def __init__(self, run: TrainingRun, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.predicted: dict[str, Any] = {}
        self._error: BaseException | None = None
        self._ended = threading.Event()

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle events as they come; those that came by the end are handled in any case."""
        thread = threading.Thread(target=self._follow, name="training events")
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        try:
            with (self.folder / EVENTS_FILE).open("a+") as file:
                file.seek(0)
                pending = ""
                while True:
                    last_look = self._ended.wait(POLL_SECONDS)
                    *lines, pending = (pending + file.read()).split("\n")
                    for line in lines:
                        self._handle(json.loads(line))
                    if last_look:
                        return
        except BaseException as error:
            self._error = error

    def _handle(self, event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            with np.load(self.folder / event["state"]) as state:
                self.run.trainer.load_state(dict(state))
            self.run.epoch_finished(
                event["seconds"],
                cycles=event["cycles"],
                writes=event["writes"],
                cpu_seconds=event["cpu_seconds"],
            )
        elif event["event"] == "predicted":
            self.predicted = event
        else:
            progress(event, self.run.report)


def progress(event: Mapping[str, Any], report: Report) -> None:
    """Tell how far the bench is within an epoch."""
    report(
        f"epoch {event['epoch'] + 1}: {event['sample']}/{event['samples']} samples equal to golden,"
        f" {event['rate']:,.0f} cycles/s"
    )
