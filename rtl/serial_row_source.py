"""Finds the rows whose quantised error is not zero, one unit after the other."""

from amaranth import Array, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .row_source import row_layout
from .trainer_plan import TrainerPlan


class SerialRowSource(wiring.Component):
    """A stream of the rows of one layer with an error, from the memory of ``ErrorQuantizer``.

    Two cycles a unit.

    Members
    -------
    start : In(1), layer : In
        Begin with the rows of a layer; ``layer`` stays until ``done``.
    read_address : Out, read_data : In(signed)
        An error, a cycle later.
    o : Out(stream of rows)
    done : Out(1)
        No row is left; high until ``start``.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "start": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
                "read_address": Out(range(max(plan.error_depth, 2))),
                "read_data": In(signed(plan.error_width)),
                "o": Out(stream.Signature(row_layout(plan))),
                "done": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, rows = self.plan, self.plan.hardware.rows
        layers = plan.layers
        row_words = Array([p.words for p in layers])[self.layer]
        rows_left = Signal(range(max(p.units for p in layers) + 1))
        row_address = Signal(range(max(plan.weight_depth, 2)))
        bank = Signal(range(max(rows, 2)))
        error = self.read_data
        m.d.comb += [
            self.o.payload.address.eq(row_address),
            self.o.payload.bank.eq(bank),
            self.o.payload.error.eq(error),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                bases = [plan.error_base(l) for l in range(len(layers))]
                m.d.sync += [
                    self.done.eq(0),
                    self.read_address.eq(Array(bases)[self.layer]),
                    rows_left.eq(Array([p.units for p in layers])[self.layer]),
                    row_address.eq(Array([p.weight_base for p in layers])[self.layer]),
                    bank.eq(0),
                ]
                m.next = "READ"
            with m.State("READ"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.o.valid.eq(error != 0)
                with m.If((error == 0) | self.o.ready):
                    m.d.sync += [
                        rows_left.eq(rows_left - 1),
                        self.read_address.eq(self.read_address + 1),
                    ]
                    if rows > 1:
                        m.d.sync += bank.eq(bank + 1)
                    with m.If(bank == rows - 1):
                        m.d.sync += row_address.eq(row_address + row_words)
                    m.next = "READ"
                    with m.If(rows_left == 1):
                        m.d.sync += self.done.eq(1)
                        m.next = "IDLE"
        return m
