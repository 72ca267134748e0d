"""The blocks that ``generate`` writes and ``compare`` checks: adding one is one entry.

Components are imported where they are built, so that listing blocks stays quick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib import wiring

from ..golden.checks import choice
from ..golden.design import DesignConfig
from ..golden.precision_parameters import PrecisionParameters
from ..golden.processing_element import ProcessingElementParameters
from ..golden.ternary_dot import DotParameters
from ..golden.update_parameters import UpdateParameters
from . import boards
from .config import short_hash


@dataclass(frozen=True)
class Block:
    """A block.

    Parameters
    ----------
    name : str
        Its name everywhere: golden/X.py, rtl/X.py, sim/tb_X.py, tests/test_X.py.
    create : callable
        The component, with the parameters of a design.
    golden : str
        What specifies it, in ``trisign.golden``.
    whole : bool
        True for the design as a whole: ``train`` holds it against golden and ``build`` implements
        it, so ``compare`` and ``implement`` leave it out.
    dense : bool
        True where a design with convolutions has no such block.
    """

    name: str
    create: Callable[[DesignConfig], wiring.Component]
    golden: str
    whole: bool = False
    dense: bool = False


def dot_parameters(design: DesignConfig) -> DotParameters:
    """Parameters of the dot products of ``design``."""
    hardware = design.hardware
    return DotParameters(hardware.lanes, hardware.structure, hardware.tech)


def processing_element_parameters(design: DesignConfig) -> ProcessingElementParameters:
    """Parameters of a processing element of ``design``, for its longest rows."""
    hardware = design.hardware
    longest = max(inputs for _, inputs in design.network.shapes)
    return ProcessingElementParameters(
        lanes=hardware.lanes,
        words=-(-longest // hardware.lanes),
        structure=hardware.structure,
        tech=hardware.tech,
        pipeline=hardware.pipeline,
    )


def update_parameters(design: DesignConfig) -> UpdateParameters:
    """Parameters of the update engine of ``design``: its network's rule on the hardware's lanes."""
    hardware = design.hardware
    return dataclasses.replace(
        design.network.update_parameters(0),
        lanes=hardware.lanes,
        gate_shift_max=hardware.gate_shift_max,
    )


def with_integer_errors(design: DesignConfig) -> DesignConfig:
    """``design`` with the squared hinge as its loss: its errors are integers, not trits."""
    network = dataclasses.replace(design.network, loss="squared_hinge")
    return dataclasses.replace(design, network=network)


def precision_parameters(design: DesignConfig) -> PrecisionParameters:
    """Parameters of the precision controller of the first layer's errors, as integers."""
    return with_integer_errors(design).network.controller_parameters(0)


def _ternary_dot(design: DesignConfig) -> wiring.Component:
    from ..rtl.ternary_dot import TernaryDot

    p = dot_parameters(design)
    return TernaryDot(p.lanes, p.structure, p.tech)


def _processing_element(design: DesignConfig) -> wiring.Component:
    from ..rtl.processing_element import ProcessingElement

    return ProcessingElement(processing_element_parameters(design))


def _update_engine(design: DesignConfig) -> wiring.Component:
    from ..rtl.update_engine import UpdateEngine

    return UpdateEngine(update_parameters(design))


def _precision_controller(design: DesignConfig) -> wiring.Component:
    from ..rtl.precision_controller import PrecisionController

    return PrecisionController(precision_parameters(design))


def _lfsr(design: DesignConfig) -> wiring.Component:
    from ..rtl.lfsr import Lfsr16Source

    return Lfsr16Source()


def _xorshift(design: DesignConfig) -> wiring.Component:
    from ..rtl.xorshift import Xorshift32Source

    return Xorshift32Source()


def _trainer(design: DesignConfig) -> wiring.Component:
    from ..rtl.convolution_trainer import trainer_of

    return trainer_of(design.network, design.hardware, config_hash=int(short_hash(design), 16))


def _core(design: DesignConfig) -> wiring.Component:
    from ..rtl.core import Core

    clock_hz = round(boards.find(design.board).clock_mhz * 1e6)
    return Core(design, clock_hz, config_hash=int(short_hash(design), 16))


BLOCKS = {
    block.name: block
    for block in (
        Block("ternary_dot", _ternary_dot, "ternary_dot.ternary_dot"),
        Block("processing_element", _processing_element, "processing_element.processing_element"),
        Block("update_engine", _update_engine, "update_engine.UpdateEngine"),
        Block(
            "precision_controller",
            _precision_controller,
            "precision_controller.PrecisionController",
            dense=True,
        ),
        Block("lfsr", _lfsr, "lfsr.Lfsr16"),
        Block("xorshift", _xorshift, "xorshift.Xorshift32"),
        Block("trainer", _trainer, "trainer.Trainer", whole=True),
        Block("core", _core, "link.Link", whole=True),
    )
}

PARTS = {name: block for name, block in BLOCKS.items() if not block.whole}


def of_design(design: DesignConfig) -> list[Block]:
    """The blocks that ``design`` can have."""
    return [block for block in BLOCKS.values() if not (block.dense and design.network.convolves)]


def find(name: object) -> Block:
    """The block called ``name``; raises ParameterError with the legal names."""
    return BLOCKS[choice("block", name, BLOCKS)]
