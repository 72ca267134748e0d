"""The top of a board: the core, its clock, its reset, and the buffers of its pins."""

from __future__ import annotations

from typing import Any

from amaranth import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.hdl import Elaboratable
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.io import Buffer

from ..gen.boards import ECP5, ICE40, Board
from .board_pins import PINS, request_ports
from .pll import ecp5_pll, ice40_pll

CORE = "core"
# The block RAM of an iCE40 reads as zero for some microseconds after configuration (Lattice
# FPGA-TN-02002): nothing starts before.
RESET_MICROSECONDS = 15


class BoardTop(Elaboratable):
    """What becomes the bitstream, for a platform of ``board_pins.make_platform``.

    Parameters
    ----------
    board : Board
        The core runs at its ``clock_mhz``, from a PLL where its oscillator has another frequency.
    core : str
        Verilog of ``rtl.core.Core``, module ``core``.

    The core is in reset until the PLL has been locked, and no button pressed, for 15 µs.
    """

    def __init__(self, board: Board, core: str) -> None:
        self.board = board
        self.core = core
        self.reset_cycles = -int(-board.clock_mhz * RESET_MICROSECONDS // 1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ports = request_ports(platform, PINS[self.board.name])
        m.domains.start = start = ClockDomain(reset_less=True)
        m.domains.sync = sync = ClockDomain()
        clock, stable = self._clock(m, ports["clk"])
        m.d.comb += [start.clk.eq(clock), sync.clk.eq(clock)]
        if "reset" in ports:
            m.submodules.reset_buffer = button = Buffer("i", ports["reset"])
            stable &= ~button.i

        ready = Signal()
        m.submodules.ready = FFSynchronizer(stable, ready, o_domain="start")
        count = Signal(range(self.reset_cycles + 1))
        reset = Signal(init=1)
        m.d.start += reset.eq(count != self.reset_cycles)
        with m.If(~ready):
            m.d.start += count.eq(0)
        with m.Elif(count != self.reset_cycles):
            m.d.start += count.eq(count + 1)
        m.d.comb += sync.rst.eq(reset)

        platform.add_file(f"{CORE}.v", self.core)
        pins = {}
        for name, direction in (("rx", "i"), ("tx", "o"), ("running", "o"), ("trouble", "o")):
            m.submodules[f"{name}_buffer"] = buffer = Buffer(direction, ports[name])
            pins[f"{direction}_{name}"] = buffer.i if direction == "i" else buffer.o
        if "high" in ports:
            m.submodules.high_buffer = held = Buffer("o", ports["high"])
            m.d.comb += held.o.eq(1)
        m.submodules.core = Instance(CORE, i_clk=ClockSignal(), i_rst=ResetSignal(), **pins)
        return m

    def _clock(self, m: Module, port: Any) -> tuple[Any, Any]:
        """The core's clock, and a bit that is 1 when it can be relied upon."""
        board = self.board
        if board.clock_mhz == board.oscillator_mhz:
            m.submodules.clock_buffer = buffer = Buffer("i", port)
            return buffer.i, Const(1)
        # Place-and-route derives its constraint from the PLL's settings.
        clock, locked = Signal(), Signal()
        make = {ICE40.name: self._ice40_pll, ECP5.name: self._ecp5_pll}[board.family.name]
        make(m, port, clock, locked)
        return clock, locked

    def _ice40_pll(self, m: Module, port: Any, clock: Signal, locked: Signal) -> None:
        settings = ice40_pll(self.board.oscillator_mhz, self.board.clock_mhz)
        # Where the oscillator is on the pin that belongs to the PLL, it must enter through that.
        if str(port.io.metadata[0].name) == PINS[self.board.name].pll_pad:
            cell, source = "SB_PLL40_PAD", {"i_PACKAGEPIN": port.io}
        else:
            m.submodules.clock_buffer = buffer = Buffer("i", port)
            cell, source = "SB_PLL40_CORE", {"i_REFERENCECLK": buffer.i}
        m.submodules.pll = Instance(
            cell,
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(settings.divr, 4),
            p_DIVF=Const(settings.divf, 7),
            p_DIVQ=Const(settings.divq, 3),
            p_FILTER_RANGE=Const(settings.filter_range, 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=clock,
            o_LOCK=locked,
            **source,
        )

    def _ecp5_pll(self, m: Module, port: Any, clock: Signal, locked: Signal) -> None:
        settings = ecp5_pll(self.board.oscillator_mhz, self.board.clock_mhz)
        m.submodules.clock_buffer = buffer = Buffer("i", port)
        feedback = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.board.oscillator_mhz:g}",
            a_FREQUENCY_PIN_CLKOS=f"{self.board.clock_mhz:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=settings.input_divider,
            p_CLKFB_DIV=1,
            p_CLKOP_DIV=settings.multiplier,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=settings.multiplier - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_DIV=settings.output_divider,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_CPHASE=settings.output_divider - 1,
            p_CLKOS_FPHASE=0,
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            i_CLKI=buffer.i,
            i_CLKFB=feedback,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=clock,
            o_LOCK=locked,
        )
