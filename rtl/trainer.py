"""The trainer: a whole ternary network that learns on chip, one sample at a time."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..golden.design import HardwareConfig
from ..golden.trainer_config import TrainerConfig
from . import lfsr
from .activation_memory import ActivationMemory
from .counter_memory import CounterMemory
from .delay import delayed
from .delta_pass import DeltaPass
from .error_quantizer import ErrorQuantizer
from .forward_pass import ForwardPass
from .group_gate import GroupGate
from .initialiser import Initialiser
from .margin_loss import MarginLoss
from .register_map import (
    COUNTERS,
    IDENTITY,
    MARGIN_WIDTH,
    Command,
)
from .row_source import RowSource
from .sample_loader import SampleLoader
from .sample_memory import SampleMemory
from .serial_row_source import SerialRowSource
from .squared_hinge import SquaredHinge
from .trainer_bus import BusRequest, BusResponse, TrainerBus
from .trainer_plan import TrainerPlan
from .update_pass import UpdatePass
from .weight_memory import WeightMemory


def trace_signature(plan: TrainerPlan) -> wiring.Signature:
    """What a bench follows: the update's writes, word by word, and the end of each sample."""
    return wiring.Signature(
        {
            "write": Out(1),
            "address": Out(range(max(plan.weight_depth, 2))),
            "bank": Out(range(max(plan.hardware.rows, 2))),
            "mask": Out(plan.weight_chunks),
            "weights": Out(2 * plan.hardware.lanes),
            "counter_address": Out(range(max(plan.counter_depth, 2))),
            "counters": Out(plan.counter_width * plan.hardware.counter_lanes),
            "sample_done": Out(1),
        }
    )


