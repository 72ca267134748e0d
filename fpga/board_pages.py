"""The page of each board in docs/boards: wiring, building, programming, what to expect.

Write them: ``python -m trisign.fpga.board_pages``.
"""

from __future__ import annotations

from pathlib import Path

from ..gen import config
from ..gen.boards import BOARDS, Board
from ..gen.interface_pages import DOCS, table
from ..golden.trainer_config import TrainerConfig
from .board_pins import PINS, BoardPins, Programmer, pin_table
from .project import BITSTREAMS, SCRIPT

NOTE = "<!-- Written by `python -m trisign.fpga.board_pages`; do not edit. -->"
FOLDER = DOCS / "boards"
MEANINGS = {
    "clk": "oscillator",
    "rx": "serial line, to the board",
    "tx": "serial line, from the board",
    "running": "lit while the trainer is at work",
    "trouble": "lit when a damaged packet came since the host last identified itself",
    "high": "held at 1, so that the ESP32 leaves the board alone",
    "reset": "button: everything starts anew, memories keep what they hold",
}


def page(board: Board) -> str:
    """The page of one board."""
    pins = PINS[board.name]
    shipped = {name: config.load(name) for name in config.shipped()}
    designs = {name: item for name, item in shipped.items() if item.board == board.name}
    # What is shown is done with the simplest: without convolutions, of the fewest weights.
    first = min(designs, key=lambda name: _size(designs[name].network))
    bauds = " or ".join(f"{baud}" for baud in {item.hardware.baud: 0 for item in designs.values()})
    rows = (
        (f"`{function}`", pin, f"{MEANINGS[function]}{_note(pins, function)}")
        for function, pin in pin_table(board.name).items()
    )
    programs = (_programmer(item) for item in pins.programmers)
    trained = ((f"`{name}`", item.description) for name, item in designs.items())
    return f"""{NOTE}

# {board.name}

Part: {board.part}. Tools: {board.family.toolchain}.
The oscillator has {board.oscillator_mhz:g} MHz, the core runs at {_clock(board)}.

{table(("configuration", "what it trains"), trained)}
## Wiring

Serial line: {pins.serial}; {bauds} baud, 8 data bits, no parity, 1 stop bit.

{table(("signal", "pin", "meaning"), rows)}
## Build

```sh
trisign build {first}
```

{_build_text(board, first)}

## Program

```sh
trisign program {first}
```

It takes the first of these that is installed; `--port` names the device where there are several:

{table(("program", "Debian package", "what runs"), programs)}
{pins.programming_note}## What to expect

Both lamps are dark after programming. `PORT` is the board's serial port, `{pins.port}` with nothing
else plugged in:

```sh
trisign train {first} --engine board --port PORT --epochs 1
```

{_lamp(pins.running_note)} is lit while it trains. The last lines say `board on PORT equals golden`
and the test accuracy, the same as without the board:

```sh
trisign train {first} --epochs 1
```

A board that holds another configuration is refused, with both hashes. The packets are those of
[link.md](../link.md).
"""


def _size(network: TrainerConfig) -> tuple[bool, int]:
    return network.convolves, network.weight_count


def _note(pins: BoardPins, function: str) -> str:
    notes = {"running": pins.running_note, "trouble": pins.trouble_note}
    return f"; {notes[function]}" if function in notes else ""


def _lamp(note: str) -> str:
    """``note`` at the head of a sentence."""
    article = "" if note.startswith(("an ", "LED")) else "the "
    return f"{article}{note}"[0].upper() + f"{article}{note}"[1:]


def _clock(board: Board) -> str:
    pll = "" if board.clock_mhz == board.oscillator_mhz else ", from the part's PLL"
    return f"{board.clock_mhz:g} MHz{pll}"


def _build_text(board: Board, name: str) -> str:
    folder = f"`build/boards/{name}`"
    if board.family.embedded:
        return (
            f"Writes bitstream and report into {folder}. Five place-and-route seeds must meet the\n"
            "clock, or there is no bitstream and the report says which are too slow."
        )
    tool = board.family.toolchain.split()[0]
    return (
        f"Writes the complete {tool} project into {folder}, without {tool}. Its script\n"
        f"`{SCRIPT}` runs {tool} and makes `{BITSTREAMS[board.family.name]}`; look into {tool}'s "
        "timing report,\nthe script does not fail where the clock is missed."
    )


def _programmer(item: Programmer) -> tuple[str, str, str]:
    package = f"`{item.debian_package}`" if item.debian_package else "none"
    arguments = " ".join(argument.format(file="FILE", port="PORT") for argument in item.arguments)
    return f"`{item.program}`", package, f"`{item.program} {arguments}`"


def write_pages(folder: Path = FOLDER) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, board in BOARDS.items():
        (folder / f"{name}.md").write_text(page(board), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
