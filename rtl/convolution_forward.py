"""All layers forward, position by position: what a unit sees is gathered while others multiply."""

from amaranth import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .convolution_plan import POSITION_CYCLES, ConvolutionPlan
from .delay import delayed
from .forward_order import element_parameters
from .processing_element import ProcessingElement, Threshold
from .ram import Ram
from .register_map import THRESHOLD_WIDTH
from .resting_count import RestingCount
from .sum_queue import queue_sums
from .tap_walker import map_address, of_layer
from .word_assembler import WordAssembler


class ConvolutionForward(wiring.Component):
    """Sums, pooling, activations, window flags and winners of all layers.

    Equation: design section 4, step 3 and convolution; golden: ``Trainer.forward``. A layer takes
    positions · ``position_cycles`` cycles, and some to fill and to drain.

    Members
    -------
    start : In(1)
        Begin with layer 0.
    layer : Out, next_layer : Out(1)
        The layer in work; with ``next_layer`` the one above follows in the next cycle.
    threshold, window, offset : In
        r, a, b of that layer, at most a cycle later.
    weight_address, enable : Out; weights : In(R · 2P)
        The same word of every bank, ``plan.read_latency`` cycles later.
    cell_restart, cell_step : Out(1)
        For the walker of cells.
    tap_start : Out(1), choice : Out, half : Out(1); tap_ready : In(1)
        Begin a walk over the taps of a position, where ``tap_ready``; every tap is gathered, and
        its row of windows is ``half``.
    gathered : In(1)
        The last word of a row of windows was written.
    read_half, read_address : Out; inputs : In(2P)
        A word of windows, ``plan.read_latency`` cycles later.
    write_valid : Out(1), write_address, write_trits, write_flags, write_winners : Out
        Words of the map that pooling leaves; never refused.
    sum_valid, sum : Out
        Sums of the last layer, one class at a time.
    resting : Out
        Products that were zero in one of the cycles before, lanes beyond a row left out.
    done : Out(1)
        Pulses a cycle after the last sum.
    """

    def __init__(self, plan: ConvolutionPlan) -> None:
        self.plan = plan
        lanes, rows = plan.hardware.lanes, plan.hardware.rows
        super().__init__(
            {
                "start": In(1),
                "layer": Out(range(max(len(plan.layers), 2))),
                "next_layer": Out(1),
                "threshold": In(THRESHOLD_WIDTH),
                "window": In(THRESHOLD_WIDTH),
                "offset": In(signed(THRESHOLD_WIDTH + 1)),
                "weight_address": Out(range(max(plan.weight_depth, 2))),
                "enable": Out(1),
                "weights": In(2 * lanes * rows),
                "cell_restart": Out(1),
                "cell_step": Out(1),
                "tap_start": Out(1),
                "choice": Out(max(plan.choice_width, 1)),
                "half": Out(1),
                "tap_ready": In(1),
                "gathered": In(1),
                "read_half": Out(1),
                "read_address": Out(range(max(plan.window_words, 2))),
                "inputs": In(2 * lanes),
                "write_valid": Out(1),
                "write_address": Out(map_address(plan)),
                "write_trits": Out(2 * plan.granule),
                "write_flags": Out(plan.granule),
                "write_winners": Out(max(plan.choice_width, 1) * plan.granule),
                "sum_valid": Out(1),
                "sum": Out(signed(plan.sum_width)),
                "resting": Out(range(lanes * rows + 1)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows
        layers = plan.layers

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        position_done = self._gather(m)
        last_word, last_group = self._multiply(m, position_done)

        # The read latency later: words arrive and enter the processing elements.
        arrived = delayed(m, self.enable, plan.read_latency)
        last_arrived = delayed(m, last_word, plan.read_latency)
        elements = []
        for r in range(rows):
            element = ProcessingElement(element_parameters(plan))
            m.submodules[f"element{r}"] = element
            elements.append(element)
            m.d.comb += [
                element.i.valid.eq(arrived),
                element.i.payload.a.eq(self.inputs),
                element.i.payload.w.eq(self.weights.word_select(r, 2 * lanes)),
                element.i.payload.last.eq(last_arrived),
                element.offset.eq(self.offset),
                element.o.ready.eq(1),
            ]
        if plan.hardware.monitor:
            m.submodules.count = count = RestingCount(plan)
            m.d.comb += [
                count.valid.eq(arrived),
                count.layer.eq(self.layer),
                count.last_word.eq(last_arrived),
                count.last_group.eq(delayed(m, last_group, plan.read_latency)),
                count.weights.eq(self.weights),
                count.inputs.eq(self.inputs),
                count.begun.eq(1),
                self.resting.eq(count.resting),
            ]

        # The elements' latency later: R results.
        result = Signal()
        last_layer = Signal()
        last_result = Signal()
        group = Signal(range(max(2, *(p.row_groups for p in layers))))
        next_group = Signal.like(group)
        m.d.comb += [
            result.eq(elements[0].o.valid),
            last_layer.eq(self.layer == len(layers) - 1),
            last_result.eq(result & (group == table(lambda p: p.row_groups - 1))),
            next_group.eq(group),
        ]
        with m.If(result):
            m.d.comb += next_group.eq(Mux(last_result, 0, group + 1))
        m.d.sync += group.eq(Mux(self.start, 0, next_group))
        sums = [element.o.payload.sum[: plan.sum_width].as_signed() for element in elements]
        layer_done = self._pool(m, result & ~last_layer, last_result, group, next_group, sums)
        m.d.sync += self.next_layer.eq(layer_done)
        with m.If(self.start):
            m.d.sync += self.layer.eq(0)
        with m.Elif(self.next_layer):
            m.d.sync += self.layer.eq(self.layer + 1)

        # The last layer's sums leave one at a time.
        finishing = Signal()
        classes_left = Signal(range(layers[-1].units + 1))
        m.d.comb += finishing.eq(self.sum_valid & (classes_left == 1))
        m.d.sync += self.done.eq(finishing)
        queue_sums(
            m,
            plan,
            sums,
            push=result & last_layer,
            last=last_result,
            finishing=finishing,
            sum_valid=self.sum_valid,
            sum_out=self.sum,
        )
        with m.If(self.start):
            m.d.sync += classes_left.eq(layers[-1].units)
        with m.Elif(self.sum_valid):
            m.d.sync += classes_left.eq(classes_left - 1)
        return m

    def _gather(self, m: Module) -> Signal:
        """Fill the rows of windows in turn; the signal says that one has been multiplied."""
        plan = self.plan

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        position_done = Signal()
        gathering = Signal()
        began = Signal()
        claimed = Signal(2)
        full = Signal(2)
        filled = Signal()  # the row that is filled up next
        cells_left = Signal(range(max(p.shape.cells for p in plan.layers) + 1))
        last_choice = Signal()
        # The layer has its new value a cycle after ``next_layer``.
        m.d.sync += began.eq(self.start | self.next_layer)
        m.d.comb += [
            self.cell_restart.eq(began),
            self.tap_start.eq(gathering & ~claimed.bit_select(self.half, 1)),
            last_choice.eq(self.choice == table(lambda p: p.shape.pool**2 - 1)),
        ]
        with m.If(self.tap_start & self.tap_ready):
            m.d.comb += self.cell_step.eq(last_choice)
            m.d.sync += [
                claimed.bit_select(self.half, 1).eq(1),
                self.half.eq(~self.half),
                self.choice.eq(Mux(last_choice, 0, self.choice + 1)),
            ]
            with m.If(last_choice):
                m.d.sync += cells_left.eq(cells_left - 1)
                with m.If(cells_left == 1):
                    m.d.sync += gathering.eq(0)
        with m.If(self.gathered):
            m.d.sync += [full.bit_select(filled, 1).eq(1), filled.eq(~filled)]
        with m.If(position_done):
            m.d.sync += [
                claimed.bit_select(self.read_half, 1).eq(0),
                full.bit_select(self.read_half, 1).eq(0),
                self.read_half.eq(~self.read_half),
            ]
        with m.If(began):
            m.d.sync += [gathering.eq(1), cells_left.eq(table(lambda p: p.shape.cells))]
        with m.If(self.start):
            m.d.sync += [
                claimed.eq(0),
                full.eq(0),
                filled.eq(0),
                self.half.eq(0),
                self.read_half.eq(0),
                self.choice.eq(0),
                gathering.eq(0),
            ]
        self._full = full
        return position_done

    def _multiply(self, m: Module, position_done: Signal) -> tuple[Signal, Signal]:
        """Read all rows of weights for each row of windows; its last word, the last rows."""
        plan, layers = self.plan, self.plan.layers

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        issuing = Signal()
        word = Signal(range(max(2, *(p.period for p in layers))))
        group = Signal(range(max(2, *(p.row_groups for p in layers))))
        base = Signal.like(self.weight_address)
        last_word = Signal()
        last_group = Signal()
        group_end = Signal()
        rests = [max(POSITION_CYCLES - p.row_groups * p.period, 0) for p in layers]
        rest = Signal(range(POSITION_CYCLES + 1))
        m.d.sync += base.eq(table(lambda p: p.weight_base))
        m.d.comb += [
            self.enable.eq(issuing & (word < table(lambda p: p.words))),
            self.read_address.eq(word),
            last_word.eq(word == table(lambda p: p.words - 1)),
            last_group.eq(group == table(lambda p: p.row_groups - 1)),
            group_end.eq(issuing & (word == table(lambda p: p.period - 1))),
            position_done.eq(group_end & last_group),
        ]
        with m.If(self.enable):
            m.d.sync += self.weight_address.eq(self.weight_address + 1)
        with m.If(issuing):
            m.d.sync += word.eq(word + 1)
        with m.If(group_end):
            m.d.sync += [word.eq(0), group.eq(group + 1)]
        if any(rests):
            with m.If(rest != 0):
                m.d.sync += rest.eq(rest - 1)
        with m.If(position_done):
            m.d.sync += [group.eq(0), self.weight_address.eq(base), issuing.eq(0)]
            if any(rests):
                m.d.sync += rest.eq(Array(rests)[self.layer])
                idle = Array([int(not cycles) for cycles in rests])[self.layer]
            else:
                idle = 1
            with m.If(self._full.bit_select(~self.read_half, 1) & idle):
                m.d.sync += issuing.eq(1)
        with m.Elif(~issuing & self._full.bit_select(self.read_half, 1) & (rest == 0)):
            m.d.sync += [issuing.eq(1), self.weight_address.eq(base)]
        with m.If(self.start):
            m.d.sync += [issuing.eq(0), word.eq(0), group.eq(0), rest.eq(0)]
        return last_word, last_group

    def _pool(
        self,
        m: Module,
        result: Value,
        last_result: Signal,
        group: Signal,
        next_group: Signal,
        sums: list,
    ) -> Value:
        """Keep the largest sum of each cell and write what it gives; true when a layer is done."""
        plan, rows = self.plan, self.plan.hardware.rows
        width, choice_width = plan.sum_width, max(plan.choice_width, 1)

        def table(value: object) -> Value:
            return of_layer(plan, self.layer, value)

        # Cycle 0: a sum is held against the best one before it, the first on ties.
        m.submodules.best = best = Ram(
            (width + choice_width) * rows,
            max(p.row_groups for p in plan.layers[:-1]),
            unchecked=True,  # POSITION_CYCLES pass between a write and the read that matters
        )
        choice = Signal(choice_width)
        last_choice = choice == table(lambda p: p.shape.pool**2 - 1)
        cells_left = Signal(range(max(p.shape.cells for p in plan.layers) + 1))
        entries, pooled, winners = [], [], []
        for r, total in enumerate(sums):
            entry = best.read_data.word_select(r, width + choice_width)
            before, winner = entry[:width].as_signed(), entry[width:]
            larger = Signal(name=f"larger{r}")
            kept = Signal(signed(width), name=f"kept{r}")
            kept_choice = Signal(choice_width, name=f"kept_choice{r}")
            m.d.comb += [
                larger.eq((choice == 0) | (total > before)),
                kept.eq(Mux(larger, total, before)),
                kept_choice.eq(Mux(larger, choice, winner)),
            ]
            entries.append(Cat(kept, kept_choice))
            pooled.append(kept)
            winners.append(kept_choice)
        m.d.comb += [
            best.read_enable.eq(1),
            best.read_address.eq(next_group),
            best.write.eq(result),
            best.write_mask.eq(1),
            best.write_address.eq(group),
            best.write_data.eq(Cat(entries)),
        ]
        cell_done = Signal()
        m.d.comb += cell_done.eq(last_result & last_choice)
        with m.If(result & last_result):
            m.d.sync += choice.eq(Mux(last_choice, 0, choice + 1))
        fresh = Signal()
        m.d.sync += fresh.eq(self.start)
        with m.If(fresh):
            m.d.sync += [choice.eq(0), cells_left.eq(plan.layers[0].shape.cells)]
        with m.Elif(result & cell_done):
            m.d.sync += cells_left.eq(cells_left - 1)
            with m.If(cells_left == 1):
                above = [p.shape.cells for p in (*plan.layers[1:], plan.layers[-1])]
                m.d.sync += cells_left.eq(Array(above)[self.layer])

        # Cycle 1: thresholds. Cycle 2: R units of a word. Cycle 3: it is written.
        m.submodules.units = units = WordAssembler(
            lanes=plan.granule, width=3 + choice_width, step=rows
        )
        slots = plan.granule // rows
        slot = Signal(range(max(slots, 2)))
        valid = Signal()
        m.d.sync += valid.eq(result & last_choice)
        elements = []
        for r in range(rows):
            limit = Threshold(sum_width=width, threshold_width=THRESHOLD_WIDTH)
            m.submodules[f"limit{r}"] = limit
            total = Signal.like(pooled[r])
            winner = Signal.like(winners[r])
            m.d.sync += [total.eq(pooled[r]), winner.eq(winners[r])]
            m.d.comb += [
                limit.sum.eq(total),
                limit.threshold.eq(self.threshold),
                limit.window.eq(self.window),
            ]
            elements.append(Cat(limit.trit, limit.open, winner))
        m.d.comb += [
            units.push.eq(valid),
            units.data.eq(Cat(elements)),
            units.entry.eq(slots - 1),
            units.complete.eq(slot == slots - 1),
        ]
        with m.If(valid):
            m.d.sync += slot.eq(Mux(slot == slots - 1, 0, slot + 1))
        fields = [units.word.word_select(k, 3 + choice_width) for k in range(plan.granule)]
        m.d.comb += [
            self.write_valid.eq(units.valid),
            self.write_trits.eq(Cat(field[:2] for field in fields)),
            self.write_flags.eq(Cat(field[2] for field in fields)),
            self.write_winners.eq(Cat(field[3:] for field in fields)),
        ]
        # Hidden maps lie one after the other, in the order in which they are written.
        with m.If(self.start):
            m.d.sync += [self.write_address.eq(0), slot.eq(0)]
        with m.Elif(units.valid):
            m.d.sync += self.write_address.eq(self.write_address + 1)
        layer_done = Signal()
        m.d.comb += layer_done.eq(result & cell_done & (cells_left == 1))
        return delayed(m, layer_done, 2)
