"""The trainer of a network with convolutions: the machine of ``rtl.trainer`` with other passes."""

from itertools import pairwise

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import connect, flipped

from ..golden.design import HardwareConfig
from ..golden.trainer_config import TrainerConfig
from .convolution_forward import ConvolutionForward
from .convolution_plan import ConvolutionPlan
from .counter_memory import CounterMemory
from .delay import delayed
from .group_gate import GroupGate
from .initialiser import Initialiser
from .line_writer import LineWriter
from .margin_loss import MarginLoss
from .ram import Ram
from .register_map import MARGIN_WIDTH
from .sample_loader import SampleLoader
from .sample_memory import SampleMemory
from .tap_pass import TapPass
from .tap_walker import CellWalker, TapWalker
from .trainer import Trainer
from .trainer_base import TrainerBase, Work
from .trainer_bus import TrainerBus
from .update_pass import UpdatePass
from .weight_memory import WeightMemory
from .window_memory import WindowMemory


class ConvolutionTrainer(TrainerBase):
    """Forward, loss, backward and update of a network that begins with convolutions.

    Equations: design section 4; golden: ``golden.trainer.Trainer``, equal to it in every weight,
    counter and generator state after every sample. Parameters, members, registers and commands
    are those of ``Trainer``.

    A sample takes Σ positions · position_cycles cycles and some tens a layer; an active one a
    cycle a granule for every error of every cell, and what ``TapPass`` takes besides.
    """

    plan_class = ConvolutionPlan
    plan: ConvolutionPlan  # type: ignore[assignment]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        layer_count = len(plan.layers)
        classes, top = plan.layers[-1].units, layer_count - 1

        m.submodules.bus = bus = TrainerBus(plan, initial=self.initial_registers())
        m.submodules.loader = loader = SampleLoader(plan)
        m.submodules.initialiser = initialiser = Initialiser(plan)
        m.submodules.forward = forward = ConvolutionForward(plan)
        m.submodules.loss = loss = MarginLoss(
            classes=classes, sum_width=plan.sum_width, margin_width=MARGIN_WIDTH
        )
        m.submodules.taps = taps = TapPass(plan)
        m.submodules.gate = gate = GroupGate(plan)
        m.submodules.update = update = UpdatePass(plan)
        m.submodules.weights = weights = WeightMemory(plan)
        m.submodules.counters = counters = CounterMemory(plan)
        m.submodules.store = store = SampleMemory(plan)

        work = Work(plan, loader)
        # A register of its own: much hangs on it.
        forwarding = Signal()
        with m.If(forward.start):
            m.d.sync += forwarding.eq(1)
        with m.Elif(forward.done):
            m.d.sync += forwarding.eq(0)

        connect(m, flipped(self.i), bus.i)
        connect(m, bus.o, flipped(self.o))

        # Run-time parameters of the layer in work; the last one uses some of them only.
        def of_layer(name: str, index: Signal, layers: int = layer_count) -> Value:
            values = [getattr(bus, f"{name}_{l}") for l in range(layers)]
            return Array(values)[index[: max((layers - 1).bit_length(), 1)]]

        below = Signal.like(work.layer)
        m.d.comb += below.eq(work.layer - 1)
        m.d.sync += [
            forward.threshold.eq(of_layer("threshold", forward.layer, top)),
            forward.window.eq(of_layer("window", forward.layer, top)),
            forward.offset.eq(of_layer("offset", forward.layer)),
            taps.confidence.eq(of_layer("confidence", below, top)),
        ]
        m.d.comb += [
            taps.layer.eq(work.layer),
            taps.label.eq(work.label),
            taps.rival.eq(loss.rival),
            gate.layer.eq(work.layer),
            gate.gate_shift.eq(of_layer("gate_shift", work.layer)),
            update.layer.eq(work.layer),
            update.buffer.eq(0),
        ]
        self._connect_draws(m, bus, update)

        self._connect_loss(m, bus, forward, loss, work)

        # Rows with an error are updated while the pass goes on to the next.
        connect(m, taps.o, gate.i)
        connect(m, gate.o, update.i)
        m.d.comb += [
            taps.updating.eq(gate.i.valid | gate.o.valid | update.busy),
            update.hold.eq(0),
            taps.stall.eq(update.enable | (update.write_valid & plan.is_single_port("weights"))),
        ]

        self._connect_generator(m, bus, gate, initialiser, loader)
        self._connect_weights(m, weights, bus, initialiser, forward, taps, update)
        self._connect_counters(m, counters, bus, initialiser, update)
        self._connect_maps(m, loader, forward, taps, update, work, forwarding)

        self._connect_store(m, bus, store, loader, loss, work)
        self._obey_commands(m, bus, initialiser, loader, work)
        self._follow_samples(m, loader, loss, forward, work)

        # Sequencer
        def finish_sample() -> None:
            m.d.comb += work.finish.eq(store.note_ready)
            m.next = "FINISH"
            with m.If(store.note_ready):
                m.next = "IDLE"
                with m.If(work.next_valid):
                    m.next = "FORWARD"

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += work.at_rest.eq(~loader.busy & store.note_ready)
                with m.If(initialiser.start):
                    m.next = "INITIALISE"
                with m.Elif(loader.start):
                    m.d.comb += taps.clear.eq(1)
                    m.next = "CLEAR"
                with m.Else():
                    m.d.comb += work.free.eq(1)
                    with m.If(work.next_valid):
                        m.next = "FORWARD"
            with m.State("INITIALISE"), m.If(initialiser.done):
                m.d.sync += work.initialised.eq(1)
                m.next = "IDLE"
            with m.State("CLEAR"), m.If(taps.cleared):
                m.next = "IDLE"
            with m.State("FORWARD"), m.If(forward.done):
                m.next = "LOSS"
            with m.State("LOSS"):
                with m.If(bus.learn & loss.active):
                    m.d.comb += taps.start.eq(1)
                    m.next = "BACKWARD"
                with m.Else():
                    finish_sample()
            with m.State("BACKWARD"), m.If(taps.done):
                with m.If(work.layer == 0):
                    finish_sample()
                with m.Else():
                    m.d.sync += work.layer.eq(below)
                    m.next = "NEXT-LAYER"
            with m.State("NEXT-LAYER"):
                m.d.comb += taps.start.eq(1)
                m.next = "BACKWARD"
            with m.State("FINISH"):
                finish_sample()
        m.d.comb += [
            work.running.eq(~fsm.ongoing("INITIALISE") & ~work.at_rest),
            work.learns.eq(fsm.ongoing("LOSS") & bus.learn & loss.active),
        ]

        self._report_status(m, bus, gate, loader, loss, forward, update, work)
        return m

    def _connect_maps(self, m, loader, forward, taps, update, work: Work, forwarding) -> None:
        """Walkers, memories of maps and windows: of the forward pass, then of the other."""
        plan, granule = self.plan, self.plan.granule
        unchecked = {"unchecked": True}  # a pass reads what an earlier one wrote
        m.submodules.cells = cells = CellWalker(plan)
        m.submodules.walker = walker = TapWalker(plan)
        m.submodules.lines = lines = LineWriter(plan)
        m.submodules.windows = windows = WindowMemory(plan)
        m.submodules.maps = maps = Ram(
            2 * plan.granule,
            plan.map_depth,
            register=plan.hardware.memory_register,
            **unchecked,
        )
        m.submodules.errors = errors = Ram(2 * granule, plan.hidden_words, **unchecked)
        m.submodules.winners = winners = Ram(
            len(forward.choice) * granule, plan.hidden_words, **unchecked
        )

        # Walkers
        in_work = Signal.like(work.layer)  # forward.layer, then work.layer
        with m.If(forward.start):
            m.d.sync += in_work.eq(0)
        with m.Elif(forward.next_layer):
            m.d.sync += in_work.eq(forward.layer + 1)
        with m.Elif(taps.start):
            m.d.sync += in_work.eq(work.layer)
        m.d.comb += [
            cells.layer.eq(in_work),
            cells.buffer.eq(work.buffer),
            walker.layer.eq(in_work),
            taps.cell_y.eq(cells.y),
            taps.cell_x.eq(cells.x),
            taps.cell_address.eq(cells.address),
            forward.tap_ready.eq(walker.ready),
            taps.tap_ready.eq(walker.ready),
            taps.tap_valid.eq(walker.valid & ~forwarding),
            taps.tap_inside.eq(walker.inside),
            taps.tap_map.eq(walker.tap_address),
            taps.tap_granule.eq(walker.granule),
            taps.tap_word.eq(walker.word),
            taps.tap_slot.eq(walker.slot),
        ]
        with m.If(forwarding):
            m.d.comb += [
                cells.restart.eq(forward.cell_restart),
                cells.step.eq(forward.cell_step),
                walker.start.eq(forward.tap_start),
                walker.y.eq(cells.y),
                walker.x.eq(cells.x),
                walker.address.eq(cells.address),
                walker.choice.eq(forward.choice),
                walker.advance.eq(1),
            ]
        with m.Else():
            m.d.comb += [
                cells.restart.eq(taps.cell_restart),
                cells.step.eq(taps.cell_step),
                walker.start.eq(taps.tap_start),
                walker.y.eq(taps.tap_y),
                walker.x.eq(taps.tap_x),
                walker.address.eq(taps.tap_address),
                walker.choice.eq(taps.choice),
                walker.advance.eq(taps.advance),
            ]

        # Maps: the granule at the tap, or the padding
        outside = Array(Const(p.shape.padding & 3, 2) for p in plan.layers)[in_work]
        inside = delayed(m, walker.inside, plan.read_latency)
        read = Signal(2 * plan.granule)
        seen = delayed(m, read, plan.tap_latency - plan.read_latency)
        m.d.comb += [
            maps.read_enable.eq(1),
            maps.read_address.eq(walker.tap_address),
            read.eq(Mux(inside, maps.read_data, outside.replicate(plan.granule))),
            taps.inputs.eq(seen),
            maps.write_mask.eq(1),
            lines.restart.eq(loader.start),
            lines.i_valid.eq(loader.write_valid),
            lines.i_data.eq(loader.write_data),
            loader.write_ready.eq(lines.i_ready),
            lines.o_ready.eq(~forward.write_valid),
            work.next_valid.eq(loader.o.valid & ~lines.busy),
        ]
        with m.If(forward.write_valid):
            m.d.comb += [
                maps.write.eq(1),
                maps.write_address.eq(forward.write_address),
                maps.write_data.eq(forward.write_trits),
            ]
        with m.Else():
            m.d.comb += [
                maps.write.eq(lines.o_valid),
                maps.write_address.eq(lines.o_address + plan.hidden_words),
                maps.write_data.eq(lines.o_data),
            ]

        # Windows: what a unit sees, or a row's gradient
        place_layout = data.StructLayout(
            {
                "push": 1,
                "half": 1,
                "word": len(walker.word),
                "slot": len(walker.slot),
                "word_end": 1,
                "last": 1,
            }
        )
        places = [Signal(place_layout, name=f"place{k}") for k in range(plan.tap_latency + 1)]
        half = Signal()
        with m.If(walker.start & walker.ready):
            m.d.sync += half.eq(forward.half)
        m.d.comb += [
            places[0].push.eq(walker.valid & walker.advance),
            places[0].half.eq(half & forwarding),
            places[0].word.eq(walker.word),
            places[0].slot.eq(walker.slot),
            places[0].word_end.eq(walker.word_end),
            places[0].last.eq(walker.last),
        ]
        for before, after in pairwise(places):
            m.d.sync += after.eq(before)
        place = places[-1]
        gathered = Signal()
        m.d.sync += gathered.eq(windows.push & place.last)
        m.d.comb += [
            windows.push.eq(Mux(forwarding, place.push, taps.trit_valid)),
            windows.data.eq(Mux(forwarding, seen, taps.trits)),
            windows.pixels.eq(in_work == 0),
            windows.half.eq(place.half),
            windows.word.eq(place.word),
            windows.slot.eq(place.slot),
            windows.word_end.eq(place.word_end),
            windows.read_half.eq(forwarding & forward.read_half),
            windows.read_address.eq(Mux(forwarding, forward.read_address, update.input_address)),
            forward.inputs.eq(windows.read_data),
            update.inputs.eq(windows.read_data),
            forward.gathered.eq(gathered & forwarding),
            taps.gathered.eq(gathered),
        ]

        # Window flags, which become errors, and winners
        flags = Cat(Cat(flag, 0) for flag in forward.write_flags)
        m.d.comb += [
            errors.read_enable.eq(taps.error_enable),
            errors.read_address.eq(taps.error_address),
            taps.error_data.eq(errors.read_data),
            errors.write.eq(forward.write_valid | taps.error_write),
            errors.write_mask.eq(1),
            errors.write_address.eq(
                Mux(taps.error_write, taps.error_write_address, forward.write_address)
            ),
            errors.write_data.eq(Mux(taps.error_write, taps.error_write_data, flags)),
            winners.read_enable.eq(taps.error_enable),
            winners.read_address.eq(taps.error_address),
            taps.winner_data.eq(winners.read_data),
            winners.write.eq(forward.write_valid),
            winners.write_mask.eq(1),
            winners.write_address.eq(forward.write_address),
            winners.write_data.eq(forward.write_winners),
        ]


def trainer_of(
    config: TrainerConfig, hardware: HardwareConfig, *, config_hash: int = 0, trace: bool = False
) -> TrainerBase:
    """The trainer of ``config``; both kinds have the same members, registers and commands."""
    cls = ConvolutionTrainer if config.convolves else Trainer
    return cls(config, hardware, config_hash=config_hash, trace=trace)
