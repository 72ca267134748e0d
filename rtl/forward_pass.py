"""All layers forward: R rows at a time through R processing elements."""

from itertools import pairwise

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.processing_element import ProcessingElementParameters
from .delay import delayed
from .popcount import COUNTED_TOGETHER, popcount, tree_sum
from .processing_element import ProcessingElement
from .register_map import THRESHOLD_WIDTH
from .trainer_plan import TrainerPlan
from .word_assembler import WordAssembler, entry_slot


class ForwardPass(wiring.Component):
    """Sums, activations and window flags of all layers; a word of every row bank a cycle.

    Equation: design section 4, step 3; golden: ``Trainer.forward``. A layer takes
    row_groups · period cycles, and read latency and that of the processing element plus one.

    Members
    -------
    start : In(1), buffer : In(1)
        Begin with layer 0; ``buffer``, in that cycle alone, says where it reads.
    layer : Out
        The layer in work.
    threshold, window, offset : In
        r, a, b of that layer, at most a cycle later.
    weight_address, enable : Out; weights : In(R · 2P)
        The same word of every bank, ``plan.read_latency`` cycles later.
    input_address : Out; inputs : In(2P)
        A word of activations, as late.
    write_valid, write_address, write_data : Out
        Words of activations and of window flags; never refused.
    sum_valid, sum : Out
        Sums of the last layer, one class at a time.
    resting : Out
        Products that were zero in one of the cycles before, padding left out.
    done : Out(1)
        Pulses a cycle after the last sum.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        lanes = plan.hardware.lanes
        super().__init__(
            {
                "start": In(1),
                "layer": Out(range(max(len(plan.layers), 2))),
                "buffer": In(1),
                "threshold": In(THRESHOLD_WIDTH),
                "window": In(THRESHOLD_WIDTH),
                "offset": In(signed(THRESHOLD_WIDTH + 1)),
                "weight_address": Out(range(max(plan.weight_depth, 2))),
                "enable": Out(1),
                "weights": In(2 * lanes * plan.hardware.rows),
                "input_address": Out(range(max(plan.activation_depth, 2))),
                "inputs": In(2 * lanes),
                "write_valid": Out(1),
                "write_address": Out(range(max(plan.activation_depth, 2))),
                "write_data": Out(2 * lanes),
                "sum_valid": Out(1),
                "sum": Out(signed(plan.sum_width)),
                "resting": Out(range(lanes * plan.hardware.rows + 1)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        layers, hidden = plan.layers, plan.layers[:-1]

        def of_layer(name: str) -> Signal:
            """An entry of the layer table, for the layer in work."""
            return Array([getattr(p, name) for p in layers])[self.layer]

        elements = []
        for r in range(rows):
            element = ProcessingElement(
                ProcessingElementParameters(
                    lanes=lanes,
                    words=max(p.words for p in layers),
                    structure=plan.hardware.structure,
                    tech=plan.hardware.tech,
                    pipeline=plan.hardware.pipeline,
                )
            )
            m.submodules[f"element{r}"] = element
            elements.append(element)
        # Cycle 0: addresses. Weights lie in the order in which they are read.
        issuing, next_layer = Signal(), Signal()
        word = Signal(range(max(2, *(p.period for p in layers))))
        group = Signal(range(max(2, *(p.row_groups for p in layers))))
        base = Signal.like(self.input_address)
        last_word, last_group, of_last_group = Signal(), Signal(), Signal()
        m.d.comb += [
            self.enable.eq(issuing & (word < of_layer("words"))),
            last_word.eq(word == of_layer("words") - 1),
            last_group.eq(group == of_layer("row_groups") - 1),
        ]
        with m.If(self.enable):
            m.d.sync += self.weight_address.eq(self.weight_address + 1)
        with m.If(issuing):
            m.d.sync += [word.eq(word + 1), self.input_address.eq(self.input_address + 1)]
            with m.If(word == of_layer("period") - 1):
                m.d.sync += [word.eq(0), group.eq(group + 1), self.input_address.eq(base)]
                with m.If(last_group):
                    m.d.sync += [issuing.eq(0), group.eq(0)]
        first_base = Signal.like(base)
        m.d.comb += first_base.eq(layers[0].input_base + Mux(self.buffer, layers[0].words, 0))
        with m.If(self.start):
            m.d.sync += [
                self.layer.eq(0),
                issuing.eq(1),
                word.eq(0),
                group.eq(0),
                self.weight_address.eq(0),
                self.input_address.eq(first_base),
                base.eq(first_base),
            ]
        if hidden:
            above = Array([p.output_base for p in hidden])[self._hidden_layer]
            with m.If(next_layer):
                m.d.sync += [
                    self.layer.eq(self.layer + 1),
                    issuing.eq(1),
                    self.input_address.eq(above),
                    base.eq(above),
                ]

        # The read latency later: words arrive and enter the processing elements.
        m.d.comb += of_last_group.eq(last_group)
        arrived = delayed(m, self.enable, plan.read_latency)
        last_arrived = delayed(m, last_word, plan.read_latency)
        for r, element in enumerate(elements):
            m.d.comb += [
                element.i.valid.eq(arrived),
                element.i.payload.a.eq(self.inputs),
                element.i.payload.w.eq(self.weights.word_select(r, 2 * lanes)),
                element.i.payload.last.eq(last_arrived),
                element.threshold.eq(self.threshold),
                element.window.eq(self.window),
                element.offset.eq(self.offset),
                element.o.ready.eq(1),
            ]

        if plan.hardware.monitor:
            last_rows = delayed(m, of_last_group, plan.read_latency)
            self._count_resting(m, arrived, last_arrived, last_rows)

        # The elements' latency later: R results.
        result, last_layer, last_result = Signal(), Signal(), Signal()
        group_out = Signal.like(group)
        m.d.comb += [
            result.eq(elements[0].o.valid),
            last_layer.eq(self.layer == len(layers) - 1),
            last_result.eq(result & (group_out == of_layer("row_groups") - 1)),
        ]
        with m.If(self.start):
            m.d.sync += group_out.eq(0)
        with m.Elif(result):
            m.d.sync += group_out.eq(Mux(last_result, 0, group_out + 1))

        # A hidden layer's trits fill words. Their last is written: the next layer may read.
        if hidden:
            self._write_hidden(m, elements, result & ~last_layer, last_result)
            m.d.sync += next_layer.eq(last_result & ~last_layer)

        # The last layer's sums leave one at a time.
        finishing = Signal()
        classes_left = Signal(range(layers[-1].units + 1))
        m.d.comb += finishing.eq(self.sum_valid & (classes_left == 1))
        m.d.sync += self.done.eq(finishing)
        if rows == 1:
            m.d.comb += [
                self.sum_valid.eq(result & last_layer),
                self.sum.eq(elements[0].o.payload.sum),
            ]
        else:
            self._queue_sums(m, elements, result & last_layer, last_result, finishing)
        with m.If(self.start):
            m.d.sync += classes_left.eq(layers[-1].units)
        with m.Elif(self.sum_valid):
            m.d.sync += classes_left.eq(classes_left - 1)
        return m

    @property
    def _hidden_layer(self) -> Value:
        """Index into the hidden layers of the layer in work."""
        return self.layer[: max(1, (len(self.plan.layers) - 2).bit_length())]

    def _queue_sums(
        self, m: Module, elements: list, push: Value, last: Signal, finishing: Signal
    ) -> None:
        plan, rows = self.plan, self.plan.hardware.rows
        top = plan.layers[-1]
        queue = [Signal(signed(plan.sum_width), name=f"queue{r}") for r in range(rows)]
        queued = Signal(range(rows + 1))
        m.d.comb += [self.sum_valid.eq(queued != 0), self.sum.eq(queue[0])]
        with m.If(self.sum_valid):
            m.d.sync += [a.eq(b) for a, b in pairwise(queue)]
            m.d.sync += queued.eq(queued - 1)
        with m.If(finishing):
            m.d.sync += queued.eq(0)
        with m.If(push):
            m.d.sync += [q.eq(e.o.payload.sum) for q, e in zip(queue, elements, strict=True)]
            m.d.sync += queued.eq(Mux(last, top.units - (top.row_groups - 1) * rows, rows))
        with m.If(self.start):
            m.d.sync += queued.eq(0)

    def _count_resting(self, m: Module, arrived: Signal, last: Signal, last_rows: Value) -> None:
        """Real products less those whose gate is open."""
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        tail_lanes = Array([p.inputs - (p.words - 1) * lanes for p in plan.layers])[self.layer]
        in_tail = [p.units - (p.row_groups - 1) * rows for p in plan.layers]
        tail_rows = Array(in_tail)[self.layer]
        # Rows beyond the layer's units may hold anything.
        exists = [
            (~last_rows | (tail_rows > r)) if r >= min(in_tail) else Const(1) for r in range(rows)
        ]
        gates = Signal(lanes * rows)
        real_lanes, real_rows = Signal(range(lanes + 1)), Signal(range(rows + 1))
        counted, counted_1 = Signal(), Signal()
        m.d.sync += [
            counted.eq(arrived),
            real_lanes.eq(Mux(last, tail_lanes, lanes)),
            real_rows.eq(Mux(last_rows, tail_rows, rows)),
            gates.eq(
                Cat(
                    self.weights[2 * (r * lanes + k)] & self.inputs[2 * k] & exists[r]
                    for r in range(rows)
                    for k in range(lanes)
                )
            ),
        ]
        # Counted in two cycles.
        real = Signal(range(lanes * rows + 1))
        parts = []
        for first in range(0, lanes * rows, COUNTED_TOGETHER):
            some = gates[first : first + COUNTED_TOGETHER]
            part = Signal(range(len(some) + 1), name=f"gates_open{first}")
            m.d.sync += part.eq(popcount(some))
            parts.append(part)
        m.d.sync += [
            real.eq(Mux(counted, real_lanes * real_rows, 0)),
            self.resting.eq(Mux(counted_1, real - tree_sum(parts), 0)),
            counted_1.eq(counted),
        ]

    def _write_hidden(self, m: Module, elements: list, push: Signal, last: Signal) -> None:
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        hidden = plan.layers[:-1]
        tails = [entry_slot(p.units, lanes, rows) for p in hidden]
        m.submodules.trits = trits = WordAssembler(lanes=lanes, width=2, step=rows, tails=tails)
        m.submodules.flags = flags = WordAssembler(lanes=lanes, width=1, step=rows, tails=tails)
        slots = lanes // rows
        slot = Signal(range(max(slots, 2)))
        word = Signal(range(max(2, *(-(-p.units // lanes) for p in hidden))))
        rows_left_in_last = Signal(rows, init=(1 << rows) - 1)
        pick = self._hidden_layer
        in_last_word = word == Array([-(-p.units // lanes) - 1 for p in hidden])[pick]
        # Rows beyond the layer's units answer zero.
        masks = [(1 << (p.units - (p.row_groups - 1) * rows)) - 1 for p in hidden]
        m.d.comb += rows_left_in_last.eq(Mux(last, Array(masks)[pick], (1 << rows) - 1))
        entry = Mux(in_last_word, Array(tails)[pick], slots - 1)
        complete = (slot == slots - 1) | last
        open_flags = Cat(e.o.payload.window for e in elements) & rows_left_in_last
        values = Cat(
            Cat(
                e.o.payload.trit.nonzero & rows_left_in_last[r],
                e.o.payload.trit.negative,
            )
            for r, e in enumerate(elements)
        )
        m.d.comb += [
            trits.push.eq(push),
            trits.data.eq(values),
            trits.entry.eq(entry),
            trits.complete.eq(complete),
        ]
        m.d.sync += [
            flags.push.eq(push),
            flags.data.eq(open_flags),
            flags.entry.eq(entry),
            flags.complete.eq(complete),
        ]
        with m.If(push):
            m.d.sync += slot.eq(slot + 1)
            with m.If(complete):
                m.d.sync += [slot.eq(0), word.eq(Mux(last, 0, word + 1))]
        with m.If(self.start):
            m.d.sync += [slot.eq(0), word.eq(0)]

        trit_word = Signal.like(word)
        flag_address = Signal.like(self.write_address)
        m.d.sync += [
            trit_word.eq(word),
            flag_address.eq(Array([p.window_base for p in hidden])[pick] + trit_word),
        ]
        spread = Cat(Cat(flags.word[lane], 0) for lane in range(lanes))
        trit_address = Array([p.output_base for p in hidden])[pick] + trit_word
        m.d.comb += [
            self.write_valid.eq(trits.valid | flags.valid),
            self.write_address.eq(Mux(trits.valid, trit_address, flag_address)),
            self.write_data.eq(Mux(trits.valid, trits.word, spread)),
        ]
