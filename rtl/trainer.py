"""The trainer: a whole ternary network that learns on chip, one sample at a time."""

from amaranth import Array, Const, Module, Mux, Signal
from amaranth.lib.wiring import connect, flipped

from .activation_memory import ActivationMemory
from .counter_memory import CounterMemory
from .delta_pass import DeltaPass
from .error_quantizer import ErrorQuantizer
from .forward_pass import ForwardPass
from .group_gate import GroupGate
from .initialiser import Initialiser
from .margin_loss import MarginLoss
from .register_map import (
    MARGIN_WIDTH,
)
from .row_source import RowSource
from .sample_loader import SampleLoader
from .sample_memory import SampleMemory
from .serial_row_source import SerialRowSource
from .squared_hinge import SquaredHinge
from .trainer_base import TrainerBase, Work
from .trainer_bus import TrainerBus
from .update_pass import UpdatePass
from .weight_memory import WeightMemory


class Trainer(TrainerBase):
    """Forward, loss, backward and update of a dense ternary network, and its sample store.

    Equations: design section 4; golden: ``golden.trainer.Trainer``, equal to it in every weight,
    counter and generator state after every sample.

    Parameters
    ----------
    config : TrainerConfig
        The network and its rule.
    hardware : HardwareConfig
        Lanes, rows and memories; they change speed and area, never results.
    config_hash : int
        32 bits that the host reads back to know what it talks to.
    trace : bool
        Add the member ``trace``.

    Members
    -------
    i : In(stream of BusRequest), o : Out(stream of BusResponse)
        Registers and memories (see ``register_map``).
    busy : Out(1)
        Initialising or running: bit 0 of the register ``status``.
    trace : Out(Trace)
        Every write of an update and the end of every sample, for a bench that follows them.
        Only where asked for; nothing depends on it.

    A sample takes Σ row_groups · period cycles and a few a layer; an active one a cycle more for
    every word that draws, or ``counter_steps`` where it is written, and some twenty. Reset
    returns every register to its initial value and stops a run; memories keep what they hold.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        layer_count = len(plan.layers)

        m.submodules.bus = bus = TrainerBus(plan, initial=self.initial_registers())
        m.submodules.loader = loader = SampleLoader(plan)
        m.submodules.initialiser = initialiser = Initialiser(plan)
        m.submodules.forward = forward = ForwardPass(plan)
        classes, top = plan.layers[-1].units, layer_count - 1
        if plan.quantises:
            m.submodules.quantizer = quantizer = ErrorQuantizer(plan)
            m.submodules.loss = loss = SquaredHinge(
                classes=classes,
                sum_width=plan.sum_width,
                margin_width=MARGIN_WIDTH,
                error_width=quantizer.parameters[top].input_width,
            )
            m.submodules.rows = row_source = SerialRowSource(plan)
        else:
            m.submodules.loss = loss = MarginLoss(
                classes=classes, sum_width=plan.sum_width, margin_width=MARGIN_WIDTH
            )
            m.submodules.rows = row_source = RowSource(plan)
        m.submodules.gate = gate = GroupGate(plan)
        m.submodules.delta = delta = DeltaPass(plan)
        m.submodules.update = update = UpdatePass(plan)

        m.submodules.weights = weights = WeightMemory(plan)
        m.submodules.counters = counters = CounterMemory(plan)
        m.submodules.activations = activations = ActivationMemory(plan)
        m.submodules.store = store = SampleMemory(plan)

        work = Work(plan, loader)
        m.d.comb += work.next_valid.eq(loader.o.valid)

        connect(m, flipped(self.i), bus.i)
        connect(m, bus.o, flipped(self.o))

        # Run-time parameters of the layer in work
        def of_layer(name: str, index: Signal) -> Signal:
            return Array([getattr(bus, f"{name}_{l}") for l in range(layer_count)])[index]

        below = Signal.like(work.layer)
        rows_layer = Signal.like(work.layer)
        rows_ahead = Signal()  # the row source works for the layer below already
        m.d.sync += [
            forward.threshold.eq(of_layer("threshold", forward.threshold_layer)),
            forward.window.eq(of_layer("window", forward.threshold_layer)),
            forward.offset.eq(of_layer("offset", forward.offset_layer)),
        ]
        m.d.comb += [
            below.eq(work.layer - 1),
            delta.confidence.eq(of_layer("confidence", below)),
            forward.buffer.eq(loader.o.payload.buffer),
            rows_layer.eq(Mux(rows_ahead, below, work.layer)),
            row_source.layer.eq(rows_layer),
            gate.layer.eq(work.layer),
            gate.gate_shift.eq(of_layer("gate_shift", rows_layer)),
            delta.layer.eq(work.layer),
            update.layer.eq(work.layer),
            update.buffer.eq(work.buffer),
        ]
        self._connect_draws(m, bus, update)

        self._connect_loss(m, bus, forward, loss, work)
        # Where errors are trits, hidden ones share the activation memory.
        row_read_enable, row_read_address = Const(0), Const(0)
        if plan.quantises:
            self._quantise_errors(m, bus, quantizer, loss, delta, row_source, work.layer)
        else:
            row_read_enable, row_read_address = row_source.read_enable, row_source.read_address
            m.d.comb += [
                row_source.label.eq(work.label),
                row_source.rival.eq(loss.rival),
                row_source.read_data.eq(activations.data),
            ]

        # Rows with an error go to the pass in work.
        updating = Signal()
        m.d.comb += [
            delta.i.payload.eq(row_source.o.payload),
            gate.i.payload.eq(row_source.o.payload),
            delta.i.valid.eq(row_source.o.valid & ~updating),
            gate.i.valid.eq(row_source.o.valid & updating),
            row_source.o.ready.eq(Mux(updating, gate.i.ready, delta.i.ready)),
            delta.rows_done.eq(row_source.done),
        ]
        connect(m, gate.o, update.i)
        m.d.comb += update.hold.eq(row_read_enable | delta.read_enable)

        self._connect_generator(m, bus, gate, initialiser, loader)
        self._connect_weights(m, weights, bus, initialiser, forward, delta, update)
        self._connect_counters(m, counters, bus, initialiser, update)
        self._connect_activations(m, activations, loader, forward, delta, update)
        m.d.comb += [
            activations.rows_read.eq(row_read_enable),
            activations.rows_address.eq(row_read_address),
        ]
        self._connect_store(m, bus, store, loader, loss, work)
        self._obey_commands(m, bus, initialiser, loader, work)
        self._follow_samples(m, loader, loss, forward, work)

        # Sequencer: the next sample becomes the present one in the cycle in which that is finished;
        # its forward pass may have begun during that of the present one.
        if plan.quantises:
            m.d.comb += quantizer.new_window.eq(work.finish & work.last_of_epoch)
        m.d.comb += row_source.start.eq(delta.rows_start)
        settled = store.note_ready & (quantizer.idle if plan.quantises else Const(1))

        def begin_backward() -> None:
            m.d.comb += (delta.start if top else row_source.start).eq(1)
            m.next = "DELTA" if top else "UPDATE"

        def finish_sample() -> None:
            m.d.comb += work.finish.eq(settled)
            m.next = "FINISH"
            with m.If(settled):
                m.next = "IDLE"
                with m.If(work.next_valid):
                    m.next = "FORWARD"

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += work.at_rest.eq(~loader.busy & store.note_ready)
                with m.If(initialiser.start):
                    m.next = "INITIALISE"
                with m.Else():
                    m.d.comb += work.free.eq(1)
                    with m.If(work.next_valid):
                        m.next = "FORWARD"
            with m.State("INITIALISE"), m.If(initialiser.done):
                m.d.sync += work.initialised.eq(1)
                m.next = "IDLE"
            with m.State("FORWARD"):
                m.d.comb += forward.next_valid.eq(work.next_valid)
                with m.If(forward.done):
                    m.next = "LOSS"
            with m.State("LOSS"):
                with m.If(bus.learn & loss.active):
                    m.d.comb += forward.drop.eq(1)
                    if plan.quantises:
                        m.d.comb += [loss.send.eq(1), quantizer.start.eq(1)]
                        m.next = "QUANTISE"
                    else:
                        begin_backward()
                with m.Else():
                    finish_sample()
            if plan.quantises:
                with m.State("QUANTISE"), m.If(quantizer.done):
                    begin_backward()
            with m.State("DELTA"):
                if plan.quantises:
                    with m.If(delta.done):
                        m.next = "STORE-ERRORS"
                else:
                    with m.If(delta.rows_taken):
                        m.d.comb += row_source.start.eq(1)
                        m.next = "UPDATE"
            if plan.quantises:
                with m.State("STORE-ERRORS"), m.If(quantizer.done):
                    m.d.comb += row_source.start.eq(1)
                    m.next = "UPDATE"
            with m.State("UPDATE"):
                m.d.comb += updating.eq(1)
                with m.If(row_source.done & ~delta.busy):
                    m.next = "DRAIN"
                    if top:
                        with m.If(work.layer == 1):
                            m.d.comb += [row_source.start.eq(1), rows_ahead.eq(1)]
            with m.State("DRAIN"):
                m.d.comb += rows_ahead.eq(work.layer == 1)
                with m.If(~gate.o.valid & ~update.busy):
                    with m.If(work.layer == 0):
                        finish_sample()
                    with m.Else():
                        m.d.sync += work.layer.eq(below)
                        m.next = "UPDATE"
                        if top > 1:
                            with m.If(work.layer > 1):
                                m.next = "DELTA-BEGIN"
            if top > 1:
                with m.State("DELTA-BEGIN"):
                    m.d.comb += delta.start.eq(1)
                    m.next = "DELTA"
            with m.State("FINISH"):
                finish_sample()
        m.d.comb += [
            work.running.eq(~fsm.ongoing("INITIALISE") & ~work.at_rest),
            work.learns.eq(fsm.ongoing("LOSS") & bus.learn & loss.active),
        ]
        if plan.quantises:
            from_above = delta.start | fsm.ongoing("DELTA") | fsm.ongoing("STORE-ERRORS")
            with m.If(delta.start):
                m.d.comb += quantizer.start.eq(1)
            m.d.comb += quantizer.layer.eq(Mux(from_above, below, work.layer))

        self._report_status(m, bus, gate, loader, loss, forward, update, work)
        return m

    def _quantise_errors(self, m, bus, quantizer, loss, delta, row_source, layer) -> None:
        """Errors pass a precision controller on their way from the loss, or from a layer above."""
        from_loss = ~delta.o.valid
        m.d.comb += [
            quantizer.i.valid.eq(loss.o.valid | delta.o.valid),
            quantizer.i.payload.value.eq(
                Mux(from_loss, loss.o.payload.value, delta.o.payload.value)
            ),
            quantizer.i.payload.last.eq(Mux(from_loss, loss.o.payload.last, delta.o.payload.last)),
            loss.o.ready.eq(quantizer.i.ready & from_loss),
            delta.o.ready.eq(quantizer.i.ready),
            quantizer.read_address.eq(row_source.read_address),
            row_source.read_data.eq(quantizer.read_data),
            quantizer.load_state.eq(bus.write_data),
        ]
        for l in range(len(self.plan.layers)):
            m.d.comb += [
                getattr(bus, f"controller_{l}").eq(getattr(quantizer, f"state_{l}")),
                getattr(quantizer, f"load_{l}").eq(getattr(bus, f"controller_{l}_write")),
            ]

    def _connect_activations(self, m, activations, loader, forward, delta, update) -> None:
        m.d.comb += [
            activations.forward_read.eq(forward.enable),
            activations.forward_address.eq(forward.input_address),
            forward.inputs.eq(activations.data),
            activations.delta_read.eq(delta.read_enable),
            activations.delta_address.eq(delta.read_address),
            delta.read_data.eq(activations.data),
            activations.update_address.eq(update.input_address),
            update.inputs.eq(activations.data),
            activations.forward_write.eq(forward.write_valid),
            activations.forward_write_address.eq(forward.write_address),
            activations.forward_write_data.eq(forward.write_data),
            activations.delta_write.eq(delta.write_valid),
            activations.delta_write_address.eq(delta.write_address),
            activations.delta_write_data.eq(delta.write_data),
            activations.load_write.eq(loader.write_valid),
            activations.load_write_address.eq(loader.write_address),
            activations.load_write_data.eq(loader.write_data),
            loader.write_ready.eq(activations.load_ready),
        ]
