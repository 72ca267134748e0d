"""Dot products as they are usually written: what ``bench`` measures ``rtl.ternary_dot`` against."""

from typing import Any

from amaranth.hdl import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.ternary_dot import DotParameters
from .popcount import popcount
from .trit import trit_vector


def _product(a: Any, w: Any) -> Value:
    """The product of two trits as a signed number of two bits."""
    nonzero = a.nonzero & w.nonzero
    return Cat(nonzero, nonzero & (a.negative ^ w.negative)).as_signed()


def _tree(values: list[Value]) -> Value:
    """The sum of ``values`` in a balanced tree of adders."""
    while len(values) > 1:
        pairs = [values[i] + values[i + 1] for i in range(0, len(values) - 1, 2)]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]


class _Baseline(wiring.Component):
    """Ports of ``rtl.ternary_dot``: ``a``, ``w`` (``lanes`` elements), ``sum``; combinational."""

    binary = False

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        parameters = DotParameters(lanes, structure="plain", binary=self.binary)
        operand = lanes if self.binary else trit_vector(lanes)
        super().__init__(
            {"a": In(operand), "w": In(operand), "sum": Out(signed(parameters.sum_width))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(self._sum())
        return m

    def _sum(self) -> Value:
        raise NotImplementedError


class BehaviouralDot(_Baseline):
    """sum(a·w): left to the synthesiser."""

    def _sum(self) -> Value:
        products = [_product(self.a[i], self.w[i]) for i in range(self.lanes)]
        return sum(products[1:], products[0])


class AdderTreeDot(_Baseline):
    """Products of two bits in a balanced tree of adders, each a bit wider."""

    def _sum(self) -> Value:
        return _tree([_product(self.a[i], self.w[i]) for i in range(self.lanes)])


class MaskedPopcountDot(_Baseline):
    """The number of products that are +1 less the number that are −1."""

    def _sum(self) -> Value:
        products = [_product(self.a[i], self.w[i]) for i in range(self.lanes)]
        plus = _tree([p[0] & ~p[1] for p in products])
        minus = _tree([p[1] for p in products])
        return plus - minus


class BehaviouralBinaryDot(_Baseline):
    """lanes − 2·popcount(a ^ w): left to the synthesiser."""

    binary = True

    def _sum(self) -> Value:
        return self.lanes - 2 * popcount(self.a ^ self.w)
