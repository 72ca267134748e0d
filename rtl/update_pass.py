"""Reads, steps and writes the words whose gate is open."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import xorshift
from .delay import delayed
from .group_gate import groups_per_word, word_layout
from .popcount import COUNTED_TOGETHER, popcount, tree_sum
from .trainer_plan import TrainerPlan, ceil_div
from .trit import Trit
from .update_lane import UpdateLane


class UpdatePass(wiring.Component):
    """Updates a stream of words in the weight and counter memories.

    Equation: design section 4, step 5; golden: ``Trainer.step_group``. A word takes one cycle a
    counter word, two where weights or counters have one port; ``read_latency`` + 3 more pass before
    the last is written.

    Members
    -------
    layer : In, buffer : In(1)
        Constant while words of a layer pass.
    i : In(stream of words)
    hold : In(1)
        The activation memory is taken in this cycle.
    weight_address, bank, counter_address, input_address, enable : Out
    weights, counters, inputs : In
        The words read, ``read_latency`` cycles later; ``read_bank`` then says of which bank
        ``weights`` is wanted. Nothing is read in a cycle that writes a memory with one port.
    write_valid, write_weight_address, write_bank, write_weights, write_mask : Out
        ``write_mask`` has a bit a ``weight_chunk`` lanes.
    write_counter_address, write_counters : Out
    flips : Out
        Weights changed by a word, two cycles after it was written.
    shift : In, state : Out(32), load : In(1), load_state : In(32)
        s of rule ``ema_dst``, and its generator: a word for 32 lanes of an open group.
    busy : Out(1)
        Words are on their way; when it falls, the last is written in that cycle.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        self.parameters = plan.update_parameters
        lanes, part = plan.hardware.lanes, plan.hardware.counter_lanes
        weights = range(max(plan.weight_depth, 2))
        counters = range(max(plan.counter_depth, 2))
        bank = range(max(plan.hardware.rows, 2))
        super().__init__(
            {
                "layer": In(range(max(len(plan.layers), 2))),
                "buffer": In(1),
                "i": In(stream.Signature(word_layout(plan))),
                "hold": In(1),
                "enable": Out(1),
                "weight_address": Out(weights),
                "counter_address": Out(counters),
                "input_address": Out(range(max(plan.activation_depth, 2))),
                "read_bank": Out(bank),
                "weights": In(2 * lanes),
                "counters": In(plan.counter_width * part),
                "inputs": In(2 * lanes),
                "write_valid": Out(1),
                "write_weight_address": Out(weights),
                "write_bank": Out(bank),
                "write_weights": Out(2 * lanes),
                "write_mask": Out(plan.weight_chunks),
                "write_counter_address": Out(counters),
                "write_counters": Out(plan.counter_width * part),
                "flips": Out(range(part + 1)),
                "busy": Out(1),
                "shift": In(range(max(plan.probability_shift_max + 1, 2))),
                "state": Out(xorshift.WORD_WIDTH, init=xorshift.FALLBACK_STATE),
                "load": In(1),
                "load_state": In(xorshift.WORD_WIDTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, part = self.plan, self.plan.hardware.counter_lanes
        steps, width, chunk = plan.counter_steps, plan.counter_width, plan.weight_chunk
        layers = plan.layers
        step_bits = (steps - 1).bit_length()
        bank_bits = (plan.hardware.rows - 1).bit_length()

        # Cycle 0: addresses. A word stays for one read a counter word.
        step = Signal(range(max(steps, 2)))
        base = Signal.like(self.input_address)
        second_buffer = Mux((self.layer == 0) & self.buffer, layers[0].words, 0)
        row = self.i.payload.row
        port_taken: Value = Const(0)
        if plan.is_single_port("weights") or plan.is_single_port("counters"):
            port_taken = self.write_valid
        m.d.comb += [
            base.eq(Array([p.input_base for p in layers])[self.layer] + second_buffer),
            self.enable.eq(self.i.valid & ~self.hold & ~port_taken),
            self.weight_address.eq(row.address + self.i.payload.word),
            self.counter_address.eq(
                Cat(step[:step_bits], row.bank[:bank_bits], self.weight_address)
            ),
            self.input_address.eq(base + self.i.payload.word),
            self.i.ready.eq(self.enable & (step == steps - 1)),
        ]
        if steps > 1:
            with m.If(self.enable):
                m.d.sync += step.eq(step + 1)

        in_word, group = groups_per_word(plan), plan.config.rng_group
        confident = Signal()
        confidence = Array(plan.update_confidence)[self.layer]
        m.d.comb += confident.eq(abs(row.error) > confidence)

        # Cycle read_latency: each lane's operands are picked from what was read.
        def arrived(name: str, value: Value) -> Signal:
            copy = Signal(value.shape(), name=name)
            m.d.comb += copy.eq(value)
            return delayed(m, copy, plan.read_latency)

        reading = Signal(plan.read_latency + 1)
        m.d.sync += reading.eq(Cat(self.enable, reading))
        valid_2 = reading[-1]
        negative_1 = arrived("negative", row.error[-1])
        step_1 = arrived("step", step)
        open_1 = arrived("open", self.i.payload.open)
        learning_1 = arrived("learning", self.i.payload.open & confident.replicate(in_word))
        word_1 = arrived("word", self.i.payload.word)
        address_1 = arrived("address", self.weight_address)
        counter_address_1 = arrived("counter_address", self.counter_address)
        step_2 = delayed(m, step_1, 1)
        m.d.comb += self.read_bank.eq(arrived("bank", row.bank))
        weights = self.weights.word_select(step_1, 2 * part)
        inputs = self.inputs.word_select(step_1, 2 * part)
        randoms = self._random_words(
            m, valid_2, delayed(m, open_1, 1), step_2, delayed(m, word_1, 1)
        )
        # They go through a register: in front of the lane, or, where memories have registers of
        # their own, behind what the lane decides.
        early = plan.hardware.memory_register and self.parameters.rule == "counter"
        operands = m.d.comb if early else m.d.sync
        new_weights, new_counters, changed = [], [], []
        for k in range(part):
            x = Trit(inputs.word_select(k, 2))
            lane = UpdateLane(self.parameters, registered=early)
            m.submodules[f"lane{k}"] = lane
            # Which group the lane belongs to changes with the step only where a word has several.
            gate = Array(
                learning_1[(s * part + k) // group if in_word > 1 else 0] for s in range(steps)
            )[step_1]
            nonzero = x.nonzero & gate
            operands += [
                lane.grad.eq(Cat(nonzero, nonzero & (x.negative ^ negative_1)).as_signed()),
                lane.momentum.eq(self.counters.word_select(k, width).as_signed()),
                lane.weight.eq(weights.word_select(k, 2)),
            ]
            # Cycle read_latency + 1: they are stepped.
            if self.parameters.shift_max:
                m.d.comb += lane.shift.eq(self.shift)
            if self.parameters.random_width:
                m.d.comb += lane.random.eq(randoms[k])
            new_weights.append(lane.weight_next)
            new_counters.append(lane.momentum_next[:width])
            changed.append(lane.changed)

        # The cycle after, it is written. A word is read once a sample, so nothing overtakes it.
        flips = Signal(part)
        m.d.sync += [
            self.write_valid.eq(valid_2),
            self.write_weight_address.eq(delayed(m, address_1, 1)),
            self.write_bank.eq(delayed(m, self.read_bank, 1)),
            self.write_weights.eq(Cat(new_weights).replicate(steps)),
            self.write_mask.eq(Const((1 << part // chunk) - 1) << (step_2 * (part // chunk))),
            self.write_counter_address.eq(delayed(m, counter_address_1, 1)),
            self.write_counters.eq(Cat(new_counters)),
            flips.eq(Mux(valid_2, Cat(changed), 0)),
        ]
        # Flips are counted in two cycles.
        some = range(0, part, COUNTED_TOGETHER)
        flip_counts = [popcount(flips[first : first + COUNTED_TOGETHER]) for first in some]
        parts = [Signal.like(count, name=f"flips{k}") for k, count in enumerate(flip_counts)]
        m.d.sync += [
            *(counted.eq(count) for counted, count in zip(parts, flip_counts, strict=True)),
            self.flips.eq(tree_sum(parts)),
        ]
        m.d.comb += [
            self.busy.eq(self.i.valid | reading.any()),
        ]
        return m

    def _random_words(
        self, m: Module, valid: Signal, is_open: Signal, step: Signal, word: Signal
    ) -> list[Value]:
        """The word each lane reads: one step of the generator for 32 lanes of an open group."""
        plan, part = self.plan, self.plan.hardware.counter_lanes
        if not self.parameters.random_width:
            return []
        lanes, group = plan.hardware.lanes, plan.config.rng_group
        steps, shared = plan.counter_steps, xorshift.WORD_WIDTH
        sets = max(1, part // shared)  # sets of 32 lanes begun or continued in a cycle
        # Which set of 32 lanes of the row comes first in this cycle, and how many the row has.
        place = word * (lanes // part) + step  # in units of ``part`` lanes
        sets_in_row = Array([ceil_div(p.inputs, shared) for p in plan.layers])[self.layer]
        state: Value = self.state
        words = []
        for k in range(sets):
            if part >= shared:
                gates = [
                    is_open[(s * part + k * shared) // group if len(is_open) > 1 else 0]
                    for s in range(steps)
                ]
                begins = Array(gates)[step] & (place * sets + k < sets_in_row)
            else:
                in_set = shared // part
                gates = [
                    is_open[(s * part) // group if len(is_open) > 1 else 0] for s in range(steps)
                ]
                begins = Array(gates)[step] & (place % in_set == 0)
            following = Signal(shared, name=f"random{k}")
            m.d.comb += following.eq(Mux(begins, xorshift.advance(state), state))
            words.append(following)
            state = following
        with m.If(self.load):
            m.d.sync += self.state.eq(
                Mux(self.load_state == 0, xorshift.FALLBACK_STATE, self.load_state)
            )
        with m.Elif(valid):
            m.d.sync += self.state.eq(state)
        width = self.parameters.random_width
        if part >= shared:
            return [xorshift.lane_word(words[k // shared], k % shared)[:width] for k in range(part)]
        return [
            Array(
                xorshift.lane_word(words[0], first * part + k)[:width]
                for first in range(shared // part)
            )[place % (shared // part)]
            for k in range(part)
        ]
