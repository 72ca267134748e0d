"""Stream rules as assertions around a generated module, for a SAT solver.

What is assumed of whoever drives the module is what is asserted of the module: a transfer offered
and not taken is offered again, unchanged. Besides, transfers that leave never outnumber those that
must lead to them, and none is left inside once the module is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from formal.yosys import yosys

from trisign.fpga.harness import module_ports

TOP = "formal"
COUNT_WIDTH = 6


@dataclass(frozen=True)
class Flow:
    """How transfers in and out are related.

    Parameters
    ----------
    counted : str
        Verilog condition on ``i__payload`` under which a transfer in leads to one out.
    drain : int
        Cycles without input, output taken, after which nothing may be left inside.
    """

    counted: str = "1'b1"
    drain: int = 8


@dataclass(frozen=True)
class Rules:
    """What is proved of a module.

    Parameters
    ----------
    verilog, name : str
    zero : tuple of str
        Inputs that stay 0: they change a waiting payload by design.
    flow : Flow, optional
        From stream ``i`` to stream ``o``.
    loose : tuple of str
        Patterns of inputs that may change at any time; those of no stream stay as they begin
        otherwise.
    environment : str
        Verilog beside the module: what else is assumed of whoever uses it, and asserted.
    spared : tuple of str
        Streams out of the module that nothing is asserted of.
    free_memories : bool
        What memories hold is free at any time: more than can be, so that what is proved holds.
    """

    verilog: str
    name: str
    zero: tuple[str, ...] = ()
    flow: Flow | None = None
    loose: tuple[str, ...] = ()
    environment: str = ""
    spared: tuple[str, ...] = ()
    free_memories: bool = False
    inputs: dict[str, int] = field(init=False)
    outputs: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        ports = module_ports(self.verilog, self.name)
        for kind in ("input", "output"):
            widths = {p.name: p.width for p in ports if p.direction == kind}
            object.__setattr__(self, f"{kind}s", widths)

    @property
    def streams(self) -> dict[str, bool]:
        """Name → True where the module takes it in."""
        suffix = "__payload"
        return {
            **{n.removesuffix(suffix): True for n in self.inputs if n.endswith(suffix)},
            **{n.removesuffix(suffix): False for n in self.outputs if n.endswith(suffix)},
        }

    def harness(self) -> str:
        """The module, its assumptions and assertions, as Verilog."""
        free = {n: w for n, w in self.inputs.items() if n not in ("clk", "rst", *self.zero)}
        names = {name: f"\\{name} " for name in (*self.inputs, *self.outputs)}  # some are keywords
        header = ", ".join(names[n] for n in ("clk", *free))
        lines = [f"module {TOP}({header});", "  input clk;"]
        lines += [f"  input [{w - 1}:0] {names[n]};" for n, w in free.items()]
        lines += [f"  wire [{w - 1}:0] {names[n]};" for n, w in self.outputs.items()]
        lines += [f"  wire [{self.inputs[n] - 1}:0] {n} = 0;" for n in self.zero]
        lines += ["  reg started = 0;", "  always @(posedge clk) started <= 1;"]
        lines += ["  wire rst = !started;"]
        connections = ", ".join(f".{name}({name})" for name in names.values())
        lines.append(f"  {self.name} dut ({connections});")
        for name, is_input in self.streams.items():
            if name in self.spared:
                continue
            lines += self._stream(name, "assume" if is_input else "assert")
        in_streams = {f"{s}{part}" for s in self.streams for part in ("__payload", "__valid")}
        ready = {f"{s}__ready" for s in self.streams}
        for name, width in free.items():
            loose = any(fnmatchcase(name, pattern) for pattern in self.loose)
            if name not in in_streams | ready and not loose:
                lines += [
                    f"  reg [{width - 1}:0] {name}_before;",
                    f"  always @(posedge clk) {name}_before <= {name};",
                    f"  always @* if (started) assume ({name} == {name}_before);",
                ]
        if self.flow is not None:
            lines += self._flow(self.flow)
        return "\n".join([*lines, self.environment, "endmodule", ""])

    def _signal(self, name: str) -> str:
        """A handshake signal; one that the module lacks is constant 1."""
        return name if name in self.inputs or name in self.outputs else "1'b1"

    def _stream(self, name: str, rule: str) -> list[str]:
        width = (self.inputs | self.outputs)[f"{name}__payload"]
        valid, ready = self._signal(f"{name}__valid"), self._signal(f"{name}__ready")
        return [
            f"  reg {name}_held = 0;",
            f"  reg [{width - 1}:0] {name}_kept;",
            f"  always @(posedge clk) {name}_held <= {valid} & ~{ready} & ~rst;",
            f"  always @(posedge clk) {name}_kept <= {name}__payload;",
            f"  always @* if ({name}_held) {rule} ({valid} && {name}__payload == {name}_kept);",
        ]

    def _flow(self, flow: Flow) -> list[str]:
        top = COUNT_WIDTH - 1
        taken = f"{self._signal('i__valid')} & {self._signal('i__ready')}"
        left = f"{self._signal('o__valid')} & {self._signal('o__ready')}"
        return [
            f"  reg [{top}:0] inside = 0;",
            f"  reg [{top}:0] quiet = 0;",
            f"  wire taken = {taken} & ({flow.counted});",
            f"  wire left = {left};",
            "  always @(posedge clk) inside <= rst ? 0 : inside + taken - left;",
            f"  wire alone = ~{self._signal('i__valid')} & {self._signal('o__ready')};",
            "  always @(posedge clk) quiet <= (rst | ~alone) ? 0 : quiet + ~&quiet;",
            "  always @* if (started) assert (!(left && inside == 0 && !taken));",
            f"  always @* if (quiet >= {flow.drain}) assert (inside == 0);",
        ]

    def run(self, *options: str, extra: str = "") -> tuple[bool, str]:
        """``sat`` with ``options`` on the harness; whether it succeeded, and what it said."""
        script = f"""
            read_verilog -formal harness.v
            read_verilog block.v
            setattr -mod -unset keep_hierarchy *
            setattr -unset keep_hierarchy *
            hierarchy -check -top {TOP}
            proc
            flatten
            opt_clean
            {"memory_collect" if self.free_memories else "memory_map"}
            opt -full
            {"delete t:$mem_v2" if self.free_memories else ""}
            chformal -lower
            {extra}
            tee -o sat.log sat -verify {" ".join(options)} {TOP}
        """
        files = {"harness.v": self.harness(), "block.v": self.verilog}
        with yosys(script, files, "-q") as run:
            log = run.folder / "sat.log"
            return run.succeeded, (log.read_text() if log.exists() else "") + run.said

    def bounded(self, cycles: int) -> tuple[bool, str]:
        """No assertion fails in the first ``cycles`` cycles, whatever the inputs."""
        return self.run("-seq", "1", "-maxsteps", str(cycles), "-tempinduct-baseonly",
                        "-tempinduct", "-prove-asserts", "-set-assumes")  # fmt: skip

    def induction(self, depth: int) -> tuple[bool, str]:
        """No assertion ever fails, by induction over at most ``depth`` cycles."""
        return self.run("-tempinduct", "-maxsteps", str(depth), "-prove-asserts", "-set-assumes")

    def reaches(self, condition: str, cycles: int) -> bool:
        """Whether ``condition``, a wire of the harness, can be 1 within ``cycles`` cycles."""
        proved, said = self.run(
            "-tempinduct", "-tempinduct-baseonly", "-maxsteps", str(cycles),
            "-prove", condition, "0", "-set-assumes",
        )  # fmt: skip
        return not proved and bool(re.search("model found", said))
