"""Looks through the cells of a row for errors, a cell a cycle, and hands on what it finds."""

from amaranth import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import ConvolutionPlan
from .tap_walker import map_address, of_layer, side_shape
from .trit import Trit


def row_index(plan: ConvolutionPlan) -> range:
    """Range of a row of the longest layer."""
    return range(max(2, *(p.units for p in plan.layers)))


def find_layout(plan: ConvolutionPlan) -> data.StructLayout:
    """An error: tap (0, 0) of its cell, the position in it that won, and the sign."""
    return data.StructLayout(
        {
            "y": side_shape(plan),
            "x": side_shape(plan),
            "address": map_address(plan),
            "choice": max(plan.choice_width, 1),
            "negative": 1,
        }
    )


class CellScan(wiring.Component):
    """Errors of a row: those of its cells, or of the last layer −1, 0, 1 by label and rival.

    Golden: the non-zero elements of a row of ``Trainer.error_below``, in the order of cells. Three
    cycles from ``start`` to the first cell, four with ``memory_register``, then a cell a cycle
    while what is found is taken; two errors are at least two cycles apart, so ``o.ready`` reaches
    no further than ``o``.

    Members
    -------
    start : In(1)
        Begin with the first cell; at rest only.
    layer, row, lane, row_address, label, rival : In
        Layer, row, its place in a word, the word of its first cell, and the classes whose errors
        are +1 and −1; constant while ``busy``.
    restart, step : Out(1); y, x, address : In
        The walker of cells.
    error_enable : Out(1), error_address : Out; error_data, winner_data : In
        Errors and winners, a cycle later; they stay while ``error_enable`` is low.
    o : Out(stream of errors)
    any : Out(1)
        An error was found since ``start``.
    busy : Out(1)
        There are cells to be looked at, or an error to be taken; from the cycle after ``start``.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        classes, address = range(plan.layers[-1].units), map_address(plan)
        super().__init__(
            {
                "start": In(1),
                "layer": In(range(len(plan.layers))),
                "row": In(row_index(plan)),
                "lane": In(range(max(plan.granule, 2))),
                "row_address": In(address),
                "label": In(classes),
                "rival": In(classes),
                "restart": Out(1),
                "step": Out(1),
                "y": In(side_shape(plan)),
                "x": In(side_shape(plan)),
                "address": In(address),
                "error_enable": Out(1),
                "error_address": Out(address),
                "error_data": In(2 * plan.granule),
                "winner_data": In(max(plan.choice_width, 1) * plan.granule),
                "o": Out(stream.Signature(find_layout(plan))),
                "any": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, found = self.plan, self.o.payload

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        at_top = Signal()
        looking = Signal()
        arriving = Signal()
        looked = Signal()
        cells_left = Signal(range(max(p.shape.cells for p in plan.layers) + 1))
        error = Signal(Trit)
        choice = Signal.like(found.choice)
        finds = Signal()
        hold = Signal()
        # What a memory answers may come late in its cycle.
        errors, winners, arrived = self.error_data, self.winner_data, arriving
        if plan.hardware.memory_register:
            errors = Signal.like(errors)
            winners = Signal.like(winners)
            arrived = Signal()
        m.d.comb += [
            at_top.eq(self.layer == len(plan.layers) - 1),
            finds.eq(looked & error.nonzero),
            hold.eq(finds & self.o.valid),
            self.busy.eq(looking | arriving | arrived | looked | self.o.valid),
        ]

        # Cycle 0: a cell's words are asked for.
        m.d.comb += self.error_enable.eq(looking & ~hold)
        with m.If(~hold):
            m.d.sync += [arriving.eq(looking), looked.eq(arrived)]
            if plan.hardware.memory_register:
                m.d.sync += [
                    errors.eq(self.error_data),
                    winners.eq(self.winner_data),
                    arrived.eq(arriving),
                ]
            with m.If(looking):
                m.d.sync += [
                    self.error_address.eq(self.error_address + table(lambda p: p.output_words)),
                    cells_left.eq(cells_left - 1),
                    looking.eq(cells_left != 1),
                ]

            # They have come: the row's part of them.
            m.d.sync += [
                error.eq(errors.word_select(self.lane, 2)),
                choice.eq(winners.word_select(self.lane, len(choice))),
            ]
            with m.If(at_top):
                m.d.sync += [
                    error.nonzero.eq((self.row == self.label) | (self.row == self.rival)),
                    error.negative.eq(self.row == self.rival),
                    choice.eq(0),
                ]

        # A cycle later: an error is handed on.
        m.d.comb += [self.restart.eq(self.start), self.step.eq(looked & ~hold)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(finds & ~hold):
            m.d.sync += [
                self.o.valid.eq(1),
                self.any.eq(1),
                found.y.eq(self.y),
                found.x.eq(self.x),
                found.address.eq(self.address),
                found.choice.eq(choice),
                found.negative.eq(error.negative),
            ]

        with m.If(self.start):
            m.d.sync += [
                looking.eq(1),
                self.any.eq(0),
                self.error_address.eq(self.row_address),
                cells_left.eq(table(lambda p: p.shape.cells)),
            ]
        return m
