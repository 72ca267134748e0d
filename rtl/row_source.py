"""Finds the rows whose error is not zero, ascending, and where their weights lie."""

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .trainer_plan import TrainerPlan


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
    are read from the activation memory, a word of P trits at a time, and scanned one a cycle while
    the rows found are worked on.

    Members
    -------
    start : In(1), layer : In
        Begin with the rows of a layer; ``layer`` stays until ``done``.
    label, rival : In
        Classes whose errors are +1 and −1.
    read_address : Out, read_enable : Out(1)
        Word wanted from the activation memory; it has the port whenever it asks.
    read_data : In
        That word, a cycle later.
    o : Out(stream)
        ``row_layout``.
    done : Out(1)
        No row is left; high until ``start``.
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
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        top = len(plan.layers) - 1
        hidden = plan.layers[:-1]

        # The label and its rival, lower index first.
        addresses = Array([plan.weight_address(top, j)[0] for j in range(plan.layers[top].units)])
        label_first = self.label < self.rival
        second = Signal()
        chosen = Mux(second == label_first, self.rival, self.label)

        # A word of errors and the place of its lane 0.
        word = Signal(2 * lanes)
        lane = Signal(range(lanes + 1))
        word_address = Signal.like(self.read_address)
        rows_left = Signal(range(max((p.units for p in hidden), default=1) + 1))
        row_address = Signal(range(max(plan.weight_depth, 2)))
        bank = Signal(range(max(rows, 2)))
        row_words = Array([p.words for p in plan.layers])[self.layer]

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [self.done.eq(0), second.eq(0)]
                m.next = "LAST-LAYER"
                if hidden:
                    with m.If(self.layer != top):
                        pick = self.layer
                        m.d.sync += [
                            word_address.eq(Array([p.error_base for p in hidden])[pick]),
                            rows_left.eq(Array([p.units for p in hidden])[pick]),
                            row_address.eq(Array([p.weight_base for p in hidden])[pick]),
                            bank.eq(0),
                        ]
                        m.next = "READ"
            with m.State("LAST-LAYER"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.address.eq(addresses[chosen]),
                    self.o.payload.bank.eq(chosen[: len(bank)] if rows > 1 else 0),
                    self.o.payload.error.eq(Mux(second == label_first, -1, 1)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += second.eq(1)
                    with m.If(second):
                        m.d.sync += self.done.eq(1)
                        m.next = "IDLE"
            if hidden:
                with m.State("READ"):
                    m.d.comb += self.read_enable.eq(1)
                    m.d.sync += word_address.eq(word_address + 1)
                    m.next = "LOAD"
                with m.State("LOAD"):
                    m.d.sync += [word.eq(self.read_data), lane.eq(0)]
                    m.next = "SCAN"
                with m.State("SCAN"):
                    m.d.comb += [
                        self.o.valid.eq(word[0]),
                        self.o.payload.address.eq(row_address),
                        self.o.payload.bank.eq(bank),
                        self.o.payload.error.eq(word[:2].as_signed()),
                    ]
                    with m.If(~word[0] | self.o.ready):
                        m.d.sync += [
                            word.eq(word >> 2),
                            lane.eq(lane + 1),
                            rows_left.eq(rows_left - 1),
                        ]
                        if rows > 1:
                            m.d.sync += bank.eq(bank + 1)
                        with m.If(bank == rows - 1):
                            m.d.sync += row_address.eq(row_address + row_words)
                        with m.If(rows_left == 1):
                            m.d.sync += self.done.eq(1)
                            m.next = "IDLE"
                        with m.Elif(lane == lanes - 1):
                            m.next = "READ"
        m.d.comb += self.read_address.eq(word_address)
        return m
