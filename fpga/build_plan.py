"""What the embedded tools are given to build a board: files and command lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..gen import boards
from ..gen.config import short_hash
from ..gen.verilog import to_verilog
from ..golden.design import DesignConfig
from ..rtl.core import Core
from . import tools
from .board_pins import make_platform
from .board_top import CORE, BoardTop
from .targets import BOARD_TARGETS, TARGETS, Target

TOP = "top"
# Program of a build plan → the embedded one; those that are not here prepare programming.
EMBEDDED = {
    "yosys": tools.YOSYS,
    "nextpnr-ice40": tools.NEXTPNR_ICE40,
    "nextpnr-ecp5": tools.NEXTPNR_ECP5,
    "icepack": tools.ICEPACK,
    "ecppack": tools.ECPPACK,
}


def core_verilog(design: DesignConfig) -> str:
    """The core of ``design``, module ``core``, as it is also simulated."""
    clock_hz = round(boards.find(design.board).clock_mhz * 1e6)
    return to_verilog(Core(design, clock_hz, config_hash=int(short_hash(design), 16)), CORE)


@dataclass(frozen=True)
class Plan:
    """All that place-and-route and its neighbours are given.

    Attributes
    ----------
    board : Board
    target : Target
    files : dict
        Name → contents.
    commands : dict
        Program of ``EMBEDDED`` → its arguments, in order.
    """

    board: boards.Board
    target: Target
    files: Mapping[str, str]
    commands: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, design: DesignConfig) -> Plan:
        """The plan of a design for a board whose family is embedded."""
        board = boards.find(design.board)
        target = TARGETS[BOARD_TARGETS[board.name]]
        prepared = make_platform(board.name).prepare(
            BoardTop(board, core_verilog(design)),
            TOP,
            emit_src=False,
            synth_opts=target.synthesis.split()[1:],
            nextpnr_opts=target.placer,
            script_after_read=""
            if target.single_port
            else "setattr -unset ram_style a:ram_style=huge",
            # Cells of dot products keep their hierarchy until here.
            script_after_synth="\n".join(
                (
                    "setattr -mod -unset keep_hierarchy *",
                    "setattr -unset keep_hierarchy *",
                    "flatten",
                    f"hierarchy -top {TOP}",
                    "delete */t:$scopeinfo",
                )
            ),
        )
        script = json.loads(prepared.files[f"build_{TOP}.json"])
        commands = {
            EMBEDDED[command[0]]: command[1:]
            for command in script["commands"]
            if command[0] in EMBEDDED
        }
        used = {argument for command in commands.values() for argument in command}
        used |= {f"{TOP}.il", f"{CORE}.v"}
        files = {name: text for name, text in prepared.files.items() if name in used}
        return cls(board, target, files, commands)

    @property
    def placer(self) -> str:
        """The place-and-route program."""
        return self.target.place[0]

    def place_arguments(self) -> list[str]:
        """Arguments of place-and-route without those that name a log or hold back messages."""
        found = [argument for argument in self.commands[self.placer] if argument != "--quiet"]
        log = found.index("--log")
        return found[:log] + found[log + 2 :]