class Trainer(wiring.Component):
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

    plan_class = TrainerPlan

    def __init__(
        self,
        config: TrainerConfig,
        hardware: HardwareConfig,
        *,
        config_hash: int = 0,
        trace: bool = False,
    ) -> None:
        self.plan = self.plan_class(config, hardware)
        self.config_hash = config_hash
        members = {
            "i": In(stream.Signature(BusRequest)),
            "o": Out(stream.Signature(BusResponse)),
            "busy": Out(1),
        }
        if trace:
            members["trace"] = Out(trace_signature(self.plan))
        self.has_trace = trace
        super().__init__(members)

    def initial_registers(self) -> dict[str, int]:
        """Values of the stored registers after reset."""
        config, hardware = self.plan.config, self.plan.hardware
        values = {
            "seed": 1,
            "learn": 1,
            "shift": 0,
            "epochs": 1,
            "samples": hardware.store_samples,
            "margin": config.margin,
            "probability_shift": config.probability_shift,
        }
        for l in range(config.layer_count):
            for name in ("threshold", "window", "offset", "confidence", "gate_shift"):
                values[f"{name}_{l}"] = config.of(name, l)
        return values

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

        # Sequencer state
        layer = Signal(range(max(layer_count, 2)))
        buffer = Signal()
        label = Signal.like(loss.label)
        record = Signal.like(loader.o.payload.record)
        running = Signal()

        connect(m, flipped(self.i), bus.i)
        connect(m, bus.o, flipped(self.o))

        # Run-time parameters of the layer in work
        def of_layer(name: str, index: Signal) -> Signal:
            return Array([getattr(bus, f"{name}_{l}") for l in range(layer_count)])[index]

        below = Signal.like(layer)
        rows_layer = Signal.like(layer)
        rows_ahead = Signal()  # the row source works for the layer below already
        m.d.sync += [
            forward.threshold.eq(of_layer("threshold", forward.threshold_layer)),
            forward.window.eq(of_layer("window", forward.threshold_layer)),
            forward.offset.eq(of_layer("offset", forward.offset_layer)),
        ]
        m.d.comb += [
            below.eq(layer - 1),
            delta.confidence.eq(of_layer("confidence", below)),
            forward.buffer.eq(loader.o.payload.buffer),
            rows_layer.eq(Mux(rows_ahead, below, layer)),
            row_source.layer.eq(rows_layer),
            gate.layer.eq(layer),
            gate.gate_shift.eq(of_layer("gate_shift", rows_layer)),
            delta.layer.eq(layer),
            update.layer.eq(layer),
            update.buffer.eq(buffer),
            update.shift.eq(bus.probability_shift),
            update.load.eq(bus.xorshift_write),
            update.load_state.eq(bus.write_data),
            bus.xorshift.eq(update.state),
        ]

        # Loss
        m.d.comb += [
            loss.valid.eq(forward.sum_valid),
            loss.sum.eq(forward.sum),
            loss.label.eq(label),
            loss.margin.eq(bus.margin),
        ]
        # Where errors are trits, hidden ones share the activation memory.
        row_read_enable, row_read_address = Const(0), Const(0)
        if plan.quantises:
            self._quantise_errors(m, bus, quantizer, loss, delta, row_source, layer)
        else:
            row_read_enable, row_read_address = row_source.read_enable, row_source.read_address
            m.d.comb += [
                row_source.label.eq(label),
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

        # Generator
        seeded = Signal(16)
        m.d.sync += seeded.eq(lfsr.seed_state(bus.seed))
        m.d.comb += [
            gate.load.eq(initialiser.seed_load | bus.lfsr_write),
            gate.load_state.eq(Mux(initialiser.seed_load, seeded, bus.write_data[:16])),
            gate.step_one.eq(initialiser.step_one),
            gate.step_three.eq(initialiser.step_three),
            initialiser.state.eq(gate.state),
            loader.load.eq(bus.shift_lfsr_write),
            loader.load_state.eq(bus.write_data[:16]),
        ]

        self._connect_weights(m, weights, bus, initialiser, forward, delta, update)
        self._connect_counters(m, counters, bus, initialiser, update)
        self._connect_activations(m, activations, loader, forward, delta, update)
        m.d.comb += [
            activations.rows_read.eq(row_read_enable),
            activations.rows_address.eq(row_read_address),
        ]
        finish = Signal()
        connect(m, bus.store, store.host)
        m.d.comb += [
            store.load_enable.eq(loader.store_enable),
            store.load_wanted.eq(loader.store_wanted),
            store.load_address.eq(loader.store_address),
            loader.store_data.eq(store.load_data),
            store.note.eq(finish),
            store.note_address.eq(record),
            store.label.eq(label),
            store.prediction.eq(loss.prediction),
        ]

        # Commands
        # A command is obeyed a cycle after it is written; the trainer is busy from that cycle on.
        command = Signal(4)
        at_rest, idle = Signal(), Signal()
        initialised = Signal()
        m.d.sync += command.eq(Mux(bus.command_write, bus.write_data[:4], 0))
        m.d.comb += [
            idle.eq(at_rest & ~command.any()),
            initialiser.start.eq(at_rest & (command & Command.INITIALISE).any()),
            loader.start.eq(at_rest & (command & Command.RUN).any() & ~initialiser.start),
            loader.stop.eq((command & Command.STOP).any()),
            loader.epochs.eq(bus.epochs),
            loader.samples.eq(bus.samples),
            loader.shift.eq(bus.shift),
            bus.memory_busy.eq(~idle),
        ]
        epoch, sample = Signal(16), Signal(16)
        with m.If(loader.start):
            m.d.sync += [epoch.eq(0), sample.eq(0)]

        # Sequencer: the next sample becomes the present one in the cycle in which that is finished;
        # its forward pass may have begun during that of the present one.
        last_of_epoch = Signal()
        free = Signal()
        with m.If(free & loader.o.valid):
            m.d.comb += [loader.o.ready.eq(1), loss.start.eq(1), forward.start.eq(1)]
            m.d.sync += [
                label.eq(loader.o.payload.label),
                record.eq(loader.o.payload.record),
                buffer.eq(loader.o.payload.buffer),
                last_of_epoch.eq(loader.o.payload.last_of_epoch),
                layer.eq(top),
            ]
        with m.If(finish):
            m.d.comb += [free.eq(1), loader.release.eq(1)]
            m.d.sync += sample.eq(sample + 1)
            with m.If(last_of_epoch):
                m.d.sync += [sample.eq(0), epoch.eq(epoch + 1)]
                if plan.quantises:
                    m.d.comb += quantizer.new_window.eq(1)

        m.d.comb += row_source.start.eq(delta.rows_start)
        settled = store.note_ready & (quantizer.idle if plan.quantises else Const(1))

        def begin_backward() -> None:
            m.d.comb += (delta.start if top else row_source.start).eq(1)
            m.next = "DELTA" if top else "UPDATE"

        def finish_sample() -> None:
            m.d.comb += finish.eq(settled)
            m.next = "FINISH"
            with m.If(settled):
                m.next = "IDLE"
                with m.If(loader.o.valid):
                    m.next = "FORWARD"

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += at_rest.eq(~loader.busy & store.note_ready)
                with m.If(initialiser.start):
                    m.next = "INITIALISE"
                with m.Else():
                    m.d.comb += free.eq(1)
                    with m.If(loader.o.valid):
                        m.next = "FORWARD"
            with m.State("INITIALISE"), m.If(initialiser.done):
                m.d.sync += initialised.eq(1)
                m.next = "IDLE"
            with m.State("FORWARD"):
                m.d.comb += forward.next_valid.eq(loader.o.valid)
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
                        with m.If(layer == 1):
                            m.d.comb += [row_source.start.eq(1), rows_ahead.eq(1)]
            with m.State("DRAIN"):
                m.d.comb += rows_ahead.eq(layer == 1)
                with m.If(~gate.o.valid & ~update.busy):
                    with m.If(layer == 0):
                        finish_sample()
                    with m.Else():
                        m.d.sync += layer.eq(below)
                        m.next = "UPDATE"
                        if top > 1:
                            with m.If(layer > 1):
                                m.next = "DELTA-BEGIN"
            if top > 1:
                with m.State("DELTA-BEGIN"):
                    m.d.comb += delta.start.eq(1)
                    m.next = "DELTA"
            with m.State("FINISH"):
                finish_sample()
        m.d.comb += running.eq(~fsm.ongoing("INITIALISE") & ~at_rest)
        if plan.quantises:
            from_above = delta.start | fsm.ongoing("DELTA") | fsm.ongoing("STORE-ERRORS")
            with m.If(delta.start):
                m.d.comb += quantizer.start.eq(1)
            m.d.comb += quantizer.layer.eq(Mux(from_above, below, layer))

        # Status
        m.d.comb += [
            self.busy.eq(~idle),
            bus.identity.eq(IDENTITY),
            bus.config_hash.eq(self.config_hash),
            bus.status.eq(Cat(~idle, initialised)),
            bus.epoch.eq(epoch),
            bus.sample.eq(sample),
            bus.lfsr.eq(gate.state),
            bus.shift_lfsr.eq(loader.shift_state),
        ]
        if self.has_trace:
            self._trace(m, update, finish)
        self._counters(
            m,
            bus,
            bus.command_write & (bus.write_data & Command.CLEAR_COUNTERS).any(),
            {
                "samples_seen": finish,
                "samples_active": fsm.ongoing("LOSS") & bus.learn & loss.active,
                "correct": finish & loss.correct,
                "groups_drawn": gate.drawn,
                "groups_written": gate.opened,
                "sign_flips": update.flips,
                "resting": forward.resting,
                "cycles": running,
            },
        )
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

    def _connect_weights(self, m, weights, bus, initialiser, forward, delta, update) -> None:
        connect(m, bus.weights, weights.host)
        m.d.comb += [
            weights.forward_enable.eq(forward.enable),
            weights.forward_address.eq(forward.weight_address),
            forward.weights.eq(weights.forward_data),
            weights.delta_enable.eq(delta.enable),
            weights.delta_address.eq(delta.weight_address),
            weights.delta_bank.eq(delta.bank),
            delta.weights.eq(weights.delta_data),
            weights.update_address.eq(update.weight_address),
            weights.update_bank.eq(update.read_bank),
            update.weights.eq(weights.update_data),
            weights.update_write.eq(update.write_valid),
            weights.update_write_address.eq(update.write_weight_address),
            weights.update_write_bank.eq(update.write_bank),
            weights.update_write_data.eq(update.write_weights),
            weights.update_write_mask.eq(update.write_mask),
            weights.initial_write.eq(initialiser.write_valid),
            weights.initial_address.eq(initialiser.write_address),
            weights.initial_bank.eq(initialiser.write_bank),
            weights.initial_data.eq(initialiser.write_data),
            weights.initial_mask.eq(initialiser.write_mask),
        ]

    def _connect_counters(self, m, counters, bus, initialiser, update) -> None:
        connect(m, bus.counters, counters.host)
        m.d.comb += [
            counters.update_address.eq(update.counter_address),
            update.counters.eq(counters.update_data),
            counters.update_write.eq(update.write_valid),
            counters.update_write_address.eq(update.write_counter_address),
            counters.update_write_data.eq(update.write_counters),
            counters.clear.eq(initialiser.clear_valid),
            counters.clear_address.eq(initialiser.clear_address),
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

    def _trace(self, m, update, finish: Signal) -> None:
        m.d.comb += [
            self.trace.write.eq(update.write_valid),
            self.trace.address.eq(update.write_weight_address),
            self.trace.bank.eq(update.write_bank),
            self.trace.mask.eq(update.write_mask),
            self.trace.weights.eq(update.write_weights),
            self.trace.counter_address.eq(update.write_counter_address),
            self.trace.counters.eq(update.write_counters),
            self.trace.sample_done.eq(delayed(m, finish, 1)),
        ]

    def _counters(self, m, bus, clear: Signal, increments: dict) -> None:
        """Status counters: they stop at their limit and say so."""
        flags = []
        clear_late = Signal()
        m.d.sync += clear_late.eq(clear)
        for register in COUNTERS:
            value = getattr(bus, register.name)
            # A cycle late, like ``clear``: what they count is known late in its cycle.
            increment = Const(0)
            if register.name in increments:
                source = increments[register.name]
                increment = Signal(len(source), name=f"{register.name}_more")
                m.d.sync += increment.eq(source)
            full = Signal(name=f"{register.name}_full")
            total = Signal(len(value) + 1, name=f"{register.name}_total")
            held = Signal(len(value), name=f"{register.name}_count")
            m.d.comb += [value.eq(held), total.eq(held + increment)]
            with m.If(clear_late):
                m.d.sync += [held.eq(0), full.eq(0)]
            with m.Elif(total[-1]):
                m.d.sync += [held.eq(~0), full.eq(1)]
            with m.Else():
                m.d.sync += held.eq(total)
            flags.append(full)
        m.d.comb += bus.saturated.eq(Cat(flags))
