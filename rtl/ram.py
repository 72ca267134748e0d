"""A memory of the trainer, with a port for reads and a port for writes, or one port for both."""

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

UNDEFINED = "undefined_at_start"  # attribute of a memory, for ``gen.verilog``


class Ram(wiring.Component):
    """A synchronous memory that is written in parts of a word.

    Parameters
    ----------
    width, depth : int
        ``depth`` words of ``width`` bits.
    granularity : int
        Bits of a word that one bit of ``write_mask`` covers, a divisor of ``width``.
    single_port : bool
        One address: nothing is read in a cycle that writes, and the word read last stays.
    huge : bool
        Ask synthesis for the large single-port blocks of the part (iCE40 SPRAM), by the attribute
        ``ram_style``. Their contents are undefined until written; those of others begin at zero.
    register : bool
        A register behind the read port.
    column : int, optional
        A memory for every so many bits of a word: few enough for one block of the part each, so
        that no logic chooses among blocks behind the read port. Words are written whole; their
        contents are undefined until then, for tools are slow to fill so many memories.
    unchecked : bool
        Nobody looks at a word that was read in the cycle in which it was written: it may then read
        as anything, which spares the logic that makes it read as it was.

    Members
    -------
    read_enable : In(1), read_address : In, read_data : Out(width)
        The word, a cycle later, two with ``register``; it stays while nothing is read. A word that
        is written in the same cycle reads as it was, unless ``unchecked``.
    write : In(1), write_mask, write_address, write_data : In
    """

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        granularity: int | None = None,
        single_port: bool = False,
        huge: bool = False,
        register: bool = False,
        column: int | None = None,
        unchecked: bool = False,
    ) -> None:
        self.width = width
        self.depth = max(depth, 2)
        self.granularity = width if granularity is None else granularity
        self.single_port = single_port
        self.huge = huge
        self.register = register
        self.column = column
        self.unchecked = unchecked
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(range(self.depth)),
                "read_data": Out(width),
                "write": In(1),
                "write_mask": In(width // self.granularity),
                "write_address": In(range(self.depth)),
                "write_data": In(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        attributes: dict[str, str | int] = {}
        if self.huge:
            attributes["ram_style"] = "huge"
        if self.unchecked:
            attributes["no_rw_check"] = 1
        if self.column is not None:
            attributes[UNDEFINED] = 1
        width = self.width if self.column is None else self.column
        for first in range(0, self.width, width):
            part = slice(first, first + width)
            words = memory.Memory(shape=width, depth=self.depth, init=[], attrs=attributes)
            m.submodules["words" if self.column is None else f"words{first}"] = words
            read = words.read_port()
            write = words.write_port(granularity=min(width, self.granularity))
            m.d.comb += [
                read.en.eq(self.read_enable),
                read.addr.eq(self.read_address),
                write.addr.eq(self.write_address),
                write.data.eq(self.write_data[part]),
                write.en.eq(Mux(self.write, self.write_mask, 0)),
            ]
            if self.single_port:
                address = Signal.like(self.read_address)
                m.d.comb += [
                    address.eq(Mux(self.write, self.write_address, self.read_address)),
                    read.en.eq(self.read_enable & ~self.write),
                    read.addr.eq(address),
                    write.addr.eq(address),
                ]
            target = m.d.sync if self.register else m.d.comb
            target += self.read_data[part].eq(read.data)
        return m
