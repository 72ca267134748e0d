"""The update engine in hardware, P lanes wide; golden model: ``golden.update_engine``."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..golden.update_engine import UpdateParameters
from .update_draws import UpdateDraws, generator_members, groups_per_word
from .update_lane import UpdateLane, control_members, weight_shape


def _state_fields(parameters: UpdateParameters) -> dict[str, object]:
    lanes = parameters.lanes
    fields: dict[str, object] = {}
    if parameters.momentum_width:
        fields["momentum"] = data.ArrayLayout(signed(parameters.momentum_width), lanes)
    fields["weight"] = data.ArrayLayout(weight_shape(parameters), lanes)
    return fields


def input_layout(parameters: UpdateParameters) -> data.StructLayout:
    """A word in: ``grad``, ``momentum`` (where the rule keeps one), ``weight``, ``end``, ``last``.

    ``last`` marks the last word of a row; ``end`` is then the row's last lane in it, and is not
    read otherwise. Lanes past the end must hold zeros.
    """
    lanes = parameters.lanes
    return data.StructLayout(
        {
            "grad": data.ArrayLayout(signed(parameters.gradient_width), lanes),
            **_state_fields(parameters),
            "end": range(max(2, lanes)),
            "last": 1,
        }
    )


def output_layout(parameters: UpdateParameters) -> data.StructLayout:
    """A word out: ``momentum`` (where the rule keeps one), ``weight``, ``write``, ``last``.

    ``write`` has a bit a group of the word, lowest lanes first: 0 where the group was skipped or
    lies past the end of the row.
    """
    return data.StructLayout(
        {**_state_fields(parameters), "write": groups_per_word(parameters), "last": 1}
    )


class UpdateEngine(wiring.Component):
    """Updates a stream of words: sign → confidence gate → momentum → step, group by group.

    Equation: design sections 3 to 5, sources in ``golden.update_rules``; golden:
    ``golden.update_engine.UpdateEngine``. Weights, momenta and generator states equal golden's for
    every P. A word that follows ``last`` (or reset) begins a row.

    Parameters
    ----------
    parameters : UpdateParameters
    seed : int
        0 … 2^32 − 1: generator states after reset are those of golden with this seed.

    Members
    -------
    i : In(stream of ``input_layout``), o : Out(stream of ``output_layout``)
        Fixed-point meanings and ranges as in ``UpdateLane``. Groups that are skipped keep their
        value (an illegal trit code comes out as zero) and need not be written to memory.
    threshold, shift : In
        As in ``UpdateLane``; missing where it has none.
    gate_shift : In
        s, 0 … gate_shift_max: a group is written with probability 2^−s. Missing where
        gate_shift_max is 0. All three count in the cycle a word is taken; ``gate_shift`` only for
        the first word of a group.
    load : In(1), load_lfsr : In(16), load_xorshift : In(32)
        Sets the generators in the next cycle; a word taken meanwhile draws from the old ones. Zero
        reads as 0xACE1 and 0x1234567. ``load_xorshift`` is missing where no random words are read.
    lfsr_state : Out(16), xorshift_state : Out(32)
        The generators after every word taken so far.

    Latency 1 cycle, one word a cycle. ``i.ready`` follows ``o.ready`` while a word waits at the
    output. Reset empties the output, begins a row and restores the seed.
    """

    LATENCY = 1
    INITIATION_INTERVAL = 1

    def __init__(self, parameters: UpdateParameters, *, seed: int = 1) -> None:
        self.parameters = parameters
        self.seed = seed
        super().__init__(
            {
                "i": In(stream.Signature(input_layout(parameters))),
                "o": Out(stream.Signature(output_layout(parameters))),
                **control_members(parameters),
                **generator_members(parameters, seed),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        word = self.i.payload
        m.submodules.draws = draws = UpdateDraws(p, seed=self.seed)
        taken = Signal()

        # Cycle 0: which groups are written, and what their lanes come to
        m.d.comb += [draws.taken.eq(taken), draws.last.eq(word.last), draws.end.eq(word.end)]
        for name, member in generator_members(p, self.seed).items():
            outer, inner = getattr(self, name), getattr(draws, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        momenta = []
        weights = []
        for k in range(p.lanes):
            group = k // p.rng_group if len(draws.opened) > 1 else 0
            is_open = draws.opened[group]
            m.submodules[f"lane{k}"] = lane = UpdateLane(p)
            for name in control_members(p):
                m.d.comb += getattr(lane, name).eq(getattr(self, name))
            if p.random_width:
                m.d.comb += lane.random.eq(draws.words[k])
            if p.momentum_width:
                m.d.comb += lane.momentum.eq(word.momentum[k])
                momenta.append(self._kept(is_open, lane.momentum_next, word.momentum[k]))
            m.d.comb += [
                lane.weight.eq(word.weight[k]),
                lane.grad.eq(Mux(is_open, word.grad[k], 0) if p.has_trit_weights else word.grad[k]),
            ]
            weights.append(self._kept(is_open, lane.weight_next, word.weight[k]))

        # Cycle 1: output
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            taken.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(taken):
            m.d.sync += [
                self.o.payload.weight.eq(Cat(weights)),
                self.o.payload.write.eq(draws.opened),
                self.o.payload.last.eq(word.last),
            ]
            if p.momentum_width:
                m.d.sync += self.o.payload.momentum.eq(Cat(momenta))
        return m

    def _kept(self, is_open: Value, new: Value, old: Value) -> Value:
        """What a lane of a group holds next; a trit lane whose gradient is held at zero stays."""
        return new if self.parameters.has_trit_weights else Mux(is_open, new, old)
