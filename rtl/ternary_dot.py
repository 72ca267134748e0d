"""Dot products of trits and of signs; golden: ``golden.ternary_dot``.

Both are structures of small cells (``rtl.dot_cells``) put together by ``rtl.dot_tree``. The cells
are Verilog modules that keep their hierarchy; ``gen.verilog`` appends their definitions, and an
Amaranth platform gets them as an extra file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.ternary_dot import DotParameters
from . import dot_cells
from .dot_graph import Node, Table
from .dot_tree import build
from .trit import trit_vector


class _Dot(wiring.Component):
    """What ternary and binary dot products share: ports from parameters, cells from the graph."""

    def __init__(self, parameters: DotParameters, operand: Any) -> None:
        self._parameters = parameters
        members = {
            "a": In(operand),
            "w": In(operand),
            "sum": Out(signed(parameters.sum_width)),
        }
        if parameters.pipeline:
            members["enable"] = In(1, init=1)
        super().__init__(members)
        if parameters.structure != "plain":
            build(parameters)

    @property
    def parameters(self) -> DotParameters:
        return self._parameters

    @property
    def LATENCY(self) -> int:
        """Cycles from operands to sum."""
        return self._parameters.latency

    INITIATION_INTERVAL = 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self._parameters.structure == "plain":
            total = self._plain()
            for _ in self._parameters.pipeline:
                total = self._register(m, total, "sum_delayed")
            m.d.comb += self.sum.eq(total)
            return m
        graph = build(self._parameters)
        if platform is not None:
            tech = self._parameters.tech
            platform.add_file(f"trisign_{tech}.v", dot_cells.library(tech))
        wires = _Wires(self, m, [*Value.cast(self.a), *Value.cast(self.w)])
        for index, node in enumerate(graph.nodes):
            # A cell whose result lies beyond a register level works behind that register.
            level = graph.level(*node.outputs)
            stage = sum(cut < level for cut in self._parameters.pipeline)
            wires.instantiate(f"{node.cell}_{index}", node, stage)
        for place, table in enumerate(graph.outputs):
            inputs = [wires.at(wire, self._parameters.latency) for wire in table.wires]
            m.d.comb += self.sum[place].eq(_lookup(table, inputs))
        return m

    def _register(self, m: Module, value: Value, name: str) -> Signal:
        """``value`` one cycle later."""
        register = Signal(value.shape(), name=name, reset_less=True)
        with m.If(self.enable):
            m.d.sync += register.eq(value)
        return register

    def _plain(self) -> Value:
        raise NotImplementedError


class TernaryDot(_Dot):
    """Sum of the products of two vectors of trits.

    Equation: sum = Σ a[i]·w[i], the gated XNOR of GXNOR-Net (arXiv 1705.09283); golden:
    ``golden.ternary_dot.ternary_dot``. Illegal codes read as zero.

    Parameters
    ----------
    lanes, structure, tech, levels, pipeline
        As in ``golden.ternary_dot.DotParameters``.

    Members
    -------
    a, w : In(array of ``lanes`` Trit)
    sum : Out(signed)
        Exact: its width is derived from ``lanes``, so it cannot overflow.
    enable : In(1)
        Only with ``pipeline``: registers hold while 0. They are not reset.

    Combinational, or ``len(pipeline)`` cycles of latency; initiation interval 1.

    Raises
    ------
    ParameterError
        A parameter is outside its range, or ``levels`` is less than any structure needs.
    """

    def __init__(
        self,
        lanes: int,
        structure: str = "balanced",
        tech: str = "lut4",
        *,
        levels: int | None = None,
        pipeline: Sequence[int] = (),
    ) -> None:
        parameters = DotParameters(
            lanes, structure=structure, tech=tech, levels=levels, pipeline=pipeline
        )
        super().__init__(parameters, trit_vector(parameters.lanes))

    def _plain(self) -> Value:
        products = []
        for i in range(self._parameters.lanes):
            a, w = self.a[i], self.w[i]
            nonzero = a.nonzero & w.nonzero
            products.append(Cat(nonzero, nonzero & (a.negative ^ w.negative)).as_signed())
        return sum(products[1:], products[0])


class BinaryDot(_Dot):
    """Sum of the products of two vectors of signs, one bit a lane, 1 meaning −1.

    Equation: sum = lanes − 2·popcount(a ^ w); golden: ``golden.ternary_dot.binary_dot``.

    Parameters
    ----------
    lanes, structure, tech, levels, pipeline
        As in ``golden.ternary_dot.DotParameters``.

    Members
    -------
    a, w : In(lanes)
    sum : Out(signed)
        Exact: its width is derived from ``lanes``, so it cannot overflow.
    enable : In(1)
        Only with ``pipeline``: registers hold while 0. They are not reset.

    Combinational, or ``len(pipeline)`` cycles of latency; initiation interval 1.

    Raises
    ------
    ParameterError
        A parameter is outside its range, or ``levels`` is less than any structure needs.
    """

    def __init__(
        self,
        lanes: int,
        structure: str = "balanced",
        tech: str = "lut4",
        *,
        levels: int | None = None,
        pipeline: Sequence[int] = (),
    ) -> None:
        parameters = DotParameters(
            lanes, structure=structure, tech=tech, binary=True, levels=levels, pipeline=pipeline
        )
        super().__init__(parameters, parameters.lanes)

    def _plain(self) -> Value:
        products = [Mux(bit, Const(-1, signed(2)), Const(1, signed(2))) for bit in self.a ^ self.w]
        return sum(products[1:], products[0])


class _Wires:
    """Values of a graph's wires, carried by registers to the stages where they are read."""

    def __init__(self, dot: _Dot, module: Module, operands: Sequence[Value]) -> None:
        self._dot = dot
        self._module = module
        # Wire → (stage, value) wherever the wire is available, the earliest stage first.
        self._values = {wire: [(0, value)] for wire, value in enumerate(operands)}
        self._names = {wire: f"operand_{wire}" for wire in self._values}

    def at(self, wire: int, stage: int) -> Value:
        """The value of ``wire`` as it is seen in ``stage``."""
        values = self._values[wire]
        while values[-1][0] < stage:
            made, value = values[-1]
            name = f"{self._names[wire]}_stage{made + 1}"
            values.append((made + 1, self._dot._register(self._module, value, name)))
        return values[stage - values[0][0]][1]

    def instantiate(self, name: str, node: Node, stage: int) -> None:
        """The cell of ``node``, in ``stage`` or where its inputs become available."""
        cell = dot_cells.CELLS[node.cell]
        stage = max([stage, *(self._values[wire][0][0] for wire in node.inputs)])
        ports: dict[str, Value] = {}
        for port, wire in zip(cell.inputs, node.inputs, strict=True):
            ports[f"i_{port}"] = self.at(wire, stage)
        for port, wire in zip(cell.outputs, node.outputs, strict=True):
            self._names[wire] = f"{name}_{port}"
            ports[f"o_{port}"] = signal = Signal(name=self._names[wire])
            self._values[wire] = [(stage, signal)]
        module = dot_cells.module_name(cell.name, self._dot.parameters.tech)
        self._module.submodules[name] = Instance(module, **ports)


def _lookup(table: Table, wires: Sequence[Value]) -> Value:
    """One bit of the sum."""
    if not wires:
        return Const(table.contents, 1)
    if len(wires) == 1:
        return wires[0] if table.contents == 0b10 else ~wires[0]
    return Const(table.contents, 1 << len(wires)).bit_select(Cat(wires), 1)
