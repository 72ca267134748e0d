"""The comment at the head of a generated Verilog file: what it is, and what each port means.

Meanings come from the component's docstring (its "Members" section), so they are written once.
"""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from amaranth.hdl import Shape, ShapeCastable
from amaranth.lib import data, enum, stream, wiring

_MEMBER = re.compile(r"^\w+( : .*)?(, *\w+( : .*)?)*$")
# Verilog stays ASCII, whatever a vendor's parser makes of other encodings.
_ASCII = str.maketrans(
    {"−": "-", "–": "-", "…": "..", "·": "*", "≥": ">=", "≤": "<=", "×": "x", "÷": "/", "±": "+-"}
    | {"Σ": "sum ", "δ": "delta", "α": "alpha", "β": "beta", "θ": "theta", "’": "'"}
    | {"⌈": "ceil(", "⌉": ")", "≠": "!=", "≈": "~", "λ": "lambda", "→": "->", "`": ""}
)


@dataclass(frozen=True)
class Port:
    """A port of a generated module; ``direction`` is ``input`` or ``output``."""

    name: str
    direction: str
    width: int
    meaning: str

    def as_json(self) -> dict[str, Any]:
        """The port as plain values."""
        return asdict(self)


def ports(component: wiring.Component, verilog: str) -> tuple[Port, ...]:
    """The ports of ``component`` in the order of its signature, ``clk`` and ``rst`` first."""
    meanings = member_meanings(type(component).__doc__ or "")
    found = [
        Port(name, "input", 1, meaning)
        for name, meaning in (
            ("clk", "clock, rising edge"),
            ("rst", "synchronous reset, active high"),
        )
        if re.search(rf"^ +input {name};", verilog, re.MULTILINE)
    ]
    for name, member in component.signature.members.items():
        found += _member_ports(name, member, meanings.get(name, ""))
    return tuple(found)


def _member_ports(name: str, member: wiring.Member, meaning: str) -> list[Port]:
    direction = {wiring.In: "input", wiring.Out: "output"}
    if member.is_port:
        text = _joined(meaning, layout_text(member.shape))
        return [Port(name, direction[member.flow], Shape.cast(member.shape).width, text)]
    signature = member.signature  # already flipped where the member is an input
    is_stream = isinstance(_unflipped(signature), stream.Signature)
    result = []
    for part, inner in signature.members.items():
        if is_stream:
            note = {
                "payload": meaning,
                "valid": f"{name}: a transfer is offered",
                "ready": f"{name}: it is taken where valid",
            }[part]
        else:
            note = meaning
        result += _member_ports(f"{name}__{part}", inner, note)
    return result


def _unflipped(signature: Any) -> Any:
    return signature.flip() if isinstance(signature, wiring.FlippedSignature) else signature


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def layout_text(shape: Any) -> str:
    """Where the fields of a struct lie: ``value [3:0], last [4]``; empty for a plain shape."""
    layout = data.Layout.cast(shape) if isinstance(shape, ShapeCastable) else None
    if isinstance(shape, enum.EnumType) or not isinstance(layout, data.StructLayout):
        return ""
    texts = []
    for name, item in layout:
        last = item.offset + item.width - 1
        if item.width:
            place = f"[{last}:{item.offset}]" if item.width > 1 else f"[{last}]"
            texts.append(f"{name} {place}")
    return ", ".join(texts)


def member_meanings(docstring: str) -> dict[str, str]:
    """First sentence of each entry of the "Members" section of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    try:
        start = next(
            i + 2
            for i in range(len(lines) - 1)
            if lines[i] == "Members" and set(lines[i + 1]) == {"-"}
        )
    except StopIteration:
        return {}
    meanings: dict[str, str] = {}
    kinds: dict[str, str] = {}
    names: list[str] = []
    for i, line in enumerate(lines[start:], start):
        if i + 1 < len(lines) and lines[i + 1] and set(lines[i + 1]) == {"-"}:
            break
        if line.startswith(" "):
            for name in names:
                meanings[name] = f"{meanings[name]} {line.strip()}".strip()
        elif _MEMBER.match(line):
            found = re.findall(r"(\w+(?:, *\w+)*) : (?:In|Out)(?:\((.*?)\))?(?=, *\w+ : |$)", line)
            names = []
            for group, kind in found:
                members = re.split(r", *", group)
                names += members
                kinds.update(dict.fromkeys(members, kind if not kind.isdigit() else ""))
            meanings.update(dict.fromkeys(names, ""))
        elif line:
            break
    first = {name: re.split(r"(?<=[.;])\s", text)[0] for name, text in meanings.items()}
    return {name: text.rstrip(".;") or kinds[name] for name, text in first.items()}


def summary(component: wiring.Component) -> str:
    """First line of the component's docstring."""
    return (inspect.getdoc(type(component)) or "").splitlines()[0]


def ascii_text(text: str) -> str:
    """``text`` in ASCII: signs of the equations spelled out, anything else dropped."""
    return unicodedata.normalize("NFKD", text.translate(_ASCII)).encode("ascii", "ignore").decode()


def header(lines: Iterable[str], table: Iterable[Port] = ()) -> str:
    """A Verilog comment of ``lines`` and, where there is one, the port table."""
    text = list(lines)
    rows = [(port.name, port.direction, str(port.width), port.meaning) for port in table]
    if rows:
        rows.insert(0, ("port", "direction", "bits", "meaning"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        text.append("")
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
            text.append("  ".join([*cells, row[3]]))
    return "".join(f"// {ascii_text(line)}".rstrip() + "\n" for line in text) + "\n"
