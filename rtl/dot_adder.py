"""Adds up columns of bits and digits: the upper part of a dot product.

Columns are reduced one after another, always the earliest wires first, by full adders (fewest
levels) or by counters with digits (fewest LUTs). The few wires of the highest columns are looked up
in small tables, which also take the constant that turns counts into a signed sum.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from .dot_graph import Graph, Node, Table

# Wires that the functions of the highest bits may read: a LUT4, or half a LUT6.
TABLE_WIRES = {"lut4": 4, "lut6": 5}
# Columns in which digits may begin; those above get enough of them from below.
DIGIT_COLUMNS = 2


@dataclass(frozen=True)
class Recipe:
    """What tells candidates apart.

    Attributes
    ----------
    chains : int
        Chains that the lanes form.
    digit_level : int
        Bits that have arrived by this level are counted with digits, later ones by full adders.
    digit_heads : int
        Quarters of the chains, 0 … 4, whose first carries form a digit.
    parity : int
        How an even column is made odd: by a half adder at last (0), two digits alone being added
        with a digit as carry (1), or by a counter of four at first (2).
    """

    chains: int
    digit_level: int
    digit_heads: int = 0
    parity: int = 1

    def starts_with_digit(self, chain: int) -> bool:
        """Whether the first carries of this chain form a digit."""
        return (chain + 1) * self.digit_heads // 4 > chain * self.digit_heads // 4


class Column:
    """Wires of one weight, kept in the order of arrival."""

    def __init__(self) -> None:
        self.bits: list[tuple[int, int]] = []
        self.digits: list[tuple[int, int, int]] = []
        self.plus_one = False

    def wires(self) -> list[int]:
        digits = [wire for _, two, one in self.digits for wire in (two, one)]
        return [wire for _, wire in self.bits] + digits


class Adder:
    """Adds up bits and digits of every weight, and a constant, on a graph."""

    def __init__(self, graph: Graph, recipe: Recipe) -> None:
        self.graph = graph
        self.recipe = recipe
        self.columns: list[Column] = []
        # Sum of a counter → its ``two`` and what that reads, while no other shares its LUT.
        self._unpaired: dict[int, tuple[int, int, int, int]] = {}
        self._paired: set[int] = set()

    def column(self, weight: int) -> Column:
        while len(self.columns) <= weight:
            self.columns.append(Column())
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

    def _reduce(self, weight: int, column: Column) -> None:
        """Leave at most one bit in the column; carries and digits go to the next one."""
        graph = self.graph
        bits, digits = column.bits, column.digits
        while column.plus_one or len(bits) + 2 * len(digits) > 1:
            even = self.recipe.parity == 2 and len(bits) % 2 == 0
            if column.plus_one:
                self._plus_one(weight, column)
            elif even and len(bits) >= 4:
                self._count(weight, "four_bits", [], bits[:4])
            elif even and digits and len(bits) >= 2:
                self._count(weight, "digit_two_bits", digits[:1], bits[:2])
            elif even and len(digits) >= 2:
                self._count(weight, "two_digits", digits[:2], [])
            elif digits and len(bits) >= 3 and (len(digits) < 2 or digits[1][0] >= bits[2][0]):
                self._count(weight, "digit_three_bits", digits[:1], bits[:3])
            elif len(digits) >= 2 and bits:
                self._count(weight, "two_digits_bit", digits[:2], bits[:1])
            elif len(digits) >= 2 and self.recipe.parity:
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
        return (
            weight < DIGIT_COLUMNS
            and len(bits) >= 5
            and bits[4][0] <= self.recipe.digit_level + weight
        )

    def _plus_one(self, weight: int, column: Column) -> None:
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


def _tables(rest: Sequence[Column], wires: Sequence[int], constant: int, width: int) -> list[Table]:
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
