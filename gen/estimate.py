"""What a configuration costs, before synthesis: state, memories and cycles, counted, and LUTs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..golden.design import DesignConfig
from ..rtl.trainer_plan import BUS_WIDTH, TrainerPlan
from . import boards
from .config import short_hash
from .lut_estimate import estimated_luts
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


@dataclass(frozen=True)
class MemoryEstimate:
    """One memory: ``depth`` words of ``width`` bits, ``copies`` times, and the blocks it takes."""

    name: str
    width: int
    depth: int
    copies: int
    block: str
    blocks: int


@dataclass(frozen=True)
class BlockUse:
    """Blocks of one kind that the memories take, and those that the part has."""

    block: str
    used: int
    available: int

    @property
    def fits(self) -> bool:
        """True where the part has enough."""
        return self.used <= self.available


@dataclass(frozen=True)
class Estimate:
    """Everything ``estimate`` tells; nothing is synthesised or measured.

    Attributes
    ----------
    state_bits : int
        Bits of weights and counters of all layers.
    forward_cycles : int
        Cycles of a forward pass, Σ n_l·⌈n_{l−1}/P⌉ / R, without the few that start a layer.
    clock_mhz : float
        The board's target clock.
    luts_available : int
        LUTs of the part.
    luts : int, optional
        LUTs of the core, within 10 % of synthesis; networks of dense layers only.
    active_cycles : int, optional
        The most that an active sample takes; networks with convolutions only, as the next.
    fitting_boards : tuple of str, optional
        Boards whose memories suffice.
    training : TrainingEstimate, optional
        Cycles of training on given samples.
    """

    configuration: str
    hash: str
    board: str
    layers: tuple[LayerEstimate, ...]
    memories: tuple[MemoryEstimate, ...]
    use: tuple[BlockUse, ...]
    state_bits: int
    forward_cycles: int
    clock_mhz: float
    luts_available: int
    luts: int | None = None
    active_cycles: int | None = None
    fitting_boards: tuple[str, ...] | None = None
    training: TrainingEstimate | None = None

    @property
    def fits(self) -> bool:
        """True where the part has every memory block that is needed."""
        return all(use.fits for use in self.use)

    def as_json(self) -> dict[str, Any]:
        """The estimate as plain values."""
        return asdict(self) | {"fits": self.fits}


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
    memories = _memories(design, plan, board)
    return Estimate(
        configuration=design.name,
        hash=short_hash(design),
        board=board.name,
        layers=layers,
        memories=memories,
        use=tuple(
            BlockUse(kind.name, sum(m.blocks for m in memories if m.block == kind.name), kind.count)
            for kind in board.memories
        ),
        state_bits=sum(layer.weight_bits + layer.counter_bits for layer in layers),
        forward_cycles=sum(layer.forward_cycles for layer in layers),
        clock_mhz=board.clock_mhz,
        luts_available=board.luts,
        luts=estimated_luts(design),
    )


def _memories(
    design: DesignConfig, plan: TrainerPlan, board: boards.Board
) -> tuple[MemoryEstimate, ...]:
    """The memories of ``rtl.trainer``; those with one port go where the part has such blocks."""
    hardware = design.hardware
    two_port = board.memories[0]

    def kind(memory: str) -> boards.MemoryBlock:
        return (plan.is_single_port(memory) and board.single_port) or two_port

    column = plan.store_column or BUS_WIDTH
    counters = (
        (name, width, plan.counter_depth, 1, kind(name))
        for name, width in plan.counter_parts.items()
    )
    return tuple(
        MemoryEstimate(name, width, depth, copies, block.name, copies * block.blocks(width, depth))
        for name, width, depth, copies, block in (
            ("weights", 2 * hardware.lanes, plan.weight_depth, hardware.rows, kind("weights")),
            *counters,
            ("activations", 2 * hardware.lanes, plan.activation_depth, 1, two_port),
            ("samples", column, plan.store_depth, BUS_WIDTH // column, kind("samples")),
        )
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
    if result.luts is not None:
        lut = boards.find(result.board).family.tech.upper()
        lines.append(f"logic: about {result.luts} of {result.luts_available} {lut}")
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
        lines.append(f"boards with the memory: {', '.join(result.fitting_boards) or 'none'}")
    return "\n".join(lines)
