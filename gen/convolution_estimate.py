"""What a network with convolutions costs: state, memories, cycles. All of it is counted."""

from __future__ import annotations

from dataclasses import replace

from ..golden.design import DesignConfig
from ..rtl.convolution_plan import ConvolutionPlan
from . import boards
from .config import short_hash
from .convolution_cycles import longest_backward, measured_forward
from .estimate import Estimate, LayerEstimate
from .fit_advice import advice
from .resources import resources_of


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
        active_cycles=round(measured_forward(plan) + longest_backward(plan)),
        fitting_boards=tuple(
            other.name for other in boards.BOARDS.values() if _fits(design, other)
        ),
    )


def _fits(design: DesignConfig, board: boards.Board) -> bool:
    """True where it fits on ``board``, in single-port blocks only if that has them."""
    hardware = replace(design.hardware, tech=board.family.tech)
    if board.single_port is None:
        hardware = replace(hardware, single_port=(), counter_spill=0)
    return resources_of(replace(design, board=board.name, hardware=hardware)).fits
