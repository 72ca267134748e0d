"""The counters of all weights, and who may use them when."""

from math import gcd

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .host_port import host_signature
from .ram import Ram
from .trainer_plan import TrainerPlan


class CounterMemory(wiring.Component):
    """Words of ``counter_lanes`` counters; the last ``counter_spill`` bits in a memory beside.

    Words come ``read_latency`` cycles after their address. With one port nothing can be read in a
    cycle that writes, of either memory.

    Members
    -------
    update_address : In, update_data : Out
    update_write : In(1), update_write_address, update_write_data : In
    clear : In(1), clear_address : In
        Write zeros.
    host : In(host port)
        A word is a chunk of ``counter_chunk`` counters; offset: address, chunk.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        word, address = plan.counter_word_width, range(max(plan.counter_depth, 2))
        super().__init__(
            {
                "update_address": In(address),
                "update_data": Out(word),
                "update_write": In(1),
                "update_write_address": In(address),
                "update_write_data": In(word),
                "clear": In(1),
                "clear_address": In(address),
                "host": In(host_signature()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        chunk_width = plan.counter_width * plan.counter_chunk

        # The host's word
        chunk_bits = (plan.counter_chunks - 1).bit_length()
        host_chunk = Signal(max(chunk_bits, 1))
        held_chunk = Signal(max(chunk_bits, 1))
        host_address = Signal.like(self.update_address)
        m.d.comb += [
            host_chunk.eq(self.host.offset[:chunk_bits]),
            host_address.eq(self.host.offset[chunk_bits:]),
            self.host.exists.eq(
                (self.host.offset[:chunk_bits] < plan.counter_chunks)
                & (self.host.offset[chunk_bits:] < plan.counter_depth)
            ),
            self.host.data.eq(self.update_data.word_select(held_chunk, chunk_width)),
        ]
        with m.If(self.host.read):
            m.d.sync += held_chunk.eq(host_chunk)

        # Who reads, who writes
        read_address = Signal.like(host_address)
        write_address = Signal.like(host_address)
        write = Signal()
        write_data = Signal.like(self.update_data)
        chunk_mask = Signal(plan.counter_chunks)
        with m.If(self.host.read):
            m.d.comb += read_address.eq(host_address)
        with m.Else():
            m.d.comb += read_address.eq(self.update_address)
        with m.If(self.update_write):
            m.d.comb += [
                write.eq(1),
                write_address.eq(self.update_write_address),
                write_data.eq(self.update_write_data),
                chunk_mask.eq(~0),
            ]
        with m.Elif(self.clear):
            m.d.comb += [write.eq(1), write_address.eq(self.clear_address), chunk_mask.eq(~0)]
        with m.Else():
            chunk = self.host.write_data[:chunk_width]
            m.d.comb += [
                write.eq(self.host.write),
                write_address.eq(host_address),
                write_data.eq(chunk.replicate(plan.counter_chunks)),
                chunk_mask.eq(1 << host_chunk),
            ]

        # The word, or its two parts; a chunk may lie in both.
        single_port, first, parts = plan.is_single_port("counters"), 0, []
        for name, width in plan.counter_parts.items():
            granularity = gcd(chunk_width, first, width)
            part = Ram(
                width,
                plan.counter_depth,
                granularity=granularity,
                single_port=single_port,
                huge=single_port and name == "counters",
                register=plan.hardware.memory_register,
                unchecked=True,  # an update reads a word of counters once, then writes it
            )
            m.submodules[name] = part
            m.d.comb += [
                part.read_enable.eq(1),
                part.read_address.eq(read_address),
                part.write.eq(write),
                part.write_address.eq(write_address),
                part.write_data.eq(write_data[first : first + width]),
                part.write_mask.eq(
                    Cat(
                        chunk_mask[bit // chunk_width]
                        for bit in range(first, first + width, granularity)
                    )
                ),
            ]
            parts.append(part.read_data)
            first += width
        m.d.comb += self.update_data.eq(Cat(parts))
        return m
