"""The weights: a bank for every row that is read in parallel, and who may use them when."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .host_port import host_signature
from .ram import Ram
from .trainer_plan import TrainerPlan


class WeightMemory(wiring.Component):
    """R banks of words of P weights.

    The forward pass reads all banks, the others one. Whoever asks first in the order of the members
    has the read port, so passes must not overlap; the update reads where nobody else does. Words
    come ``read_latency`` cycles after their address, and with them the caller gives the bank. With
    one port nothing can be read in a cycle that writes.

    Members
    -------
    forward_enable : In(1), forward_address : In, forward_data : Out(2·P·R)
    delta_enable : In(1), delta_address, delta_bank : In, delta_data : Out(2·P)
    host : In(host port)
        A word is a chunk of ``weight_chunk`` weights of a bank; offset: address, bank, chunk.
    update_address, update_bank : In, update_data : Out(2·P)
    update_write : In(1), update_write_address, update_write_bank, update_write_data : In
    update_write_mask : In
        A bit a chunk.
    initial_write : In(1), initial_address, initial_bank, initial_data, initial_mask : In
        A chunk, and zeros in the banks that follow: a layer may end before the last bank.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        word, rows = 2 * plan.hardware.lanes, plan.hardware.rows
        address, bank = range(max(plan.weight_depth, 2)), range(max(rows, 2))
        super().__init__(
            {
                "forward_enable": In(1),
                "forward_address": In(address),
                "forward_data": Out(word * rows),
                "delta_enable": In(1),
                "delta_address": In(address),
                "delta_bank": In(bank),
                "delta_data": Out(word),
                "host": In(host_signature()),
                "update_address": In(address),
                "update_bank": In(bank),
                "update_data": Out(word),
                "update_write": In(1),
                "update_write_address": In(address),
                "update_write_bank": In(bank),
                "update_write_data": In(word),
                "update_write_mask": In(plan.weight_chunks),
                "initial_write": In(1),
                "initial_address": In(address),
                "initial_bank": In(bank),
                "initial_data": In(2 * plan.weight_chunk),
                "initial_mask": In(plan.weight_chunks),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, rows = self.plan, self.plan.hardware.rows
        chunk_width, single_port = 2 * plan.weight_chunk, plan.is_single_port("weights")
        banks = [
            Ram(
                2 * plan.hardware.lanes,
                plan.weight_depth,
                granularity=chunk_width,
                single_port=single_port,
                huge=single_port,
                register=plan.hardware.memory_register,
                unchecked=plan.updates_apart,
            )
            for _ in range(rows)
        ]
        for r, bank in enumerate(banks):
            m.submodules[f"bank{r}"] = bank

        # The host's word
        chunk_bits = (plan.weight_chunks - 1).bit_length()
        bank_bits = (rows - 1).bit_length()
        host_chunk = Signal(max(chunk_bits, 1))
        host_bank = Signal.like(self.update_bank)
        host_address = Signal.like(self.update_address)
        m.d.comb += [
            host_chunk.eq(self.host.offset[:chunk_bits]),
            host_bank.eq(self.host.offset[chunk_bits : chunk_bits + bank_bits]),
            host_address.eq(self.host.offset[chunk_bits + bank_bits :]),
            self.host.exists.eq(
                (self.host.offset[:chunk_bits] < plan.weight_chunks)
                & (self.host.offset[chunk_bits:] < plan.weight_depth << bank_bits)
            ),
        ]
        held_chunk = Signal.like(host_chunk)
        held_bank = Signal.like(host_bank)
        with m.If(self.host.read):
            m.d.sync += [held_chunk.eq(host_chunk), held_bank.eq(host_bank)]

        # Reads
        read_address = Signal.like(self.update_address)
        words = Array([bank.read_data for bank in banks])
        with m.If(self.forward_enable):
            m.d.comb += read_address.eq(self.forward_address)
        with m.Elif(self.delta_enable):
            m.d.comb += read_address.eq(self.delta_address)
        with m.Elif(self.host.read):
            m.d.comb += read_address.eq(host_address)
        with m.Else():
            m.d.comb += read_address.eq(self.update_address)
        m.d.comb += [
            self.forward_data.eq(Cat(words)),
            self.delta_data.eq(words[self.delta_bank]),
            self.update_data.eq(words[self.update_bank]),
            self.host.data.eq(words[held_bank].word_select(held_chunk, chunk_width)),
        ]

        # Writes
        for r, bank in enumerate(banks):
            m.d.comb += [bank.read_enable.eq(1), bank.read_address.eq(read_address)]
            with m.If(self.update_write):
                m.d.comb += [
                    bank.write.eq(self.update_write_bank == r),
                    bank.write_address.eq(self.update_write_address),
                    bank.write_data.eq(self.update_write_data),
                    bank.write_mask.eq(self.update_write_mask),
                ]
            with m.Elif(self.initial_write):
                m.d.comb += [
                    bank.write.eq(self.initial_bank <= r),
                    bank.write_address.eq(self.initial_address),
                    bank.write_data.eq(
                        Mux(self.initial_bank == r, self.initial_data, 0).replicate(
                            plan.weight_chunks
                        )
                    ),
                    bank.write_mask.eq(self.initial_mask),
                ]
            with m.Else():
                chunk = self.host.write_data[:chunk_width]
                m.d.comb += [
                    bank.write.eq(self.host.write & (host_bank == r)),
                    bank.write_address.eq(host_address),
                    bank.write_data.eq(chunk.replicate(plan.weight_chunks)),
                    bank.write_mask.eq(1 << host_chunk),
                ]
        return m
