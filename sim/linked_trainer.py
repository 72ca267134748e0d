"""A core whose bytes go straight in and out of the link, a whole frame at a time."""

from amaranth import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..golden.design import DesignConfig
from ..rtl.convolution_trainer import trainer_of
from ..rtl.link import Link

INPUT_BYTES = 512
ANSWER_BYTES = 256


class LinkedTrainer(wiring.Component):
    """Link and trainer, and registers that hold what goes in and what came out.

    Members
    -------
    data : In(4096), length : In, start : In(1)
        Bytes to send, lowest first, taken over while ``start``.
    pending : Out
        Bytes that the link has not taken.
    pause : In(1)
        Offer and take bytes in every third cycle only.
    answer : Out(2048), answer_length : Out
        The last answer without its delimiter, in the highest bytes.
    answers : Out(16)
        Answers so far.
    """

    data: In(8 * INPUT_BYTES)  # type: ignore[valid-type]
    length: In(range(INPUT_BYTES + 1))  # type: ignore[valid-type]
    start: In(1)  # type: ignore[valid-type]
    pause: In(1)  # type: ignore[valid-type]
    pending: Out(range(INPUT_BYTES + 1))  # type: ignore[valid-type]
    answer: Out(8 * ANSWER_BYTES)  # type: ignore[valid-type]
    answer_length: Out(9)  # type: ignore[valid-type]
    answers: Out(16)  # type: ignore[valid-type]
    framing_error: In(1)  # type: ignore[valid-type]
    trouble: Out(1)  # type: ignore[valid-type]

    def __init__(self, design: DesignConfig, *, config_hash: int) -> None:
        self.design = design
        self.config_hash = config_hash
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = Link()
        design = self.design
        trainer = trainer_of(design.network, design.hardware, config_hash=self.config_hash)
        m.submodules.trainer = ResetInserter(link.reset)(trainer)
        connect(m, link.request, trainer.i)
        connect(m, trainer.o, link.response)
        m.d.comb += [
            link.framing_error.eq(self.framing_error),
            link.busy.eq(trainer.busy),
            self.trouble.eq(link.trouble),
        ]
        held = Signal(8 * INPUT_BYTES)
        third = Signal(2)
        m.d.sync += third.eq(third + 1)
        with m.If(third == 2):
            m.d.sync += third.eq(0)
        # A byte once offered stays until it is taken.
        offered = Signal()
        m.d.comb += [
            link.i.payload.eq(held[:8]),
            link.i.valid.eq((self.pending != 0) & (~self.pause | offered | (third == 0))),
        ]
        m.d.sync += offered.eq(link.i.valid & ~link.i.ready)
        with m.If(self.start):
            m.d.sync += [held.eq(self.data), self.pending.eq(self.length)]
        with m.Elif(link.i.valid & link.i.ready):
            m.d.sync += [held.eq(held >> 8), self.pending.eq(self.pending - 1)]

        count = Signal(9)
        m.d.comb += link.o.ready.eq(~self.pause | (third == 1))
        with m.If(link.o.valid & link.o.ready):
            with m.If(link.o.payload == 0):
                m.d.sync += [
                    self.answers.eq(self.answers + 1),
                    self.answer_length.eq(count),
                    count.eq(0),
                ]
            with m.Else():
                m.d.sync += [self.answer.eq(Cat(self.answer[8:], link.o.payload))]
                m.d.sync += count.eq(count + 1)
        return m
