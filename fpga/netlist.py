"""What a synthesised block is made of: cells counted by kind, and its longest chain of logic."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from ..golden.checks import DataError
from .targets import Target

# Most inputs of a LUT6, by its outputs in use.
_LUT6_INPUTS = {1: 6, 2: 5}


@dataclass(frozen=True)
class Area:
    """Cells of one netlist.

    Attributes
    ----------
    luts : int
        LUT sites: a dual-output LUT counts once, a cell that fills two counts twice.
    registers, carries : int
        Register bits and carry bits.
    memories : dict
        Memory or multiplier → number of them.
    levels : int
        Logic cells (LUTs, carries, multiplexers) on the longest path between registers, memories
        and ports: what Yosys' ``ltp`` counts in a block without registers.
    lut_levels : int
        LUTs on the path that holds most of them, carries not counted.
    other : dict
        Cells that are none of these.
    """

    luts: int
    registers: int
    carries: int
    memories: Mapping[str, int]
    levels: int
    lut_levels: int
    other: Mapping[str, int]


def read_area(path: Path, name: str, target: Target) -> Area:
    """Area of module ``name`` in a netlist written by Yosys' ``write_json``.

    The netlist is flat, except that cells of ``rtl.dot_cells`` stay modules where the target's LUT
    has two outputs: each of them fills one site.

    Raises
    ------
    DataError
        The netlist has a combinational loop, or a module in it does not fit one LUT.
    """
    modules = json.loads(path.read_text())["modules"]
    cells = list(modules[name]["cells"].values())
    types = Counter(cell["type"] for cell in cells)
    luts = dict(target.luts)
    for kind in types:
        if _is_one_lut6(kind, modules, target):
            luts[kind] = 1
    memories: Counter[str] = Counter()
    other: Counter[str] = Counter()
    registers = 0
    for kind, count in types.items():
        memory = target.memory_name(kind)
        if memory is not None:
            memories[memory] += count
        elif kind.startswith(target.registers):
            registers += count
        elif kind not in luts and kind not in target.carries:
            other[kind] += count
    levels, lut_levels = _levels(cells, set(luts), {*target.carries, *target.muxes})
    return Area(
        luts=sum(luts.get(kind, 0) * count for kind, count in types.items()),
        registers=registers,
        carries=sum(target.carries.get(kind, 0) * count for kind, count in types.items()),
        memories=dict(sorted(memories.items())),
        levels=levels,
        lut_levels=lut_levels,
        other=dict(sorted(other.items())),
    )


def _is_one_lut6(kind: str, modules: Mapping[str, Any], target: Target) -> bool:
    """True for a module of LUTs alone whose outputs one LUT6 gives; False for a cell."""
    if kind not in modules or int(modules[kind]["attributes"].get("blackbox", "0"), 2):
        return False
    inside = {cell["type"] for cell in modules[kind]["cells"].values()}
    width = {"input": 0, "output": 0}
    for port in modules[kind]["ports"].values():
        width[port["direction"]] += len(port["bits"])
    if not inside <= set(target.luts) or width["input"] > _LUT6_INPUTS.get(width["output"], 0):
        raise DataError(f"module {kind} must be one dual-output LUT, and is not")
    return True


def _levels(cells: list[dict[str, Any]], luts: set[str], rest: set[str]) -> tuple[int, int]:
    """Longest path counted in logic cells, and in LUTs alone."""
    logic = [cell for cell in cells if cell["type"] in luts | rest]
    driver: dict[int, int] = {}
    for index, cell in enumerate(logic):
        driver.update(dict.fromkeys(_bits(cell, "output"), index))
    before = {
        index: {driver[bit] for bit in _bits(cell, "input") if bit in driver}
        for index, cell in enumerate(logic)
    }
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise DataError("the netlist must hold no combinational loop, and does") from error
    depth: dict[int, int] = {}
    lut_depth: dict[int, int] = {}
    for index in order:
        is_lut = logic[index]["type"] in luts - rest
        depth[index] = 1 + max((depth[i] for i in before[index]), default=0)
        lut_depth[index] = is_lut + max((lut_depth[i] for i in before[index]), default=0)
    return max(depth.values(), default=0), max(lut_depth.values(), default=0)


def _bits(cell: Mapping[str, Any], direction: str) -> list[Any]:
    """Nets at the ports of a cell; constants are strings and drive nothing."""
    return [
        bit
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == direction
        for bit in bits
    ]
