"""Quantiser whose exponent and width follow the data; golden: ``PrecisionController``."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..golden.checks import signed_width
from ..golden.lfsr import FALLBACK_STATE, Lfsr16
from ..golden.precision_controller import WORD_STEPS, WORD_WIDTH
from ..golden.precision_parameters import PrecisionParameters
from . import lfsr
from .quantizer import Quantizer, exponent_shape, input_layout, output_layout, width_shape
from .window_statistics import WindowStatistics, latency


def state_layout(parameters: PrecisionParameters) -> data.StructLayout:
    """``golden.precision_controller.PrecisionState``."""
    return data.StructLayout(
        {
            "exponent": exponent_shape(parameters),
            "width": width_shape(parameters),
            "streak": range(max(parameters.patience, 2)),
            "lfsr": WORD_WIDTH,
        }
    )


class PrecisionController(wiring.Component):
    """Quantiser, window statistics and decisions of one tensor and direction (after HNPU).

    Equations and sources: ``golden.precision_controller``; golden: ``PrecisionController``.

    Parameters
    ----------
    parameters : PrecisionParameters
    seed : int
        State after reset is that of the golden model with this seed.

    Members
    -------
    i : In(stream of ``input_layout``)
        Signed values; ``last`` marks the end of a tensor, where alone a decision can fall.
    o : Out(stream of ``output_layout``)
        Quantised value in signed(output_width), the exponent of its tensor (the value's LSB is
        2^exponent), and ``last``. Saturates at ±(2^(n−1) − 1).
    state : Out
        ``state_layout``: exponent, width, streak, generator. Settled while ``idle``.
    load : In(1), load_state : In
        Sets the state in the next cycle, as reset does: values in flight are dropped, the window
        and the status counters begin again. Exponent, width and streak must be ones that the
        parameters can reach; without ``width_search`` the width stays what it is. A generator
        state of zero reads as 0xACE1.
    windows, overflows : Out(count_width)
        Complete windows, and overflows counted in windows; both saturate.
    idle : Out(1)
        Nothing is in flight and no decision is due.

    Latency 3 cycles, initiation interval 1. A tensor that completes a window holds the next one
    back until the decision has fallen: ``decision_cycles`` cycles instead of one between their
    values, and more while ``o`` stalls. Reset restores the initial state.
    """

    LATENCY = Quantizer.LATENCY
    INITIATION_INTERVAL = Quantizer.INITIATION_INTERVAL

    def __init__(self, parameters: PrecisionParameters, *, seed: int = 1) -> None:
        self.parameters = parameters
        self.initial_lfsr = Lfsr16(seed).state
        self.decision_cycles = self.LATENCY + latency(parameters)
        layout = state_layout(parameters)
        super().__init__(
            {
                "i": In(stream.Signature(input_layout(parameters))),
                "o": Out(stream.Signature(output_layout(parameters))),
                "state": Out(layout),
                "load": In(1),
                "load_state": In(layout),
                "windows": Out(parameters.count_width),
                "overflows": Out(parameters.count_width),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.quantizer = quantizer = Quantizer(p)
        m.submodules.statistics = statistics = WindowStatistics(p)
        state = Signal(
            state_layout(p),
            init={"exponent": p.exponent, "width": p.width, "lfsr": self.initial_lfsr},
        )
        sample = quantizer.sample

        connect(m, flipped(self.i), quantizer.i)
        connect(m, quantizer.o, flipped(self.o))
        m.d.comb += [
            self.state.eq(state),
            quantizer.exponent.eq(state.exponent),
            quantizer.width.eq(state.width),
            quantizer.word.eq(state.lfsr),
            quantizer.clear.eq(self.load),
            statistics.sample.eq(sample),
            statistics.word.eq(state.lfsr),
            statistics.exponent.eq(state.exponent),
            statistics.clear.eq(self.load),
        ]

        deciding = self._mark_window(m, quantizer, statistics.closed)
        m.d.comb += self.idle.eq(quantizer.idle & ~deciding)

        with m.If(quantizer.draw):
            m.d.sync += state.lfsr.eq(lfsr.advance(state.lfsr, WORD_STEPS))
        with m.If(statistics.closed):
            self._decide(m, state, statistics.verdict)

        # Status: counters that stay at their limit.
        with m.If(statistics.closed & ~self.windows.all()):
            m.d.sync += self.windows.eq(self.windows + 1)
        overflow = sample.valid & sample.tag.counted & sample.overflow
        with m.If(overflow & ~self.overflows.all()):
            m.d.sync += self.overflows.eq(self.overflows + 1)

        with m.If(self.load):
            m.d.sync += [
                state.exponent.eq(self.load_state.exponent),
                state.streak.eq(self.load_state.streak),
                state.lfsr.eq(Mux(self.load_state.lfsr == 0, FALLBACK_STATE, self.load_state.lfsr)),
                self.windows.eq(0),
                self.overflows.eq(0),
            ]
            if p.width_search:
                m.d.sync += state.width.eq(self.load_state.width)
        return m

    def _mark_window(self, m: Module, quantizer: Quantizer, closed: Signal) -> Signal:
        """Tag the values that count and the one that closes the window; then hold the next."""
        taken = quantizer.i.valid & quantizer.i.ready
        nonzero = quantizer.i.payload.value.any()
        remaining = Signal(range(self.parameters.window + 1), init=self.parameters.window)
        complete = (remaining == 0) | ((remaining == 1) & nonzero)
        deciding = Signal()
        m.d.comb += [
            quantizer.tag.counted.eq(nonzero & (remaining != 0)),
            quantizer.tag.closing.eq(complete & quantizer.i.payload.last),
            quantizer.hold.eq(deciding),
        ]
        with m.If(taken & quantizer.tag.counted):
            m.d.sync += remaining.eq(remaining - 1)
        with m.If(taken & quantizer.tag.closing):
            m.d.sync += deciding.eq(1)
        with m.If(closed | self.load):
            m.d.sync += [deciding.eq(0), remaining.eq(self.parameters.window)]
        return deciding

    def _decide(self, m: Module, state: data.View, verdict: data.View) -> None:
        """``golden.precision_controller.decide``."""
        p = self.parameters
        rule = p.rule
        up = Signal()
        down = Signal()
        clipped = Signal()
        widen = Signal()
        narrow = Signal()
        if p.dynamic_exponent:
            m.d.comb += [
                up.eq(verdict.overflowing),
                down.eq(~verdict.overflowing & ~verdict.filling),
                clipped.eq(
                    (up & (state.exponent == p.exponent_max)) | (down & (state.exponent == 0))
                ),
            ]
        if p.width_search:
            settled = clipped | ~(up | down)
            patient = state.streak == p.patience - 1
            m.d.comb += [
                widen.eq(settled & verdict.coarse & (state.width != rule.width_max)),
                narrow.eq(
                    settled
                    & ~verdict.coarse
                    & verdict.fine
                    & patient
                    & (state.width != rule.width_min)
                ),
            ]
            m.d.sync += state.width.eq(state.width + widen - narrow)
            with m.If(settled):
                with m.If(verdict.coarse | ~verdict.fine | patient):
                    m.d.sync += state.streak.eq(0)
                with m.Else():
                    m.d.sync += state.streak.eq(state.streak + 1)
        if p.dynamic_exponent:
            target = Signal(signed(signed_width(-2, p.exponent_max + 2)))
            m.d.comb += target.eq(state.exponent + up - down - widen + narrow)
            with m.If(target < 0):
                m.d.sync += state.exponent.eq(0)
            with m.Elif(target > p.exponent_max):
                m.d.sync += state.exponent.eq(p.exponent_max)
            with m.Else():
                m.d.sync += state.exponent.eq(target)
