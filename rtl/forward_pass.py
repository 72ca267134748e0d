"""All layers forward: R rows at a time through R processing elements."""

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .delay import delayed
from .forward_order import ForwardOrder, element_parameters
from .processing_element import ProcessingElement, minus_size
from .register_map import THRESHOLD_WIDTH
from .resting_count import RestingCount, resting_range
from .sum_queue import queue_sums
from .trainer_plan import TrainerPlan
from .word_assembler import WordAssembler, entry_slot


class ForwardPass(wiring.Component):
    """Sums, activations and window flags of all layers; a word of every row bank a cycle.

    Equation: design section 4, step 3; golden: ``Trainer.forward``. A layer takes
    row_groups · period cycles; for the next one it waits for the read latency, that of the
    processing element and one more, in which layer 0 of the next sample begins (``ForwardOrder``).

    Members
    -------
    start : In(1), buffer : In(1), next_valid : In(1), drop : In(1)
        As of ``ForwardOrder``.
    offset_layer, threshold_layer : Out
        Layers whose parameters are needed.
    offset, threshold, window : In
        b of ``offset_layer``, r and a of ``threshold_layer``, a cycle later.
    weight_address, enable : Out; weights : In(R · 2P)
        The same word of every bank, ``plan.read_latency`` cycles later.
    input_address : Out; inputs : In(2P)
        A word of activations, as late.
    write_valid, write_address, write_data : Out
        Words of activations and of window flags; never refused.
    sum_valid, sum : Out
        Sums of the last layer, one class at a time.
    resting : Out
        Products that were zero in cycles before, padding left out.
    done : Out(1)
        Pulses a cycle after the last sum.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        lanes, layer = plan.hardware.lanes, range(max(len(plan.layers), 2))
        super().__init__(
            {
                "start": In(1),
                "buffer": In(1),
                "next_valid": In(1),
                "drop": In(1),
                "offset_layer": Out(layer),
                "threshold_layer": Out(layer),
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
                "resting": Out(resting_range(plan)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        layers, hidden = plan.layers, plan.layers[:-1]

        parameters = element_parameters(plan)
        elements = []
        for r in range(rows):
            element = ProcessingElement(parameters)
            m.submodules[f"element{r}"] = element
            elements.append(element)

        # Cycle 0: addresses.
        m.submodules.order = order = ForwardOrder(plan)
        m.d.comb += [
            order.start.eq(self.start),
            order.buffer.eq(self.buffer),
            order.next_valid.eq(self.next_valid),
            order.drop.eq(self.drop),
            self.weight_address.eq(order.weight_address),
            self.input_address.eq(order.input_address),
            self.enable.eq(order.enable),
        ]

        # The read latency later: words arrive and enter the processing elements. A row that was
        # dropped half way ends with any word.
        entering = Signal()
        last_word = Signal()
        last_group = Signal()
        m.d.comb += [
            entering.eq(order.enable | order.flush),
            last_word.eq(order.last_word | order.flush),
            last_group.eq(order.last_group),
        ]
        arrived = delayed(m, entering, plan.read_latency)
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
        last_group = delayed(m, last_group, plan.read_latency)
        layer = delayed(m, order.layer, plan.read_latency)

        if plan.hardware.monitor:
            m.submodules.count = count = RestingCount(plan)
            m.d.comb += [
                count.valid.eq(arrived),
                count.layer.eq(layer),
                count.last_word.eq(last_arrived),
                count.last_group.eq(last_group),
                count.ahead.eq(delayed(m, order.ahead, plan.read_latency)),
                count.weights.eq(self.weights),
                count.inputs.eq(self.inputs),
                count.begun.eq(order.begun),
                count.parked.eq(order.parked),
                self.resting.eq(count.resting),
            ]

        # The elements' latency later: R results.
        last_group = delayed(m, last_group, elements[0].LATENCY)
        layer = delayed(m, layer, parameters.dot.latency)
        m.d.comb += self.offset_layer.eq(layer)
        layer = delayed(m, layer, 1)
        m.d.comb += self.threshold_layer.eq(layer)
        layer = delayed(m, layer, 1)
        result = Signal()
        last_layer = Signal()
        last_result = Signal()
        m.d.comb += [
            result.eq(elements[0].o.valid),
            last_layer.eq(layer == len(layers) - 1),
            last_result.eq(result & last_group),
        ]

        # A hidden layer's trits fill words. Their last is written: the next layer may read.
        if hidden:
            pick = layer[: max(1, (len(hidden) - 1).bit_length())]
            self._write_hidden(m, elements, result & ~last_layer, last_result, pick, order.parked)
            m.d.sync += order.next_layer.eq(last_result & ~last_layer)

        # The last layer's sums leave one at a time.
        finishing = Signal()
        classes_left = Signal(range(layers[-1].units + 1), init=layers[-1].units)
        m.d.comb += finishing.eq(self.sum_valid & (classes_left == 1))
        m.d.sync += self.done.eq(finishing)
        queue_sums(
            m,
            plan,
            [e.o.payload.sum for e in elements],
            push=result & last_layer,
            last=last_result,
            finishing=finishing,
            sum_valid=self.sum_valid,
            sum_out=self.sum,
        )
        with m.If(self.sum_valid):
            m.d.sync += classes_left.eq(Mux(finishing, layers[-1].units, classes_left - 1))
        return m

    def _write_hidden(
        self,
        m: Module,
        elements: list,
        push: Value,
        last: Signal,
        pick: Value,
        clear: Signal,
    ) -> None:
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        hidden = plan.layers[:-1]
        tails = [entry_slot(p.units, lanes, rows) for p in hidden]
        m.submodules.trits = trits = WordAssembler(lanes=lanes, width=2, step=rows, tails=tails)
        m.submodules.flags = flags = WordAssembler(lanes=lanes, width=1, step=rows, tails=tails)
        slots = lanes // rows
        slot = Signal(range(max(slots, 2)))
        word = Signal(range(max(2, *(-(-p.units // lanes) for p in hidden))))
        rows_left_in_last = Signal(rows, init=(1 << rows) - 1)
        in_last_word = word == Array([-(-p.units // lanes) - 1 for p in hidden])[pick]
        # Rows beyond the layer's units answer zero.
        masks = [(1 << (p.units - (p.row_groups - 1) * rows)) - 1 for p in hidden]
        m.d.comb += rows_left_in_last.eq(Mux(last, Array(masks)[pick], (1 << rows) - 1))
        entry = Mux(in_last_word, Array(tails)[pick], slots - 1)
        complete = (slot == slots - 1) | last
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
            trits.clear.eq(clear),
            flags.clear.eq(clear),
        ]
        m.d.sync += [
            flags.push.eq(push),
            flags.entry.eq(entry),
            flags.complete.eq(complete),
        ]
        if plan.hardware.memory_register:
            # |z| - r in one cycle, whether the window is open in the next.
            window = Signal.like(self.window)
            present = Signal.like(rows_left_in_last)
            m.d.sync += [window.eq(self.window), present.eq(rows_left_in_last)]
            for r, e in enumerate(elements):
                away = minus_size(self.threshold, e.o.payload.sum)
                distance = Signal.like(away, name=f"distance{r}")
                m.d.sync += distance.eq(away)
                m.d.comb += flags.data[r].eq((minus_size(window, distance) >= 0) & present[r])
        else:
            open_flags = Cat(e.o.payload.window for e in elements)
            m.d.sync += flags.data.eq(open_flags & rows_left_in_last)
        with m.If(push):
            m.d.sync += slot.eq(slot + 1)
            with m.If(complete):
                m.d.sync += [slot.eq(0), word.eq(Mux(last, 0, word + 1))]
        with m.If(clear):
            m.d.sync += [slot.eq(0), word.eq(0)]

        trit_word = Signal.like(word)
        written = Signal(len(pick))
        flag_address = Signal.like(self.write_address)
        m.d.sync += [
            trit_word.eq(word),
            written.eq(pick),
            flag_address.eq(Array([p.window_base for p in hidden])[written] + trit_word),
        ]
        spread = Cat(Cat(flags.word[lane], 0) for lane in range(lanes))
        trit_address = Array([p.output_base for p in hidden])[written] + trit_word
        m.d.comb += [
            self.write_valid.eq(trits.valid | flags.valid),
            self.write_address.eq(Mux(trits.valid, trit_address, flag_address)),
            self.write_data.eq(Mux(trits.valid, trits.word, spread)),
        ]
