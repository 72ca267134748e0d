"""Errors of a few bits: a precision controller for each layer, and the memory behind them."""

from amaranth import Array, Cat, Module, Signal, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .delta_pass import error_sum_layout
from .precision_controller import PrecisionController
from .trainer_plan import TrainerPlan

STATE_WIDTH = 32


class ErrorQuantizer(wiring.Component):
    """Quantises the errors of a layer's units in order and keeps them.

    Golden: ``Trainer.quantize``.

    Members
    -------
    start : In(1), layer : In
        Errors of ``layer`` follow; ``layer`` stays until ``done``.
    i : In(stream of error sums)
        Every unit of the layer, ``last`` with the last.
    done : Out(1)
        Everything of the layer is in the memory; high until ``start``.
    read_address : In, read_data : Out(signed)
        The memory, a cycle later; unit u of layer l is at ``plan.error_base(l) + u``.
    new_window : In(1)
        Every controller begins a new window and keeps its state, as golden does after an epoch.
    idle : Out(1)
        No decision is due.
    state_l : Out(32); load_l : In(1); load_state : In(32)
        Controller of layer l: generator in bits 0 … 15, exponent 16 … 20, width 21 … 25, streak
        26 … 31.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        self.parameters = [plan.config.controller_parameters(l) for l in range(len(plan.layers))]
        self.input_width = max(p.input_width for p in self.parameters)
        states = {}
        for l in range(len(plan.layers)):
            states[f"state_{l}"] = Out(STATE_WIDTH)
            states[f"load_{l}"] = In(1)
        super().__init__(
            {
                "start": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
                "i": In(stream.Signature(error_sum_layout(self.input_width))),
                "done": Out(1, init=1),
                "read_address": In(range(max(plan.error_depth, 2))),
                "read_data": Out(signed(plan.error_width)),
                "new_window": In(1),
                "idle": Out(1),
                "load_state": In(STATE_WIDTH),
                **states,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        store = memory.Memory(shape=plan.error_width, depth=max(plan.error_depth, 2), init=[])
        m.submodules.store = store
        write, read = store.write_port(), store.read_port()
        place = Signal(range(max(plan.error_depth, 2)))
        ready, idle = [], []

        with m.If(self.start):
            bases = [plan.error_base(l) for l in range(len(plan.layers))]
            m.d.sync += [place.eq(Array(bases)[self.layer]), self.done.eq(0)]
        for l, parameters in enumerate(self.parameters):
            controller = PrecisionController(parameters)
            m.submodules[f"controller{l}"] = controller
            chosen = self.layer == l
            word = self.load_state
            held = controller.state
            state = getattr(self, f"state_{l}")
            load = getattr(self, f"load_{l}")
            m.d.comb += [
                controller.i.payload.value.eq(self.i.payload.value),
                controller.i.payload.last.eq(self.i.payload.last),
                controller.i.valid.eq(self.i.valid & chosen),
                controller.o.ready.eq(1),
                state[:16].eq(held.lfsr),
                state[16:21].eq(held.exponent),
                state[21:26].eq(held.width),
                state[26:].eq(held.streak),
                controller.load.eq(load | self.new_window),
                controller.load_state.eq(held),
            ]
            with m.If(load):
                m.d.comb += [
                    controller.load_state.lfsr.eq(word[:16]),
                    controller.load_state.exponent.eq(word[16:21]),
                    controller.load_state.width.eq(word[21:26]),
                    controller.load_state.streak.eq(word[26:]),
                ]
            with m.If(controller.o.valid & chosen):
                m.d.comb += [
                    write.en.eq(1),
                    write.addr.eq(place),
                    write.data.eq(controller.o.payload.value),
                ]
                m.d.sync += [place.eq(place + 1), self.done.eq(controller.o.payload.last)]
            ready.append(controller.i.ready & chosen)
            idle.append(controller.idle)
        m.d.comb += [
            self.i.ready.eq(Cat(ready).any()),
            self.idle.eq(Cat(idle).all()),
            read.en.eq(1),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data.as_signed()),
        ]
        return m
