"""The order in which the forward pass reads rows: by layers, and ahead into the next sample."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.processing_element import ProcessingElementParameters
from .trainer_plan import TrainerPlan

# The shortest backward pass of a sample outlasts results that come this many cycles later.
LATENCY_MAX = 12
# Resting products are counted at most so many cycles after their word was asked for.
COUNTED_LATE = 5


def element_parameters(plan: TrainerPlan) -> ProcessingElementParameters:
    """Each of the R processing elements."""
    return ProcessingElementParameters(
        lanes=plan.hardware.lanes,
        words=max(p.words for p in plan.layers),
        structure=plan.hardware.structure,
        tech=plan.hardware.tech,
        pipeline=plan.hardware.pipeline,
    )


def result_latency(plan: TrainerPlan) -> int:
    """Cycles from the address of a row's last word to its result."""
    return plan.read_latency + element_parameters(plan).dot.latency + 2


def loss_latency(plan: TrainerPlan) -> int:
    """Cycles from the address of the last word of all to the decision whether to learn from it."""
    rows = plan.hardware.rows
    return result_latency(plan) + 2 + (rows if rows > 1 else 0)


def groups_ahead(plan: TrainerPlan) -> int | None:
    """Sets of R rows of the next sample that fit in while the last layer waits for its inputs.

    None where the next sample cannot begin before the decision on the present one. Until then it
    must not complete a word of activations, which would overwrite one still wanted, not even by
    rows under way that are dropped; nor layer 0 before all of it has been counted.
    """
    first = plan.layers[0]
    word = min(plan.hardware.lanes // plan.hardware.rows, first.row_groups)
    fitting = [
        groups
        for groups in range((result_latency(plan) + 1) // first.period + 1)
        if groups + (loss_latency(plan) + COUNTED_LATE) // first.words + 1 < word
    ]
    if plan.config.convolves or len(plan.layers) == 1:
        return None
    if result_latency(plan) > LATENCY_MAX or not fitting:
        return None
    return fitting[-1]


class ForwardOrder(wiring.Component):
    """Addresses of the forward pass, a word of every bank a cycle.

    Layer 0 of the next sample is begun while the last layer waits for the activations below it,
    and goes on right behind the last layer, before it is known whether the present sample changes
    the weights: then ``drop`` undoes it.

    Members
    -------
    start : In(1)
        The next sample becomes the present one: its layer 0 begins, or goes on where begun.
        May come late in its cycle.
    buffer : In(1)
        Where layer 0 of the next sample reads.
    next_valid : In(1)
        The next sample may begin.
    drop : In(1)
        Stop what was begun of it; ``start`` then begins anew.
    next_layer : In(1)
        The layer in work is complete in the activation memory.
    layer : Out
        Of the word that is read.
    weight_address, input_address : Out; enable : Out(1)
        Weights lie in the order in which they are read.
    last_word, last_group : Out(1)
        The word is the last of its row; the row is in the last set of its layer.
    begun, ahead : Out(1)
        Something of the next sample was begun; the word belongs to it.
    parked : Out(1)
        All has been read, and nothing begun that was not dropped.
    flush : Out(1)
        The cycle after ``drop`` of something begun.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "start": In(1),
                "buffer": In(1),
                "next_valid": In(1),
                "drop": In(1),
                "next_layer": In(1),
                "layer": Out(range(max(len(plan.layers), 2))),
                "weight_address": Out(range(max(plan.weight_depth, 2))),
                "input_address": Out(range(max(plan.activation_depth, 2))),
                "enable": Out(1),
                "last_word": Out(1),
                "last_group": Out(1),
                "begun": Out(1),
                "ahead": Out(1),
                "parked": Out(1, init=1),
                "flush": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layers, ahead = self.plan.layers, groups_ahead(self.plan)
        first, top = layers[0], len(layers) - 1

        def of_layer(name: str) -> Signal:
            """An entry of the layer table, for the layer in work."""
            return Array([getattr(p, name) for p in layers])[self.layer]

        issuing = Signal()
        row_end = Signal()
        layer_end = Signal()
        in_last_group = Signal()
        word = Signal(range(max(2, *(p.period for p in layers))))
        group = Signal(range(max(2, *(p.row_groups for p in layers))))
        base = Signal.like(self.input_address)
        first_base = Signal.like(self.input_address)
        m.d.comb += [
            self.enable.eq(issuing & (word < of_layer("words"))),
            self.last_word.eq(word == of_layer("words") - 1),
            self.last_group.eq(group == of_layer("row_groups") - 1),
            row_end.eq(issuing & (word == of_layer("period") - 1)),
            layer_end.eq(row_end & in_last_group),
            first_base.eq(first.input_base + Mux(self.buffer, first.words, 0)),
        ]
        # Rows of several words: at their end it has been known for a cycle.
        target = m.d.sync if min(p.period for p in layers) > 1 else m.d.comb
        target += in_last_group.eq(self.last_group)
        with m.If(self.enable):
            m.d.sync += self.weight_address.eq(self.weight_address + 1)
        with m.If(issuing):
            m.d.sync += [word.eq(word + 1), self.input_address.eq(self.input_address + 1)]
        with m.If(row_end):
            m.d.sync += [word.eq(0), group.eq(group + 1), self.input_address.eq(base)]
        with m.If(layer_end):
            m.d.sync += [issuing.eq(0), group.eq(0)]
            with m.If(self.layer == top):
                m.d.sync += self.parked.eq(1)

        if top:
            above = Array([p.output_base for p in layers[:-1]])[self.layer]
            with m.If(self.next_layer):
                m.d.sync += [
                    self.layer.eq(self.layer + 1),
                    issuing.eq(1),
                    self.input_address.eq(above),
                    base.eq(above),
                ]
        fills = Signal()
        resumes = Signal()
        if ahead:
            # Between the layers, the last one's place waits.
            between = Signal()
            m.d.comb += [
                fills.eq(layer_end & (self.layer == top - 1) & self.next_valid & ~self.begun),
                resumes.eq(layer_end & (self.layer == top) & self.begun),
            ]
            with m.If(fills):
                m.d.sync += [self.begun.eq(1), between.eq(1)]
            with m.If(between & row_end & (group == ahead - 1)):
                m.d.sync += issuing.eq(0)
            with m.If(between & self.next_layer):
                m.d.sync += [
                    between.eq(0),
                    self.layer.eq(top),
                    issuing.eq(1),
                    group.eq(0),
                    self.weight_address.eq(layers[top].weight_base),
                    self.input_address.eq(layers[top].input_base),
                    base.eq(layers[top].input_base),
                ]
        # Where ``start`` finds nothing begun, all that it begins with is there before it.
        with m.If(self.parked | fills | resumes):
            m.d.sync += [
                self.layer.eq(0),
                word.eq(0),
                group.eq(Mux(resumes, ahead or 0, 0)),
                self.weight_address.eq(Mux(resumes, (ahead or 0) * first.words, 0)),
                self.input_address.eq(first_base),
                base.eq(first_base),
            ]
        with m.If(fills | resumes):
            m.d.sync += [issuing.eq(1), self.parked.eq(0)]
        if ahead is not None:
            with m.If(self.parked & self.next_valid):
                m.d.sync += [issuing.eq(1), self.parked.eq(0), self.begun.eq(1)]
            m.d.sync += self.flush.eq(self.drop & self.begun)
            m.d.comb += self.ahead.eq(self.begun & (self.layer != top))
            with m.If(self.drop):
                m.d.sync += [issuing.eq(0), self.parked.eq(1)]
        with m.If(self.start):
            m.d.sync += self.begun.eq(0)
            with m.If(self.parked):
                m.d.sync += [issuing.eq(1), self.parked.eq(0)]
        return m
