"""The cells that dot products are made of: one table for Verilog, LUT counts and levels.

A *digit* is a pair of wires (two, one) worth 0, 1 or 2: 1 where ``one`` is set, else 2·``two``.
``two`` means nothing where ``one`` is set, and that freedom is what makes digits cheaper than
plain bits: two full adders joined by digits take three LUT4 instead of four, and three LUT6 with
two outputs serve four of them. The idea is the MDFA of Demenkov, Kojevnikov, Kulikov and
Yaroslavtsev (Information Processing Letters 110, 2010), here fitted to LUTs.

A ternary lane is worth u + v − 1 with two bits u, v that differ exactly where the gate rests, so
adding a lane to a bit c is a full adder: u + v + c = sum + 2·carry. The gate costs nothing.

Every LUT keeps its hierarchy through synthesis: for LUT4 each function is a module of its own, for
LUT6 each cell. A mapper that may look across them builds them larger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..golden.ternary_dot import TECHS

PREFIX = "trisign_"

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Cell:
    """A small module of named one-bit functions.

    Attributes
    ----------
    name : str
        The Verilog module is called ``trisign_<tech>_<name>``.
    meaning : str
        What it adds up, as a comment of the module.
    inputs : tuple of str
    functions : dict of str to str
        Each function in turn, written with ``& | ^ ~`` so that Python and Verilog read it alike;
        a function may use those before it. Every function is one LUT4.
    outputs : tuple of str
        The functions that leave the cell.

    A cell for LUT6 has at most five inputs and two outputs: it is one LUT6 that gives both.
    """

    name: str
    meaning: str
    inputs: tuple[str, ...]
    functions: Mapping[str, str]
    outputs: tuple[str, ...]

    @cached_property
    def support(self) -> dict[str, tuple[str, ...]]:
        """What each function reads: inputs and earlier functions."""
        return {
            name: tuple(dict.fromkeys(_NAME.findall(text))) for name, text in self.functions.items()
        }

    @cached_property
    def lut4_delays(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each output, pairs (input it depends on, LUT4 on the longest path from there)."""
        paths = {name: {i: 0} for i, name in enumerate(self.inputs)}
        for name, reads in self.support.items():
            paths[name] = {}
            for source in reads:
                for i, length in paths[source].items():
                    paths[name][i] = max(paths[name].get(i, 0), length + 1)
        return tuple(tuple(paths[name].items()) for name in self.outputs)

    @cached_property
    def _code(self) -> dict[str, Any]:
        return {name: compile(text, name, "eval") for name, text in self.functions.items()}

    def luts(self, tech: str) -> int:
        """LUT4, or LUT6 sites, of one cell."""
        return len(self.functions) if tech == "lut4" else 1

    def levels(self, tech: str, arrival: Sequence[int]) -> list[int]:
        """Level of each output when the inputs arrive at the given levels."""
        if tech == "lut6":
            return [1 + max(arrival)] * len(self.outputs)
        return [max(arrival[i] + length for i, length in delays) for delays in self.lut4_delays]

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """Values of the outputs for boolean arrays at the inputs."""
        scope = dict(zip(self.inputs, values, strict=True))
        for name, code in self._code.items():
            scope[name] = eval(code, {"__builtins__": {}}, scope)
        return [scope[name] for name in self.outputs]

    def verilog(self, tech: str) -> str:
        """The cell's module, and below it the modules of its functions where they stay apart."""
        module = module_name(self.name, tech)
        ports = _ports(self.inputs, self.outputs)
        body = [f"  wire {name};" for name in self.functions if name not in self.outputs]
        if tech == "lut6" or len(self.functions) == 1:
            body += [f"  assign {name} = {text};" for name, text in self.functions.items()]
            return _module(self.meaning, module, ports, body, keep=True)
        luts = []
        for name, reads in self.support.items():
            connections = ", ".join(f".{port}({port})" for port in (*reads, name))
            body.append(f"  {module}_{name} {name}_lut({connections});")
            text = [f"  assign {name} = {self.functions[name]};"]
            luts.append(_module("", f"{module}_{name}", _ports(reads, (name,)), text, keep=True))
        return "\n".join([_module(self.meaning, module, ports, body, keep=False), *luts])


def module_name(cell: str, tech: str) -> str:
    """Verilog module of a cell."""
    return f"{PREFIX}{tech}_{cell}"


