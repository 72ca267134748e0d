"""Pages of docs/ that follow from definitions: link, registers and the keys of a configuration.

Write them: ``python -m trisign.gen.interface_pages``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..golden.link import (
    ANSWER_FIELDS,
    BURST_MAX,
    COMMAND_MEANINGS,
    COUNTERS,
    PACKET_LIMIT,
    REQUEST_FIELDS,
    STATUS_MEANINGS,
    Field,
)
from ..golden.trainer_config import TrainerConfig
from ..rtl.register_map import OFFSET_BITS, Region, Register, register_addresses, registers
from .configuration_page import configuration_page
from .markdown import DOCS, NOTE, table

REGION_MEANINGS = {
    Region.REGISTERS: "the registers below",
    Region.STORE: "samples: words of pixels, then one of label (bits 0-15) and prediction (16-31)",
    Region.WEIGHTS: "weights; only while the trainer is not busy",
    Region.COUNTERS: "counters of the update rule; only while the trainer is not busy",
}


def fields(items: Sequence[Field]) -> str:
    """The table of a packet."""
    return table(("field", "bytes", "meaning"), ((f.name, f.size, f.meaning) for f in items))


def link_page() -> str:
    """The packet format."""
    return f"""{NOTE}

# The link

8 data bits, no parity, 1 stop bit, at `hardware.baud` of the configuration. A packet travels as a
COBS frame (Cheshire, Baker 1999): no byte of it is zero, and a zero ends it. All numbers begin with
their lowest byte. The CRC is CRC-32 as in Ethernet and `zlib.crc32`.

A host sends a request and waits for its answer. Where none comes it sends the same request again:
the board carries it out once, however often it comes, and answers it each time. Nothing else has an
answer: frames that are damaged, too long, or whose sequence number is not due change nothing and
are counted, and the next zero byte puts both ends in step again. A session begins with IDENTIFY,
which sets the sequence number.

A decoded packet has at most {PACKET_LIMIT} bytes, a request or an answer at most {BURST_MAX} words.

## Request

{fields(REQUEST_FIELDS)}
## Answer

{fields(ANSWER_FIELDS)}
## Commands

{table(("code", "command", "meaning"), ((int(c), c.name, m) for c, m in COMMAND_MEANINGS.items()))}
## Status

{table(("code", "status", "meaning"), ((int(s), s.name, m) for s, m in STATUS_MEANINGS.items()))}
## Counters

Two in a word, the first in its low half; modulo 2^16. Programming the board clears them.

{table(("counter", "counts"), ((f"`{name}`", meaning) for name, meaning in COUNTERS.items()))}"""


def registers_page(config: TrainerConfig | None = None) -> str:
    """The register map of a network; by default one of two layers with integer errors."""
    config = config or TrainerConfig(loss="squared_hinge")
    errors = "integer errors" if config.loss == "squared_hinge" else "errors that are trits"
    addresses = register_addresses(config)
    regions = ((int(r), r.name, meaning) for r, meaning in REGION_MEANINGS.items())
    rows = (
        (addresses[name], f"`{name}`", register.access, register.width, meaning(register))
        for name, register in registers(config).items()
    )
    return f"""{NOTE}

# Addresses

An address has a region in its top bits, from bit {OFFSET_BITS} on, and an offset of a 32-bit word
below.

{table(("region", "name", "holds"), regions)}
## Registers

Offsets are those of a network of {config.layer_count} layers with {errors}. Registers that
exist a layer come one for each layer in turn, so offsets of those behind them move with the number
of layers; `controller` exists with the squared hinge only. Values are unsigned unless stated;
`rw` can be read and written, `ro` only read, `wo` only written.

{table(("offset", "register", "access", "bits", "meaning"), rows)}"""


def meaning(register: Register) -> str:
    """What a register is, in a table."""
    return register.meaning.replace("|", "\\|") + (", signed" if register.signed else "")


PAGES = {
    "configuration.md": configuration_page,
    "link.md": link_page,
    "registers.md": registers_page,
}


def write_pages(folder: Path = DOCS) -> None:
    """Write every page."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
