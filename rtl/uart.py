"""Asynchronous serial line, 8 data bits, no parity, 1 stop bit."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..golden.checks import ParameterError, integer

BIT_CYCLES_MIN = 8
BIT_CYCLES_MAX = 65535
ROUNDING_MAX = 0.01  # of a bit: leaves the receiver 2 % for what the other side does


def bit_cycles(clock_hz: int, baud: int) -> int:
    """Clock cycles of a bit.

    Raises
    ------
    ParameterError
        Fewer than 8 cycles a bit, or no whole number of cycles within 1 % of ``baud``.
    """
    cycles = round(clock_hz / baud)
    highest = clock_hz // BIT_CYCLES_MIN
    if clock_hz < BIT_CYCLES_MIN * baud:
        raise ParameterError(
            f"hardware.baud must be at most {highest} (an eighth of the clock, {clock_hz} Hz), "
            f"not {baud}"
        )
    if abs(clock_hz / cycles - baud) > ROUNDING_MAX * baud:
        raise ParameterError(
            f"hardware.baud must be within 1 % of {clock_hz} Hz ÷ n, e.g. {clock_hz // cycles}, "
            f"not {baud}"
        )
    return integer("clock_hz ÷ hardware.baud", cycles, BIT_CYCLES_MIN, BIT_CYCLES_MAX)


class UartReceiver(wiring.Component):
    """Bytes from a serial line, each bit sampled in its middle, timed from its start bit.

    Parameters
    ----------
    cycles : int
        8 … 65535 clock cycles a bit.

    Members
    -------
    rx : In(1)
        The line, asynchronous to the clock.
    o : Out(stream of 8)
        A byte, from the middle of its stop bit. One that is not taken before the next is complete
        is replaced by it.
    framing_error : Out(1)
        A byte without a stop bit came, and is left out. The line must rest before the next.

    The sender's bits may be 2 % longer or shorter. A start bit that is gone at its middle is noise
    and passes unnoticed. Reset waits for a start bit.
    """

    rx: In(1, init=1)  # type: ignore[valid-type]
    o: Out(stream.Signature(8))  # type: ignore[valid-type]
    framing_error: Out(1)  # type: ignore[valid-type]

    def __init__(self, cycles: int) -> None:
        self.cycles = integer("cycles", cycles, BIT_CYCLES_MIN, BIT_CYCLES_MAX)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.cycles))
        bits = Signal(range(9))
        byte = Signal(8)
        sample = Signal()
        m.d.comb += [sample.eq(timer == 0), self.o.payload.eq(byte)]
        m.d.sync += timer.eq(timer - 1)
        with m.If(sample):
            m.d.sync += timer.eq(self.cycles - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("REST"):
                m.d.sync += [timer.eq(self.cycles // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(sample):
                m.next = "REST"
                with m.If(~line):
                    m.next = "DATA"
            with m.State("DATA"), m.If(sample):
                m.d.sync += [byte.eq(Cat(byte[1:], line)), bits.eq(bits + 1)]
                m.d.sync += self.o.valid.eq(0)
                with m.If(bits == 7):
                    m.next = "STOP"
            with m.State("STOP"), m.If(sample):
                m.d.sync += self.o.valid.eq(line)
                m.d.comb += self.framing_error.eq(~line)
                m.next = "REST"
                with m.If(~line):
                    m.next = "BREAK"
            with m.State("BREAK"), m.If(line):
                m.next = "REST"
        return m


class UartTransmitter(wiring.Component):
    """Bytes onto a serial line.

    Parameters
    ----------
    cycles : int
        8 … 65535 clock cycles a bit.

    Members
    -------
    i : In(stream of 8)
        A byte is taken every ten bits.
    tx : Out(1)
        The line; 1 at rest and during reset.
    """

    i: In(stream.Signature(8))  # type: ignore[valid-type]
    tx: Out(1, init=1)  # type: ignore[valid-type]

    def __init__(self, cycles: int) -> None:
        self.cycles = integer("cycles", cycles, BIT_CYCLES_MIN, BIT_CYCLES_MAX)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self.cycles))
        bits = Signal(range(10))
        shift = Signal(9, init=~0)
        m.d.comb += [self.tx.eq(shift[0]), self.i.ready.eq((bits == 0) & (timer == 0))]
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(bits != 0):
            m.d.sync += [bits.eq(bits - 1), timer.eq(self.cycles - 1)]
            m.d.sync += shift.eq(Cat(shift[1:], 1))
        with m.Elif(self.i.valid):
            m.d.sync += [bits.eq(9), timer.eq(self.cycles - 1)]
            m.d.sync += shift.eq(Cat(Const(0, 1), self.i.payload))
        return m
