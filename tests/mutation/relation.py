"""What a mutant may do differently without anybody noticing, as a proof for a solver.

Two machines are related where they agree in every bit that is looked at. A mutant is equivalent
where, from any related states and on any inputs that are permitted, it answers as the original does
wherever that is looked at, and both go on to related states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trisign.fpga.harness import Port

TOP = "relation"
OUTPUTS = ("permitted", "differs", "parts", "broken")
# Yosys's names for what goes into a register, what comes out, and its clock
NEXT, NOW, CLOCK = ".d", ".q", ".c"
_NAME = re.compile(r"<([\w.$*]+)>")
_SLICE = re.compile(r"(.+?)(?:\[(\d+)(?::(\d+))?\])?")


@dataclass(frozen=True)
class Relation:
    """Conditions are Verilog with names of inputs and registers of the flat module in <>.

    Where a name has a number that Yosys or Amaranth gave it, ``*`` stands for that; what is looked
    at may be several then, and ``<>`` is the one in question. A condition under which an output is
    looked at may name outputs as well.

    Parameters
    ----------
    looked_at : dict
        Condition under which the bits of a register, or of an output, matter: those named, as
        ``name`` or ``name[high:low]``. Bits that are not named always matter.
    given : tuple of str
        What callers keep to: conditions on inputs, and on registers that tell what is due.
    holds : tuple of str
        What is always true of the registers; it is proved as well.
    memories : tuple of str
        Modules with a memory beside logic that the proof is about.
    """

    looked_at: dict[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()


class Product:
    """Verilog of two machines side by side, made from the ports of one without registers.

    Parameters
    ----------
    relation : Relation
    ports : sequence of Port
        Of the module whose registers have become ports: ``name.q`` in, ``name.d`` out.
    original, mutants, select : str
        Names of both modules, and of the input that chooses a mutant.
    """

    def __init__(
        self,
        relation: Relation,
        ports: Sequence[Port],
        *,
        original: str,
        mutants: str,
        select: str,
        select_width: int,
    ) -> None:
        self.relation = relation
        self.original, self.mutants = original, mutants
        self.select, self.select_width = select, select_width
        self.ports = list(ports)
        self.registers = {
            p.name.removesuffix(NOW): p.width for p in self.ports if p.name.endswith(NOW)
        }
        self.numbers = {name: k for k, name in enumerate(self.registers)}
        outputs = [
            p.name
            for p in self.ports
            if p.direction == "output" and not self._is_next(p) and not self._is_clock(p)
        ]
        self.outputs = {name: k for k, name in enumerate(outputs)}
        self.cares = self._cares()

    def _cares(self) -> dict[str, list[tuple[int, int, str]]]:
        """Bits (low, high) of registers and outputs, and when they matter."""
        found: dict[str, list[tuple[int, int, str]]] = {}
        widths = {p.name: p.width for p in self.ports} | self.registers
        for what, condition in self.relation.looked_at.items():
            match = _SLICE.fullmatch(what)
            assert match is not None
            name, high, low = match.groups()
            names = self._matching(name, widths)
            if not names:
                raise ValueError(f"{what}: there is no such register or output")
            for name in names:
                top = int(high) if high else widths[name] - 1
                bottom = int(low or high) if high else 0
                found.setdefault(name, []).append(
                    (bottom, top, condition.replace("<>", f"<{name}>"))
                )
        return found

    def _signal(self, name: str, coming: bool) -> str:
        """A register as it is or will be, or an input."""
        inputs = [p.name for p in self.ports if p.direction == "input" and not self._is_now(p)]
        known = [*self.numbers, *inputs, *([] if coming else self.outputs)]
        found = self._matching(name, known)
        if len(found) != 1:
            raise ValueError(f"<{name}>: there is no such register or input")
        name = found[0]
        if name in self.numbers:
            return f"{'d' if coming else 'q'}{self.numbers[name]}"
        return f"\\{name} " if name in inputs else f"o{self.outputs[name]}"

    @staticmethod
    def _matching(pattern: str, names: Iterable[str]) -> list[str]:
        """The names that ``pattern`` stands for."""
        wanted = re.escape(pattern).replace(r"\*", ".*")
        return [name for name in dict.fromkeys(names) if re.fullmatch(wanted, name)]

    def condition(self, text: str, *, coming: bool = False) -> str:
        return _NAME.sub(lambda match: self._signal(match[1], coming), text)

    def care(self, name: str, width: int, *, coming: bool = False) -> str:
        """Mask of the bits of ``name`` that matter."""
        terms = [f"{{{width}{{1'b1}}}}"]
        for low, high, condition in self.cares.get(name, ()):
            bits = (1 << (high + 1)) - (1 << low)
            matters = f"{{{width}{{|({self.condition(condition, coming=coming)})}}}}"
            terms.append(f"(~{width}'d{bits} | {matters})")
        return " & ".join(terms)

    def verilog(self) -> str:
        """Module ``relation``: ``differs`` is 1 where a mutant shows, ``parts`` where the original
        shows in which of two related states it was, ``broken`` where a condition in ``holds`` does
        not last; ``permitted`` is what is assumed.

        A mutant goes from the same state as the original, so most of both is the same logic.
        """
        free = {n: w for n, w in self.registers.items() if n in self.cares}
        inputs = [p for p in self.ports if p.direction == "input" and not self._is_now(p)]
        lines = [*self._head(free, inputs)]
        differs, parts, holds = (
            [],
            [],
            [f"(rst | ({self.condition(h)}))" for h in self.relation.holds],
        )
        for name, k in self.numbers.items():
            width = self.registers[name]
            lines += [f"  wire [{width - 1}:0] d{k}, e{k}, g{k};"]
            if name in free:
                lines += [
                    f"  wire [{width - 1}:0] care{k} = {self.care(name, width)};",
                    f"  wire [{width - 1}:0] r{k} = (q{k} & care{k}) | (f{k} & ~care{k});",
                ]
            else:
                lines += [f"  wire [{width - 1}:0] r{k} = q{k};"]
            later = self.care(name, width, coming=True)
            differs.append(f"(|((g{k} ^ e{k}) & {later}))")
            parts.append(f"(|((d{k} ^ g{k}) & {later}))")
        outputs = [p for p in self.ports if p.name in self.outputs]
        for k, port in enumerate(outputs):
            lines += [f"  wire [{port.width - 1}:0] o{k}, p{k}, s{k};"]
        for k, port in enumerate(outputs):
            care = self.care(port.name, port.width)
            differs.append(f"(|((s{k} ^ p{k}) & {care}))")
            parts.append(f"(|((o{k} ^ s{k}) & {care}))")
        lines += self._instance("now", self.original, tuple("qdo"), outputs)
        lines += self._instance("related", self.original, tuple("rgs"), outputs)
        lines += self._instance("mutant", self.mutants, tuple("rep"), outputs, self.select)
        lasting = [self.condition(h, coming=True) for h in self.relation.holds]
        permitted = [*(self.condition(g) for g in self.relation.given), *holds]
        lines += [
            f"  assign permitted = {self._all(permitted)};",
            f"  wire [{len(differs) - 1}:0] difference, parting;",
            *(f"  assign difference[{k}] = {text};" for k, text in enumerate(differs)),
            *(f"  assign parting[{k}] = {text};" for k, text in enumerate(parts)),
            "  assign differs = permitted & (|difference);",
            "  assign parts = permitted & (|parting);",
            f"  assign broken = {self._all(permitted)} & ~({self._all(lasting)});",
            "endmodule",
        ]
        return "\n".join([*lines, ""])

    def _head(self, free: dict[str, int], inputs: Sequence[Port]) -> Iterator[str]:
        state = {f"q{self.numbers[n]}": w for n, w in self.registers.items()}
        state |= {f"f{self.numbers[n]}": w for n, w in free.items()}
        named = [(f"\\{p.name} ", p.width) for p in inputs]
        all_inputs = [*named, *state.items(), (self.select, self.select_width)]
        names = ", ".join([*(n for n, _ in all_inputs), *OUTPUTS])
        yield f"module {TOP}({names});"
        for name, width in all_inputs:
            yield f"  input [{width - 1}:0] {name};"
        yield f"  output {', '.join(OUTPUTS)};"

    def _instance(
        self, name: str, module: str, letters: Sequence[str], outputs: Sequence[Port], *more: str
    ) -> Iterator[str]:
        """``letters`` of registers as they are, as they will be, and of outputs."""
        now, later, out = letters
        index = {p.name: f"{out}{k}" for k, p in enumerate(outputs)}
        connections = [f".{port}({port})" for port in more]
        for port in self.ports:
            if self._is_clock(port):
                continue
            if self._is_now(port):
                wire = f"{now}{self.numbers[port.name.removesuffix(NOW)]}"
            elif self._is_next(port):
                wire = f"{later}{self.numbers[port.name.removesuffix(NEXT)]}"
            else:
                wire = index.get(port.name, f"\\{port.name} ")
            connections.append(f".\\{port.name} ({wire})")
        yield f"  {module} {name}({', '.join(connections)});"

    def _is_now(self, port: Port) -> bool:
        return port.name.removesuffix(NOW) in self.registers and port.name.endswith(NOW)

    def _is_next(self, port: Port) -> bool:
        return port.name.removesuffix(NEXT) in self.registers and port.name.endswith(NEXT)

    def _is_clock(self, port: Port) -> bool:
        return port.name.removesuffix(CLOCK) in self.registers and port.name.endswith(CLOCK)

    @staticmethod
    def _all(conditions: Sequence[str]) -> str:
        return " & ".join(f"(|({c}))" for c in conditions) or "1'b1"
