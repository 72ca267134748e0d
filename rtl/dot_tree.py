"""Chooses the structure of a dot product, before any hardware description.

Lanes form chains: a chain passes one bit of weight 1 along and leaves a carry of weight 2 at every
step. Few long chains save LUTs, many short ones save levels. ``rtl.dot_adder`` adds up what the
chains leave. All of that costs microseconds a lane, so candidates are built and the best is kept.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product

from ..golden.checks import ParameterError
from ..golden.ternary_dot import DotParameters
from .dot_adder import Adder, Recipe
from .dot_graph import Graph, Table


def _chain_lengths(units: int, chains: int) -> list[int]:
    return [units // chains + (i < units % chains) for i in range(chains)]


def _ternary(graph: Graph, adder: Adder, lanes: int, recipe: Recipe, constant: int) -> int:
    """Lanes of trits; returns the constant that is left to add."""
    lane = 0
    for number, length in enumerate(_chain_lengths(lanes, recipe.chains)):
        end = lane + length
        # The first chain takes the lowest bit of the constant.
        first = "_first_plus_one" if number == 0 and constant & 1 else "_first"
        if graph.tech == "lut4" and length >= 2:
            operands = _operands(lane, lanes) + _operands(lane + 1, lanes)
            lane += 2
            if recipe.starts_with_digit(number):
                total, two, one = graph.add(f"two_lanes_digit{first}", *operands)
                adder.digit(1, two, one)
                carries = []
            else:
                total, *carries = graph.add(f"two_lanes{first}", *operands)
        else:
            total, *carries = graph.add(f"lane{first}", *_operands(lane, lanes))
            lane += 1
        while lane < end:
            total, carry = graph.add("lane", *_operands(lane, lanes), total)
            carries.append(carry)
            lane += 1
        adder.bit(0, total)
        for carry in carries:
            adder.bit(1, carry)
    return constant & ~1


def _operands(lane: int, lanes: int) -> tuple[int, int, int, int]:
    """Wires of a lane: a.nonzero, a.negative, w.nonzero, w.negative."""
    a, w = 2 * lane, 2 * (lanes + lane)
    return a, a + 1, w, w + 1


_MATCHES = {4: "match_four", 2: "match_two", 1: "match_one"}


def _binary(graph: Graph, adder: Adder, lanes: int, recipe: Recipe) -> None:
    """Lanes of signs: the number of matches."""
    lane = 0
    widest = 4 if graph.tech == "lut4" else 2
    for number, length in enumerate(_chain_lengths(lanes, recipe.chains)):
        end = lane + length
        chain: tuple[int, ...] = ()
        while lane < end:
            count = next(size for size in _MATCHES if size <= min(end - lane, widest))
            operands = [*range(lane, lane + count), *range(lanes + lane, lanes + lane + count)]
            lane += count
            cell = _MATCHES[count] + ("" if chain else "_first")
            if cell == "match_four_first" and recipe.starts_with_digit(number):
                total, two, one = graph.add("match_four_digit_first", *operands)
                adder.digit(1, two, one)
            else:
                total, *carries = graph.add(cell, *operands, *chain)
                for carry in carries:
                    adder.bit(1, carry)
            chain = (total,)
        adder.bit(0, *chain)


def build_recipe(parameters: DotParameters, recipe: Recipe) -> Graph:
    """The dot product of ``parameters`` as the given recipe makes it."""
    lanes, width = parameters.lanes, parameters.sum_width
    if parameters.binary:
        # sum = 2·matches − lanes: the lowest bit is a constant, the others count.
        graph = Graph(parameters.tech, 2 * lanes)
        adder = Adder(graph, recipe)
        _binary(graph, adder, lanes, recipe)
        constant = -((lanes + 1) // 2) % (1 << (width - 1))
        upper = adder.add_up(constant, width - 1)
        graph.outputs = [Table((), lanes & 1), *upper]
    else:
        # Every lane is worth its product plus one.
        graph = Graph(parameters.tech, 4 * lanes)
        adder = Adder(graph, recipe)
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
# Digit levels, digit heads and parities to begin with; LUT6 structures have no such heads.
_GRID = {
    "lut4": tuple(product((0, 4, 10, 1 << 16), (0, 4), (1,))),
    "lut6": tuple(product((0, 4, 10, 1 << 16), (0,), (0, 1))),
}
_REFINED = 3


def levels_allowed(parameters: DotParameters) -> int | None:
    """LUT levels that the structure may have; None for any number."""
    if parameters.levels is not None:
        return parameters.levels
    if parameters.structure == "compact":
        return None
    return max(1, 3 * (parameters.lanes - 1).bit_length() - 2)


class _Search:
    """Builds candidates and remembers them; the best has fewest LUTs at the levels allowed."""

    def __init__(self, parameters: DotParameters) -> None:
        self.parameters = parameters
        self.allowed = levels_allowed(parameters)
        self.known: dict[Recipe, tuple[tuple[int, int, int], Graph]] = {}

    def merit(self, recipe: Recipe) -> tuple[int, int, int]:
        """Levels beyond those allowed, LUTs, levels: the smaller the better."""
        if recipe not in self.known:
            graph = build_recipe(self.parameters, recipe)
            excess = 0 if self.allowed is None else max(0, graph.depth - self.allowed)
            self.known[recipe] = (excess, graph.luts, graph.depth), graph
        return self.known[recipe][0]

    def refine(self, recipe: Recipe) -> Recipe:
        """Better one property at a time, until none helps."""
        best = recipe
        while True:
            near = [replace(best, digit_level=level) for level in _DIGIT_LEVELS]
            near += [replace(best, digit_heads=quarters) for quarters in range(5)]
            near += [replace(best, parity=parity) for parity in range(3)]
            near += [
                replace(best, chains=chains)
                for chains in (best.chains - 1, best.chains + 1)
                if 1 <= chains <= self.parameters.lanes
            ]
            found = min([best, *near], key=self.merit)
            if found == best:
                return best
            best = found

    def best(self) -> Graph:
        counts = _chain_counts(self.parameters.lanes)
        first = _GRID[self.parameters.tech]
        grid = [Recipe(chains, *rest) for chains, rest in product(counts, first)]
        starts: dict[int, Recipe] = {}
        for recipe in sorted(grid, key=self.merit):
            starts.setdefault(recipe.chains, recipe)
        found = [self.refine(recipe) for recipe in [*starts.values()][:_REFINED]]
        return self.known[min(found, key=self.merit)][1]


@lru_cache(maxsize=64)
def build(parameters: DotParameters) -> Graph:
    """The dot product of ``parameters``: fewest LUTs at the levels allowed, then fewest levels.

    Raises ParameterError where ``parameters.levels`` is given and no candidate is that shallow.
    """
    best = _Search(replace(parameters, pipeline=())).best()
    if parameters.levels is not None and best.depth > parameters.levels:
        raise ParameterError(
            f"levels must be at least {best.depth} with {parameters.lanes} lanes in "
            f"{parameters.tech}, not {parameters.levels}"
        )
    return best
