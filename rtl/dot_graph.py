"""A dot product as a graph of cells: its area, its depth, and what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dot_cells import CELLS


@dataclass(frozen=True)
class Node:
    """One cell: ``inputs`` and ``outputs`` are wires, in the order of the cell's ports."""

    cell: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """One bit of the sum: ``contents`` at the index formed by ``wires``, the first one lowest.

    No wires: a constant. One wire: the wire or its inverse.
    """

    wires: tuple[int, ...]
    contents: int

    @property
    def is_logic(self) -> bool:
        """Whether it takes a LUT: a constant and a mere wire do not."""
        return bool(self.wires) and self.contents != 0b10

    @property
    def bits(self) -> list[int]:
        """The contents, one element an index."""
        return [self.contents >> index & 1 for index in range(1 << len(self.wires))]


class Graph:
    """Cells between the operands' bits and the bits of the sum.

    Attributes
    ----------
    tech : str
    levels : list of int
        Level of each wire; the operands' bits are at level 0.
    nodes : list of Node
        In an order in which every wire is driven before it is read.
    outputs : list of Table
        Bits of the sum, the lowest first.
    operand_bits : int
        Wires 0 … operand_bits − 1 are the bits of ``a``, then those of ``w``.
    """

    def __init__(self, tech: str, operand_bits: int) -> None:
        self.tech = tech
        self.operand_bits = operand_bits
        self.levels = [0] * operand_bits
        self.nodes: list[Node] = []
        self.outputs: list[Table] = []

    def add(self, cell: str, *inputs: int) -> tuple[int, ...]:
        """A cell on the given wires; returns its output wires."""
        first = len(self.levels)
        self.levels += CELLS[cell].levels(self.tech, [self.levels[wire] for wire in inputs])
        outputs = tuple(range(first, len(self.levels)))
        self.nodes.append(Node(cell, inputs, outputs))
        return outputs

    def level(self, *wires: int) -> int:
        """Level at which the last of ``wires`` arrives."""
        return max((self.levels[wire] for wire in wires), default=0)

    @property
    def luts(self) -> int:
        """LUT4, or LUT6 sites, of the whole: cells, and the tables on top."""
        cells = sum(CELLS[node.cell].luts(self.tech) for node in self.nodes)
        tables = [table for table in self.outputs if table.is_logic]
        return cells + (len(tables) if self.tech == "lut4" else (len(tables) + 1) // 2)

    @property
    def depth(self) -> int:
        """LUTs on the longest path."""
        return max(self.level(*table.wires) + table.is_logic for table in self.outputs)

    def evaluate(self, a: NDArray[Any], w: NDArray[Any]) -> NDArray[np.int64]:
        """The signed sum for operand bits, boolean arrays [n, bits]: what the hardware computes."""
        bits = np.concatenate([a, w], axis=1).astype(bool)
        values: dict[int, NDArray[np.bool_]] = dict(enumerate(bits.T))
        for node in self.nodes:
            results = CELLS[node.cell].evaluate([values[wire] for wire in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        total = np.zeros(len(bits), np.int64)
        for place, table in enumerate(self.outputs):
            index = sum((values[wire].astype(np.int64) << i) for i, wire in enumerate(table.wires))
            bit = np.array(table.bits, np.int64)[index]
            sign = -1 if place == len(self.outputs) - 1 else 1
            total += sign * (bit << place)
        return total
