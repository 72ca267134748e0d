"""The core's side of the link: checks a request, carries it out on the bus, answers once."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from ..golden.link import (
    BURST_MAX,
    COUNTERS,
    PAGE_WORDS,
    REPEAT_BYTES,
    VERSION,
    LinkCommand,
    LinkStatus,
)
from .cobs import CobsDecoder
from .register_map import ADDRESS_WIDTH
from .trainer_bus import BusRequest, BusResponse
from .trainer_plan import BUS_WIDTH

EVENT = {name: number for number, name in enumerate(COUNTERS)}
COUNTER_BASE = 0xF0  # the end of the request's page: no packet reaches it
TARGET_AT = 4  # address and count within a request
STATUS_WORDS = len(COUNTERS) * 2 // 4


class Phase(enum.Enum, shape=2):  # type: ignore[call-arg]
    """Which part of an answer is written."""

    HEADER = 0
    WORD = 1
    STATUS = 2
    CRC = 3


class Link(wiring.Component):
    """Answers every request once, and never carries one out twice.

    Golden: ``golden.link.Link``; packets: the tables there. A request is buffered and checked whole
    before anything is done. One memory of 512 bytes holds the request, the counters, and the last
    answer, which is sent again when the request is repeated.

    Members
    -------
    i, o : stream of 8
        Bytes of frames. Nine cycles a byte at most; bytes that come while a request is carried out
        and answered are dropped up to a delimiter.
    framing_error : In(1)
        Counted; at most one in ten cycles.
    request, response : streams of BusRequest, BusResponse
        The trainer's bus.
    busy : In(1)
        Whether a refusal is one of a busy trainer.
    reset : Out(1)
        Reset the trainer, for a cycle.
    trouble : Out(1)
        A damaged frame came since the last IDENTIFY.

    The link waits for nothing but the bus and ``o``. Counters and the last answer survive a reset.
    """

    i: In(stream.Signature(8))  # type: ignore[valid-type]
    o: Out(stream.Signature(8))  # type: ignore[valid-type]
    framing_error: In(1)  # type: ignore[valid-type]
    request: Out(stream.Signature(BusRequest))  # type: ignore[valid-type]
    response: In(stream.Signature(BusResponse))  # type: ignore[valid-type]
    busy: In(1)  # type: ignore[valid-type]
    reset: Out(1)  # type: ignore[valid-type]
    trouble: Out(1)  # type: ignore[valid-type]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=1).create()
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=512, init=[])
        read, write = buffer.read_port(), buffer.write_port()
        connect(m, flipped(self.i), decoder.i)
        decoded = decoder.o

        # Byte in work: written at position, and shifted into the CRC.
        # Registers that are loaded before they are used go without a reset.
        position = Signal(8)
        byte = Signal(8, reset_less=True)
        bit = Signal(3)
        word = Signal(BUS_WIDTH, reset_less=True)
        oversize = Signal()
        skipping = Signal()
        dropped = Signal()
        framing = Signal()
        # Request
        sequence, command, length = (
            Signal(8, name=name, reset_less=True) for name in ("sequence", "command", "length")
        )
        current = Signal(reset_less=True)
        fits = Signal(reset_less=True)
        last_sequence = Signal(8, reset_less=True)
        last_crc = Signal(8 * REPEAT_BYTES, reset_less=True)
        event = Signal(3, reset_less=True)
        high = Signal()
        # Work
        answering = Signal()
        targeted = Signal(reset_less=True)
        waited = Signal()  # a word of the buffer is in its register
        pointer = Signal(8, reset_less=True)
        index = Signal(2, reset_less=True)
        address = Signal(ADDRESS_WIDTH, reset_less=True)
        left = Signal(6, reset_less=True)
        reads = Signal(reset_less=True)
        writes = Signal(reset_less=True)
        status = Signal(LinkStatus, reset_less=True)
        # Answer
        phase = Signal(Phase, reset_less=True)
        code = Signal(8, reset_less=True)
        finished = Signal()

        following = Signal(8)
        m.d.comb += [
            # Fed with its own complement the CRC moves on unchanged: it is sent from its low byte.
            crc.data.eq(byte[0] ^ (answering & (phase == Phase.CRC))),
            following.eq(pointer + 1),
            self.request.payload.write.eq(writes),
            self.request.payload.address.eq(address),
            self.request.payload.data.eq(word),
            write.addr.eq(Cat(position, answering)),
            write.data.eq(byte),
            read.addr.eq(Cat(pointer, Const(0, 1))),
            read.en.eq(~write.en),  # else logic would be made for both at one address
        ]
        with m.If(self.framing_error):
            m.d.sync += framing.eq(1)

        # What comes while an answer is under way
        with m.If(answering):
            m.d.comb += decoded.ready.eq(1)
            with m.If(decoded.valid):
                m.d.sync += skipping.eq(~decoded.payload.end)
                with m.If(decoded.payload.end):
                    m.d.sync += dropped.eq(1)

        # Bytes of the answer
        answer_byte = Signal(8)
        with m.Switch(phase):
            with m.Case(Phase.HEADER), m.Switch(index):
                with m.Case(0):
                    m.d.comb += answer_byte.eq(VERSION)
                with m.Case(1):
                    m.d.comb += answer_byte.eq(sequence)
                with m.Case(2):
                    m.d.comb += answer_byte.eq(command)
                with m.Case(3):
                    m.d.comb += answer_byte.eq(Cat(Const(1, 2), Mux(writes, 0, left)))
            with m.Case(Phase.WORD):
                m.d.comb += answer_byte.eq(word[:8])
            with m.Case(Phase.STATUS):
                m.d.comb += answer_byte.eq(status)
            with m.Case(Phase.CRC):
                m.d.comb += answer_byte.eq(crc.crc[:8])

        # Registers between what a packet holds and what depends on it, a cycle or more later.
        identify, is_read, is_write, is_status, is_reset, intact, due, repeated = (
            Signal(name=name, reset_less=True)
            for name in (
                *("identify", "is_read", "is_write", "is_status", "is_reset"),
                *("intact", "due", "repeated"),
            )
        )
        ahead = Signal(8)
        room = Signal(6, reset_less=True)  # for words to write
        fetched = Signal(8, reset_less=True)
        m.d.comb += ahead.eq(sequence - last_sequence)
        m.d.sync += [
            identify.eq(command == LinkCommand.IDENTIFY),
            is_read.eq((command == LinkCommand.IDENTIFY) | (command == LinkCommand.READ)),
            is_write.eq(command == LinkCommand.WRITE),
            is_status.eq(command == LinkCommand.STATUS),
            is_reset.eq(command == LinkCommand.RESET),
            room.eq(length[2:] - TARGET_AT // 4),
            intact.eq(crc.match_detected & (position >= 12)),
            due.eq(current & (ahead == 1)),
            repeated.eq(current & (ahead == 0) & (word[: 8 * REPEAT_BYTES] == last_crc)),
            fetched.eq(read.data),
        ]

        with m.FSM():
            with m.State("RECEIVE"):
                with m.If(dropped):
                    m.d.sync += [event.eq(EVENT["dropped"]), dropped.eq(0)]
                    m.next = "COUNT-READ"
                with m.Elif(framing):
                    m.d.sync += [event.eq(EVENT["framing_errors"]), framing.eq(self.framing_error)]
                    m.next = "COUNT-READ"
                with m.Else():
                    m.d.comb += decoded.ready.eq(1)
                    m.d.sync += byte.eq(decoded.payload.byte)
                    with m.If(decoded.valid & decoded.payload.end):
                        m.d.sync += skipping.eq(0)
                        with m.If(skipping):
                            m.d.sync += dropped.eq(1)
                        with m.Else():
                            m.next = "JUDGE"
                        m.d.sync += event.eq(
                            Mux(
                                oversize,
                                EVENT["oversize"],
                                Mux(
                                    decoded.payload.error,
                                    EVENT["cobs_errors"],
                                    EVENT["accepted"],
                                ),
                            )
                        )
                    with m.Elif(decoded.valid & (position >= COUNTER_BASE)):
                        m.d.sync += oversize.eq(1)
                    with m.Elif(decoded.valid & ~skipping):
                        m.next = "SHIFT"

            with m.State("SHIFT"):
                m.d.comb += [crc.valid.eq(1), write.en.eq(bit == 0)]
                m.d.sync += [byte.eq(byte >> 1), bit.eq(bit + 1)]
                with m.If(bit == 0):
                    m.d.sync += [position.eq(position + 1), word.eq(Cat(word[8:], byte))]
                    with m.If(answering & (byte == 0)):
                        # A zero ends a COBS block: now its code is known.
                        m.d.comb += write.addr.eq(Cat(code, answering))
                        m.d.comb += write.data.eq(position - code)
                        m.d.sync += code.eq(position)
                    with m.If(~answering), m.Switch(position):
                        with m.Case(0):
                            m.d.sync += current.eq(byte == VERSION)
                        with m.Case(1):
                            m.d.sync += sequence.eq(byte)
                        with m.Case(2):
                            m.d.sync += command.eq(byte)
                        with m.Case(3):
                            m.d.sync += length.eq(byte)
                with m.If(bit == 7):
                    m.next = "RECEIVE"
                    with m.If(answering):
                        m.d.sync += index.eq(index + 1)
                        m.next = "EMIT"
                        with m.If(phase == Phase.STATUS):
                            m.d.sync += [phase.eq(Phase.CRC), index.eq(0)]
                        with m.Elif(index == 3):
                            m.next = "NEXT"

            with m.State("JUDGE"):
                m.next = "COUNT-READ"
                known = is_read | is_write | is_status | is_reset
                m.d.sync += fits.eq(known & (length[:2] == 0) & (length + 8 == position))
                with m.If(event != EVENT["accepted"]):
                    m.d.sync += self.trouble.eq(1)
                with m.Elif(~intact):
                    m.d.sync += [event.eq(EVENT["crc_errors"]), self.trouble.eq(1)]
                with m.Elif(identify | due):
                    m.d.sync += [
                        last_sequence.eq(sequence),
                        last_crc.eq(word),
                        answering.eq(1),
                    ]
                    with m.If(identify):
                        m.d.sync += self.trouble.eq(0)
                with m.Elif(repeated):
                    m.d.sync += [event.eq(EVENT["duplicates"]), answering.eq(1)]
                with m.Else():
                    m.d.sync += event.eq(EVENT["out_of_sequence"])

            # Counters: two bytes each, low byte first
            with m.State("COUNT-READ"):
                m.d.comb += read.addr.eq(Cat(high, event, Const(COUNTER_BASE >> 4, 5)))
                with m.If(event != EVENT["framing_errors"]):
                    m.d.comb += crc.start.eq(1)
                    m.d.sync += [position.eq(answering), oversize.eq(0)]
                m.d.sync += waited.eq(~waited)
                with m.If(waited):
                    m.next = "COUNT-TAKE"
            with m.State("COUNT-TAKE"):
                m.d.sync += pointer.eq(fetched)
                m.next = "COUNT-WRITE"
            with m.State("COUNT-WRITE"):
                m.d.comb += [
                    write.addr.eq(Cat(high, event, Const(COUNTER_BASE >> 4, 5))),
                    write.data.eq(following),
                    write.en.eq(1),
                ]
                m.d.sync += [
                    high.eq(0),
                    code.eq(0),
                    pointer.eq(Mux(event == EVENT["duplicates"], 0, TARGET_AT)),
                    targeted.eq(0),
                    index.eq(0),
                    reads.eq(0),
                    writes.eq(0),
                    status.eq(LinkStatus.OK),
                    phase.eq(Phase.HEADER),
                ]
                m.next = "RECEIVE"
                with m.If(pointer.all() & ~high):
                    m.d.sync += high.eq(1)
                    m.next = "COUNT-READ"
                with m.Elif(event == EVENT["duplicates"]):
                    m.next = "SEND-READ"
                with m.Elif(answering):
                    m.next = "FETCH-READ"

            # A word of the buffer: the target, a word to write, or two counters
            with m.State("FETCH-READ"):
                m.d.sync += waited.eq(~waited)
                with m.If(waited):
                    m.d.sync += pointer.eq(following)
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += [word.eq(Cat(word[8:], fetched)), index.eq(index + 1)]
                m.next = "FETCH-READ"
                with m.If(index == 3):
                    m.next = "EMIT"
                    with m.If(writes):
                        m.next = "BUS"
                    with m.If(~targeted):
                        m.next = "TARGET"

            with m.State("TARGET"):
                count = word[24:]
                sound = Signal()
                m.d.comb += sound.eq(
                    fits & (room == Mux(is_write, count[:6], 0)) & (count <= BURST_MAX)
                )
                m.d.sync += [
                    address.eq(word[:24]),
                    left.eq(Mux(is_status, STATUS_WORDS, Mux(is_reset, 0, count))),
                    targeted.eq(1),
                ]
                with m.If(sound):
                    m.d.sync += [reads.eq(is_read), writes.eq(is_write)]
                    m.d.comb += self.reset.eq(is_reset)
                with m.Else():
                    m.d.sync += [left.eq(0), status.eq(LinkStatus.MALFORMED)]
                with m.If(is_status):
                    m.d.sync += pointer.eq(COUNTER_BASE)
                m.next = "EMIT"

            with m.State("BUS"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.next = "BUS-WAIT"
            with m.State("BUS-WAIT"):
                m.d.comb += self.response.ready.eq(1)
                with m.If(self.response.valid):
                    within = address[: exact_log2(PAGE_WORDS)]
                    m.d.sync += [word.eq(self.response.payload.data), within.eq(within + 1)]
                    m.next = "EMIT"
                    with m.If(writes):
                        m.next = "NEXT"
                    with m.If(self.response.payload.error):
                        with m.If(status == LinkStatus.OK):
                            m.d.sync += status.eq(
                                Mux(self.busy, LinkStatus.BUSY, LinkStatus.REFUSED)
                            )
                        with m.If(writes):
                            m.d.sync += left.eq(0)

            with m.State("NEXT"):
                # Byte is 0: the answer's delimiter, or overwritten by what follows.
                m.d.comb += write.en.eq(1)
                m.d.sync += [left.eq(left - 1), phase.eq(Phase.WORD), index.eq(0)]
                m.next = "FETCH-READ"
                with m.If(reads):
                    m.next = "BUS"
                with m.If(left == 0):
                    m.d.sync += phase.eq(Phase.STATUS)
                    m.next = "EMIT"
                with m.If(phase == Phase.CRC):
                    m.next = "FINISH"
            with m.State("EMIT"):
                m.d.sync += byte.eq(answer_byte)
                m.next = "SHIFT"
            with m.State("FINISH"):
                m.d.comb += [
                    write.addr.eq(Cat(code, answering)),
                    write.data.eq(position - code),
                    write.en.eq(1),
                ]
                m.d.sync += pointer.eq(0)
                m.next = "SEND-READ"

            with m.State("SEND-READ"):
                m.d.comb += read.addr.eq(Cat(pointer, Const(1, 1)))
                m.d.sync += waited.eq(~waited)
                with m.If(waited):
                    m.next = "SEND"
                with m.If(finished):
                    m.d.sync += [finished.eq(0), answering.eq(0), waited.eq(0)]
                    m.next = "RECEIVE"
            with m.State("SEND"):
                m.d.comb += [
                    read.addr.eq(Cat(pointer, Const(1, 1))),
                    self.o.valid.eq(1),
                    self.o.payload.eq(fetched),
                    crc.start.eq(1),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [pointer.eq(following), position.eq(0)]
                    m.d.sync += finished.eq(fetched == 0)
                    m.next = "SEND-READ"
        return m
