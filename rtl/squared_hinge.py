"""The squared hinge, class by class as the sums arrive; its errors are sent afterwards."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .delta_pass import error_sum_layout


class SquaredHinge(wiring.Component):
    """Prediction, and errors e_j = T_j · max(0, M − T_j·y_j) with T = +1 at the label, else −1.

    Golden: ``golden.loss.squared_hinge``.

    Parameters
    ----------
    classes : int
    sum_width, margin_width, error_width : int
        Widths of y, M and e; e cannot overflow where the plan derives it.

    Members
    -------
    start, valid, sum, label, margin, prediction, active, correct
        As of ``MarginLoss``; ``active``: some error is not zero. Final two cycles after the last
        class.
    send : In(1)
        Send the errors of the sample.
    o : Out(stream of errors)
        Class 0 first, ``last`` with the last; an error every second cycle.
    """

    LATENCY = 2

    def __init__(
        self, *, classes: int, sum_width: int, margin_width: int, error_width: int
    ) -> None:
        self.classes = classes
        self.error_width = error_width
        super().__init__(
            {
                "start": In(1),
                "valid": In(1),
                "sum": In(signed(sum_width)),
                "label": In(range(classes)),
                "margin": In(margin_width),
                "prediction": Out(range(classes)),
                "active": Out(1),
                "correct": Out(1),
                "send": In(1),
                "o": Out(stream.Signature(error_sum_layout(error_width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        errors = memory.Memory(shape=self.error_width, depth=self.classes, init=[])
        m.submodules.errors = errors
        write, read = errors.write_port(), errors.read_port()
        index = Signal.like(self.label)
        best = Signal.like(self.sum)
        winner = Signal.like(self.label)
        is_first = Signal(init=1)
        some_error = Signal()

        # Cycle 0: the error of a class, and the largest sum; a later one must be strictly larger.
        own = index == self.label
        lack = Signal(signed(self.error_width + 1))
        error = Signal(signed(self.error_width))
        m.d.comb += [
            lack.eq(self.margin + Mux(own, -self.sum, self.sum)),
            error.eq(Mux(lack > 0, Mux(own, lack, -lack), 0)),
            write.en.eq(self.valid),
            write.addr.eq(index),
            write.data.eq(error),
        ]
        with m.If(self.valid):
            m.d.sync += [
                index.eq(index + 1),
                is_first.eq(0),
                some_error.eq(some_error | (error != 0)),
            ]
            with m.If(is_first | (self.sum > best)):
                m.d.sync += [best.eq(self.sum), winner.eq(index)]
        with m.If(self.start):
            m.d.sync += [index.eq(0), is_first.eq(1), some_error.eq(0)]

        # Cycle 1
        m.d.sync += [
            self.active.eq(some_error),
            self.correct.eq(winner == self.label),
            self.prediction.eq(winner),
        ]

        # Sending
        place = Signal.like(self.label)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(place),
            self.o.payload.value.eq(read.data.as_signed()),
            self.o.payload.last.eq(place == self.classes - 1),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += place.eq(0)
                with m.If(self.send):
                    m.next = "READ"
            with m.State("READ"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    m.next = "READ"
                    with m.If(self.o.payload.last):
                        m.next = "IDLE"
        return m
