"""What a network with convolutions costs: state, memories, cycles. All of it is counted."""

from __future__ import annotations

from dataclasses import replace

from ..golden.design import DesignConfig
from ..rtl.convolution_plan import ConvolutionPlan
from ..rtl.trainer_plan import BUS_WIDTH
from . import boards
from .config import short_hash
from .convolution_cycles import longest_backward, measured_forward
from .estimate import BlockUse, Estimate, LayerEstimate, MemoryEstimate
from .lut_estimate import estimated_luts


def convolution_estimate(design: DesignConfig) -> Estimate:
    """Count what ``design`` costs.

    ``active_cycles`` is the most that a sample takes whose margin is not met: every error after
    pooling is there.
    """
    network = design.network
    plan = ConvolutionPlan(network, design.hardware)
    board = boards.find(design.board)
    layers = tuple(
        LayerEstimate(
            inputs=layer.inputs,
            units=layer.units,
            weights=layer.inputs * layer.units,
            weight_bits=2 * layer.inputs * layer.units,
            counter_bits=network.momentum_width(l) * layer.inputs * layer.units,
            forward_cycles=layer.forward_cycles,
            positions=layer.shape.positions,
        )
        for l, layer in enumerate(plan.layers)
    )
    memories = _memories(plan, board)
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
        active_cycles=round(measured_forward(plan) + longest_backward(plan)),
        fitting_boards=tuple(
            other.name for other in boards.BOARDS.values() if _fits(design, other)
        ),
    )


def _fits(design: DesignConfig, board: boards.Board) -> bool:
    """True where the memories fit on ``board``, in single-port blocks only if it has them."""
    hardware = design.hardware
    if board.single_port is None:
        hardware = replace(hardware, single_port=(), counter_spill=0)
    memories = _memories(ConvolutionPlan(design.network, hardware), board)
    return all(
        sum(memory.blocks for memory in memories if memory.block == kind.name) <= kind.count
        for kind in board.memories
    )


def _memories(plan: ConvolutionPlan, board: boards.Board) -> tuple[MemoryEstimate, ...]:
    """The memories of ``rtl.convolution_trainer``; those with one port where the part has such."""
    hardware, granule = plan.hardware, plan.granule
    choice = max(plan.choice_width, 1)
    column = plan.store_column or BUS_WIDTH
    groups = max(layer.row_groups for layer in plan.layers[:-1])
    memories = (
        ("weights", 2 * hardware.lanes, plan.weight_depth, hardware.rows),
        *((name, width, plan.counter_depth, 1) for name, width in plan.counter_parts.items()),
        ("maps", 2 * granule, plan.map_depth, 1),
        ("windows", 2 * hardware.lanes, plan.window_depth, 1),
        ("pooling", (plan.sum_width + choice) * hardware.rows, groups, 1),
        ("errors", 2 * granule, plan.hidden_words, 1),
        ("winners", choice * granule, plan.hidden_words, 1),
        ("error_sums", plan.error_sum_width * granule, plan.hidden_words, 1),
        ("gradients", plan.gradient_width * granule, plan.gradient_depth, 1),
        ("samples", column, plan.store_depth, BUS_WIDTH // column),
    )
    found = []
    for name, bits, depth, copies in memories:
        single = board.single_port if plan.is_single_port(name) else None
        block = single or board.memories[0]
        blocks = copies * block.blocks(bits, depth)
        found.append(MemoryEstimate(name, bits, depth, copies, block.name, blocks))
    return tuple(found)
