"""An out-of-context wrapper: any block placed and routed on a part with four pins.

Every input of the block comes from one long shift register, every output goes to a register of its
own, and those fold into one pin. All paths inside the block thus run from register to register, as
they do in a design, whatever its number of ports. The wrapper's cells are not the block's: areas
are read from the block's own module.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth import Cat, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import DataError

HARNESS_NAME = "trisign_harness"
INSTANCE_NAME = "block"

_PORT = re.compile(
    r"^\s*(input|output)\s+(?:(?:reg|wire|signed)\s+)*(?:\[(\d+):0\]\s*)?(\\\S+|\w+)\s*;"
)


@dataclass(frozen=True)
class Port:
    """One port of a Verilog module; ``direction`` is ``input`` or ``output``."""

    name: str
    direction: str
    width: int


def module_ports(verilog: str, name: str) -> tuple[Port, ...]:
    """Ports of module ``name`` in Verilog as ``gen.verilog.to_verilog`` writes it."""
    module = rf"^module {re.escape(name)}\s*\((.*?)\);.*?^endmodule"
    body = re.search(module, verilog, re.DOTALL | re.MULTILINE)
    if body is None:
        raise DataError(f"verilog must hold a module {name!r}, and does not")
    ports = []
    for line in body.group().splitlines():
        match = _PORT.match(line)
        if match:
            direction, high, port = match.groups()
            ports.append(Port(port.lstrip("\\"), direction, int(high or 0) + 1))
    listed = {port.strip().lstrip("\\").strip() for port in body.group(1).split(",")}
    if {port.name for port in ports} != listed:
        raise DataError(f"verilog must declare every port of {name} on a line of its own")
    return tuple(ports)


def register_count(ports: Sequence[Port]) -> int:
    """Registers of a harness: one an input bit, two an output bit; the clock has none."""
    weight = {"input": 1, "output": 2}
    return sum(weight[port.direction] * port.width for port in ports if port.name != "clk")


class Harness(wiring.Component):
    """Module ``name`` with these ports between registers.

    Members
    -------
    shift_in : In(1)
        Feeds the register ``in_PORT`` of every input, one after another.
    shift_out : Out(1)
        Parity of what the registers ``out_PORT`` held.
    """

    shift_in: In(1)
    shift_out: Out(1)

    def __init__(self, ports: Sequence[Port], name: str) -> None:
        self.block_name = name
        self.clocked = {port.name for port in ports} & {"clk", "rst"}
        data = [port for port in ports if port.name not in ("clk", "rst")]
        self.inputs = [port for port in data if port.direction == "input"]
        self.outputs = [port for port in data if port.direction == "output"]
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        connections: dict[str, object] = {}
        if "clk" in self.clocked:
            connections["i_clk"] = ClockSignal()
        if "rst" in self.clocked:
            reset = Signal(reset_less=True)
            m.d.sync += reset.eq(ResetSignal())
            connections["i_rst"] = reset

        chain = self.shift_in
        for port in self.inputs:
            register = Signal(port.width, name=f"in_{port.name}", reset_less=True)
            m.d.sync += register.eq(Cat(chain, register))
            chain = register[-1]
            connections[f"i_{port.name}"] = register
        for port in self.outputs:
            value = Signal(port.width, name=f"from_{port.name}")
            register = Signal(port.width, name=f"out_{port.name}", reset_less=True)
            folded = Signal(port.width, name=f"fold_{port.name}", reset_less=True)
            m.d.sync += [register.eq(value), folded.eq(register ^ Cat(chain, folded))]
            chain = folded[-1]
            connections[f"o_{port.name}"] = value
        m.d.comb += self.shift_out.eq(chain)

        block = Instance(self.block_name, **connections)
        m.submodules[INSTANCE_NAME] = block
        return m
