"""The trainer's bus: registers, and the memories while no run is in progress."""

from amaranth import Const, Module, Mux, Signal, signed
from amaranth.hdl import Shape
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .register_map import (
    ADDRESS_WIDTH,
    OFFSET_BITS,
    Region,
    Register,
    registers,
)
from .trainer_plan import BUS_WIDTH, TrainerPlan


class BusRequest(data.Struct):
    """A read or a write of one word."""

    write: 1  # type: ignore[valid-type]
    address: ADDRESS_WIDTH  # type: ignore[valid-type]
    data: BUS_WIDTH  # type: ignore[valid-type]


class BusResponse(data.Struct):
    """The word read (0 for a write), and whether the request was refused.

    Refused, and without effect: an address that does not exist, a register of the other
    direction, a memory while the trainer is busy.
    """

    data: BUS_WIDTH  # type: ignore[valid-type]
    error: 1  # type: ignore[valid-type]


def register_shape(register: Register) -> Shape:
    """Shape of a register's value."""
    return signed(register.width) if register.signed else Shape(register.width)


class TrainerBus(wiring.Component):
    """Answers every request once, in order.

    Parameters
    ----------
    plan : TrainerPlan
    initial : dict
        Values of stored registers after reset, from the configuration.

    Members
    -------
    i : In(stream of BusRequest), o : Out(stream of BusResponse)
        A register answers in the next cycle, a memory two cycles later.
    <register> : Out or In
        The value held here, or the value to be read.
    <register>_write : Out(1)
        The register is being written with ``write_data`` (command and external ones).
    memory_busy : In(1)
        Refuse memory requests.
    memory_read, memory_write : Out(1); region, offset, write_data : Out
    memory_data : In(32), memory_exists : In(1)
        The word, a cycle after ``memory_read``; whether ``region`` and ``offset`` exist, at once.
    """

    def __init__(self, plan: TrainerPlan, *, initial: dict[str, int]) -> None:
        self.plan = plan
        self.registers = registers(plan.config)
        self.initial = initial
        members = {
            "i": In(stream.Signature(BusRequest)),
            "o": Out(stream.Signature(BusResponse)),
            "memory_busy": In(1),
            "memory_read": Out(1),
            "memory_write": Out(1),
            "region": Out(ADDRESS_WIDTH - OFFSET_BITS),
            "offset": Out(OFFSET_BITS),
            "write_data": Out(BUS_WIDTH),
            "memory_data": In(BUS_WIDTH),
            "memory_exists": In(1),
        }
        for name, register in self.registers.items():
            shape = register_shape(register)
            if register.access == "ro" or register.external:
                members[name] = In(shape)
            elif register.access == "rw":
                members[name] = Out(shape, init=initial[name])
            if register.access == "wo" or register.external:
                members[f"{name}_write"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = self.i.payload
        read_data, exists, is_write = Signal(BUS_WIDTH), Signal(), Signal()
        accepted, waiting = Signal(), Signal()
        is_register = self.region == Region.REGISTERS
        m.d.comb += [
            self.region.eq(request.address >> OFFSET_BITS),
            self.offset.eq(request.address),
            self.write_data.eq(request.data),
            accepted.eq(self.i.valid & self.i.ready),
            is_write.eq(accepted & request.write),
            self.i.ready.eq(~waiting & (~self.o.valid | self.o.ready)),
        ]

        # Registers
        with m.Switch(self.offset):
            for address, (name, register) in enumerate(self.registers.items()):
                value = getattr(self, name) if register.access != "wo" else Const(0)
                with m.Case(address):
                    m.d.comb += read_data.eq(value)
                    legal = {"rw": 1, "ro": ~request.write, "wo": request.write}
                    m.d.comb += exists.eq(legal[register.access])
                    with m.If(is_write & is_register):
                        if register.access == "wo" or register.external:
                            m.d.comb += getattr(self, f"{name}_write").eq(1)
                        elif register.access == "rw":
                            m.d.sync += value.eq(request.data)

        # Memories
        allowed = self.memory_exists & ~self.memory_busy
        m.d.comb += [
            self.memory_read.eq(accepted & ~is_register & allowed & ~request.write),
            self.memory_write.eq(is_write & ~is_register & allowed),
        ]

        # Responses
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(waiting):
            m.d.sync += [
                waiting.eq(0),
                self.o.valid.eq(1),
                self.o.payload.data.eq(self.memory_data),
                self.o.payload.error.eq(0),
            ]
        with m.Elif(accepted):
            m.d.sync += [
                waiting.eq(self.memory_read),
                self.o.valid.eq(~self.memory_read),
                self.o.payload.data.eq(Mux(is_register & ~request.write, read_data, 0)),
                self.o.payload.error.eq(Mux(is_register, ~exists, ~allowed)),
            ]
        return m
