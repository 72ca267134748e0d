"""Errors of the layer below: the rows with an error are read once for each word of P lanes."""

from amaranth import Array, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .delay import delayed
from .error_lanes import ErrorLanes, error_sum_width
from .register_map import THRESHOLD_WIDTH
from .row_source import row_layout
from .trainer_plan import TrainerPlan


def error_sum_layout(width: int) -> data.StructLayout:
    """An error before it is quantised, and whether it is the last of its layer."""
    return data.StructLayout({"value": signed(width), "last": 1})


class DeltaPass(wiring.Component):
    """d[l−1] from d[l] and W[l], before W[l] is updated; no transposed memory.

    Equation: design section 4, step 5; golden: ``Trainer.error_below``. For each word of P units
    below: a cycle a row with an error, and a fixed few.

    Members
    -------
    start : In(1), layer : In
        Begin with the layer whose errors are known, 1 or higher; ``layer`` stays until ``done``.
    confidence : In
        θ of the layer below.
    rows_start : Out(1), rows_done : In(1), i : In(stream of rows)
        The row source, restarted for every word.
    weight_address, enable : Out; bank : Out; weights : In(2P)
        A word of the row's bank, ``plan.read_latency`` cycles later; ``bank`` comes with it.
    read_address, read_enable : Out; read_data : In(2P)
        Window flags in the activation memory, ``plan.read_latency`` cycles later.
    write_valid, write_address, write_data : Out
        Errors; never refused.
    o : Out(stream of error sums)
        In place of those writes where errors are quantised: every unit, ``last`` with the last.
    rows_taken : Out(1)
        Pulses when no weight will be read any more.
    done : Out(1)
        Pulses at the end.
    busy : Out(1)
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        lanes = plan.hardware.lanes
        sums = {"o": Out(stream.Signature(error_sum_layout(error_sum_width(plan))))}
        super().__init__(
            {
                **(sums if plan.quantises else {}),
                "start": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
                "confidence": In(THRESHOLD_WIDTH),
                "rows_start": Out(1),
                "rows_done": In(1),
                "i": In(stream.Signature(row_layout(plan))),
                "weight_address": Out(range(max(plan.weight_depth, 2))),
                "bank": Out(range(max(plan.hardware.rows, 2))),
                "enable": Out(1),
                "weights": In(2 * lanes),
                "read_address": Out(range(max(plan.activation_depth, 2))),
                "read_enable": Out(1),
                "read_data": In(2 * lanes),
                "write_valid": Out(1),
                "write_address": Out(range(max(plan.activation_depth, 2))),
                "write_data": Out(2 * lanes),
                "rows_taken": Out(1),
                "done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.errors = errors = ErrorLanes(plan, confidence_width=THRESHOLD_WIDTH)
        below = [plan.layers[max(l - 1, 0)] for l in range(len(plan.layers))]
        window_base = Array([p.window_base for p in below])[self.layer]
        error_base = Array([p.error_base for p in below])[self.layer]
        words = Array([p.words for p in plan.layers])[self.layer]
        word = Signal(range(max(2, *(p.words for p in plan.layers))))

        # Cycle 0: address of the row's word.
        error = Signal.like(errors.error)
        bank = Signal.like(self.bank)
        m.d.comb += [
            self.weight_address.eq(self.i.payload.address + word),
            self.enable.eq(self.i.valid & self.i.ready),
            error.eq(self.i.payload.error),
            bank.eq(self.i.payload.bank),
        ]
        # The read latency later: the word is added or subtracted.
        m.d.comb += [
            errors.add.eq(delayed(m, self.enable, plan.read_latency)),
            errors.error.eq(delayed(m, error, plan.read_latency)),
            self.bank.eq(delayed(m, bank, plan.read_latency)),
            errors.weights.eq(self.weights),
            errors.confidence.eq(self.confidence),
            errors.window.eq(self.read_data),
            self.read_address.eq(window_base + word),
            self.write_address.eq(error_base + word),
            self.write_data.eq(errors.errors),
        ]

        last_word = word == words - 1
        arriving = Signal(range(max(plan.read_latency, 2)))
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += word.eq(0)
                with m.If(self.start):
                    m.d.comb += [self.rows_start.eq(1), errors.clear.eq(1)]
                    m.next = "ROWS"
            with m.State("ROWS"):
                m.d.comb += [self.i.ready.eq(1), self.read_enable.eq(1)]
                m.d.sync += arriving.eq(plan.read_latency - 1)
                with m.If(self.rows_done):
                    m.d.comb += self.rows_taken.eq(last_word)
                    m.next = "ARRIVE" if plan.read_latency > 1 else "WRITE-ERRORS"
            if plan.read_latency > 1:
                with m.State("ARRIVE"):
                    m.d.comb += self.read_enable.eq(plan.quantises)
                    m.d.sync += arriving.eq(arriving - 1)
                    with m.If(arriving == 1):
                        m.next = "WRITE-ERRORS"
            with m.State("WRITE-ERRORS"):
                if plan.quantises:
                    m.d.comb += self.read_enable.eq(1)  # the window word stays on the port
                    word_done = self._send_lanes(m, errors, below)
                else:
                    m.d.comb += self.write_valid.eq(1)
                    word_done = Const(1)
                with m.If(word_done):
                    m.d.sync += word.eq(word + 1)
                    m.d.comb += [self.rows_start.eq(~last_word), errors.clear.eq(1)]
                    m.next = "ROWS"
                    with m.If(last_word):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        return m

    def _send_lanes(self, m: Module, errors: ErrorLanes, below: list) -> Value:
        """Offer the word's sums one by one; true with the transfer of the last."""
        lane = Signal.like(errors.lane)
        unit = Signal(range(max(2, *(p.units for p in below))))
        last = unit == Array([p.units - 1 for p in below])[self.layer]
        taken = Signal()
        word_done = Signal()
        m.d.comb += [
            errors.lane.eq(lane),
            self.o.valid.eq(1),
            self.o.payload.value.eq(errors.value),
            self.o.payload.last.eq(last),
            taken.eq(self.o.ready),
            word_done.eq(taken & (last | (lane == errors.lanes - 1))),
        ]
        with m.If(taken):
            m.d.sync += [lane.eq(Mux(word_done, 0, lane + 1)), unit.eq(Mux(last, 0, unit + 1))]
        return word_done
