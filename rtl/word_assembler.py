"""Collects elements, R at a time, into the words of a memory."""

from collections.abc import Iterable

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import ParameterError, integer


def entry_slot(elements: int, lanes: int, step: int) -> int:
    """The slot (set of ``step`` lanes) at which elements enter the last word of ``elements``."""
    rest = elements % lanes
    return (rest + step - 1) // step - 1 if rest else lanes // step - 1


class WordAssembler(wiring.Component):
    """A shift register that fills words from lane 0 upward; unfilled lanes are zero.

    Elements enter at the top slot and move down, so a full word costs no decoder. The last word of
    a vector that is not full enters at a lower slot, and the lanes above it stay zero.

    Parameters
    ----------
    lanes : int
        Elements of a word.
    width : int
        Bits of an element.
    step : int
        Elements that enter together; divides ``lanes``.
    tails : iterable of int
        Every entry slot, other than the top one, that ``entry`` may select.

    Members
    -------
    push : In(1), data : In(step · width)
        ``step`` elements enter.
    entry : In
        Slot at which they enter; constant within a word.
    complete : In(1)
        With ``push``: these are the last of the word.
    clear : In(1)
        Without ``push``: forget what has entered.
    word : Out(lanes · width), valid : Out(1)
        The word, in the one cycle after its last push. The next word may follow at once.
    """

    def __init__(self, *, lanes: int, width: int, step: int, tails: Iterable[int] = ()) -> None:
        self.lanes = integer("lanes", lanes, 1, 1024)
        self.width = integer("width", width, 1, 64)
        self.step = integer("step", step, 1, lanes)
        if lanes % step:
            raise ParameterError(f"step must divide lanes ({lanes}), not {step}")
        self.slots = lanes // step
        self.entries = sorted({self.slots - 1, *tails})
        super().__init__(
            {
                "push": In(1),
                "data": In(step * width),
                "entry": In(range(self.slots)),
                "complete": In(1),
                "clear": In(1),
                "word": Out(lanes * width),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slot_width = self.step * self.width
        slots = [Signal(slot_width, name=f"slot{i}") for i in range(self.slots)]
        started = Signal()

        m.d.comb += self.word.eq(Cat(slots))
        m.d.sync += self.valid.eq(self.push & self.complete)
        with m.If(self.clear):
            m.d.sync += started.eq(0)
        with m.If(self.push):
            m.d.sync += started.eq(~self.complete)
            for i, slot in enumerate(slots):
                above = slots[i + 1] if i + 1 < self.slots else 0
                kept = Mux(started, above, 0)
                if i in self.entries:
                    kept = Mux(self.entry == i, self.data, kept)
                m.d.sync += slot.eq(kept)
        return m
