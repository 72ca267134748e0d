"""One cell of a dot product: its functions, its LUTs and levels, its Verilog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