def _ports(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    return [*(f"input {name}" for name in inputs), *(f"output {name}" for name in outputs)]


def _module(comment: str, name: str, ports: list[str], body: list[str], keep: bool) -> str:
    lines = [f"// {comment}"] if comment else []
    if keep:
        lines.append('(* keep_hierarchy = "yes" *)')
    lines += [f"module {name}(", ",\n".join(f"  {port}" for port in ports), ");"]
    return "\n".join([*lines, *body, "endmodule", ""])


def _mux(select: str, one: str, zero: str) -> str:
    return f"({select} & {one}) | (~{select} & {zero})"


def _majority(a: str, b: str, c: str) -> str:
    return f"({a} & {b}) | ({a} & {c}) | ({b} & {c})"


_LANE = ("a_nonzero", "a_negative", "w_nonzero", "w_negative")
_DIGIT = ("two", "one")
_DIGIT_A = ("two_a", "one_a")
_DIGIT_B = ("two_b", "one_b")

_CELLS = (
    # Lanes.
    Cell(
        "lane",
        "ternary lane (worth a*w + 1) + c = sum + 2 carry",
        (*_LANE, "c"),
        {
            "sum": "~(a_nonzero & w_nonzero) ^ c",
            "carry": _mux("(sum ^ c)", "c", "~(a_negative ^ w_negative)"),
        },
        ("sum", "carry"),
    ),
    Cell(
        "lane_first",
        "ternary lane (worth a*w + 1) = sum + 2 carry",
        _LANE,
        {
            "sum": "~(a_nonzero & w_nonzero)",
            "carry": "a_nonzero & w_nonzero & ~(a_negative ^ w_negative)",
        },
        ("sum", "carry"),
    ),
    Cell(
        "lane_first_plus_one",
        "ternary lane (worth a*w + 1) + 1 = sum + 2 carry",
        _LANE,
        {
            "sum": "a_nonzero & w_nonzero",
            "carry": "~(a_nonzero & w_nonzero) | ~(a_negative ^ w_negative)",
        },
        ("sum", "carry"),
    ),
    Cell(
        "match_four",
        "matches of four pairs of bits + c = sum + 2 carry_p + 2 carry_q",
        ("a0", "a1", "a2", "a3", "w0", "w1", "w2", "w3", "c"),
        {
            "p": "a0 ^ w0 ^ a1 ^ w1",
            "q": "a2 ^ w2 ^ a3 ^ w3",
            "sum": "p ^ q ^ c",
            "carry_p": _mux("p", "c", "~(a0 ^ w0)"),
            "carry_q": _mux("q", "~sum", "~(a2 ^ w2)"),
        },
        ("sum", "carry_p", "carry_q"),
    ),
    Cell(
        "match_four_first",
        "matches of four pairs of bits = sum + 2 carry_p + 2 carry_q",
        ("a0", "a1", "a2", "a3", "w0", "w1", "w2", "w3"),
        {
            "p": "a0 ^ w0 ^ a1 ^ w1",
            "q": "a2 ^ w2 ^ a3 ^ w3",
            "sum": "p ^ q",
            "carry_p": "~p & ~(a0 ^ w0)",
            "carry_q": _mux("q", "~sum", "~(a2 ^ w2)"),
        },
        ("sum", "carry_p", "carry_q"),
    ),
    Cell(
        "match_two",
        "matches of two pairs of bits + c = sum + 2 carry",
        ("a0", "a1", "w0", "w1", "c"),
        {
            "p": "a0 ^ w0 ^ a1 ^ w1",
            "sum": "p ^ c",
            "carry": _mux("p", "c", "~(a0 ^ w0)"),
        },
        ("sum", "carry"),
    ),
    Cell(
        "match_two_first",
        "matches of two pairs of bits = sum + 2 carry",
        ("a0", "a1", "w0", "w1"),
        {"sum": "a0 ^ w0 ^ a1 ^ w1", "carry": "~(a0 ^ w0) & ~(a1 ^ w1)"},
        ("sum", "carry"),
    ),
    Cell(
        "match_one",
        "match of a pair of bits + c = sum + 2 carry",
        ("a0", "w0", "c"),
        {"sum": "~(a0 ^ w0) ^ c", "carry": "~(a0 ^ w0) & c"},
        ("sum", "carry"),
    ),
    Cell(
        "match_one_first", "match of a pair of bits", ("a0", "w0"), {"sum": "~(a0 ^ w0)"}, ("sum",)
    ),
    # Counters of bits.
    Cell(
        "full_adder",
        "a + b + c = sum + 2 carry",
        ("a", "b", "c"),
        {"sum": "a ^ b ^ c", "carry": _majority("a", "b", "c")},
        ("sum", "carry"),
    ),
    Cell(
        "half_adder",
        "a + b = sum + 2 carry",
        ("a", "b"),
        {"sum": "a ^ b", "carry": "a & b"},
        ("sum", "carry"),
    ),
    Cell(
        "half_adder_plus_one",
        "a + b + 1 = sum + 2 carry",
        ("a", "b"),
        {"sum": "~(a ^ b)", "carry": "a | b"},
        ("sum", "carry"),
    ),
    Cell("invert", "a + 1 = sum + 2 a", ("a",), {"sum": "~a"}, ("sum",)),
    # Counters with digits, LUT4: T = sum + 2·(two functions of the same digit).
    Cell(
        "five_bits",
        "a + b + c + d + e = sum + 2 digit(two, one)",
        ("a", "b", "c", "d", "e"),
        {
            "half": "a ^ b ^ c",
            "two": _majority("a", "b", "c"),
            "sum": "half ^ d ^ e",
            "one": f"two ^ ({_majority('half', 'd', 'e')})",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "digit_three_bits",
        "digit(two_a, one_a) + b + c + d = sum + 2 digit(two, one)",
        (*_DIGIT_A, "b", "c", "d"),
        {
            "sum": "one_a ^ b ^ c ^ d",
            "two": _majority("(one_a ^ b)", "c", "d"),
            "one": f"two ^ ({_mux('one_a', 'b', 'two_a')})",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "two_digits_bit",
        "digit(two_a, one_a) + digit(two_b, one_b) + c = sum + 2 digit(two, one)",
        (*_DIGIT_A, *_DIGIT_B, "c"),
        {
            "sum": "one_a ^ one_b ^ c",
            "two": _mux("one_b", "(one_a ^ c)", "two_b"),
            "one": f"two ^ ({_mux('one_a', 'c', 'two_a')})",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "two_digits",
        "digit(two_a, one_a) + digit(two_b, one_b) = sum + 2 digit(two, one)",
        (*_DIGIT_A, *_DIGIT_B),
        {
            "sum": "one_a ^ one_b",
            "two": _mux("one_b", "one_a", "two_b"),
            "one": "two ^ (~one_a & two_a)",
        },
        ("sum", "two", "one"),
    ),
    # Counters with digits, LUT6: ``two`` is left to the cells pick and pick_pair.
    Cell(
        "five_bits_sum_one",
        "a + b + c + d + e = sum + 2 digit(.., one)",
        ("a", "b", "c", "d", "e"),
        {
            "sum": "a ^ b ^ c ^ d ^ e",
            "one": f"({_majority('a', 'b', 'c')}) ^ ({_majority('(a ^ b ^ c)', 'd', 'e')})",
        },
        ("sum", "one"),
    ),
    Cell(
        "digit_three_bits_sum_one",
        "digit(two_a, one_a) + b + c + d = sum + 2 digit(.., one)",
        (*_DIGIT_A, "b", "c", "d"),
        {
            "sum": "one_a ^ b ^ c ^ d",
            "one": f"({_mux('one_a', 'b', 'two_a')}) ^ ({_majority('(one_a ^ b)', 'c', 'd')})",
        },
        ("sum", "one"),
    ),
    Cell(
        "two_digits_bit_sum_one",
        "digit(two_a, one_a) + digit(two_b, one_b) + c = sum + 2 digit(.., one)",
        (*_DIGIT_A, *_DIGIT_B, "c"),
        {
            "sum": "one_a ^ one_b ^ c",
            "one": f"({_mux('one_a', 'c', 'two_a')}) ^ ({_mux('one_b', '(one_a ^ c)', 'two_b')})",
        },
        ("sum", "one"),
    ),
    Cell(
        "pick",
        "two of the digit above sum; p, q: two summed bits, or a bit and the two of a digit",
        ("sum", "p", "q"),
        {"two": _majority("~sum", "p", "q")},
        ("two",),
    ),
    Cell(
        "pick_pair",
        "pick twice, where sum_a is one of the bits summed in sum_b",
        ("sum_a", "p", "q", "sum_b", "r"),
        {"two_a": _majority("~sum_a", "p", "q"), "two_b": _majority("~sum_b", "sum_a", "r")},
        ("two_a", "two_b"),
    ),
    # A digit alone.
    Cell(
        "digit_bit",
        "digit(two, one) + c = sum + 2 carry",
        (*_DIGIT, "c"),
        {"sum": "one ^ c", "carry": _mux("one", "c", "two")},
        ("sum", "carry"),
    ),
    Cell(
        "digit_plus_one",
        "digit(two, one) + 1 = sum + 2 carry",
        _DIGIT,
        {"sum": "~one", "carry": "one | two"},
        ("sum", "carry"),
    ),
    Cell(
        "digit_carry",
        "digit(two, one) = one + 2 carry",
        _DIGIT,
        {"carry": "~one & two"},
        ("carry",),
    ),
)

CELLS = {cell.name: cell for cell in _CELLS}


def definitions(verilog: str) -> str:
    """Verilog of every cell that the given text instantiates, in the order of the table."""
    pattern = rf"^\s*{PREFIX}(lut[46])_(\w+)\s+\S+\s*\("
    used = set(re.findall(pattern, verilog, re.MULTILINE))
    return "\n".join(
        cell.verilog(tech) for tech in TECHS for cell in _CELLS if (tech, cell.name) in used
    )


def library(tech: str) -> str:
    """Verilog of every cell."""
    return "\n".join(cell.verilog(tech) for cell in _CELLS)
