"""Cycles of a training run, from what golden does and how the hardware takes its turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..golden.compiled import recording_trainer
from ..golden.design import DesignConfig
from ..golden.encoding import encode
from ..golden.trainer_config import TrainerConfig
from ..rtl.forward_order import groups_ahead, loss_latency, result_latency
from ..rtl.trainer_plan import TrainerPlan, ceil_div
from .training_set import TrainingSet

# What happens once around the passes, in cycles.
LOAD_CYCLES = 6
UPDATE_CYCLES = 3
QUANTISE_CYCLES = 6


@dataclass(frozen=True)
class Activity:
    """What a training run does, in totals; a property of network, data and seed alone.

    Attributes
    ----------
    samples, active : int
        Samples trained, and those whose margin was not met.
    rows : tuple of float
        Rows with an error, of each layer. Exact for one hidden layer; with more, those of hidden
        layers are shared out by the groups that were written.
    lanes : int
        P that ``words`` counts for.
    words : tuple of int
        Words of P lanes written, of each layer.
    """

    samples: int
    active: int
    rows: tuple[float, ...]
    lanes: int
    words: tuple[int, ...]


def measure_activity(
    network: TrainerConfig,
    trits: NDArray,
    labels: NDArray,
    *,
    lanes: int,
    epochs: int = 25,
    seed: int = 1,
) -> Activity:
    """Train golden and count."""
    trainer = recording_trainer(network, seed)
    x, y = trainer.check_samples(trits, labels)
    words = [0] * network.layer_count
    for _ in range(epochs):
        for log in trainer.record_epoch(x, y, lanes):
            for l in range(network.layer_count):
                words[l] += int((log.places[:, 0] == l).sum())
        trainer.finish_epoch()
    return Activity(
        samples=trainer.samples_seen,
        active=trainer.samples_active,
        rows=_rows(network, trainer.samples_active, trainer.groups_drawn, words),
        lanes=lanes,
        words=tuple(words),
    )


def _rows(
    network: TrainerConfig, active: int, groups_drawn: int, words: list[int]
) -> tuple[float, ...]:
    """Rows with an error a layer: from the groups drawn, shared out in proportion to the words.

    The Crammer–Singer hinge has two in the last layer, so that with one hidden layer nothing is
    left to share.
    """
    groups = [ceil_div(inputs, network.rng_group) for _, inputs in network.shapes]
    known: list[float] = []
    if network.loss == "crammer_singer":
        known = [2.0 * active]
    shared = network.layer_count - len(known)
    left = groups_drawn - sum(known) * groups[-1]
    total = sum(words[:shared]) or 1
    return (*(left * words[l] / total / groups[l] for l in range(shared)), *known)


@dataclass(frozen=True)
class TrainingCycles:
    """Cycles a sample, averaged over a run.

    Attributes
    ----------
    forward : int
        Rows of all layers, Σ row_groups · period, without the few cycles around a layer.
    prediction : float
        A sample that is not learnt from, its loss included.
    active : float
        What an active sample takes besides its forward pass.
    a_sample : float
        Average over active and other samples.
    """

    forward: int
    prediction: float
    active: float
    a_sample: float


def forward_cycles(plan: TrainerPlan) -> int:
    """Forward pass of a sample by itself, to the last word that it reads."""
    waits = len(plan.layers) - 1
    return sum(p.row_groups * p.period for p in plan.layers) + waits * (result_latency(plan) + 1)


def saved_cycles(plan: TrainerPlan) -> int:
    """What a sample saves that was begun ahead: its first rows, and the loss of the one before."""
    ahead = groups_ahead(plan)
    if ahead is None:
        return 0
    return loss_latency(plan) + (ahead * plan.layers[0].period or -1)


def loading_cycles(plan: TrainerPlan) -> int:
    """Loading of the next sample meanwhile, one trit a cycle."""
    return plan.layers[0].inputs + LOAD_CYCLES


def training_cycles(design: DesignConfig, activity: Activity) -> TrainingCycles:
    """Cycles of the run that ``activity`` was measured on, on the hardware of ``design``.

    Counted from how ``rtl.trainer`` takes its turns; where passes overlap, by their averages.
    """
    plan = TrainerPlan(design.network, design.hardware)
    if activity.lanes != plan.hardware.lanes:
        raise ValueError(f"activity counts words of {activity.lanes} lanes")
    working, loading = forward_cycles(plan) + loss_latency(plan), loading_cycles(plan)
    active = 0.0
    if activity.active:
        rows = [count / activity.active for count in activity.rows]
        words = [count / activity.active for count in activity.words]
        for l in range(len(plan.layers)):
            active += _update(plan, l, rows[l], words[l])
            if l:
                active += _error_below(plan, l, rows[l])
        if plan.quantises:
            active += 2 * plan.layers[-1].units + QUANTISE_CYCLES
    share = activity.active / activity.samples
    saved = saved_cycles(plan)  # by a sample that follows one that is not learnt from
    prediction = max(working - saved, loading)
    return TrainingCycles(
        forward=sum(p.row_groups * p.period for p in plan.layers),
        prediction=prediction,
        active=active,
        a_sample=(1 - share) * prediction + share * max(working + active, loading),
    )


def _scan(plan: TrainerPlan, layer: int) -> float:
    """Cycles to find the rows of a layer that have an error."""
    units, lanes = plan.layers[layer].units, plan.hardware.lanes
    if plan.quantises:
        return 2 * units  # one by one, and not ahead of the work on them
    if layer == len(plan.layers) - 1:
        return 2
    block = next(n for n in (4, 2, 1) if lanes % n == 0)
    return ceil_div(units, block) + ceil_div(units, lanes) * (1 + plan.read_latency)


def _error_below(plan: TrainerPlan, layer: int, rows: float) -> float:
    """Errors of the layer below: every row with an error is read for each word."""
    row = plan.layers[layer]
    cycles = row.words * (max(rows, _scan(plan, layer)) + plan.read_latency + 1)
    if plan.quantises:
        cycles += row.inputs + QUANTISE_CYCLES
    return cycles


def _update(plan: TrainerPlan, layer: int, rows: float, written: float) -> float:
    """A layer's update: a cycle for a word at rest, ``busy`` for one that is written.

    Words of one group at rest take a cycle together. The gate works one word ahead, so a word takes
    its own time or the distance to the next one, whichever is longer.
    """
    row, lanes, group = plan.layers[layer], plan.hardware.lanes, plan.config.rng_group
    turns = rows * row.words
    if group > lanes:
        turns = rows * ceil_div(row.inputs, group) + written * (1 - lanes / group)
    one_port = plan.is_single_port("weights") or plan.is_single_port("counters")
    busy = plan.counter_steps * (2 if one_port else 1)
    work = turns
    if written:
        share = min(1.0, written / turns)
        work = written * (busy + (1 - share) ** busy / share)
    if plan.quantises:
        work += _scan(plan, layer) - rows
    return max(work, _scan(plan, layer)) + plan.read_latency + UPDATE_CYCLES


@dataclass(frozen=True)
class TrainingEstimate:
    """Cycles of training on given samples.

    Attributes
    ----------
    source : str
        Where the samples are from.
    active_share : float
        Share of samples that are learnt from, over all epochs, of golden with seed 1.
    prediction_cycles, cycles_a_sample : float
    over_forward : float
        ``cycles_a_sample`` ÷ the rows of the forward pass.
    samples_a_second : float
        At the board's clock.
    """

    source: str
    samples: int
    epochs: int
    active_share: float
    prediction_cycles: float
    cycles_a_sample: float
    over_forward: float
    samples_a_second: float


def cycles_of_run(
    design: DesignConfig, trits: NDArray, labels: NDArray, epochs: int
) -> tuple[Any, TrainingCycles]:
    """Train golden, and count the cycles that the hardware takes for the same."""
    from .convolution_cycles import convolution_training_cycles, measure_convolution_activity

    network = design.network
    if network.convolves:
        found = measure_convolution_activity(network, trits, labels, epochs=epochs)
        return found, convolution_training_cycles(design, found)
    activity = measure_activity(network, trits, labels, lanes=design.hardware.lanes, epochs=epochs)
    return activity, training_cycles(design, activity)


def training_estimate(
    design: DesignConfig, samples: TrainingSet, *, epochs: int, clock_mhz: float
) -> TrainingEstimate:
    """Train golden on ``samples`` and count the cycles that the hardware takes for the same."""
    network, hardware = design.network, design.hardware
    trits = encode(samples.pixels, hardware.planes, channel_last=network.convolves)
    activity, cycles = cycles_of_run(design, trits, samples.labels, epochs)
    return TrainingEstimate(
        source=samples.source,
        samples=len(trits),
        epochs=epochs,
        active_share=activity.active / activity.samples,
        prediction_cycles=cycles.prediction,
        cycles_a_sample=cycles.a_sample,
        over_forward=cycles.a_sample / cycles.forward,
        samples_a_second=1e6 * clock_mhz / cycles.a_sample,
    )
