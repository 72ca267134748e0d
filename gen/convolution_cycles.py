"""Cycles of a training run of a network with convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from ..golden.compiled import fast_trainer
from ..golden.design import DesignConfig
from ..golden.trainer_config import TrainerConfig
from ..rtl.convolution_plan import POSITION_CYCLES, ConvolutionLayer, ConvolutionPlan
from ..rtl.forward_order import element_parameters
from ..rtl.trainer_plan import ceil_div
from .training_cycles import TrainingCycles

# What happens once around what is counted, in cycles: see ``rtl.convolution_forward`` and
# ``rtl.tap_pass``.
GATHER_CYCLES = 3
POOL_CYCLES = 6
LOSS_CYCLES = 3
LOAD_CYCLES = 9
LAYER_CYCLES = 4
ROW_CYCLES = 4  # and the read latency
SWEEP_CYCLES = 8
UPDATE_CYCLES = 4
START_CYCLES = 3  # of a row, in which no weight is read yet


@dataclass(frozen=True)
class ConvolutionActivity:
    """What a training run does, in totals; a property of network, data and seed alone.

    Attributes
    ----------
    samples, active : int
        Samples trained, and those whose margin was not met.
    rows, errors : tuple of int
        Of each layer, rows updated and errors of units and cells in them.
    """

    samples: int
    active: int
    rows: tuple[int, ...]
    errors: tuple[int, ...]


def measure_convolution_activity(
    network: TrainerConfig, trits: NDArray, labels: NDArray, *, epochs: int, seed: int = 1
) -> ConvolutionActivity:
    """Train golden and count."""
    trainer = fast_trainer(network, seed).fit(trits, labels, epochs)
    rows, errors = trainer.error_counts.T.tolist()
    return ConvolutionActivity(
        trainer.samples_seen, trainer.samples_active, tuple(rows), tuple(errors)
    )


def convolution_training_cycles(
    design: DesignConfig, activity: ConvolutionActivity
) -> TrainingCycles:
    """Cycles of the run that ``activity`` was measured on, on the hardware of ``design``."""
    plan = ConvolutionPlan(design.network, design.hardware)
    prediction = measured_forward(plan)
    loading = plan.pixels + plan.image[0] * (plan.layers[0].shape.kernel // 2) + LOAD_CYCLES
    active = 0.0
    if activity.active:
        active = sum(
            _layer(plan, l, rows / activity.active, errors / activity.active)
            for l, (rows, errors) in enumerate(zip(activity.rows, activity.errors, strict=True))
        )
    prediction = max(prediction, loading)
    share = activity.active / activity.samples
    return TrainingCycles(
        forward=sum(p.forward_cycles for p in plan.layers),
        prediction=prediction,
        active=active,
        a_sample=prediction + share * active,
    )


def measured_forward(plan: ConvolutionPlan) -> float:
    """Forward pass and loss of a sample, all that happens around them included."""
    latency = plan.read_latency
    drain = latency + element_parameters(plan).dot.latency + 2
    cycles: float = LOSS_CYCLES + (plan.hardware.rows if plan.hardware.rows > 1 else 0)
    for p in plan.layers:
        gather, multiply = p.granules + plan.tap_latency + GATHER_CYCLES, p.row_groups * p.period
        # Two rows of windows are in work, each gathered, then multiplied.
        position = max(multiply, p.granules, POSITION_CYCLES, (gather + multiply) / 2)
        cycles += gather + (p.shape.positions - 1) * position + multiply + drain
        cycles += POOL_CYCLES if p.output_words else 0
    return cycles


def longest_backward(plan: ConvolutionPlan) -> float:
    """The backward pass of a sample with every error that there can be."""
    cycles = 0.0
    for l, p in enumerate(plan.layers):
        rows = p.units if p.output_words else 2  # of the last layer, the label's and its rival's
        cycles += _layer(plan, l, rows, rows * p.shape.cells)
    return cycles


def _layer(plan: ConvolutionPlan, layer: int, rows: float, errors: float) -> float:
    """A layer's part of the backward pass."""
    p, latency = plan.layers[layer], plan.read_latency
    cells = p.shape.cells
    cycles = LAYER_CYCLES + (p.units - rows) * (cells + ROW_CYCLES + latency)
    if layer:
        cycles += p.map_words
    if not rows:
        return cycles
    a_row = errors / rows
    # Cells are looked at while the taps of the last error found are walked over.
    taps = max((cells - a_row) / (a_row + 1) + a_row * p.granules, cells + p.granules)
    work = ROW_CYCLES + taps + SWEEP_CYCLES + latency + 2 * plan.tap_latency + p.granules
    reads, update = _update(plan, p, layer)
    if layer:
        work += max(0, reads - START_CYCLES)
    return cycles + rows * max(work, update) + update


def _update(plan: ConvolutionPlan, p: ConvolutionLayer, layer: int) -> tuple[float, float]:
    """Cycles of a row's update in which weights are taken, and all that it takes."""
    share = 2.0 ** -plan.config.of("gate_shift", layer)
    group = plan.config.rng_group
    one_port = plan.is_single_port("weights") or plan.is_single_port("counters")
    written = p.words * (1 - (1 - share) ** max(1, plan.hardware.lanes // group))
    reads = written * plan.counter_steps
    rest = (p.words - written) if group <= plan.hardware.lanes else ceil_div(p.inputs, group)
    if plan.is_single_port("weights"):
        reads *= 2
    return reads, reads * (2 if one_port and not plan.is_single_port("weights") else 1) + (
        rest if written < p.words else 0
    ) + plan.read_latency + UPDATE_CYCLES
