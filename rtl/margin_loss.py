"""The Crammer–Singer hinge, class by class as the sums arrive."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class MarginLoss(wiring.Component):
    """Finds the strongest rival of the label, the prediction, and whether the margin is met.

    Equation: design section 4, steps 4 and 6; golden: ``Trainer.output_error``.

    Parameters
    ----------
    classes : int
    sum_width, margin_width : int

    Members
    -------
    start : In(1)
        Forget the sample before.
    valid : In(1), sum : In(signed)
        The sum of the next class, class 0 first.
    label : In, margin : In
        Constant while a sample's sums arrive.
    rival, prediction : Out
        The strongest other class and the class of the largest sum, lowest index on ties.
    active, correct : Out(1)
        The label does not lead by ``margin``; the prediction is the label.

    Outputs are final two cycles after the last class, registered.
    """

    LATENCY = 2

    def __init__(self, *, classes: int, sum_width: int, margin_width: int) -> None:
        self.sum_width = sum_width
        super().__init__(
            {
                "start": In(1),
                "valid": In(1),
                "sum": In(signed(sum_width)),
                "label": In(range(classes)),
                "margin": In(margin_width),
                "rival": Out(range(classes)),
                "prediction": Out(range(classes)),
                "active": Out(1),
                "correct": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index = Signal.like(self.label)
        own = Signal.like(self.sum)
        best = Signal.like(self.sum)
        has_rival = Signal()

        # Cycle 0: each class is the label or a rival; a later rival must be strictly larger.
        with m.If(self.valid):
            m.d.sync += index.eq(index + 1)
            with m.If(index == self.label):
                m.d.sync += own.eq(self.sum)
            with m.Elif(~has_rival | (self.sum > best)):
                m.d.sync += [best.eq(self.sum), self.rival.eq(index), has_rival.eq(1)]
        with m.If(self.start):
            m.d.sync += [index.eq(0), has_rival.eq(0)]

        # Cycle 1: the lead, and who wins ties.
        lead = own - best
        wins = (lead > 0) | ((lead == 0) & (self.label < self.rival))
        m.d.sync += [
            self.active.eq(lead < self.margin),
            self.correct.eq(wins),
            self.prediction.eq(Mux(wins, self.label, self.rival)),
        ]
        return m
