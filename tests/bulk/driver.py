"""A generated block in Verilator, fed vectors in bulk and compared with what golden made of them.

A word travels as the bytes that Verilator gives its port, so that the program (``driver.cpp``) only
copies and compares: 10^5 to 10^6 words a second.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring
from numpy.typing import ArrayLike, NDArray

from trisign.gen.verilog import to_verilog
from trisign.sim.payload import Payload
from trisign.sim.program import build_program
from trisign.sim.runner import ports

MAIN = Path(__file__).with_suffix(".cpp")
STREAMS = ("i", "o")
Words = NDArray[np.uint8]


class Difference(AssertionError):
    """The design and golden differ; where, and how to see it again."""


def member(port: str) -> str:
    """What Verilator calls ``port``."""
    return port.replace("__", "___05F")


def port_bytes(width: int) -> int:
    """Bytes of Verilator's variable for a port of ``width`` bits."""
    return next((size for size in (1, 2, 4, 8) if width <= 8 * size), 4 * -(-width // 32))


@dataclass(frozen=True)
class Batch:
    """Words in and out, and what is set before and read after them.

    Parameters
    ----------
    inputs, outputs : uint8 arrays [transfers, bytes of the port]
        See ``Driver.words``.
    settings : dict of str to int
        Inputs that hold through the batch; 0 where left out.
    status : dict of str to int
        What every other output must be after it.
    reset, load : bool
        Before the batch, a reset; a cycle with the input ``load`` set.
    idle, stall : float
        Share of cycles in which no word is offered; none is taken.
    """

    inputs: Words
    outputs: Words
    settings: Mapping[str, int] = field(default_factory=dict)
    status: Mapping[str, int] = field(default_factory=dict)
    reset: bool = False
    load: bool = False
    idle: float = 0.0
    stall: float = 0.0


class Driver:
    """A component in Verilator.

    Parameters
    ----------
    component : wiring.Component
        With a stream ``o`` and perhaps a stream ``i``.
    name : str
        Its module.
    settle : int
        Cycles after the last word until the status is compared: more than a word spends inside.
    verilog : str, optional
        Another one of the same ports.
    """

    def __init__(
        self, component: wiring.Component, name: str, *, settle: int = 40, verilog: str = ""
    ) -> None:
        self.settle = settle
        self.verilog = verilog or to_verilog(component, name)
        self.name = name
        present = ports(self.verilog, name)
        self.shapes = {
            "__".join(map(str, path)): Shape.cast(member.shape)
            for path, member, _ in component.signature.flatten(component)
        }
        self.payloads = {
            stream: Payload(component.signature.members[stream].signature.members["payload"].shape)
            for stream in STREAMS
            if stream in component.signature.members
        }
        streams = tuple(f"{stream}__" for stream in STREAMS)
        plain = [n for n in self.shapes if n in present and not n.startswith(streams)]
        inputs = set(ports(self.verilog, name, "input"))
        self.settings = [n for n in plain if n in inputs and n != "load"]
        self.status = [n for n in plain if n not in inputs]
        self.program = build_program(
            self.verilog, name, MAIN, "bulk",
            headers={"binding.h": self._binding(present)}, options=["--Wno-lint"],
        )  # fmt: skip

    def bytes_of(self, port: str) -> int:
        """Bytes of ``port``; 0 where there is none."""
        return port_bytes(self.shapes[port].width) if port in self.shapes else 0

    def _binding(self, present: list[str]) -> str:
        """What ``driver.cpp`` needs to know of the ports."""

        def assign(port: str, value: str) -> str:
            return f"top.{member(port)} = {value};" if port in present else ""

        def read(port: str) -> str:
            return f"top.{member(port)}" if port in present else "true"

        sizes = {
            "SETTING": sum(map(self.bytes_of, self.settings)),
            "STATUS": sum(map(self.bytes_of, self.status)),
            "IN": self.bytes_of("i__payload"),
            "OUT": self.bytes_of("o__payload"),
        }
        payload = f"top.{member('i__payload')}"
        copy = f"if (bytes) memcpy(&{payload}, bytes, IN_BYTES);" if sizes["IN"] else ""
        settings = " ".join(f"visit(top.{member(n)});" for n in self.settings)
        status = " ".join(f'visit("{n}", top.{member(n)});' for n in self.status)
        one = "inline void {}([[maybe_unused]] Vtop &top, [[maybe_unused]] bool on) {{ {} }}"
        return "\n".join(
            [
                *(f"#define {n.upper()} {member(n)}" for n in ("o__payload", "o__ready")),
                *(f"constexpr size_t {n}_BYTES = {size};" for n, size in sizes.items()),
                one.format("set_clock", assign("clk", "on")),
                one.format("set_reset", assign("rst", "on")),
                one.format("set_load", assign("load", "on")),
                "inline void offer([[maybe_unused]] Vtop &top, "
                "[[maybe_unused]] const uint8_t *bytes, [[maybe_unused]] bool on) {",
                f"    {copy} {assign('i__valid', 'on')}",
                "}",
                f"inline bool i_ready([[maybe_unused]] Vtop &top) {{ return {read('i__ready')}; }}",
                f"inline bool o_valid([[maybe_unused]] Vtop &top) {{ return {read('o__valid')}; }}",
                "template <class Visit> void each_setting([[maybe_unused]] Vtop &top, "
                f"[[maybe_unused]] Visit visit) {{ {settings} }}",
                "template <class Visit> void each_status([[maybe_unused]] Vtop &top, "
                f"[[maybe_unused]] Visit visit) {{ {status} }}",
                "",
            ]
        )

    def words(self, stream: str, count: int, **values: ArrayLike) -> Words:
        """Words of ``stream``, from a value for every field of its payload.

        ``values``: [count] of a plain field, [count, lanes] of an array; one of each for all words
        will do.
        """
        fields = self.payloads[stream].fields
        assert values.keys() == fields.keys(), f"{sorted(values)} / {sorted(fields)}"
        bits = np.zeros((count, 8 * self.bytes_of(f"{stream}__payload")), np.uint8)
        for name, place in fields.items():
            lanes = place.lanes or 1
            kind = np.dtype(f"u{port_bytes(place.width)}")
            value = np.asarray(values[name]).astype(kind)
            value = np.broadcast_to(value if place.lanes else value[..., None], (count, lanes))
            end = place.offset + lanes * place.width
            bits[:, place.offset : end] = (
                value[..., None] >> np.arange(place.width, dtype=kind) & kind.type(1)
            ).reshape(count, -1)
        return np.packbits(bits, axis=1, bitorder="little")

    def none(self, stream: str) -> Words:
        """No words of ``stream``."""
        return np.zeros((0, self.bytes_of(f"{stream}__payload")), np.uint8)

    def run(self, batches: Iterable[Batch], seed: int) -> dict[str, int]:
        """Drive and compare; how many words went in and came out, and in how many cycles.

        Raises Difference with the first one.
        """
        with subprocess.Popen(
            [self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                for number, batch in enumerate(batches):
                    process.stdin.write(self._encode(batch, seed + number))
                process.stdin.close()
            except BrokenPipeError:
                pass
            said = process.stdout.read()
            code = process.wait()
        if code not in (0, 1) or not said:
            raise Difference(f"{self.name}: the simulation ended with exit code {code}")
        answer = json.loads(said)
        if code:
            raise Difference(f"{self.name}: {self._describe(answer)}")
        assert answer["outputs"], f"{self.name}: nothing was compared"
        return answer

    def _encode(self, batch: Batch, seed: int) -> bytes:
        assert set(batch.settings) <= set(self.settings), set(batch.settings)
        assert set(batch.status) == set(self.status), f"{set(batch.status)} / {self.status}"
        header = [
            len(batch.inputs), len(batch.outputs), round(256 * batch.idle),
            round(256 * batch.stall), batch.reset, batch.load, self.settle, seed & 0xFFFFFFFF,
        ]  # fmt: skip
        return b"".join(
            [
                np.array(header, "<u4").tobytes(),
                *(self._bytes(name, batch.settings.get(name, 0)) for name in self.settings),
                batch.inputs.tobytes(),
                batch.outputs.tobytes(),
                *(self._bytes(name, batch.status[name]) for name in self.status),
            ]
        )

    def _bytes(self, port: str, value: int) -> bytes:
        mask = (1 << self.shapes[port].width) - 1
        return (value & mask).to_bytes(self.bytes_of(port), "little")

    def _describe(self, answer: dict[str, Any]) -> str:
        where = f"batch {answer['batch']}, word {answer['word']}, cycle {answer['cycle']}"
        values = [f"golden {self._fields(answer, 'golden')}, RTL {self._fields(answer, 'rtl')}"]
        return f"{answer['what']} differs: {where}: {'; '.join(values)}"

    def _fields(self, answer: dict[str, Any], side: str) -> str:
        if answer["what"].split()[0] != "o" or not answer[side]:
            return answer[side]
        fields = self.payloads["o"].unpack(int(answer[side], 16))
        return str({n: np.asarray(v).tolist() for n, v in fields.items()})
