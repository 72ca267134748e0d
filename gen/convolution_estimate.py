"""What a network with convolutions would cost, on paper: state, memories, cycles.

Counted from the shapes alone, for a machine that reads P trits of a row of weights at each
position, R rows in parallel, and adds up gradients and error sums P lanes at a time.
"""

from __future__ import annotations

from ..golden.checks import signed_width
from ..golden.design import DesignConfig
from ..rtl.trainer_plan import BUS_WIDTH, ceil_div
from . import boards
from .config import short_hash
from .estimate import BlockUse, Estimate, LayerEstimate, MemoryEstimate


def convolution_estimate(design: DesignConfig) -> Estimate:
    """Count what ``design`` would cost.

    ``active_cycles`` is the most that a sample takes whose margin is not met: every error after
    pooling is there. Each then adds a row of weights to the error sums below, and what it sees to
    the gradient of its row; rows are written once.
    """
    network, hardware = design.network, design.hardware
    lanes, rows = hardware.lanes, hardware.rows
    board = boards.find(design.board)
    layers, active = [], 0
    for l, shape in enumerate(network.layer_shapes):
        weights = shape.units * shape.inputs
        words = ceil_div(shape.inputs, lanes)
        layers.append(
            LayerEstimate(
                inputs=shape.inputs,
                units=shape.units,
                weights=weights,
                weight_bits=2 * weights,
                counter_bits=network.momentum_width(l) * weights,
                forward_cycles=shape.positions * ceil_div(shape.units, rows) * words,
                positions=shape.positions,
            )
        )
        # Of the last layer only the label's row and its rival's have an error.
        last = l == network.layer_count - 1
        error_rows, errors = (2, 2) if last else (shape.units, shape.output_size)
        active += (errors * (1 if l == 0 else 2) + error_rows) * words
    memories = _memories(design, board)
    forward = sum(layer.forward_cycles for layer in layers)
    return Estimate(
        configuration=design.name,
        hash=short_hash(design),
        board=board.name,
        layers=tuple(layers),
        memories=memories,
        use=tuple(
            BlockUse(kind.name, sum(m.blocks for m in memories if m.block == kind.name), kind.count)
            for kind in board.memories
        ),
        state_bits=sum(layer.weight_bits + layer.counter_bits for layer in layers),
        forward_cycles=forward,
        clock_mhz=board.clock_mhz,
        active_cycles=forward + active,
        fitting_boards=tuple(
            other.name for other in boards.BOARDS.values() if _fits(design, other)
        ),
    )


def _fits(design: DesignConfig, board: boards.Board) -> bool:
    memories = _memories(design, board)
    return all(
        sum(memory.blocks for memory in memories if memory.block == kind.name) <= kind.count
        for kind in board.memories
    )


def _memories(design: DesignConfig, board: boards.Board) -> tuple[MemoryEstimate, ...]:
    """The memories such a machine needs; those with one port go where the part has such blocks."""
    network, hardware = design.network, design.hardware
    lanes, rows, steps = hardware.lanes, hardware.rows, hardware.lanes // hardware.counter_lanes
    shapes = network.layer_shapes
    bank = sum(ceil_div(s.units, rows) * ceil_div(s.inputs, lanes) for s in shapes)
    width = max(network.momentum_width(l) for l in range(network.layer_count))
    counter_width = width * hardware.counter_lanes - hardware.counter_spill
    counter_depth = bank * rows * steps
    # The next sample loads while the present one runs: two buffers of the first input.
    maps = [shapes[0], *shapes]
    activations = sum(ceil_div(s.input_size, lanes) for s in maps)
    # Of each sum left by pooling: whether its window is open, and which position gave it.
    hidden = shapes[:-1]
    winner_width = 1 + max((s.pool**2 - 1).bit_length() for s in hidden)
    # A gradient adds up one error a cell, an error sum one a unit and tap.
    gradient_bound = max(s.cells for s in shapes)
    delta_bound = max([2, *(s.units * s.kernel**2 for s in shapes[1:-1])])
    pixels = ceil_div(design.pixels, BUS_WIDTH // hardware.pixel_width) + 1
    memories = (
        ("weights", 2 * lanes, bank, rows),
        ("counters", counter_width, counter_depth, 1),
        ("counter_spill", hardware.counter_spill, counter_depth, 1),
        ("activations", 2 * lanes, activations, 1),
        ("errors", 2 * lanes, sum(ceil_div(s.output_size, lanes) for s in hidden), 1),
        ("winners", winner_width, sum(s.output_size for s in hidden), 1),
        (
            "gradients",
            signed_width(-gradient_bound, gradient_bound) * lanes,
            max(ceil_div(s.inputs, lanes) for s in shapes),
            1,
        ),
        (
            "error_sums",
            signed_width(-delta_bound, delta_bound) * lanes,
            max(ceil_div(s.input_size, lanes) for s in shapes[1:]),
            1,
        ),
        ("samples", BUS_WIDTH, pixels * hardware.store_samples, 1),
    )
    found = []
    for name, bits, depth, copies in memories:
        if not bits:
            continue
        single = board.single_port if name in hardware.single_port else None
        block = single or board.memories[0]
        blocks = copies * block.blocks(bits, depth)
        found.append(MemoryEstimate(name, bits, depth, copies, block.name, blocks))
    return tuple(found)
