"""What every board holds: a trainer behind a serial line."""

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..golden.design import DesignConfig
from .convolution_trainer import trainer_of
from .link import Link
from .uart import UartReceiver, UartTransmitter, bit_cycles


class Core(wiring.Component):
    """A trainer, the link that serves it, and their UART.

    Parameters
    ----------
    design : DesignConfig
    clock_hz : int
        Frequency of the clock.
    config_hash : int
        32 bits that the host reads back: ``gen.config.short_hash`` of the design.

    Members
    -------
    rst : In(1)
        Synchronous reset, for at least two cycles.
    rx : In(1), tx : Out(1)
        8 data bits, no parity, 1 stop bit at ``hardware.baud``; ``rx`` may be asynchronous.
    running : Out(1)
        The trainer is at work.
    trouble : Out(1)
        A damaged packet came since the last host identified itself.

    Raises
    ------
    ParameterError
        ``hardware.baud`` cannot be made from this clock.
    """

    rx: In(1, init=1)  # type: ignore[valid-type]
    tx: Out(1, init=1)  # type: ignore[valid-type]
    running: Out(1)  # type: ignore[valid-type]
    trouble: Out(1)  # type: ignore[valid-type]

    def __init__(self, design: DesignConfig, clock_hz: int, *, config_hash: int = 0) -> None:
        self.design = design
        self.config_hash = config_hash
        self.bit_cycles = bit_cycles(clock_hz, design.hardware.baud)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design = self.design
        m.submodules.receiver = receiver = UartReceiver(self.bit_cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self.bit_cycles)
        m.submodules.link = link = Link()
        # The trainer's reset, which also comes from the host, is a register: a cycle after that of
        # the rest, and long before there is a packet.
        reset = Signal(init=1)
        m.domains.trainer = ClockDomain(local=True)
        m.d.comb += [ClockSignal("trainer").eq(ClockSignal()), ResetSignal("trainer").eq(reset)]
        trainer = trainer_of(design.network, design.hardware, config_hash=self.config_hash)
        m.submodules.trainer = DomainRenamer("trainer")(trainer)
        connect(m, receiver.o, link.i)
        connect(m, link.o, transmitter.i)
        connect(m, link.request, trainer.i)
        connect(m, trainer.o, link.response)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            link.framing_error.eq(receiver.framing_error),
            link.busy.eq(trainer.busy),
            self.running.eq(trainer.busy),
            self.trouble.eq(link.trouble),
        ]
        m.d.sync += reset.eq(link.reset)
        return m
