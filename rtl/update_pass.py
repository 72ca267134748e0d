"""Reads, steps and writes the words whose gate is open."""

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .group_gate import groups_per_word, word_layout
from .trainer_plan import TrainerPlan
from .trit import Trit
from .update_lane import UpdateLane


class UpdatePass(wiring.Component):
    """Updates a stream of words in the weight and counter memories.

    Equation: design section 4, step 5; golden: ``Trainer.step_group``. A word takes one cycle a
    counter word; three more pass before the last is written.

    Members
    -------
    layer : In, buffer : In(1)
        Constant while words of a layer pass.
    i : In(stream of words)
    hold : In(1)
        The activation memory is taken in this cycle.
    weight_address, bank, counter_address, input_address, enable : Out
    weights, counters, inputs : In
        The words read, a cycle later; ``read_bank`` says of which bank ``weights`` is wanted.
    write_valid, write_weight_address, write_bank, write_weights, write_mask : Out
        ``write_mask`` has a bit a ``weight_chunk`` lanes.
    write_counter_address, write_counters : Out
    flips : Out
        Weights changed by the word written in this cycle.
    busy : Out(1)
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
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
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, part = self.plan, self.plan.hardware.lanes, self.plan.hardware.counter_lanes
        steps, width, chunk = plan.counter_steps, plan.counter_width, plan.weight_chunk
        layers = plan.layers
        step_bits = (steps - 1).bit_length()
        bank_bits = (plan.hardware.rows - 1).bit_length()

        # Cycle 0: addresses. A word stays for one cycle a counter word.
        step = Signal(range(max(steps, 2)))
        base = Signal.like(self.input_address)
        second_buffer = Mux((self.layer == 0) & self.buffer, layers[0].words, 0)
        row = self.i.payload.row
        m.d.comb += [
            base.eq(Array([p.input_base for p in layers])[self.layer] + second_buffer),
            self.enable.eq(self.i.valid & ~self.hold),
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

        # Cycle 1: what was read is stepped.
        valid_1, negative_1 = Signal(), Signal()
        step_1, open_1 = Signal.like(step), Signal.like(self.i.payload.open)
        address_1, counter_address_1 = (
            Signal.like(self.weight_address),
            Signal.like(self.counter_address),
        )
        m.d.sync += [
            valid_1.eq(self.enable),
            negative_1.eq(row.negative),
            step_1.eq(step),
            open_1.eq(self.i.payload.open),
            address_1.eq(self.weight_address),
            counter_address_1.eq(self.counter_address),
            self.read_bank.eq(row.bank),
        ]
        weights = self.weights.word_select(step_1, 2 * part)
        inputs = self.inputs.word_select(step_1, 2 * part)
        new_weights, new_counters, changed = [], [], []
        in_word = groups_per_word(plan)
        for k in range(part):
            x = Trit(inputs.word_select(k, 2))
            lane = UpdateLane(plan.update_parameters)
            m.submodules[f"lane{k}"] = lane
            # Which group the lane belongs to changes with the step only where a word has several.
            gate = Array(
                open_1[(s * part + k) // plan.config.rng_group if in_word > 1 else 0]
                for s in range(steps)
            )[step_1]
            nonzero = x.nonzero & gate
            m.d.comb += [
                lane.grad.eq(Cat(nonzero, nonzero & (x.negative ^ negative_1)).as_signed()),
                lane.momentum.eq(self.counters.word_select(k, width).as_signed()),
                lane.weight.eq(weights.word_select(k, 2)),
            ]
            new_weights.append(lane.weight_next)
            new_counters.append(lane.momentum_next[:width])
            changed.append(lane.changed)

        # Cycle 2: it is written. A word is read once a sample, so nothing overtakes it.
        flips = Signal(part)
        m.d.sync += [
            self.write_valid.eq(valid_1),
            self.write_weight_address.eq(address_1),
            self.write_bank.eq(self.read_bank),
            self.write_weights.eq(Cat(new_weights).replicate(steps)),
            self.write_mask.eq(Const((1 << part // chunk) - 1) << (step_1 * (part // chunk))),
            self.write_counter_address.eq(counter_address_1),
            self.write_counters.eq(Cat(new_counters)),
            flips.eq(Mux(valid_1, Cat(changed), 0)),
        ]
        m.d.comb += [
            self.flips.eq(sum(flips[k] for k in range(part))),
            self.busy.eq(self.i.valid | valid_1 | self.write_valid),
        ]
        return m
