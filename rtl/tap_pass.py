"""Errors below and gradients of a layer: row by row, cell by cell, a tap a cycle for both."""

from amaranth import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .cell_scan import CellScan, row_index
from .convolution_plan import ConvolutionPlan
from .register_map import THRESHOLD_WIDTH
from .row_source import row_layout
from .tap_sums import TapSums
from .tap_walker import map_address, of_layer, side_shape


class TapPass(wiring.Component):
    """Σ d·W scattered to the inputs, Σ d·x gathered for the rows, of one layer.

    Equation: design section 4, step 5 and convolution; golden: ``Trainer.error_below`` and
    ``Trainer.update``. A row is updated after its weights went into the errors below, and no other
    row needs them, so one pass serves both. A row takes a cycle a cell to find its errors, and
    meanwhile a cycle a granule for each error; with an error it then takes a cycle a granule to
    turn its gradient into trits, and its update. At the end a cycle a word of the input turns
    error sums into errors.

    Members
    -------
    clear : In(1), cleared : Out(1)
        Set every sum to zero, as they must be before the first sample; it takes a cycle a word.
    start : In(1), layer : In, done : Out(1)
        Begin with a layer, constant until ``done``.
    label, rival : In
        Classes whose errors are +1 and −1.
    confidence : In
        θ of the layer below, constant from the cycle of ``start`` on.
    cell_restart, cell_step : Out(1); cell_y, cell_x, cell_address : In
        The walker of cells.
    tap_start : Out(1), tap_y, tap_x, tap_address, choice : Out; tap_ready : In(1)
        Begin a walk over the taps of a position.
    sweeping : Out(1)
        Walks are over gradients; these are pushed as trits.
    tap_valid, tap_inside : In(1), tap_map, tap_granule, tap_word, tap_slot : In; advance : Out(1)
        The walker of taps.
    stall : In(1)
        The weights cannot be read in this cycle.
    enable : Out(1), weight_address, bank : Out; weights : In(2P)
        The word of weights in which the tap lies, ``plan.read_latency`` cycles later; ``bank``
        comes with it.
    inputs : In
        The granule at the tap, ``plan.tap_latency`` cycles later; the padding where the tap lies
        outside.
    trit_valid : Out(1), trits : Out
        Granules of sign(G) where |G| > α, ``plan.tap_latency`` cycles after the tap.
    gathered : In(1)
        The last word of a row of windows was written.
    o : Out(stream of rows)
        Rows to be updated.
    updating : In(1)
        A row is being updated.
    error_address, error_enable : Out; error_data, winner_data : In
        Window flags or errors, and winners, a cycle later.
    error_write : Out(1), error_write_address, error_write_data : Out
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        address, granule = map_address(plan), plan.granule
        classes = range(plan.layers[-1].units)
        super().__init__(
            {
                "clear": In(1),
                "cleared": Out(1),
                "start": In(1),
                "layer": In(range(len(plan.layers))),
                "done": Out(1),
                "label": In(classes),
                "rival": In(classes),
                "confidence": In(THRESHOLD_WIDTH),
                "cell_restart": Out(1),
                "cell_step": Out(1),
                "cell_y": In(side_shape(plan)),
                "cell_x": In(side_shape(plan)),
                "cell_address": In(address),
                "tap_start": Out(1),
                "tap_y": Out(side_shape(plan)),
                "tap_x": Out(side_shape(plan)),
                "tap_address": Out(address),
                "choice": Out(max(plan.choice_width, 1)),
                "tap_ready": In(1),
                "sweeping": Out(1),
                "tap_valid": In(1),
                "tap_inside": In(1),
                "tap_map": In(address),
                "tap_granule": In(range(max(plan.gradient_depth, 2))),
                "tap_word": In(range(max(plan.window_words, 2))),
                "tap_slot": In(range(max(2, *(p.slots for p in plan.layers)))),
                "advance": Out(1),
                "stall": In(1),
                "enable": Out(1),
                "weight_address": Out(range(max(plan.weight_depth, 2))),
                "bank": Out(range(max(plan.hardware.rows, 2))),
                "weights": In(2 * plan.hardware.lanes),
                "inputs": In(2 * plan.granule),
                "trit_valid": Out(1),
                "trits": Out(2 * plan.granule),
                "gathered": In(1),
                "o": Out(stream.Signature(row_layout(plan))),
                "updating": In(1),
                "error_address": Out(address),
                "error_enable": Out(1),
                "error_data": In(2 * granule),
                "winner_data": In(max(plan.choice_width, 1) * granule),
                "error_write": Out(1),
                "error_write_address": Out(address),
                "error_write_data": Out(2 * granule),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, rows = self.plan, self.plan.hardware.rows
        granule = plan.granule

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        # The row in work
        row = Signal(row_index(plan))
        lane = Signal(range(max(granule, 2)))
        bank = Signal(range(max(rows, 2)))
        base = Signal.like(self.weight_address)
        row_address = Signal.like(self.error_address)  # its word of the first cell's errors
        last_row = row == table(lambda p: p.units - 1)
        row_begins = Signal()
        row_done = Signal()
        with m.If(row_done):
            m.d.sync += [row.eq(row + 1), lane.eq(lane + 1), bank.eq(bank + 1)]
            with m.If(lane == granule - 1):
                m.d.sync += [lane.eq(0), row_address.eq(row_address + 1)]
            with m.If(bank == rows - 1):
                m.d.sync += [bank.eq(0), base.eq(base + table(lambda p: p.words))]

        # Its errors: each begins a walk over the taps of its position.
        m.submodules.scan = scan = CellScan(plan)
        m.d.comb += [
            scan.start.eq(row_begins),
            scan.layer.eq(self.layer),
            scan.row.eq(row),
            scan.lane.eq(lane),
            scan.row_address.eq(row_address),
            scan.label.eq(self.label),
            scan.rival.eq(self.rival),
            scan.y.eq(self.cell_y),
            scan.x.eq(self.cell_x),
            scan.address.eq(self.cell_address),
            scan.error_data.eq(self.error_data),
            scan.winner_data.eq(self.winner_data),
            scan.o.ready.eq(self.tap_ready),
            self.cell_restart.eq(scan.restart),
            self.cell_step.eq(scan.step),
            self.error_enable.eq(scan.error_enable),
            self.error_address.eq(scan.error_address),
            self.tap_start.eq(scan.o.valid),
            self.tap_y.eq(scan.o.payload.y),
            self.tap_x.eq(scan.o.payload.x),
            self.tap_address.eq(scan.o.payload.address),
            self.choice.eq(scan.o.payload.choice),
        ]

        # The sign of the walk in work; a walk that follows another at once brings its own.
        walk_negative = Signal()
        with m.If(scan.o.valid & self.tap_ready):
            m.d.sync += walk_negative.eq(scan.o.payload.negative)

        # Its taps
        m.submodules.sums = sums = TapSums(plan)
        below = Signal()
        idle = ~scan.busy & ~self.tap_valid & ~sums.busy
        m.d.comb += [
            below.eq(self.layer != 0),
            self.advance.eq(~sums.wait & ~(self.stall & below)),
            sums.layer.eq(self.layer),
            sums.tap.valid.eq(self.tap_valid & self.advance),
            sums.tap.sweep.eq(self.sweeping),
            sums.tap.inside.eq(self.tap_inside),
            sums.tap.negative.eq(walk_negative),
            sums.tap.map.eq(self.tap_map),
            sums.tap.granule.eq(self.tap_granule),
            sums.tap.slot.eq(self.tap_slot),
            sums.weights.eq(self.weights),
            sums.inputs.eq(self.inputs),
            # A tap that waits for its sums may read its weights twice: that keeps the wait off
            # the way to the memory.
            self.enable.eq(self.tap_valid & ~self.stall & below & ~self.sweeping),
            self.weight_address.eq(base + self.tap_word),
            self.bank.eq(bank),
            self.trit_valid.eq(sums.trit_valid),
            self.trits.eq(sums.trits),
        ]

        # Errors of the layer below
        place = Signal.like(self.error_address)
        last_place = place == table(lambda p: p.map_base + p.map_words - 1)
        m.d.comb += [
            sums.place.eq(place),
            sums.confidence.eq(self.confidence),
            sums.error_data.eq(self.error_data),
            self.error_write.eq(sums.error_write),
            self.error_write_address.eq(sums.error_write_address),
            self.error_write_data.eq(sums.error_write_data),
        ]

        # What was updated before is read from the words that a sweep fills.
        updating = self.updating | self.o.valid
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.clear):
                    m.d.sync += place.eq(0)
                    m.next = "CLEAR"
                with m.Elif(self.start):
                    m.d.sync += [
                        row.eq(0),
                        lane.eq(0),
                        bank.eq(0),
                        base.eq(table(lambda p: p.weight_base)),
                        row_address.eq(table(lambda p: p.output_base)),
                    ]
                    m.next = "ROW"
            with m.State("CLEAR"):
                m.d.comb += sums.clear.eq(1)
                m.d.sync += place.eq(place + 1)
                with m.If(place == max(plan.hidden_words, plan.gradient_depth) - 1):
                    m.d.comb += self.cleared.eq(1)
                    m.next = "IDLE"
            with m.State("ROW"):
                m.d.comb += row_begins.eq(1)
                m.next = "TAPS"
            with m.State("TAPS"), m.If(idle):
                m.next = "SWEEP"
                with m.If(~scan.any):
                    m.next = "NEXT"
            with m.State("SWEEP"):
                m.d.comb += self.sweeping.eq(1)
                with m.If(~updating):
                    m.d.comb += self.tap_start.eq(1)
                    m.next = "SWEEPING"
            with m.State("SWEEPING"):
                m.d.comb += self.sweeping.eq(1)
                with m.If(self.gathered):
                    m.d.sync += [
                        self.o.valid.eq(1),
                        self.o.payload.address.eq(base),
                        self.o.payload.bank.eq(bank),
                        self.o.payload.error.eq(1),
                    ]
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.d.comb += row_done.eq(1)
                m.next = "ROW"
                with m.If(last_row):
                    m.d.sync += place.eq(table(lambda p: p.map_base))
                    m.next = "LIMIT"
                    with m.If(self.layer == 0):
                        m.next = "END"
            with m.State("LIMIT"):
                m.d.comb += [
                    sums.limit.eq(1),
                    self.error_enable.eq(1),
                    self.error_address.eq(place),
                ]
                m.d.sync += place.eq(place + 1)
                with m.If(last_place):
                    m.next = "END"
            with m.State("END"), m.If(~updating & ~sums.limiting):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
