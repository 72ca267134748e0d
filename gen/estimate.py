"""What a configuration costs, before synthesis: state, memories and cycles, counted, and LUTs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..golden.design import DesignConfig
from ..rtl.trainer_plan import TrainerPlan
from . import boards
from .config import short_hash
from .fit_advice import advice
from .resources import FITS, Resources, resources_of
from .training_cycles import TrainingEstimate


@dataclass(frozen=True)
class LayerEstimate:
    """One layer: its weights, bits of training state, and cycles of its forward pass."""

    inputs: int
    units: int
    weights: int
    weight_bits: int
    counter_bits: int
    forward_cycles: int
    positions: int = 1


@dataclass(frozen=True, kw_only=True)
class Estimate(Resources):
    """Everything ``estimate`` tells; nothing is synthesised or measured.

    Attributes
    ----------
    state_bits : int
        Bits of weights and counters of all layers.
    forward_cycles : int
        Cycles of a forward pass, Σ n_l·⌈n_{l−1}/P⌉ / R, without the few that start a layer.
    clock_mhz : float
        The board's target clock.
    active_cycles : int, optional
        The most that an active sample takes; networks with convolutions only, as the next.
    fitting_boards : tuple of str, optional
        Boards on which it fits, or may.
    advice : tuple of str
        Where it does not fit: what is short, and which fields would help (``gen.fit_advice``).
    training : TrainingEstimate, optional
        Cycles of training on given samples.
    """

    configuration: str
    hash: str
    board: str
    layers: tuple[LayerEstimate, ...]
    state_bits: int
    forward_cycles: int
    clock_mhz: float
    active_cycles: int | None = None
    fitting_boards: tuple[str, ...] | None = None
    advice: tuple[str, ...] = ()
    training: TrainingEstimate | None = None

    def as_json(self) -> dict[str, Any]:
        """The estimate as plain values."""
        return asdict(self) | {"fits": self.fits, "verdict": self.verdict}


def estimate(design: DesignConfig) -> Estimate:
    """Count what ``design`` costs."""
    if design.network.convolves:
        from .convolution_estimate import convolution_estimate

        return convolution_estimate(design)
    plan = TrainerPlan(design.network, design.hardware)
    board = boards.find(design.board)
    layers = tuple(
        LayerEstimate(
            inputs=layer.inputs,
            units=layer.units,
            weights=layer.inputs * layer.units,
            weight_bits=2 * layer.inputs * layer.units,
            counter_bits=design.network.momentum_width(l) * layer.inputs * layer.units,
            forward_cycles=layer.forward_cycles,
        )
        for l, layer in enumerate(plan.layers)
    )
    resources = resources_of(design)
    return Estimate(
        **vars(resources),
        configuration=design.name,
        hash=short_hash(design),
        board=board.name,
        layers=layers,
        state_bits=sum(layer.weight_bits + layer.counter_bits for layer in layers),
        forward_cycles=sum(layer.forward_cycles for layer in layers),
        clock_mhz=board.clock_mhz,
        advice=() if resources.fits else advice(design, resources),
    )


def text(result: Estimate) -> str:
    """The estimate for people."""
    lines = [f"{result.configuration} ({result.hash}) on {result.board}", ""]
    lines.append("layer            weights  weight bits  counter bits  forward cycles")
    for layer in result.layers:
        shape = f"{layer.inputs}-{layer.units}"
        if layer.positions > 1:
            shape += f" x{layer.positions}"
        lines.append(
            f"{shape:<14}{layer.weights:>10}{layer.weight_bits:>13}{layer.counter_bits:>14}"
            f"{layer.forward_cycles:>16}"
        )
    weights = sum(layer.weights for layer in result.layers)
    lines.append(
        f"{'total':<14}{weights:>10}{sum(layer.weight_bits for layer in result.layers):>13}"
        f"{sum(layer.counter_bits for layer in result.layers):>14}{result.forward_cycles:>16}"
    )
    lines += ["", "memory            words x bits   copies  blocks"]
    for memory in result.memories:
        size = f"{memory.depth} x {memory.width}"
        lines.append(
            f"{memory.name:<14}{size:>16}{memory.copies:>9}{memory.blocks:>8} {memory.block}"
        )
    lines.append("")
    for use in result.use:
        verdict = "" if use.fits else "  does not fit"
        lines.append(f"{use.block}: {use.used} of {use.available}{verdict}")
    lut = boards.find(result.board).family.tech.upper()
    filled = 100 * result.logic_cells / result.luts_available
    verdict = "" if result.logic_verdict == FITS else f"  {result.logic_verdict}"
    lines.append(
        f"logic: about {result.luts} of {result.luts_available} {lut}, "
        f"{filled:.0f} % of the cells{verdict}"
    )
    lines += [f"  {line}" for line in result.advice]
    lines.append(f"training state: {result.state_bits} bits")
    lines.append(
        f"forward pass: {result.forward_cycles} cycles, "
        f"{result.forward_cycles / result.clock_mhz:.1f} us at {result.clock_mhz:g} MHz"
    )
    if result.training is not None:
        training = result.training
        lines.append(
            f"training: {training.cycles_a_sample:.1f} cycles a sample, "
            f"{training.over_forward:.3f} x the forward pass, "
            f"{training.samples_a_second:,.0f} samples/s"
        )
        lines.append(
            f"  ({training.source}, {training.samples} samples, {training.epochs} epochs, "
            f"{100 * training.active_share:.1f} % of the samples active; a prediction takes "
            f"{training.prediction_cycles:.0f})"
        )
    if result.active_cycles is not None:
        lines.append(
            f"active sample: at most {result.active_cycles} cycles, "
            f"{result.active_cycles / result.clock_mhz:.1f} us"
        )
    if result.fitting_boards is not None:
        lines.append(f"boards it fits: {', '.join(result.fitting_boards) or 'none'}")
    return "\n".join(lines)
