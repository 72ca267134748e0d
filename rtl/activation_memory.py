"""Activations, window flags, trit errors and two samples; who may use them when."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .ram import Ram
from .trainer_plan import TrainerPlan

READERS = ("rows", "forward", "delta")
WRITERS = ("forward", "delta")


class ActivationMemory(wiring.Component):
    """Words of P trits, with a port for reads and a port for writes.

    Whoever asks first in the order of the members has the port. Words come ``read_latency`` cycles
    after their address.

    Members
    -------
    rows_read, forward_read, delta_read : In(1); rows_address, … : In
        The row source, the forward pass and the delta pass.
    update_address : In
        Read where nobody else does.
    data : Out(2·P)
    forward_write, delta_write : In(1); forward_write_address, forward_write_data, … : In
        Never refused.
    load_write : In(1), load_write_address, load_write_data : In; load_ready : Out(1)
        Written in a cycle in which nobody else writes, and ``load_ready`` says so.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        address, word = range(max(plan.activation_depth, 2)), 2 * plan.hardware.lanes
        members = {"data": Out(word), "update_address": In(address), "load_ready": Out(1)}
        for name in READERS:
            members |= {f"{name}_read": In(1), f"{name}_address": In(address)}
        for name in (*WRITERS, "load"):
            members |= {
                f"{name}_write": In(1),
                f"{name}_write_address": In(address),
                f"{name}_write_data": In(word),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.words = words = Ram(
            2 * plan.hardware.lanes,
            plan.activation_depth,
            register=plan.hardware.memory_register,
            # A pass reads what an earlier one wrote; the loader writes the buffer not in use.
            unchecked=True,
        )
        address = Signal.like(self.update_address)
        m.d.comb += [
            address.eq(self.update_address),
            words.read_enable.eq(1),
            words.read_address.eq(address),
            self.data.eq(words.read_data),
            words.write.eq(self.load_write),
            words.write_mask.eq(1),
            words.write_address.eq(self.load_write_address),
            words.write_data.eq(self.load_write_data),
            self.load_ready.eq(1),
        ]
        # Later assignments win.
        for name in reversed(READERS):
            with m.If(getattr(self, f"{name}_read")):
                m.d.comb += address.eq(getattr(self, f"{name}_address"))
        for name in reversed(WRITERS):
            with m.If(getattr(self, f"{name}_write")):
                m.d.comb += [
                    words.write.eq(1),
                    words.write_address.eq(getattr(self, f"{name}_write_address")),
                    words.write_data.eq(getattr(self, f"{name}_write_data")),
                    self.load_ready.eq(0),
                ]
        return m
