"""The trainer's bus: registers, and the memories while no run is in progress."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.hdl import Shape
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .host_port import host_signature
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
        A request is taken in its second cycle. A register answers in the next, a memory
        ``read_latency`` + 1 cycles later.
    <register> : Out or In
        The value held here, or the value to be read.
    <register>_write : Out(1)
        The register is being written with ``write_data`` (command and external ones).
    memory_busy : In(1)
        Refuse memory requests.
    store, weights, counters : Out(host port)
        The memories.
    write_data : Out(32)
    """

    def __init__(self, plan: TrainerPlan, *, initial: dict[str, int]) -> None:
        self.plan = plan
        self.registers = registers(plan.config)
        self.initial = initial
        members = {
            "i": In(stream.Signature(BusRequest)),
            "o": Out(stream.Signature(BusResponse)),
            "memory_busy": In(1),
            "store": Out(host_signature()),
            "weights": Out(host_signature()),
            "counters": Out(host_signature()),
            "write_data": Out(BUS_WIDTH),
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
        looked = Signal()
        free = Signal()
        waiting = Signal(range(self.plan.read_latency + 1))
        region = Signal(ADDRESS_WIDTH - OFFSET_BITS)
        offset = Signal(OFFSET_BITS)
        memories = {
            Region.STORE: self.store,
            Region.WEIGHTS: self.weights,
            Region.COUNTERS: self.counters,
        }
        m.d.comb += [
            region.eq(request.address >> OFFSET_BITS),
            offset.eq(request.address),
            self.write_data.eq(request.data),
            free.eq((waiting == 0) & ~self.o.valid),
            self.i.ready.eq(looked),
        ]

        # Cycle 0: what is asked for. The request stays until it is taken.
        selected = Signal(len(self.registers))  # one bit a register
        called = {number: Signal(name=f"called_{number}") for number in memories}
        m.d.sync += [looked.eq(self.i.valid & free & ~looked), selected.eq(0)]
        m.d.sync += [flag.eq(0) for flag in called.values()]
        with m.If(self.i.valid & free & ~looked):
            with m.If(region == Region.REGISTERS), m.Switch(offset):
                for address, register in enumerate(self.registers.values()):
                    legal = {"rw": 1, "ro": ~request.write, "wo": request.write}
                    with m.Case(address), m.If(legal[register.access]):
                        m.d.sync += selected[address].eq(1)
            for number, host in memories.items():
                with m.If((region == number) & host.exists & ~self.memory_busy):
                    m.d.sync += called[number].eq(1)

        # Cycle 1: it is done.
        chosen = Signal(BUS_WIDTH)
        values: list[Value] = []
        for address, (name, register) in enumerate(self.registers.items()):
            writing = selected[address] & request.write
            if register.access != "wo":
                value = Signal(BUS_WIDTH, name=f"read_{name}")
                m.d.comb += value.eq(getattr(self, name))
                values.append(value & selected[address].replicate(BUS_WIDTH))
            if register.access == "wo" or register.external:
                m.d.comb += getattr(self, f"{name}_write").eq(writing)
            elif register.access == "rw":
                with m.If(writing):
                    m.d.sync += getattr(self, name).eq(request.data)
        m.d.sync += chosen.eq(reduce(or_, values))
        reading = Signal()
        data = Signal(BUS_WIDTH)
        asked = Signal.like(region)
        m.d.comb += [reading.eq(Cat(called.values()).any()), data.eq(chosen)]
        with m.If(looked):
            m.d.sync += asked.eq(Region.REGISTERS)
        for number, host in memories.items():
            m.d.comb += [
                host.offset.eq(offset),
                host.write_data.eq(request.data),
                host.read.eq(called[number] & ~request.write),
                host.write.eq(called[number] & request.write),
            ]
            with m.If(called[number]):
                m.d.sync += asked.eq(number)
            with m.If(asked == number):
                m.d.comb += data.eq(host.data)

        # Responses
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(waiting != 0):
            m.d.sync += [
                waiting.eq(waiting - 1),
                self.o.valid.eq(waiting == 1),
                self.o.payload.data.eq(data),
            ]
        with m.Elif(looked):
            m.d.sync += [
                waiting.eq(Mux(request.write, 0, Mux(reading, self.plan.read_latency, 1))),
                self.o.valid.eq(request.write),
                self.o.payload.data.eq(0),
                self.o.payload.error.eq(~Cat(selected, *called.values()).any()),
            ]
        return m
