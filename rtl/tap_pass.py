"""Errors below and gradients of a layer: row by row, cell by cell, a tap a cycle for both."""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import ConvolutionPlan
from .delay import delayed
from .processing_element import minus_size
from .ram import Ram
from .register_map import THRESHOLD_WIDTH
from .row_source import row_layout
from .tap_walker import map_address, of_layer, side_shape
from .trit import Trit


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
        The granule at the tap, as late; the padding where the tap lies outside.
    trit_valid : Out(1), trits : Out
        Granules of sign(G) where |G| > α, ``read_latency`` cycles after the tap.
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
        layers, top, granule = plan.layers, len(plan.layers) - 1, plan.granule

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        at_top = Signal()
        m.d.comb += at_top.eq(self.layer == top)

        # The row in work
        row = Signal(range(max(2, *(p.units for p in layers))))
        lane = Signal(range(max(granule, 2)))
        bank = Signal(range(max(rows, 2)))
        base = Signal.like(self.weight_address)
        row_address = Signal.like(self.error_address)  # its word of the first cell's errors
        last_row = row == table(lambda p: p.units - 1)
        has_error, row_begins, row_done = Signal(), Signal(), Signal()
        with m.If(row_done):
            m.d.sync += [row.eq(row + 1), lane.eq(lane + 1), bank.eq(bank + 1)]
            with m.If(lane == granule - 1):
                m.d.sync += [lane.eq(0), row_address.eq(row_address + 1)]
            with m.If(bank == rows - 1):
                m.d.sync += [bank.eq(0), base.eq(base + table(lambda p: p.words))]

        # Its errors: cells are looked at one by one, a cycle after their words are read.
        looking, looked = Signal(), Signal()
        cells_left = Signal(range(max(p.shape.cells for p in layers) + 1))
        cell_word = Signal.like(self.error_address)
        found, free, hold, last_cell = Signal(), Signal(), Signal(), Signal()
        error = Signal(Trit)
        negative = Signal()
        m.d.comb += [
            error.eq(self.error_data.word_select(lane, 2)),
            free.eq(~found | self.tap_ready),
            last_cell.eq(cells_left == 1),
        ]
        with m.If(at_top):
            m.d.comb += [
                error.nonzero.eq((row == self.label) | (row == self.rival)),
                error.negative.eq(row == self.rival),
            ]
        m.d.comb += [
            self.error_address.eq(cell_word),
            self.error_enable.eq(looking & ~hold),
            hold.eq(looked & error.nonzero & ~free),
            self.cell_restart.eq(row_begins),
            self.cell_step.eq(looked & ~hold),
            self.tap_start.eq(found),
        ]
        with m.If(found & self.tap_ready):
            m.d.sync += found.eq(0)
        with m.If(~hold):
            m.d.sync += looked.eq(looking)
            with m.If(looking):
                m.d.sync += [
                    cell_word.eq(cell_word + table(lambda p: p.output_words)),
                    cells_left.eq(cells_left - 1),
                    looking.eq(~last_cell),
                ]
        with m.If(looked & error.nonzero & free):
            m.d.sync += [
                found.eq(1),
                has_error.eq(1),
                negative.eq(error.negative),
                self.tap_y.eq(self.cell_y),
                self.tap_x.eq(self.cell_x),
                self.tap_address.eq(self.cell_address),
                self.choice.eq(self.winner_data.word_select(lane, len(self.choice))),
            ]
            with m.If(at_top):
                m.d.sync += self.choice.eq(0)
        with m.If(row_begins):
            m.d.sync += [
                looking.eq(1),
                looked.eq(0),
                found.eq(0),
                has_error.eq(0),
                cell_word.eq(row_address),
                cells_left.eq(table(lambda p: p.shape.cells)),
            ]

        # The sign of the walk in work; a walk that follows another at once brings its own.
        walk_negative = Signal()
        with m.If(found & self.tap_ready):
            m.d.sync += walk_negative.eq(negative)
        sums_busy = self._sums(m, table, walk_negative, base, bank)
        idle = ~looking & ~looked & ~found & ~self.tap_valid & ~sums_busy

        # Errors of the layer below
        limiting, clearing = Signal(), Signal()
        last_limited = self._limit(m, table, limiting, clearing)

        # What was updated before is read from the words that a sweep fills.
        updating = self.updating | self.o.valid
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.clear):
                    m.d.sync += self._place.eq(0)
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
                m.d.comb += clearing.eq(1)
                m.d.sync += self._place.eq(self._place + 1)
                with m.If(self._place == max(plan.hidden_words, plan.gradient_depth) - 1):
                    m.d.comb += self.cleared.eq(1)
                    m.next = "IDLE"
            with m.State("ROW"):
                m.d.comb += row_begins.eq(1)
                m.next = "TAPS"
            with m.State("TAPS"), m.If(idle):
                m.next = "SWEEP"
                with m.If(~has_error):
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
                    m.d.sync += self._place.eq(table(lambda p: p.map_base))
                    m.next = "LIMIT"
                    with m.If(self.layer == 0):
                        m.next = "END"
            with m.State("LIMIT"):
                m.d.comb += limiting.eq(1)
                m.d.sync += self._place.eq(self._place + 1)
                with m.If(last_limited):
                    m.next = "END"
            with m.State("END"), m.If(~updating):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m

    def _sums(
        self, m: Module, table: Callable, negative: Signal, base: Signal, bank: Signal
    ) -> Value:
        """Taps on their way through both memories of sums; true while there are any."""
        plan, granule, wide = self.plan, self.plan.granule, self.plan.granule
        latency = plan.read_latency
        delta_width, gradient_width = plan.error_sum_width, plan.gradient_width
        m.submodules.deltas = deltas = Ram(delta_width * granule, plan.hidden_words, unchecked=True)
        m.submodules.gradients = gradients = Ram(
            gradient_width * wide, plan.gradient_depth, unchecked=True
        )
        self._deltas, self._gradients = deltas, gradients

        # Cycle 0: the tap's words are asked for. A sum that was taken up in one of the two cycles
        # before is not written yet.
        tap_layout = data.StructLayout(
            {
                "valid": 1,
                "sweep": 1,
                "inside": 1,
                "negative": 1,
                "map": len(self.tap_map),
                "granule": len(self.tap_granule),
                "slot": len(self.tap_slot),
            }
        )
        below = Signal()
        taps = [Signal(tap_layout, name=f"tap{k}") for k in range(latency + 2)]
        m.d.comb += [
            below.eq(self.layer != 0),
            taps[0].valid.eq(self.tap_valid & self.advance),
            taps[0].sweep.eq(self.sweeping),
            taps[0].inside.eq(self.tap_inside),
            taps[0].negative.eq(negative),
            taps[0].map.eq(self.tap_map),
            taps[0].granule.eq(self.tap_granule),
            taps[0].slot.eq(self.tap_slot),
            self.advance.eq(
                ~Cat(
                    tap.valid & ((tap.map == self.tap_map) | (tap.granule == self.tap_granule))
                    for tap in taps[1:3]
                ).any()
                & ~(self.stall & below)
            ),
            self.enable.eq(taps[0].valid & below & ~self.sweeping),
            self.weight_address.eq(base + self.tap_word),
            self.bank.eq(bank),
        ]
        for before, after in pairwise(taps):
            m.d.sync += after.eq(before)

        # A cycle before they arrive, the sums are asked for.
        wanted = taps[latency - 1]
        m.d.comb += [
            deltas.read_enable.eq(1),
            deltas.read_address.eq(wanted.map),
            gradients.read_enable.eq(1),
            gradients.read_address.eq(wanted.granule),
        ]

        # The read latency later: one is added to each, or a gradient is taken away as a trit.
        tap, seen = taps[latency], self.inputs
        weight = self.weights.word_select(tap.slot, 2 * granule)
        new_deltas, new_gradients, trits = [], [], []
        confidences = [plan.config.of("gradient_confidence", l) for l in range(len(plan.layers))]
        for lane in range(granule):
            total = deltas.read_data.word_select(lane, delta_width).as_signed()
            new_deltas.append((total + _term(weight, lane, tap.negative))[:delta_width])
        for lane in range(wide):
            total = gradients.read_data.word_select(lane, gradient_width).as_signed()
            added = (total + _term(seen, lane, tap.negative))[:gradient_width]
            new_gradients.append(Mux(tap.sweep, 0, added))
            passes: Value = total.any()
            if any(confidences):
                passes = minus_size(Array(confidences)[self.layer], total) < 0
            trits.append(Cat(passes, total[-1]))
        last = taps[latency + 1]
        delta_sums, gradient_sums = (
            Signal.like(deltas.write_data),
            Signal.like(gradients.write_data),
        )
        m.d.sync += [
            delta_sums.eq(Cat(new_deltas)),
            gradient_sums.eq(Cat(new_gradients)),
        ]
        m.d.comb += [self.trits.eq(Cat(trits)), self.trit_valid.eq(tap.valid & tap.sweep)]

        # A cycle later: they are written.
        m.d.comb += [
            deltas.write.eq(last.valid & last.inside & below & ~last.sweep),
            deltas.write_mask.eq(1),
            deltas.write_address.eq(last.map),
            deltas.write_data.eq(delta_sums),
            gradients.write.eq(last.valid),
            gradients.write_mask.eq(1),
            gradients.write_address.eq(last.granule),
            gradients.write_data.eq(gradient_sums),
        ]
        return Cat(tap.valid for tap in taps[1:]).any()

    def _limit(self, m: Module, table: Callable, limiting: Signal, clearing: Signal) -> Value:
        """Errors from sums, a word a cycle; true in the cycle of the last word."""
        plan, granule, width = self.plan, self.plan.granule, self.plan.error_sum_width
        deltas, gradients = self._deltas, self._gradients
        self._place = place = Signal.like(self.error_address)
        with m.If(limiting):
            m.d.comb += [
                self.error_enable.eq(1),
                self.error_address.eq(place),
                deltas.read_address.eq(place),
            ]
        errors = []
        for lane in range(granule):
            total = deltas.read_data.word_select(lane, width).as_signed()
            passes = minus_size(self.confidence, total) < 0
            errors.append(Cat(passes & self.error_data[2 * lane], total[-1]))
        m.d.comb += [
            self.error_write_data.eq(Cat(errors)),
            self.error_write.eq(delayed(m, limiting, 1)),
            self.error_write_address.eq(delayed(m, place, 1)),
        ]
        with m.If(self.error_write):
            m.d.comb += [
                deltas.write.eq(1),
                deltas.write_address.eq(self.error_write_address),
                deltas.write_data.eq(0),
            ]
        with m.If(clearing):
            m.d.comb += [
                deltas.write.eq(place < plan.hidden_words),
                deltas.write_address.eq(place),
                deltas.write_data.eq(0),
                gradients.write.eq(place < plan.gradient_depth),
                gradients.write_address.eq(place),
                gradients.write_data.eq(0),
            ]
        return place == table(lambda p: p.map_base + p.map_words - 1)


def _term(trits: Value, lane: int, negative: Value) -> Value:
    """The trit of a lane, or its opposite."""
    trit = Trit(trits.word_select(lane, 2))
    return Cat(trit.nonzero, trit.nonzero & (trit.negative ^ negative)).as_signed()
