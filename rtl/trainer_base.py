"""What every trainer has: registers, commands, the sample in work, status."""

from amaranth import Cat, Const, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ..golden.design import HardwareConfig
from ..golden.trainer_config import TrainerConfig
from . import lfsr
from .delay import delayed
from .register_map import COUNTERS, IDENTITY, Command
from .sample_loader import SampleLoader
from .trainer_bus import BusRequest, BusResponse
from .trainer_plan import TrainerPlan


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


class Work:
    """The sample in work, and what the sequencer knows and says.

    Attributes
    ----------
    label, record, buffer, last_of_epoch : Signal
        As the loader gave them.
    layer : Signal
        The layer in work after the loss, from the last one down.
    epoch, sample : Signal
        Epochs and samples of this epoch that are finished.
    next_valid : Signal
        A sample is loaded; it is taken where ``free`` as well.
    free, finish : Signal
        The sequencer can take a sample; it has finished one, and takes the next at once.
    at_rest, idle, initialised, running, learns : Signal
        Nothing is under way; nor is a command; weights were drawn; cycles are counted; the sample
        is learnt from (for a cycle).
    """

    def __init__(self, plan: TrainerPlan, loader: SampleLoader) -> None:
        given = loader.o.payload
        self.label = Signal.like(given.label, name="label")
        self.record = Signal.like(given.record, name="record")
        self.layer = Signal(range(max(len(plan.layers), 2)))
        self.epoch = Signal(16)
        self.sample = Signal(16)
        self.buffer = Signal()
        self.last_of_epoch = Signal()
        self.next_valid = Signal()
        self.free = Signal()
        self.finish = Signal()
        self.at_rest = Signal()
        self.idle = Signal()
        self.initialised = Signal()
        self.running = Signal()
        self.learns = Signal()


class TrainerBase(wiring.Component):
    """A trainer without its passes and its sequencer.

    Parameters and members are those of ``Trainer``.
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

    def _connect_generator(self, m, bus, gate, initialiser, loader) -> None:
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

    def _connect_draws(self, m, bus, update) -> None:
        """The generator of steps taken at random, and how likely they are."""
        m.d.comb += [
            update.shift.eq(bus.probability_shift),
            update.load.eq(bus.xorshift_write),
            update.load_state.eq(bus.write_data),
            bus.xorshift.eq(update.state),
        ]

    def _connect_loss(self, m, bus, forward, loss, work: Work) -> None:
        """Sums of the last layer, one class at a time."""
        m.d.comb += [
            loss.valid.eq(forward.sum_valid),
            loss.sum.eq(forward.sum),
            loss.label.eq(work.label),
            loss.margin.eq(bus.margin),
        ]

    def _connect_store(self, m, bus, store, loader, loss, work: Work) -> None:
        connect(m, bus.store, store.host)
        m.d.comb += [
            store.load_enable.eq(loader.store_enable),
            store.load_wanted.eq(loader.store_wanted),
            store.load_hold.eq(loader.store_hold),
            store.load_address.eq(loader.store_address),
            loader.store_data.eq(store.load_data),
            store.note.eq(work.finish),
            store.note_address.eq(work.record),
            store.label.eq(work.label),
            store.prediction.eq(loss.prediction),
        ]

    def _obey_commands(self, m, bus, initialiser, loader, work: Work) -> None:
        # A command is obeyed a cycle after it is written; the trainer is busy from that cycle on.
        command = Signal(4)
        m.d.sync += command.eq(Mux(bus.command_write, bus.write_data[:4], 0))
        m.d.comb += [
            work.idle.eq(work.at_rest & ~command.any()),
            initialiser.start.eq(work.at_rest & (command & Command.INITIALISE).any()),
            loader.start.eq(work.at_rest & (command & Command.RUN).any() & ~initialiser.start),
            loader.stop.eq((command & Command.STOP).any()),
            loader.epochs.eq(bus.epochs),
            loader.samples.eq(bus.samples),
            loader.shift.eq(bus.shift),
            bus.memory_busy.eq(~work.idle),
        ]
        with m.If(loader.start):
            m.d.sync += [work.epoch.eq(0), work.sample.eq(0)]

    def _follow_samples(self, m, loader, loss, forward, work: Work) -> None:
        """The next sample becomes the present one in the cycle in which that is finished."""
        with m.If(work.free & work.next_valid):
            m.d.comb += [loader.o.ready.eq(1), loss.start.eq(1), forward.start.eq(1)]
            m.d.sync += [
                work.label.eq(loader.o.payload.label),
                work.record.eq(loader.o.payload.record),
                work.buffer.eq(loader.o.payload.buffer),
                work.last_of_epoch.eq(loader.o.payload.last_of_epoch),
                work.layer.eq(len(self.plan.layers) - 1),
            ]
        with m.If(work.finish):
            m.d.comb += [work.free.eq(1), loader.release.eq(1)]
            m.d.sync += work.sample.eq(work.sample + 1)
            with m.If(work.last_of_epoch):
                m.d.sync += [work.sample.eq(0), work.epoch.eq(work.epoch + 1)]

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

    def _report_status(self, m, bus, gate, loader, loss, forward, update, work: Work) -> None:
        m.d.comb += [
            self.busy.eq(~work.idle),
            bus.identity.eq(IDENTITY),
            bus.config_hash.eq(self.config_hash),
            bus.status.eq(Cat(~work.idle, work.initialised)),
            bus.epoch.eq(work.epoch),
            bus.sample.eq(work.sample),
            bus.lfsr.eq(gate.state),
            bus.shift_lfsr.eq(loader.shift_state),
        ]
        if self.has_trace:
            self._trace(m, update, work.finish)
        self._counters(
            m,
            bus,
            bus.command_write & (bus.write_data & Command.CLEAR_COUNTERS).any(),
            {
                "samples_seen": work.finish,
                "samples_active": work.learns,
                "correct": work.finish & loss.correct,
                "groups_drawn": gate.drawn,
                "groups_written": gate.opened,
                "sign_flips": update.flips,
                "resting": forward.resting,
                "cycles": work.running,
            },
        )

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
