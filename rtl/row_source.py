"""Finds the rows whose error is not zero, ascending, and where their weights lie."""

from collections.abc import Sequence

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .trainer_plan import LayerPlan, TrainerPlan


def row_layout(plan: TrainerPlan) -> data.StructLayout:
    """A row with an error: first word's address in its bank, the bank, the error."""
    return data.StructLayout(
        {
            "address": range(max(plan.weight_depth, 2)),
            "bank": range(max(plan.hardware.rows, 2)),
            "error": signed(plan.error_width),
        }
    )


class RowSource(wiring.Component):
    """A stream of the rows of one layer whose error is −1 or +1.

    The last layer's rows are the label and its rival, in ascending order. A hidden layer's errors
    are read from the activation memory, a word of P trits at a time, and scanned a block of lanes
    a cycle (a cycle a row where a block holds several) while the rows found are worked on.

    Members
    -------
    start : In(1), layer : In
        Begin with the rows of a layer; ``layer`` stays until ``done``.
    label, rival : In
        Classes whose errors are +1 and −1, constant from the cycle of ``start`` on.
    read_address : Out, read_enable : Out(1)
        Word wanted from the activation memory; it has the port whenever it asks.
    read_data : In
        That word, ``plan.read_latency`` cycles later.
    o : Out(stream)
        ``row_layout``.
    done : Out(1)
        Every row has been taken; low from the cycle after ``start``.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        classes = plan.layers[-1].units
        super().__init__(
            {
                "start": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
                "label": In(range(classes)),
                "rival": In(range(classes)),
                "read_address": Out(range(max(plan.activation_depth, 2))),
                "read_enable": Out(1),
                "read_data": In(2 * plan.hardware.lanes),
                "o": Out(stream.Signature(row_layout(plan))),
                "done": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, rows = self.plan, self.plan.hardware.rows
        top = len(plan.layers) - 1
        hidden = plan.layers[:-1]

        # The label and its rival, lower index first.
        addresses = Array([plan.weight_address(top, j)[0] for j in range(plan.layers[top].units)])
        label_first = Signal()
        m.d.sync += label_first.eq(self.label < self.rival)
        second = Signal()
        chosen = Mux(second == label_first, self.rival, self.label)

        # A row found waits here, and a second one where the first has not been taken: so the
        # search does not depend on ``o.ready`` at once.
        found, newer, older = (
            Signal.like(self.o.payload, name=name) for name in ("found", "newer", "older")
        )
        found_valid = Signal()
        free = Signal()
        scanned = Signal(init=1)
        newer_valid = Signal()
        older_valid = Signal()
        m.d.comb += [
            free.eq(~newer_valid | ~older_valid),
            self.o.valid.eq(newer_valid | older_valid),
            self.o.payload.eq(Mux(older_valid, older, newer)),
            self.done.eq(scanned & ~self.o.valid),
        ]
        with m.If(free):
            m.d.sync += [newer_valid.eq(found_valid), newer.eq(found)]
        with m.If(self.o.ready):
            m.d.sync += older_valid.eq(0)
        with m.Elif(~older_valid):
            m.d.sync += [older_valid.eq(newer_valid), older.eq(newer)]

        if hidden:
            self._scan(m, hidden, found, found_valid, free, scanned)
        with m.If(self.start):
            m.d.sync += [scanned.eq(0), second.eq(0)]
        with m.FSM():
            with m.State("IDLE"), m.If(self.start & (self.layer == top)):
                m.next = "LAST-LAYER"
            with m.State("LAST-LAYER"):
                m.d.comb += [
                    found_valid.eq(1),
                    found.address.eq(addresses[chosen]),
                    found.bank.eq(chosen[: len(found.bank)] if rows > 1 else 0),
                    found.error.eq(Mux(second == label_first, -1, 1)),
                ]
                with m.If(free):
                    m.d.sync += second.eq(1)
                    with m.If(second):
                        m.d.sync += scanned.eq(1)
                        m.next = "IDLE"
        return m

    def _scan(
        self,
        m: Module,
        hidden: Sequence[LayerPlan],
        found: data.View,
        found_valid: Signal,
        free: Signal,
        scanned: Signal,
    ) -> None:
        """Scan the errors of a hidden layer; lanes beyond its units hold none."""
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        block = next(n for n in (4, 2, 1) if lanes % n == 0)
        pick = self.layer[: max(1, (len(hidden) - 1).bit_length())]
        top = len(hidden)
        words = Signal(range(max(p.words for p in hidden) + 1))  # of the layer begun
        word = Signal(2 * lanes)
        word_address = Signal.like(self.read_address)
        blocks_left = Signal(range(max(-(-p.units // block) for p in hidden) + 1))
        places = lanes // block
        place = Signal(range(max(places, 2)))
        # Of the block at the bottom of the word: rows not handed on yet, and where it begins.
        pending = Signal(block)
        base = Signal(range(max(plan.weight_depth, 2)))
        bank = Signal(range(max(rows, 2)))
        wait = Signal(range(max(plan.read_latency, 2)))

        def nonzero(trits: Value) -> Value:
            return Cat(trits[2 * k] for k in range(block))

        following = Signal.like(word)  # of the blocks behind
        several = Signal()
        lowest = Signal(block)
        m.d.comb += [
            following.eq(word >> 2 * block),
            lowest.eq(pending & -pending),
            several.eq((pending & ~lowest).any()),
        ]
        with m.Switch(lowest):
            for k in range(block):
                with m.Case(1 << k):
                    m.d.comb += [
                        found.address.eq(base + (k // rows) * words),
                        found.bank.eq((bank + k) & (rows - 1)),
                        found.error.eq(word.word_select(k, 2).as_signed()),
                    ]
        m.d.comb += self.read_address.eq(word_address)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start & (self.layer != top)):
                m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.read_enable.eq(1)
                m.d.sync += [word_address.eq(word_address + 1), wait.eq(plan.read_latency - 1)]
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += [
                    word.eq(self.read_data),
                    pending.eq(nonzero(self.read_data)),
                    place.eq(0),
                    wait.eq(wait - 1),
                ]
                with m.If(wait == 0):
                    m.next = "SCAN"
            with m.State("SCAN"):
                m.d.comb += found_valid.eq(pending.any())
                with m.If(free):
                    m.d.sync += pending.eq(pending & ~lowest)
                with m.If((free | ~pending.any()) & ~several):
                    m.d.sync += [
                        pending.eq(nonzero(following)),
                        word.eq(following),
                        place.eq(place + 1),
                        blocks_left.eq(blocks_left - 1),
                    ]
                    if rows <= block:
                        m.d.sync += base.eq(base + (block // rows) * words)
                    else:
                        m.d.sync += bank.eq(bank + block)
                        with m.If(bank == rows - block):
                            m.d.sync += base.eq(base + words)
                    with m.If(place == places - 1):
                        m.next = "READ"
                    with m.If(blocks_left == 1):
                        m.d.sync += scanned.eq(1)
                        m.next = "IDLE"
        with m.If(self.start):
            m.d.sync += [
                word_address.eq(Array([p.error_base for p in hidden])[pick]),
                words.eq(Array([p.words for p in hidden])[pick]),
                blocks_left.eq(Array([-(-p.units // block) for p in hidden])[pick]),
                base.eq(Array([p.weight_base for p in hidden])[pick]),
                bank.eq(0),
            ]
