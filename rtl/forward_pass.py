"""One layer forward: R rows at a time through R processing elements."""

from itertools import pairwise

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.processing_element import ProcessingElementParameters
from .popcount import popcount
from .processing_element import ProcessingElement
from .register_map import THRESHOLD_WIDTH
from .trainer_plan import TrainerPlan
from .word_assembler import WordAssembler, entry_slot


class ForwardPass(wiring.Component):
    """Sums, activations and window flags of a layer; a word of every row bank a cycle.

    Equation: design section 4, step 3; golden: ``Trainer.forward``. A layer takes
    row_groups · period cycles and the latency of the processing element.

    Members
    -------
    start : In(1), layer : In, buffer : In(1)
        Begin a layer; both stay until ``done``. ``buffer`` says where layer 0 reads.
    threshold, window, offset : In
        r, a, b of the layer.
    weight_address, enable : Out; weights : In(R · 2P)
        The same word of every bank, a cycle later.
    input_address : Out; inputs : In(2P)
        A word of activations, a cycle later.
    write_valid, write_address, write_data : Out
        Words of activations and of window flags; never refused.
    sum_valid, sum : Out
        Sums of the last layer, one class at a time.
    resting : Out
        Products that were zero in one of the cycles before, padding left out.
    done : Out(1)
        Pulses when everything of the layer has been written.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        lanes = plan.hardware.lanes
        super().__init__(
            {
                "start": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
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
        last_layer = Signal()
        m.d.comb += last_layer.eq(self.layer == len(layers) - 1)

        # Cycle 0: addresses. Weights lie in the order in which they are read.
        issuing = Signal()
        word = Signal(range(max(2, *(p.period for p in layers))))
        group = Signal(range(max(2, *(p.row_groups for p in layers))))
        base = Signal.like(self.input_address)
        m.d.comb += [
            self.enable.eq(issuing & (word < of_layer("words"))),
            self.input_address.eq(base + word),
        ]
        with m.If(self.enable):
            m.d.sync += self.weight_address.eq(self.weight_address + 1)
        with m.If(issuing):
            m.d.sync += word.eq(word + 1)
            with m.If(word == of_layer("period") - 1):
                m.d.sync += [word.eq(0), group.eq(group + 1)]
                with m.If(group == of_layer("row_groups") - 1):
                    m.d.sync += issuing.eq(0)
        with m.If(self.start):
            second_buffer = Mux((self.layer == 0) & self.buffer, layers[0].words, 0)
            m.d.sync += [
                issuing.eq(1),
                word.eq(0),
                group.eq(0),
                self.weight_address.eq(of_layer("weight_base")),
                base.eq(of_layer("input_base") + second_buffer),
            ]

        # Cycle 1: words arrive and enter the processing elements.
        arrived, last_word, group_1 = Signal(), Signal(), Signal.like(group)
        m.d.sync += [
            arrived.eq(self.enable),
            group_1.eq(group),
            last_word.eq(word == of_layer("words") - 1),
        ]
        for r, element in enumerate(elements):
            m.d.comb += [
                element.i.valid.eq(arrived),
                element.i.payload.a.eq(self.inputs),
                element.i.payload.w.eq(self.weights.word_select(r, 2 * lanes)),
                element.i.payload.last.eq(last_word),
                element.threshold.eq(self.threshold),
                element.window.eq(self.window),
                element.offset.eq(self.offset),
                element.o.ready.eq(1),
            ]

        if plan.hardware.monitor:
            self._count_resting(m, arrived, last_word, group_1 == of_layer("row_groups") - 1)

        # The elements' latency later: R results.
        result = elements[0].o.valid
        group_out = Signal.like(group)
        last_result = Signal()
        m.d.comb += last_result.eq(result & (group_out == of_layer("row_groups") - 1))
        with m.If(self.start):
            m.d.sync += group_out.eq(0)
        with m.Elif(result):
            m.d.sync += group_out.eq(group_out + 1)

        # A hidden layer's trits fill words; its window flags follow a cycle behind.
        slots_done = Signal()
        if hidden:
            self._write_hidden(m, elements, result & ~last_layer, last_result)
            m.d.comb += slots_done.eq(self._hidden_done)

        # The last layer's sums leave one at a time.
        queue = [Signal(signed(plan.sum_width), name=f"queue{r}") for r in range(rows)]
        queued = Signal(range(rows + 1))
        finishing, finished = Signal(), Signal()
        m.d.comb += [self.sum_valid.eq(queued != 0), self.sum.eq(queue[0])]
        classes_left = Signal(range(layers[-1].units + 1))
        with m.If(self.sum_valid):
            m.d.sync += [a.eq(b) for a, b in pairwise(queue)]
            m.d.sync += [queued.eq(queued - 1), classes_left.eq(classes_left - 1)]
            with m.If(classes_left == 1):
                m.d.sync += queued.eq(0)
                m.d.comb += finishing.eq(1)
        with m.If(result & last_layer):
            m.d.sync += [q.eq(e.o.payload.sum) for q, e in zip(queue, elements, strict=True)]
            m.d.sync += queued.eq(rows)
            with m.If(last_result):
                rest = layers[-1].units - (layers[-1].row_groups - 1) * rows
                m.d.sync += queued.eq(rest)
        with m.If(self.start):
            m.d.sync += [classes_left.eq(layers[-1].units), queued.eq(0)]
        m.d.sync += finished.eq(finishing)
        m.d.comb += self.done.eq(finished | slots_done)
        return m

    def _count_resting(self, m: Module, arrived: Signal, last: Signal, last_rows: Value) -> None:
        """Real products less those whose gate is open."""
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        tail_lanes = Array([p.inputs - (p.words - 1) * lanes for p in plan.layers])[self.layer]
        tail_rows = Array([p.units - (p.row_groups - 1) * rows for p in plan.layers])[self.layer]
        gates = Signal(lanes * rows)
        real_lanes, real_rows = Signal(range(lanes + 1)), Signal(range(rows + 1))
        counted = Signal()
        m.d.sync += [
            counted.eq(arrived),
            real_lanes.eq(Mux(last, tail_lanes, lanes)),
            real_rows.eq(Mux(last_rows, tail_rows, rows)),
            gates.eq(
                Cat(
                    self.weights[2 * (r * lanes + k)] & self.inputs[2 * k]
                    for r in range(rows)
                    for k in range(lanes)
                )
            ),
            self.resting.eq(Mux(counted, real_lanes * real_rows - popcount(gates), 0)),
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
        pick = self.layer[: max(1, (len(hidden) - 1).bit_length())]
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
                m.d.sync += [slot.eq(0), word.eq(word + 1)]
        with m.If(self.start):
            m.d.sync += [slot.eq(0), word.eq(0)]

        trit_word, flag_word = Signal.like(word), Signal.like(word)
        m.d.sync += [trit_word.eq(word), flag_word.eq(trit_word)]
        spread = Cat(Cat(flags.word[lane], 0) for lane in range(lanes))
        m.d.comb += [
            self.write_valid.eq(trits.valid | flags.valid),
            self.write_address.eq(
                Mux(
                    trits.valid,
                    Array([p.output_base for p in hidden])[pick] + trit_word,
                    Array([p.window_base for p in hidden])[pick] + flag_word,
                )
            ),
            self.write_data.eq(Mux(trits.valid, trits.word, spread)),
        ]
        # The flags of the last word are written two cycles after its last push.
        last_1, last_2 = Signal(), Signal()
        m.d.sync += [last_1.eq(last & push), last_2.eq(last_1)]
        self._hidden_done = Signal()
        m.d.comb += self._hidden_done.eq(last_2)
