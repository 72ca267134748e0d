"""Sums of errors below and of gradients: a tap a cycle for both, read, added to and written."""

from itertools import pairwise

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import ConvolutionPlan
from .delay import delayed
from .processing_element import minus_size
from .ram import Ram
from .register_map import THRESHOLD_WIDTH
from .tap_walker import map_address
from .trit import Trit


def tap_layout(plan: ConvolutionPlan) -> data.StructLayout:
    """A tap: where its sums lie, its granule of the weights, and the sign of what is added."""
    return data.StructLayout(
        {
            "valid": 1,
            "sweep": 1,
            "inside": 1,
            "negative": 1,
            "map": map_address(plan),
            "granule": range(max(plan.gradient_depth, 2)),
            "slot": range(max(2, *(p.slots for p in plan.layers))),
        }
    )


class TapSums(wiring.Component):
    """Two memories: Σ d·W of every input of a layer, Σ d·x of every weight of a row.

    Equation: design section 4, step 5 and convolution; golden: ``Trainer.error_below`` and
    ``Trainer.update``. Sums cannot overflow: ``plan.error_sum_width``, ``plan.gradient_width``.

    Members
    -------
    layer : In
    tap : In
        Its word of weights comes ``plan.read_latency`` cycles later, its granule of inputs
        ``plan.tap_latency``. With ``sweep`` the gradient is taken away as trits instead, and zero
        stays behind.
    wait : Out(1)
        A sum of the tap, valid or not, is not written yet: ``tap.valid`` must be low.
    weights, inputs : In
        The word of weights in which the tap lies, and the granule at it.
    trit_valid : Out(1), trits : Out
        Granules of sign(G) where |G| > α, ``plan.tap_latency`` cycles after the tap.
    busy : Out(1)
        A tap is on its way.
    limit, clear : In(1), place : In
        Make errors of the sums at ``place`` and set them to zero, or set sums of both memories
        there to zero; not while ``busy``.
    limiting : Out(1)
        The cycle after this one needs ``confidence`` still.
    confidence : In
        θ of the layer below.
    error_data : In
        Window flags at ``place``, a cycle after ``limit``.
    error_write : Out(1), error_write_address, error_write_data : Out
        The errors, a cycle later still; two with ``memory_register``.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        address, granule = map_address(plan), 2 * plan.granule
        super().__init__(
            {
                "layer": In(range(len(plan.layers))),
                "tap": In(tap_layout(plan)),
                "wait": Out(1),
                "weights": In(2 * plan.hardware.lanes),
                "inputs": In(granule),
                "trit_valid": Out(1),
                "trits": Out(granule),
                "busy": Out(1),
                "limit": In(1),
                "clear": In(1),
                "place": In(address),
                "limiting": Out(1),
                "confidence": In(THRESHOLD_WIDTH),
                "error_data": In(granule),
                "error_write": Out(1),
                "error_write_address": Out(address),
                "error_write_data": Out(granule),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, granule = self.plan, self.plan.granule
        latency = plan.tap_latency
        delta_width, gradient_width = plan.error_sum_width, plan.gradient_width
        m.submodules.deltas = deltas = Ram(delta_width * granule, plan.hidden_words, unchecked=True)
        m.submodules.gradients = gradients = Ram(
            gradient_width * granule, plan.gradient_depth, unchecked=True
        )

        # Cycle 0: the tap's words are asked for. A sum that was taken up in one of the two cycles
        # before is not written yet.
        below = Signal()
        taps = [Signal(tap_layout(plan), name=f"tap{k}") for k in range(latency + 2)]
        m.d.comb += [
            below.eq(self.layer != 0),
            taps[0].eq(self.tap),
            self.wait.eq(
                Cat(
                    tap.valid & ((tap.map == self.tap.map) | (tap.granule == self.tap.granule))
                    for tap in taps[1:3]
                ).any()
            ),
            self.busy.eq(Cat(tap.valid for tap in taps[1:]).any()),
        ]
        for before, after in pairwise(taps):
            m.d.sync += after.eq(before)

        # A cycle before they arrive, the sums are asked for.
        wanted = taps[latency - 1]
        m.d.comb += [
            deltas.read_enable.eq(1),
            deltas.read_address.eq(wanted.map),
            gradients.read_enable.eq(1),
            gradients.read_address.eq(wanted.granule),
        ]

        # The tap's latency later: one is added to each, or a gradient is taken away as a trit.
        tap, last = taps[latency], taps[latency + 1]
        chosen = Signal(2 * granule)
        m.d.comb += chosen.eq(self.weights.word_select(taps[plan.read_latency].slot, 2 * granule))
        weight = delayed(m, chosen, latency - plan.read_latency)
        confidences = [plan.config.of("gradient_confidence", l) for l in range(len(plan.layers))]
        new_deltas, new_gradients, trits = [], [], []
        for lane in range(granule):
            total = deltas.read_data.word_select(lane, delta_width).as_signed()
            new_deltas.append((total + _term(weight, lane, tap.negative))[:delta_width])
            total = gradients.read_data.word_select(lane, gradient_width).as_signed()
            added = (total + _term(self.inputs, lane, tap.negative))[:gradient_width]
            new_gradients.append(Mux(tap.sweep, 0, added))
            passes: Value = total.any()
            if any(confidences):
                passes = minus_size(Array(confidences)[self.layer], total) < 0
            trits.append(Cat(passes, total[-1]))
        delta_sums = Signal.like(deltas.write_data)
        gradient_sums = Signal.like(gradients.write_data)
        m.d.sync += [delta_sums.eq(Cat(new_deltas)), gradient_sums.eq(Cat(new_gradients))]
        m.d.comb += [self.trits.eq(Cat(trits)), self.trit_valid.eq(tap.valid & tap.sweep)]

        # A cycle later: they are written.
        m.d.comb += [
            deltas.write.eq(last.valid & last.inside & below & ~last.sweep),
            deltas.write_mask.eq(1),
            deltas.write_address.eq(last.map),
            deltas.write_data.eq(delta_sums),
            gradients.write.eq(last.valid),
            gradients.write_mask.eq(1),
            gradients.write_address.eq(last.granule),
            gradients.write_data.eq(gradient_sums),
        ]
        self._limit(m, deltas, gradients)
        return m

    def _limit(self, m: Module, deltas: Ram, gradients: Ram) -> None:
        """Errors from sums, a word a cycle; zeros everywhere."""
        plan, width = self.plan, self.plan.error_sum_width
        # In step with a tap whose granules are picked.
        late = plan.tap_latency - plan.read_latency
        limit, place = delayed(m, self.limit, late), delayed(m, self.place, late)
        sums = Signal.like(deltas.read_data)
        flags = Signal.like(self.error_data)
        if late:
            m.d.comb += self.limiting.eq(limit)
        with m.If(limit):
            m.d.comb += deltas.read_address.eq(place)
        m.d.sync += [sums.eq(deltas.read_data), flags.eq(delayed(m, self.error_data, late))]
        errors = []
        for lane in range(plan.granule):
            total = sums.word_select(lane, width).as_signed()
            passes = minus_size(self.confidence, total) < 0
            errors.append(Cat(passes & flags[2 * lane], total[-1]))
        m.d.comb += [
            self.error_write_data.eq(Cat(errors)),
            self.error_write.eq(delayed(m, limit, 2)),
            self.error_write_address.eq(delayed(m, place, 2)),
        ]
        with m.If(self.error_write):
            m.d.comb += [
                deltas.write.eq(1),
                deltas.write_address.eq(self.error_write_address),
                deltas.write_data.eq(0),
            ]
        with m.If(self.clear):
            m.d.comb += [
                deltas.write.eq(self.place < plan.hidden_words),
                deltas.write_address.eq(self.place),
                deltas.write_data.eq(0),
                gradients.write.eq(self.place < plan.gradient_depth),
                gradients.write_address.eq(self.place),
                gradients.write_data.eq(0),
            ]


def _term(trits: Value, lane: int, negative: Value) -> Value:
    """The trit of a lane, or its opposite."""
    trit = Trit(trits.word_select(lane, 2))
    return Cat(trit.nonzero, trit.nonzero & (trit.negative ^ negative)).as_signed()
