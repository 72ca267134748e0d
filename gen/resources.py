"""What a core takes of its part, before synthesis, and whether that is there."""

from __future__ import annotations

from dataclasses import dataclass

from ..golden.design import DesignConfig
from . import boards
from .lut_estimate import estimated_luts
from .memory_estimate import BlockUse, MemoryEstimate, memories_of, use_of

FITS, MAY_NOT_FIT, DOES_NOT_FIT = "fits", "may not fit", "does not fit"
# Of the logic cells: the most that has been routed (tests/boards.json), and how far LUTs are off.
ROUTED = 0.97
LUT_ERROR = 0.10


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Memories and logic of a core beside those of the part of its board.

    Attributes
    ----------
    memories : tuple of MemoryEstimate
    use : tuple of BlockUse
        Blocks of each kind.
    luts, luts_available : int
        LUTs of the core, within 10 % of synthesis, and those of the part.
    logic_cells : int
        Of ``luts_available``, what the LUTs, registers and carries of the whole board take.
    """

    memories: tuple[MemoryEstimate, ...]
    use: tuple[BlockUse, ...]
    luts: int
    luts_available: int
    logic_cells: int

    @property
    def logic_verdict(self) -> str:
        """Of the logic: ``fits``, ``may not fit`` or ``does not fit``."""
        filled = self.logic_cells / self.luts_available
        if filled > 1 + LUT_ERROR:
            return DOES_NOT_FIT
        return MAY_NOT_FIT if filled > ROUTED else FITS

    @property
    def verdict(self) -> str:
        """The worst of memories and logic."""
        if not all(use.fits for use in self.use):
            return DOES_NOT_FIT
        return self.logic_verdict

    @property
    def fits(self) -> bool:
        """False where it does not fit; true where it may."""
        return self.verdict != DOES_NOT_FIT


def resources_of(design: DesignConfig) -> Resources:
    """What ``design`` takes on its board."""
    board = boards.find(design.board)
    memories = memories_of(design, board)
    luts = estimated_luts(design)
    return Resources(
        memories=memories,
        use=use_of(memories, board),
        luts=luts,
        luts_available=board.luts,
        logic_cells=round(luts * board.family.cells_a_lut),
    )
