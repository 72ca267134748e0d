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

from ..golden.ternary_dot import TECHS
from .dot_cell import PREFIX, Cell, module_name

__all__ = ["CELLS", "PREFIX", "definitions", "library", "module_name"]


def _mux(select: str, one: str, zero: str) -> str:
    return f"({select} & {one}) | (~{select} & {zero})"


def _majority(a: str, b: str, c: str) -> str:
    return f"({a} & {b}) | ({a} & {c}) | ({b} & {c})"


_LANE = ("a_nonzero", "a_negative", "w_nonzero", "w_negative")
_TWO_LANES = tuple(name.replace("_", f"{i}_") for i in (0, 1) for name in _LANE)
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
        "two_lanes_first",
        "two ternary lanes (worth a*w + 1 each) = sum + 2 carry_p + 2 carry_q",
        _TWO_LANES,
        {
            "half": "~(a0_nonzero & w0_nonzero)",
            "sum": "(a0_nonzero & w0_nonzero) ^ (a1_nonzero & w1_nonzero)",
            "carry_p": "a0_nonzero & w0_nonzero & ~(a0_negative ^ w0_negative)",
            "carry_q": _mux("(sum ^ half)", "half", "~(a1_negative ^ w1_negative)"),
        },
        ("sum", "carry_p", "carry_q"),
    ),
    Cell(
        "two_lanes_first_plus_one",
        "two ternary lanes (worth a*w + 1 each) + 1 = sum + 2 carry_p + 2 carry_q",
        _TWO_LANES,
        {
            "half": "a0_nonzero & w0_nonzero",
            "sum": "~((a0_nonzero & w0_nonzero) ^ (a1_nonzero & w1_nonzero))",
            "carry_p": "~(a0_nonzero & w0_nonzero) | ~(a0_negative ^ w0_negative)",
            "carry_q": _mux("(sum ^ half)", "half", "~(a1_negative ^ w1_negative)"),
        },
        ("sum", "carry_p", "carry_q"),
    ),
    Cell(
        "two_lanes_digit_first",
        "two ternary lanes (worth a*w + 1 each) = sum + 2 digit(two, one)",
        _TWO_LANES,
        {
            "half": "~(a0_nonzero & w0_nonzero)",
            "sum": "(a0_nonzero & w0_nonzero) ^ (a1_nonzero & w1_nonzero)",
            "two": _mux("(sum ^ half)", "half", "~(a1_negative ^ w1_negative)"),
            "one": "two ^ (~half & ~(a0_negative ^ w0_negative))",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "two_lanes_digit_first_plus_one",
        "two ternary lanes (worth a*w + 1 each) + 1 = sum + 2 digit(two, one)",
        _TWO_LANES,
        {
            "half": "a0_nonzero & w0_nonzero",
            "sum": "~((a0_nonzero & w0_nonzero) ^ (a1_nonzero & w1_nonzero))",
            "two": _mux("(sum ^ half)", "half", "~(a1_negative ^ w1_negative)"),
            "one": "two ^ (~half | ~(a0_negative ^ w0_negative))",
        },
        ("sum", "two", "one"),
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
        "match_four_digit_first",
        "matches of four pairs of bits = sum + 2 digit(two, one)",
        ("a0", "a1", "a2", "a3", "w0", "w1", "w2", "w3"),
        {
            "p": "a0 ^ w0 ^ a1 ^ w1",
            "q": "a2 ^ w2 ^ a3 ^ w3",
            "sum": "p ^ q",
            "two": _mux("q", "~sum", "~(a2 ^ w2)"),
            "one": "two ^ (~p & ~(a0 ^ w0))",
        },
        ("sum", "two", "one"),
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
        "four_bits",
        "a + b + c + d = sum + 2 digit(two, one)",
        ("a", "b", "c", "d"),
        {
            "sum": "a ^ b ^ c ^ d",
            "two": "a & b",
            "one": f"({_majority('a', 'b', 'c')}) ^ ((a ^ b ^ c) & d)",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "digit_two_bits",
        "digit(two_a, one_a) + b + c = sum + 2 digit(two, one)",
        (*_DIGIT_A, "b", "c"),
        {
            "sum": "one_a ^ b ^ c",
            "two": "b & c",
            "one": f"({_mux('one_a', 'b', 'two_a')}) ^ ((one_a ^ b) & c)",
        },
        ("sum", "two", "one"),
    ),
    Cell(
        "two_digits",
        "digit(two_a, one_a) + digit(two_b, one_b) = sum + 2 digit(two, one)",
        (*_DIGIT_A, *_DIGIT_B),
        {
            "sum": "one_a ^ one_b",
            "two": "two_a & two_b",
            "one": "(one_a & one_b) | ((~one_a & two_a) ^ (~one_b & two_b))",
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
        "four_bits_sum_one",
        "a + b + c + d = sum + 2 digit(.., one)",
        ("a", "b", "c", "d"),
        {
            "sum": "a ^ b ^ c ^ d",
            "one": f"({_majority('a', 'b', 'c')}) ^ ((a ^ b ^ c) & d)",
        },
        ("sum", "one"),
    ),
    Cell(
        "digit_two_bits_sum_one",
        "digit(two_a, one_a) + b + c = sum + 2 digit(.., one)",
        (*_DIGIT_A, "b", "c"),
        {
            "sum": "one_a ^ b ^ c",
            "one": f"({_mux('one_a', 'b', 'two_a')}) ^ ((one_a ^ b) & c)",
        },
        ("sum", "one"),
    ),
    Cell(
        "two_digits_sum_one",
        "digit(two_a, one_a) + digit(two_b, one_b) = sum + 2 digit(.., one)",
        (*_DIGIT_A, *_DIGIT_B),
        {
            "sum": "one_a ^ one_b",
            "one": "(one_a & one_b) | ((~one_a & two_a) ^ (~one_b & two_b))",
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
