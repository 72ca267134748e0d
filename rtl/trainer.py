"""The trainer: a whole ternary network that learns on chip, one sample at a time."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..golden.design import HardwareConfig
from ..golden.trainer_config import TrainerConfig
from . import lfsr
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
    Region,
)
from .row_source import RowSource
from .sample_loader import SampleLoader
from .serial_row_source import SerialRowSource
from .squared_hinge import SquaredHinge
from .trainer_bus import BusRequest, BusResponse, TrainerBus
from .trainer_plan import BUS_WIDTH, TrainerPlan
from .update_pass import UpdatePass


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
    trace : Out(Trace)
        Every write of an update and the end of every sample, for a bench that follows them.
        Only where asked for; nothing depends on it.

    A sample takes Σ row_groups · period cycles and a few a layer; an active one a cycle more for
    every drawn group. Reset returns every register to its initial value and stops a run; memories
    keep what they hold.
    """

    def __init__(
        self,
        config: TrainerConfig,
        hardware: HardwareConfig,
        *,
        config_hash: int = 0,
        trace: bool = False,
    ) -> None:
        self.plan = TrainerPlan(config, hardware)
        self.config_hash = config_hash
        members = {
            "i": In(stream.Signature(BusRequest)),
            "o": Out(stream.Signature(BusResponse)),
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
        plan, hardware = self.plan, self.plan.hardware
        lanes, rows = hardware.lanes, hardware.rows
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

        def ram(name: str, width: int, depth: int, granularity: int | None = None) -> tuple:
            block = memory.Memory(shape=width, depth=max(depth, 2), init=[])
            m.submodules[name] = block
            return block.read_port(), block.write_port(granularity=granularity)

        banks = [
            ram(f"weights{r}", 2 * lanes, plan.weight_depth, 2 * plan.weight_chunk)
            for r in range(rows)
        ]
        counter_bits = plan.counter_width * hardware.counter_lanes
        counter_read, counter_write = ram(
            "counters", counter_bits, plan.counter_depth, plan.counter_width * plan.counter_chunk
        )
        activation_read, activation_write = ram("activations", 2 * lanes, plan.activation_depth)
        store_read, store_write = ram("store", BUS_WIDTH, plan.store_depth)

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
        m.d.comb += [
            below.eq(layer - 1),
            forward.threshold.eq(of_layer("threshold", layer)),
            forward.window.eq(of_layer("window", layer)),
            forward.offset.eq(of_layer("offset", layer)),
            delta.confidence.eq(of_layer("confidence", below)),
            forward.layer.eq(layer),
            forward.buffer.eq(buffer),
            row_source.layer.eq(layer),
            gate.layer.eq(layer),
            gate.gate_shift.eq(of_layer("gate_shift", layer)),
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
                row_source.read_data.eq(activation_read.data),
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
        m.d.comb += update.hold.eq(row_read_enable)

        # Generator
        m.d.comb += [
            gate.load.eq(initialiser.seed_load | bus.lfsr_write),
            gate.load_state.eq(
                Mux(initialiser.seed_load, lfsr.seed_state(bus.seed), bus.write_data[:16])
            ),
            gate.step_one.eq(initialiser.step_one),
            gate.step_three.eq(initialiser.step_three),
            initialiser.state.eq(gate.state),
            loader.load.eq(bus.shift_lfsr_write),
            loader.load_state.eq(bus.write_data[:16]),
        ]

        self._host_store = store_read.data
        self._weight_memory(m, banks, bus, initialiser, forward, delta, update)
        self._counter_memory(m, counter_read, counter_write, bus, initialiser, update)

        # Activation memory: the engine reads and writes at once, the loader where it may.
        m.d.comb += [
            activation_read.en.eq(1),
            activation_read.addr.eq(
                Mux(
                    row_read_enable,
                    row_read_address,
                    Mux(
                        forward.enable,
                        forward.input_address,
                        Mux(delta.read_enable, delta.read_address, update.input_address),
                    ),
                )
            ),
            forward.inputs.eq(activation_read.data),
            delta.read_data.eq(activation_read.data),
            update.inputs.eq(activation_read.data),
        ]
        with m.If(forward.write_valid):
            m.d.comb += [
                activation_write.en.eq(1),
                activation_write.addr.eq(forward.write_address),
                activation_write.data.eq(forward.write_data),
            ]
        with m.Elif(delta.write_valid):
            m.d.comb += [
                activation_write.en.eq(1),
                activation_write.addr.eq(delta.write_address),
                activation_write.data.eq(delta.write_data),
            ]
        with m.Else():
            m.d.comb += [
                activation_write.en.eq(loader.write_valid),
                activation_write.addr.eq(loader.write_address),
                activation_write.data.eq(loader.write_data),
                loader.write_ready.eq(1),
            ]

        # Sample store: the host fills it, the loader reads it, predictions are noted in it.
        finish = Signal()
        m.d.comb += [
            store_read.en.eq(loader.store_enable | bus.memory_read),
            store_read.addr.eq(Mux(loader.busy, loader.store_address, bus.offset)),
            loader.store_data.eq(store_read.data),
        ]
        with m.If(finish):
            m.d.comb += [
                store_write.en.eq(1),
                store_write.addr.eq(record),
                store_write.data.eq(Cat(label, Signal(16 - len(label)), loss.prediction)),
            ]
        with m.Else():
            m.d.comb += [
                store_write.en.eq(bus.memory_write & (bus.region == Region.STORE)),
                store_write.addr.eq(bus.offset),
                store_write.data.eq(bus.write_data),
            ]

        # Commands
        command = Signal(4)
        idle = Signal()
        initialised = Signal()
        m.d.comb += command.eq(Mux(bus.command_write, bus.write_data[:4], 0))
        m.d.comb += [
            initialiser.start.eq(idle & (command & Command.INITIALISE).any()),
            loader.start.eq(idle & (command & Command.RUN).any() & ~initialiser.start),
            loader.stop.eq((command & Command.STOP).any()),
            loader.epochs.eq(bus.epochs),
            loader.samples.eq(bus.samples),
            loader.shift.eq(bus.shift),
            bus.memory_busy.eq(~idle),
        ]
        epoch, sample = Signal(16), Signal(16)
        with m.If(loader.start):
            m.d.sync += [epoch.eq(0), sample.eq(0)]

        # Sequencer
        last_of_epoch = Signal()
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += idle.eq(~loader.busy)
                with m.If(initialiser.start):
                    m.next = "INITIALISE"
                with m.Elif(loader.o.valid):
                    m.d.comb += [loader.o.ready.eq(1), loss.start.eq(1)]
                    m.d.sync += [
                        label.eq(loader.o.payload.label),
                        record.eq(loader.o.payload.record),
                        buffer.eq(loader.o.payload.buffer),
                        last_of_epoch.eq(loader.o.payload.last_of_epoch),
                        layer.eq(0),
                    ]
                    m.next = "FORWARD-START"
            with m.State("INITIALISE"), m.If(initialiser.done):
                m.d.sync += initialised.eq(1)
                m.next = "IDLE"
            with m.State("FORWARD-START"):
                m.d.comb += forward.start.eq(1)
                m.next = "FORWARD"
            with m.State("FORWARD"), m.If(forward.done):
                m.d.sync += layer.eq(layer + 1)
                m.next = "FORWARD-START"
                with m.If(layer == top):
                    m.d.sync += layer.eq(top)
                    m.next = "LOSS"
            with m.State("LOSS"):
                m.next = "FINISH"
                with m.If(bus.learn & loss.active):
                    if plan.quantises:
                        m.d.comb += [loss.send.eq(1), quantizer.start.eq(1)]
                        m.next = "QUANTISE"
                    else:
                        m.next = "DELTA-START" if top else "UPDATE-START"
            if plan.quantises:
                with m.State("QUANTISE"), m.If(quantizer.done):
                    m.next = "DELTA-START" if top else "UPDATE-START"
            with m.State("DELTA-START"):
                m.d.comb += delta.start.eq(1)
                if plan.quantises:
                    m.d.comb += quantizer.start.eq(1)
                m.next = "DELTA"
            with m.State("DELTA"):
                m.d.comb += row_source.start.eq(delta.rows_start)
                with m.If(delta.done):
                    m.next = "STORE-ERRORS" if plan.quantises else "UPDATE-START"
            if plan.quantises:
                with m.State("STORE-ERRORS"), m.If(quantizer.done):
                    m.next = "UPDATE-START"
            with m.State("UPDATE-START"):
                m.d.comb += row_source.start.eq(1)
                m.next = "UPDATE"
            with m.State("UPDATE"):
                m.d.comb += updating.eq(1)
                with m.If(row_source.done & ~gate.o.valid & ~update.busy):
                    m.next = "FINISH"
                    if top:
                        with m.If(layer != 0):
                            m.d.sync += layer.eq(layer - 1)
                            m.next = "UPDATE-START"
                            if top > 1:
                                with m.If(layer != 1):
                                    m.next = "DELTA-START"
            with m.State("FINISH"):
                settled = quantizer.idle if plan.quantises else Const(1)
                with m.If(settled):
                    m.d.comb += [finish.eq(1), loader.release.eq(1)]
                    m.d.sync += sample.eq(sample + 1)
                    with m.If(last_of_epoch):
                        m.d.sync += [sample.eq(0), epoch.eq(epoch + 1)]
                        if plan.quantises:
                            m.d.comb += quantizer.new_window.eq(1)
                    m.next = "IDLE"
        m.d.comb += running.eq(~fsm.ongoing("INITIALISE") & ~idle)
        if plan.quantises:
            from_above = (
                fsm.ongoing("DELTA-START") | fsm.ongoing("DELTA") | fsm.ongoing("STORE-ERRORS")
            )
            m.d.comb += quantizer.layer.eq(Mux(from_above, below, layer))

        # Status
        m.d.comb += [
            bus.identity.eq(IDENTITY),
            bus.config_hash.eq(self.config_hash),
            bus.status.eq(Cat(~idle, initialised)),
            bus.epoch.eq(epoch),
            bus.sample.eq(sample),
            bus.lfsr.eq(gate.state),
            bus.shift_lfsr.eq(loader.shift_state),
        ]
        if self.has_trace:
            m.d.comb += [
                self.trace.write.eq(update.write_valid),
                self.trace.address.eq(update.write_weight_address),
                self.trace.bank.eq(update.write_bank),
                self.trace.mask.eq(update.write_mask),
                self.trace.weights.eq(update.write_weights),
                self.trace.counter_address.eq(update.write_counter_address),
                self.trace.counters.eq(update.write_counters),
                self.trace.sample_done.eq(finish),
            ]
        self._counters(
            m,
            bus,
            (command & Command.CLEAR_COUNTERS).any(),
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

    def _weight_memory(self, m, banks, bus, initialiser, forward, delta, update) -> None:
        """Who reads and writes the weights; the host word is a chunk of a bank's word."""
        plan, rows = self.plan, self.plan.hardware.rows
        chunk_bits = (plan.weight_chunks - 1).bit_length()
        bank_bits = (rows - 1).bit_length()
        chunk = Signal(max(chunk_bits, 1))
        bus_bank = Signal(range(max(rows, 2)))
        bus_address = Signal(range(max(plan.weight_depth, 2)))
        selected = bus.region == Region.WEIGHTS
        m.d.comb += [
            chunk.eq(bus.offset[:chunk_bits]),
            bus_bank.eq(bus.offset[chunk_bits : chunk_bits + bank_bits]),
            bus_address.eq(bus.offset[chunk_bits + bank_bits :]),
            forward.weights.eq(Cat(read.data for read, _ in banks)),
            delta.weights.eq(Array([read.data for read, _ in banks])[delta.bank]),
            update.weights.eq(Array([read.data for read, _ in banks])[update.read_bank]),
        ]
        host = Array([read.data for read, _ in banks])
        held_chunk, held_bank = Signal.like(chunk), Signal.like(bus_bank)
        m.d.sync += [held_chunk.eq(chunk), held_bank.eq(bus_bank)]
        self._host_weights = host[held_bank].word_select(held_chunk, 2 * plan.weight_chunk)
        for r, (read, write) in enumerate(banks):
            m.d.comb += [
                read.en.eq(1),
                read.addr.eq(
                    Mux(
                        forward.enable,
                        forward.weight_address,
                        Mux(
                            delta.enable,
                            delta.weight_address,
                            Mux(bus.memory_read, bus_address, update.weight_address),
                        ),
                    )
                ),
            ]
            with m.If(update.write_valid):
                m.d.comb += [
                    write.addr.eq(update.write_weight_address),
                    write.data.eq(update.write_weights),
                    write.en.eq(Mux(update.write_bank == r, update.write_mask, 0)),
                ]
            with m.Elif(initialiser.write_valid):
                m.d.comb += [
                    write.addr.eq(initialiser.write_address),
                    write.data.eq(initialiser.write_data),
                    write.en.eq(Mux(initialiser.write_bank == r, ~0, 0)),
                ]
            with m.Else():
                m.d.comb += [
                    write.addr.eq(bus_address),
                    write.data.eq(
                        bus.write_data[: 2 * plan.weight_chunk].replicate(plan.weight_chunks)
                    ),
                    write.en.eq(Mux(bus.memory_write & selected & (bus_bank == r), 1 << chunk, 0)),
                ]

    def _counter_memory(self, m, read, write, bus, initialiser, update) -> None:
        """Who reads and writes the counters; the host word is a chunk of a counter word."""
        plan = self.plan
        chunk_width = plan.counter_width * plan.counter_chunk
        chunk_bits = (plan.counter_chunks - 1).bit_length()
        chunk = Signal(max(chunk_bits, 1))
        bus_address = Signal(range(max(plan.counter_depth, 2)))
        selected = bus.region == Region.COUNTERS
        held_chunk = Signal.like(chunk)
        m.d.sync += held_chunk.eq(chunk)
        m.d.comb += [
            chunk.eq(bus.offset[:chunk_bits]),
            bus_address.eq(bus.offset[chunk_bits:]),
            read.en.eq(1),
            read.addr.eq(Mux(bus.memory_read, bus_address, update.counter_address)),
            update.counters.eq(read.data),
        ]
        with m.If(update.write_valid):
            m.d.comb += [
                write.addr.eq(update.write_counter_address),
                write.data.eq(update.write_counters),
                write.en.eq(~0),
            ]
        with m.Elif(initialiser.clear_valid):
            m.d.comb += [write.addr.eq(initialiser.clear_address), write.en.eq(~0)]
        with m.Else():
            m.d.comb += [
                write.addr.eq(bus_address),
                write.data.eq(bus.write_data[:chunk_width].replicate(plan.counter_chunks)),
                write.en.eq(Mux(bus.memory_write & selected, 1 << chunk, 0)),
            ]

        # What the host reads, and which addresses exist
        host_counters = read.data.word_select(held_chunk, chunk_width)
        held_region = Signal.like(bus.region)
        m.d.sync += held_region.eq(bus.region)
        with m.Switch(held_region):
            with m.Case(Region.STORE):
                m.d.comb += bus.memory_data.eq(self._host_store)
            with m.Case(Region.WEIGHTS):
                m.d.comb += bus.memory_data.eq(self._host_weights)
            with m.Case(Region.COUNTERS):
                m.d.comb += bus.memory_data.eq(host_counters)
        weight_words = plan.weight_depth << (plan.hardware.rows - 1).bit_length()
        with m.Switch(bus.region):
            with m.Case(Region.STORE):
                m.d.comb += bus.memory_exists.eq(bus.offset < plan.store_depth)
            with m.Case(Region.WEIGHTS):
                chunk_bits = (plan.weight_chunks - 1).bit_length()
                m.d.comb += bus.memory_exists.eq(
                    (bus.offset[:chunk_bits] < plan.weight_chunks)
                    & (bus.offset[chunk_bits:] < weight_words)
                )
            with m.Case(Region.COUNTERS):
                m.d.comb += bus.memory_exists.eq(
                    (chunk < plan.counter_chunks)
                    & (bus.offset[(plan.counter_chunks - 1).bit_length() :] < plan.counter_depth)
                )

    def _counters(self, m, bus, clear: Signal, increments: dict) -> None:
        """Status counters: they stop at their limit and say so."""
        flags = []
        for register in COUNTERS:
            value = getattr(bus, register.name)
            increment = increments.get(register.name, 0)
            full = Signal(name=f"{register.name}_full")
            total = Signal(len(value) + 1, name=f"{register.name}_total")
            held = Signal(len(value), name=f"{register.name}_count")
            m.d.comb += [value.eq(held), total.eq(held + increment)]
            with m.If(clear):
                m.d.sync += [held.eq(0), full.eq(0)]
            with m.Elif(total[-1]):
                m.d.sync += [held.eq(~0), full.eq(1)]
            with m.Else():
                m.d.sync += held.eq(total)
            flags.append(full)
        m.d.comb += bus.saturated.eq(Cat(flags))
