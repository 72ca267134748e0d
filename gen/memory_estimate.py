"""The memories of a core before synthesis, and the blocks of the part that they take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

from ..golden.design import DesignConfig
from ..rtl.convolution_plan import ConvolutionPlan, plan_of
from ..rtl.trainer_plan import BUS_WIDTH, TrainerPlan
from .boards import Board

LINK_BUFFER = (8, 512)  # bits, words: ``rtl.link``
# What LUTs must be cheaper by, in Yosys's cost, to be counted: they may lack what a block has, such
# as an enable for reads, and then cost up to this more.
LUT_ADVANTAGE = 20


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
class _Memory:
    """A memory of the RTL; ``granule`` bits of a word are written at once."""

    name: str
    width: int
    depth: int
    copies: int = 1
    granule: int | None = None


def memories_of(design: DesignConfig, board: Board) -> tuple[MemoryEstimate, ...]:
    """The memories of ``rtl.core``; those with one port go where the part has such blocks."""
    plan = plan_of(design.network, design.hardware)
    inner = _convolution(plan) if isinstance(plan, ConvolutionPlan) else _dense(plan)
    column = plan.store_column or BUS_WIDTH
    found = (
        *_state(plan),
        *inner,
        _Memory("samples", column, plan.store_depth, BUS_WIDTH // column),
        _Memory("link", *LINK_BUFFER),
    )
    return tuple(_placed(memory, plan, board) for memory in found)


def _placed(memory: _Memory, plan: TrainerPlan, board: Board) -> MemoryEstimate:
    single = board.single_port if plan.is_single_port(memory.name) else None
    block = single or board.memories[0]
    depth = max(memory.depth, 2)
    shape = (memory.width, depth, memory.granule)
    luts = board.family.lut_memory
    if luts is not None and luts.mapping(*shape)[0] + LUT_ADVANTAGE < block.mapping(*shape)[0]:
        block = luts
    return MemoryEstimate(
        *(memory.name, memory.width, depth, memory.copies, block.name),
        memory.copies * block.blocks(*shape),
    )


def _state(plan: TrainerPlan) -> tuple[_Memory, ...]:
    """Weights and counters, of which the host writes a chunk at once."""
    hardware = plan.hardware
    weight_granule = 2 * plan.weight_chunk
    counter_granule = plan.counter_width * plan.counter_chunk
    found = [_Memory("weights", 2 * hardware.lanes, plan.weight_depth, hardware.rows)]
    found[0] = replace(found[0], granule=weight_granule)
    first = 0
    for name, width in plan.counter_parts.items():
        granule = gcd(counter_granule, first, width)
        found.append(_Memory(name, width, plan.counter_depth, granule=granule))
        first += width
    return tuple(found)


def _dense(plan: TrainerPlan) -> tuple[_Memory, ...]:
    found = [_Memory("activations", 2 * plan.hardware.lanes, plan.activation_depth)]
    if plan.quantises:
        top = len(plan.layers) - 1
        width = plan.config.controller_parameters(top).input_width
        found.append(_Memory("errors", plan.error_width, plan.error_depth))
        found.append(_Memory("class_errors", width, plan.layers[top].units))
    return tuple(found)


def _convolution(plan: ConvolutionPlan) -> tuple[_Memory, ...]:
    hardware, granule, hidden = plan.hardware, plan.granule, plan.hidden_words
    choice = max(plan.choice_width, 1)
    groups = max(layer.row_groups for layer in plan.layers[:-1])
    return (
        _Memory("maps", 2 * granule, plan.map_depth),
        _Memory("windows", 2 * hardware.lanes, plan.window_depth),
        _Memory("pooling", (plan.sum_width + choice) * hardware.rows, groups),
        _Memory("errors", 2 * granule, hidden),
        _Memory("winners", choice * granule, hidden),
        _Memory("error_sums", plan.error_sum_width * granule, hidden),
        _Memory("gradients", plan.gradient_width * granule, plan.gradient_depth),
    )


def use_of(memories: tuple[MemoryEstimate, ...], board: Board) -> tuple[BlockUse, ...]:
    """Blocks of each kind that ``memories`` take on ``board``."""
    return tuple(
        BlockUse(kind.name, sum(m.blocks for m in memories if m.block == kind.name), kind.count)
        for kind in board.memories
    )
