"""Settings of a trainer that the bench changes between epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..golden.precision_controller import PrecisionState
from .trainer_bench import TrainerBench

OPEN = 60  # half a window of the derivative that lets every error of a small network through
# What controllers of three layers begin with: exponents, and the state of their generators. Chosen
# so that the errors too large come near to as many as are permitted.
BEGINNINGS = (
    ((2, 0, 0), 0x0AF5),
    ((0, 2, 1), 0xA9B4),
    ((2, 1, 2), 0xDBAD),
    ((0, 1, 2), 0x9F36),
    ((0, 2, 2), 0x07B6),
    ((1, 1, 2), 0x4C9E),
)


def settings_to_try(tb: TrainerBench) -> Iterator[dict[str, Any]]:
    """Fields of the network that are registers, the same width of sums and errors given."""
    network, most = tb.network, tb.hardware.gate_shift_max
    layers = range(network.layer_count)
    rooms = [(1 << tb.plan.sum_width - 1) - 1 - inputs for _, inputs in network.shapes]
    if tb.golden.controllers:
        width = network.controller_parameters(layers[-1]).input_width
        rooms[-1] = min(rooms[-1], (1 << width - 1) - 2 - network.shapes[-1][1])
    # Hidden layers have offsets of their own.
    some = [min(l + 1, room) for l, room in enumerate(rooms[:-1])]
    for margin, shift, offset, confidence, sign in (
        (1, 0, rooms[-1], 0, 1),
        (network.margin, most, 0, 0, 0),
        (1, most, -rooms[-1], 1, -1),
        (1, max(most - 1, 0), 0, 1, 0),
    ):
        yield {
            "margin": margin,
            "gate_shift": (shift,) * len(layers),
            "offset": (*(network.of("offset", l) + sign * b for l, b in enumerate(some)), offset),
            "window": tuple(network.of("window", l) + l for l in layers),
            "confidence": tuple(confidence * (l + 1) for l in layers),
        }


def controllers_to_try(
    tb: TrainerBench,
) -> Iterator[tuple[dict[str, Any], list[PrecisionState]]]:
    """Settings with errors for a window in every layer, and the states controllers begin with."""
    controllers = tb.golden.controllers
    if not controllers:
        return
    layers, inputs = len(controllers), tb.network.shapes[-1][1]
    settings = {
        "margin": (1 << controllers[-1].parameters.input_width - 1) - 1 - inputs,
        "offset": (0,) * layers,
        "window": (OPEN,) * layers,
        "confidence": (0,) * layers,
    }
    for exponents, lfsr in BEGINNINGS:
        yield (
            settings,
            [
                controller.state._replace(exponent=exponent, lfsr=lfsr)
                for controller, exponent in zip(controllers, exponents, strict=True)
            ],
        )
