"""Builds a dot product as a graph of cells, before any hardware description.

Lanes form chains: a chain passes one bit of weight 1 along and leaves a carry of weight 2 at every
step. Few long chains save LUTs, many short ones save levels. What the chains leave is added up
column by column, always the earliest bits first, by full adders (fewest levels) or by counters with
digits (fewest LUTs). The few wires of the highest columns are looked up in small tables, which also
take the constant that turns counts into a signed sum.

All of that costs microseconds a lane, so a structure is chosen by building the candidates and
keeping the best.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..golden.checks import ParameterError
from ..golden.ternary_dot import DotParameters
from .dot_cells import CELLS

# Wires that the functions of the highest bits may read: an LUT4, or half a LUT6.
TABLE_WIRES = {"lut4": 4, "lut6": 5}
DIGIT_COLUMNS = 2


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


@dataclass(frozen=True)
class Recipe:
    """What tells candidates apart.

    Attributes
    ----------
    chains : int
        Chains that the lanes form.
    digit_level : int
        Bits that have arrived by this level are counted with digits, later ones by full adders.
    """

    chains: int
    digit_level: int


class _Column:
    """Wires of one weight, kept in the order of arrival."""

    def __init__(self) -> None:
        self.bits: list[tuple[int, int]] = []
        self.digits: list[tuple[int, int, int]] = []
        self.plus_one = False

    def wires(self) -> list[int]:
        digits = [wire for _, two, one in self.digits for wire in (two, one)]
        return [wire for _, wire in self.bits] + digits


class _Adder:
    """Adds up columns of bits and digits and a constant."""

    def __init__(self, graph: Graph, recipe: Recipe) -> None:
        self.graph = graph
        self.recipe = recipe
        self.columns: list[_Column] = []
        # Sum of a counter → its ``two`` and what that reads, while no other shares its LUT.
        self._unpaired: dict[int, tuple[int, int, int, int]] = {}
        self._paired: set[int] = set()

    def column(self, weight: int) -> _Column:
        while len(self.columns) <= weight:
            self.columns.append(_Column())
        return self.columns[weight]

    def bit(self, weight: int, wire: int) -> None:
        insort(self.column(weight).bits, (self.graph.level(wire), wire))

    def digit(self, weight: int, two: int, one: int) -> None:
        insort(self.column(weight).digits, (self.graph.level(two, one), two, one))

    def add_up(self, constant: int, width: int) -> list[Table]:
        """The ``width`` lowest bits of everything added so far plus ``constant``."""
        outputs: list[Table] = []
        for weight in range(width):
            rest = [self.column(i) for i in range(weight, width)]
            wires = [wire for column in rest for wire in column.wires()]
            if len(wires) <= TABLE_WIRES[self.graph.tech]:
                outputs += _tables(rest, wires, constant >> weight, width - weight)
                break
            rest[0].plus_one = bool(constant >> weight & 1)
            self._reduce(weight, rest[0])
            bits = rest[0].bits
            outputs.append(Table((bits[0][1],), 0b10) if bits else Table((), 0))
        self.graph.nodes = _without(self.graph.nodes, "pick", self._paired)
        return outputs

    def _reduce(self, weight: int, column: _Column) -> None:
        """Leave at most one bit in the column; carries and digits go to the next one."""
        graph = self.graph
        bits, digits = column.bits, column.digits
        while column.plus_one or len(bits) + 2 * len(digits) > 1:
            if column.plus_one:
                self._plus_one(weight, column)
            elif digits and len(bits) >= 3 and (len(digits) < 2 or digits[1][0] >= bits[2][0]):
                self._count(weight, "digit_three_bits", digits[:1], bits[:3])
            elif len(digits) >= 2 and bits:
                self._count(weight, "two_digits_bit", digits[:2], bits[:1])
            elif len(digits) >= 2 and graph.tech == "lut4":
                self._count(weight, "two_digits", digits[:2], [])
            elif digits and bits:
                _, two, one = digits.pop(0)
                total, carry = graph.add("digit_bit", two, one, bits.pop(0)[1])
                self.bit(weight, total)
                self.bit(weight + 1, carry)
            elif digits:
                _, two, one = digits.pop(0)
                self.bit(weight, one)
                self.bit(weight + 1, *graph.add("digit_carry", two, one))
            elif self._starts_digits(weight, bits):
                self._count(weight, "five_bits", [], bits[:5])
            else:
                taken = [wire for _, wire in bits[:3]]
                del bits[:3]
                cell = "full_adder" if len(taken) == 3 else "half_adder"
                total, carry = graph.add(cell, *taken)
                self.bit(weight, total)
                self.bit(weight + 1, carry)

    def _starts_digits(self, weight: int, bits: list[tuple[int, int]]) -> bool:
        # Above these two columns enough digits arrive from below.
        return (
            weight < DIGIT_COLUMNS
            and len(bits) >= 5
            and bits[4][0] <= self.recipe.digit_level + weight
        )

    def _plus_one(self, weight: int, column: _Column) -> None:
        """Absorb the constant 1 of a column in the cheapest way."""
        graph, bits, digits = self.graph, column.bits, column.digits
        column.plus_one = False
        if len(bits) >= 2:
            (_, a), (_, b) = bits.pop(0), bits.pop(0)
            total, carry = graph.add("half_adder_plus_one", a, b)
        elif digits:
            _, two, one = digits.pop(0)
            total, carry = graph.add("digit_plus_one", two, one)
        else:
            carry = bits.pop(0)[1]
            (total,) = graph.add("invert", carry)
        self.bit(weight, total)
        self.bit(weight + 1, carry)

    def _count(
        self,
        weight: int,
        cell: str,
        digits: Sequence[tuple[int, int, int]],
        bits: Sequence[tuple[int, int]],
    ) -> None:
        """One counter with a digit as its carry."""
        column = self.column(weight)
        del column.digits[: len(digits)]
        del column.bits[: len(bits)]
        bit_wires = [wire for _, wire in bits]
        inputs = [wire for _, two, one in digits for wire in (two, one)] + bit_wires
        if self.graph.tech == "lut4":
            total, two, one = self.graph.add(cell, *inputs)
        else:
            total, one = self.graph.add(f"{cell}_sum_one", *inputs)
            # Any two of these tell, beside the sum, a carry of 0 from a carry of 2.
            choices = bit_wires + [two for _, two, _ in digits]
            two = self._pick(total, bit_wires, choices)
        self.bit(weight, total)
        self.digit(weight + 1, two, one)

    def _pick(self, total: int, bits: list[int], choices: list[int]) -> int:
        """``two`` of the counter above ``total``, sharing a LUT with an earlier one if it can."""
        (two,) = self.graph.add("pick", total, *choices[:2])
        partner = next((bit for bit in bits if bit in self._unpaired), None)
        if partner is None:
            self._unpaired[total] = (two, total, choices[0], choices[1])
            return two
        two_a, *reads = self._unpaired.pop(partner)
        other = next(wire for wire in choices if wire != partner)
        # One cell takes the place of two; nothing has read their outputs yet.
        self._paired |= {two_a, two}
        self.graph.nodes.append(Node("pick_pair", (*reads, total, other), (two_a, two)))
        return two


def _without(nodes: list[Node], cell: str, outputs: set[int]) -> list[Node]:
    """The nodes, less those of ``cell`` that drive one of ``outputs``."""
    return [node for node in nodes if node.cell != cell or node.outputs[0] not in outputs]


def _tables(
    rest: Sequence[_Column], wires: Sequence[int], constant: int, width: int
) -> list[Table]:
    """The highest ``width`` bits, each as a function of the few wires that are left."""
    place = {wire: i for i, wire in enumerate(wires)}
    contents = [0] * width
    for index in range(1 << len(wires)):
        value = {wire: index >> i & 1 for wire, i in place.items()}
        total = constant
        for weight, column in enumerate(rest):
            count = sum(value[wire] for _, wire in column.bits)
            count += sum(1 if value[one] else 2 * value[two] for _, two, one in column.digits)
            total += count << weight
        for bit in range(width):
            contents[bit] |= (total >> bit & 1) << index
    return [_simplest(tuple(wires), word) for word in contents]


def _simplest(wires: tuple[int, ...], contents: int) -> Table:
    """The same function without wires that do not matter."""
    for i, _ in enumerate(wires):
        low = high = 0
        position = 0
        for index in range(1 << len(wires)):
            if not index >> i & 1:
                low |= (contents >> index & 1) << position
                high |= (contents >> (index | 1 << i) & 1) << position
                position += 1
        if low == high:
            return _simplest(wires[:i] + wires[i + 1 :], low)
    return Table(wires, contents)


def _chain_lengths(units: int, chains: int) -> list[int]:
    return [units // chains + (i < units % chains) for i in range(chains)]


def _ternary(graph: Graph, adder: _Adder, lanes: int, recipe: Recipe, constant: int) -> int:
    """Lanes of trits; returns the constant that is left to add."""
    first = "lane_first"
    if constant & 1:
        first, constant = "lane_first_plus_one", constant - 1
    lane = 0
    for length in _chain_lengths(lanes, recipe.chains):
        chain: tuple[int, ...] = ()
        for _ in range(length):
            a, w = 2 * lane, 2 * (lanes + lane)
            cell = "lane" if chain else first
            total, carry = graph.add(cell, a, a + 1, w, w + 1, *chain)
            adder.bit(1, carry)
            chain = (total,)
            lane += 1
        adder.bit(0, *chain)
        first = "lane_first"
    return constant


_MATCHES = {4: "match_four", 2: "match_two", 1: "match_one"}


def _binary(graph: Graph, adder: _Adder, lanes: int, recipe: Recipe) -> None:
    """Lanes of signs: the number of matches."""
    lane = 0
    widest = 4 if graph.tech == "lut4" else 2
    for length in _chain_lengths(lanes, recipe.chains):
        chain: tuple[int, ...] = ()
        while length:
            count = next(size for size in _MATCHES if size <= min(length, widest))
            cell = _MATCHES[count] + ("" if chain else "_first")
            operands = [*range(lane, lane + count)]
            total, *carries = graph.add(
                cell, *operands, *(lanes + wire for wire in operands), *chain
            )
            for carry in carries:
                adder.bit(1, carry)
            chain = (total,)
            lane += count
            length -= count
        adder.bit(0, *chain)


def build_recipe(parameters: DotParameters, recipe: Recipe) -> Graph:
    """The dot product of ``parameters`` as the given recipe makes it."""
    lanes, width = parameters.lanes, parameters.sum_width
    if parameters.binary:
        # sum = 2·matches − lanes: the lowest bit is a constant, the others count.
        graph = Graph(parameters.tech, 2 * lanes)
        adder = _Adder(graph, recipe)
        _binary(graph, adder, lanes, recipe)
        constant = -((lanes + 1) // 2) % (1 << (width - 1))
        upper = adder.add_up(constant, width - 1)
        graph.outputs = [Table((), lanes & 1), *upper]
    else:
        # Every lane is worth its product plus one.
        graph = Graph(parameters.tech, 4 * lanes)
        adder = _Adder(graph, recipe)
        constant = _ternary(graph, adder, lanes, recipe, -lanes % (1 << width))
        graph.outputs = adder.add_up(constant, width)
    return graph


def _chain_counts(lanes: int) -> list[int]:
    """Numbers of chains worth trying: many where lanes are few, then a geometric sample."""
    counts = {lanes, *range(1, 9)}
    counts.update(round(lanes / length) for length in (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24))
    # 2^k − 1 chains end in full adders alone.
    counts.update((1 << k) - 1 for k in range(2, 9))
    return sorted(count for count in counts if 1 <= count <= lanes)


_DIGIT_LEVELS = (0, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32, 48, 1 << 16)
_FIRST_DIGIT_LEVELS = (0, 4, 10, 1 << 16)
_REFINED = 3


def levels_allowed(parameters: DotParameters) -> int | None:
    """LUT levels that the structure may have; None for any number."""
    if parameters.levels is not None:
        return parameters.levels
    if parameters.structure == "compact":
        return None
    return max(1, 3 * (parameters.lanes - 1).bit_length() - 2)


@lru_cache(maxsize=64)
def build(parameters: DotParameters) -> Graph:
    """The dot product of ``parameters``: fewest LUTs at the levels allowed, then fewest levels.

    Raises ParameterError where ``parameters.levels`` is given and no candidate is that shallow.
    """
    allowed = levels_allowed(parameters)

    def merit(candidate: tuple[Graph, Recipe]) -> tuple[int, int, int]:
        graph, _ = candidate
        excess = 0 if allowed is None else max(0, graph.depth - allowed)
        return excess, graph.luts, graph.depth

    def attempt(chains: int, digit_level: int) -> tuple[Graph, Recipe]:
        recipe = Recipe(chains, digit_level)
        return build_recipe(parameters, recipe), recipe

    tried = product(_chain_counts(parameters.lanes), _FIRST_DIGIT_LEVELS)
    first = sorted((attempt(*choice) for choice in tried), key=merit)[:_REFINED]
    chains = dict.fromkeys(recipe.chains for _, recipe in first)
    best, _ = min((attempt(*choice) for choice in product(chains, _DIGIT_LEVELS)), key=merit)
    if parameters.levels is not None and best.depth > parameters.levels:
        raise ParameterError(
            f"levels must be at least {best.depth} with {parameters.lanes} lanes in "
            f"{parameters.tech}, not {parameters.levels}"
        )
    return best
