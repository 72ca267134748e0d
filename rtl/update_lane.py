"""One lane of the update engine: the data path of a rule."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..golden.checks import ParameterError
from ..golden.update_engine import UpdateParameters
from .delay import delayed
from .trit import Trit


def weight_shape(parameters: UpdateParameters) -> object:
    """A stored weight: ``Trit`` or ``signed(weight_width)``."""
    return Trit if parameters.has_trit_weights else signed(parameters.weight_width)


def control_members(parameters: UpdateParameters) -> dict[str, wiring.Member]:
    """The run-time settings that a lane of this rule reads."""
    members = {}
    if parameters.threshold_width:
        members["threshold"] = In(parameters.threshold_width)
    if parameters.shift_max:
        members["shift"] = In(range(parameters.shift_max + 1))
    return members


class UpdateLane(wiring.Component):
    """sign → confidence gate → momentum → step, for one weight.

    Equation: design section 5; golden: ``golden.update_rules.step_lanes``.

    Parameters
    ----------
    parameters : UpdateParameters
    registered : bool
        Of rule ``counter`` alone: what the lane does is decided before a register, and done behind
        it, where operands come from registers of their own anyway.

    Members
    -------
    grad : In(signed(gradient_width))
        Integer gradient; of two bits it is a trit, its illegal code read as zero. Under a trit
        rule a gradient of zero leaves the lane as it is.
    momentum : In(signed), momentum_next : Out(signed)
        Counter (−Q … Q) or average (LSB = 2^−momentum_frac); ``momentum_width`` bits. Missing
        where the rule keeps none.
    weight, weight_next : In, Out
        ``Trit``, its illegal code read as zero, or ``signed(weight_width)``, LSB =
        2^−weight_frac; the new one saturates symmetrically.
    changed : Out(1)
        The weight changed in value.
    threshold : In(threshold_width)
        α. Missing where threshold_width is 0.
    shift : In
        s of ``ema_dst`` or the learning-rate shift, 0 … shift_max. Missing where shift_max is 0.
    random : In(random_width)
        Low bits of the lane's random word. Missing where the rule needs none.

    Combinational; outputs a cycle after inputs where ``registered``.
    """

    LATENCY = 0

    def __init__(self, parameters: UpdateParameters, *, registered: bool = False) -> None:
        if registered and parameters.rule != "counter":
            raise ParameterError(
                f"rule must be counter for a registered lane, not {parameters.rule}"
            )
        self.parameters = parameters
        self.registered = registered
        members = {
            "grad": In(signed(parameters.gradient_width)),
            "weight": In(weight_shape(parameters)),
            "weight_next": Out(weight_shape(parameters)),
            "changed": Out(1),
            **control_members(parameters),
        }
        if parameters.momentum_width:
            members["momentum"] = In(signed(parameters.momentum_width))
            members["momentum_next"] = Out(signed(parameters.momentum_width))
        if parameters.random_width:
            members["random"] = In(parameters.random_width)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters

        # Coupled decay, sign and gate
        raw, is_nonzero, is_negative = self.grad, self.grad.any(), self.grad[-1]
        if p.gradient_width == 2:
            raw, is_nonzero = Trit(self.grad).to_signed(), self.grad[0]
        gradient = Signal(signed(p.decayed_width))
        if p.weight_decay == "coupled":
            m.d.comb += gradient.eq((raw << p.decay_shift) + self.weight)
            is_nonzero, is_negative = gradient.any(), gradient[-1]
        else:
            m.d.comb += gradient.eq(raw)
        if p.threshold_width:
            is_nonzero = self._is_confident(m, gradient)
        sign = Signal(Trit)
        m.d.comb += [sign.nonzero.eq(is_nonzero), sign.negative.eq(is_negative)]

        # Momentum and step
        if p.rule == "counter":
            self._counter(m, sign)
        elif p.rule == "ema_dst":
            self._ema_dst(m, sign)
        else:
            source: Value = sign.to_signed()
            if p.averages:
                target = gradient if p.rule == "signum" else source
                m.d.comb += self.momentum_next.eq(self._average(m, target, Const(1)))
            if p.rule == "signum":
                source = Cat(self.momentum_next.any(), self.momentum_next[-1]).as_signed()
            elif p.source_frac:
                source = self.momentum_next
            self._fixed(m, source)
        return m

    def _is_confident(self, m: Module, gradient: Value) -> Value:
        """|g| > α as the carry out of |g| − α − 1, where the carry in completes |g| = ~g + 1."""
        p = self.parameters
        negative = gradient[-1]
        width = max(len(gradient) - 1, p.threshold_width + p.decay_frac)
        folded = Signal(width)
        alpha = Signal(width)
        total = Signal(width + 2)
        m.d.comb += [
            folded.eq((gradient ^ negative.replicate(len(gradient)))[:-1]),
            alpha.eq(self.threshold << p.decay_frac),
            total.eq(Cat(Const(1, 1), folded) + Cat(negative, ~alpha)),
        ]
        return total[-1]

    def _average(self, m: Module, target: Value, enable: Value) -> Value:
        """m + (((target << F) − m + 2^(k−1)) >> k) where ``enable``, else m.

        k ≤ F, so the target is added exactly and only −m is rounded: half up, which takes
        (m >> k) + 1 from m where the dropped bits are above one half, else m >> k.
        """
        p, momentum = self.parameters, self.momentum
        k = p.momentum_shift
        above_half = momentum[k - 1] & momentum[: k - 1].any()
        pull = Cat(~above_half, ~(momentum >> k)).as_signed()
        doubled = (target << (p.momentum_frac - k + 1)) + pull + 1
        delta = Signal(signed(len(doubled) - 1))
        m.d.comb += delta.eq(Mux(enable, doubled >> 1, 0))
        return momentum + delta

    def _step_trit(self, m: Module, weight: Trit, changed: Value, negative: Value) -> None:
        """The weight steps down where ``negative``, else up; ``changed`` excludes clipped steps."""
        m.d.comb += [
            self.changed.eq(changed),
            self.weight_next.nonzero.eq(weight.nonzero ^ changed),
            self.weight_next.negative.eq(
                Mux(weight.nonzero, weight.negative & ~changed, changed & negative)
            ),
        ]

    def _counter(self, m: Module, sign: Trit) -> None:
        """Saturating count that steps the weight where it would pass ±Q.

        The counter passes the limit only from ±Q itself, by a count of the same sign. A count that
        the weight could not follow is dropped before the adder, so that one adder serves.
        """
        counter, weight = self.momentum, self.weight
        width, top = len(counter), counter[-1]
        at_limit = Signal()
        passes = Signal()
        same_sign = Signal()
        changed = Signal()
        up_or_down = Signal()
        down = Signal()
        total = Signal(width)
        m.d.comb += [
            at_limit.eq((counter[1:-1] ^ top.replicate(width - 2)).all() & counter[0]),
            passes.eq(at_limit & sign.nonzero & (sign.negative == top)),
            same_sign.eq(weight.nonzero & (weight.negative == sign.negative)),
            changed.eq(passes & ~same_sign),
            up_or_down.eq(sign.nonzero & ~(passes & same_sign)),
        ]
        if self.registered:
            counter, changed = delayed(m, counter, 1), delayed(m, changed, 1)
            up_or_down = delayed(m, up_or_down, 1)
            weight, sign = (Trit(delayed(m, trit.as_value(), 1)) for trit in (weight, sign))
        m.d.comb += [
            down.eq(sign.negative & up_or_down),
            total.eq(counter + Cat(up_or_down, down.replicate(width - 1))),
            # The total of a step is ±2^(F−1), of which only the top bit is set.
            self.momentum_next.eq(total & Cat(Const(-1, width - 1), ~changed)),
        ]
        self._step_trit(m, weight, changed, sign.negative)

    def _ema_dst(self, m: Module, sign: Trit) -> None:
        """Discrete state transition with a probability that grows with |m|."""
        p, weight = self.parameters, self.weight
        average = Signal(signed(p.momentum_width))
        masked = Signal(p.random_width)
        below = Signal()
        fires = Signal()
        clipped = Signal()
        kept_bits = p.momentum_frac + self._shift()
        m.d.comb += [
            average.eq(self._average(m, sign.to_signed(), sign.nonzero)),
            masked.eq(self.random & ((1 << kept_bits) - 1)),
        ]
        if p.probability == "linear":
            # masked < |m| − dead_zone, where |m| = ~m + 1 for a negative m: the sign of
            # (folded − dead_zone) − masked − 1 + negative. Limits have F + 1 bits at most.
            width = p.momentum_frac + 1
            folded = Signal(width)
            difference = Signal(signed(width + 2))
            negative = average[-1]
            m.d.comb += [
                folded.eq((average ^ negative.replicate(len(average)))[:width]),
                difference.eq(
                    (
                        Cat(Const(1, 1), folded - p.dead_zone).as_signed()
                        + Cat(negative, ~masked[:width], Const(1, 1)).as_signed()
                    )
                    >> 1
                ),
                below.eq(~difference[-1] & ~masked[width:].any()),
            ]
        else:
            limit = Array(p.step_limits())[abs(average) - p.dead_zone]
            m.d.comb += below.eq((abs(average) >= p.dead_zone) & (masked < limit))
        m.d.comb += [
            fires.eq(below & sign.nonzero),
            self.momentum_next.eq(average & ~fires.replicate(len(average))),
            clipped.eq(weight.nonzero & (weight.negative == average[-1])),
        ]
        self._step_trit(m, weight, fires & ~clipped, average[-1])

    def _fixed(self, m: Module, source: Value) -> None:
        """θ − δ·source (and − δ·λ·θ with decoupled decay), rounded once, saturated."""
        p, limit = self.parameters, self.parameters.weight_limit
        dropped_max = p.step_shift + p.lr_shift_max
        exact: Value = source << p.source_left_shift
        zero_bits = p.source_left_shift
        if p.weight_decay == "decoupled":
            exact = exact + (self.weight << p.decay_left_shift)
            zero_bits = min(zero_bits, p.decay_left_shift)

        dropped = Signal(range(dropped_max + 1))
        unit = Signal(dropped_max + 1)
        m.d.comb += [dropped.eq(p.step_shift + self._shift()), unit.eq(1 << dropped)]
        offset: Value = unit >> 1
        if p.random_width:
            offset = self.random & (unit - 1)[:dropped_max]
        # Where every bit that can be dropped is zero, rounding changes nothing.
        rounded = exact + offset if zero_bits < dropped_max else exact
        # |step| ≤ (|exact| >> step_shift) + 1, which fits without the bits always dropped.
        step = Signal(signed(len(exact) - p.step_shift + 1))
        stepped = Signal(signed(max(len(step), p.weight_width) + 1))
        m.d.comb += [
            step.eq(rounded >> dropped),
            stepped.eq(self.weight - step),
            self.weight_next.eq(
                Mux(stepped > limit, limit, Mux(stepped < -limit, -limit, stepped))
            ),
            self.changed.eq(self.weight_next != self.weight),
        ]

    def _shift(self) -> Value:
        return self.shift if self.parameters.shift_max else Const(0)
