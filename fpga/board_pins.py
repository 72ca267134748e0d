"""What a board's top uses: serial line, lamps, and how the board is programmed.

Pins are those of amaranth-boards; where it names no serial line, one is put on connector pins here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal

from ..gen import boards


@dataclass(frozen=True)
class Lamp:
    """A lamp: resource name, number, and the subsignal where it is one of several."""

    resource: str
    number: int = 0
    part: str = ""


@dataclass(frozen=True)
class Programmer:
    """A program that loads a bitstream; ``{file}`` and ``{port}`` stand in its arguments.

    ``debian_package`` is empty where Debian has none.
    """

    program: str
    arguments: tuple[str, ...]
    port_arguments: tuple[str, ...] = ()
    debian_package: str = ""


@dataclass(frozen=True)
class BoardPins:
    """Pins and programmers of one board.

    Parameters
    ----------
    serial, port : str
        How the serial line reaches a computer, and what Linux calls it with nothing else plugged
        in.
    running, trouble : Lamp
    running_note, trouble_note : str
        What a person sees.
    programmers : tuple of Programmer
        In order of preference.
    programming_note : str
        What programming needs besides, a paragraph and an empty line; else empty.
    uart : tuple of (resource, number)
    extra : tuple of Resource
        Added to those of the platform.
    reset : str
        Resource of a reset button, empty where there is none that resets.
    high : Lamp, optional
        Not a lamp, but a pin that is held at 1.
    pll_pad : str
        iCE40: the pin that belongs to the PLL and cannot be an ordinary input beside it, where
        the oscillator is on it.
    """

    serial: str
    running: Lamp
    trouble: Lamp
    running_note: str
    trouble_note: str
    programmers: tuple[Programmer, ...]
    uart: tuple[str, int] = ("uart", 0)
    extra: tuple[Any, ...] = field(default=())
    reset: str = ""
    high: Lamp | None = None
    port: str = "/dev/ttyUSB0"
    pll_pad: str = ""
    programming_note: str = ""


def _open_loader(*arguments: str) -> Programmer:
    return Programmer(
        "openFPGALoader", (*arguments, "{file}"), ("--device", "{port}"), "openfpgaloader"
    )


_ICE40_LOADER = _open_loader("-b", "ice40_generic")
_ULX3S = BoardPins(
    serial="on the board: USB connector US1 (FT231X)",
    running=Lamp("led", 0),
    trouble=Lamp("led", 1),
    running_note="LED D0",
    trouble_note="LED D1",
    # While it is 0, the ESP32 takes the board over and loads another bitstream after some seconds.
    high=Lamp("esp32", 0, "gpio0"),
    programmers=(
        _open_loader("-b", "ulx3s"),
        Programmer("fujprog", ("{file}",), ("-P", "{port}")),
    ),
)
_LVCMOS33 = {"IO_TYPE": "LVCMOS33"}

PINS = {
    "icebreaker": BoardPins(
        serial="on the board: USB connector (FT2232H, second channel)",
        port="/dev/ttyUSB1",
        running=Lamp("led_g"),
        trouble=Lamp("led_r"),
        running_note="green LED",
        pll_pad="35",
        trouble_note="red LED",
        programmers=(
            Programmer("iceprog", ("{file}",), ("-d", "{port}"), "fpga-icestorm"),
            _ICE40_LOADER,
        ),
    ),
    "ice40_hx8k_b_evn": BoardPins(
        serial="on the board: USB connector (FT2232H, second channel)",
        port="/dev/ttyUSB1",
        running=Lamp("led", 0),
        trouble=Lamp("led", 1),
        running_note="LED D2",
        trouble_note="LED D3",
        programmers=(
            Programmer("iceprog", ("{file}",), ("-d", "{port}"), "fpga-icestorm"),
            _ICE40_LOADER,
        ),
    ),
    "ulx3s_25f": _ULX3S,
    "ulx3s_85f": _ULX3S,
    "orangecrab": BoardPins(
        serial="a 3.3 V USB serial adapter on the header pins 0 (its TX) and 1 (its RX), and GND",
        extra=(
            Resource(
                "uart",
                0,
                Subsignal("rx", Pins("0", dir="i", conn=("io", 0)), Attrs(PULLMODE="UP")),
                Subsignal("tx", Pins("1", dir="o", conn=("io", 0))),
                Attrs(**_LVCMOS33),
            ),
        ),
        running=Lamp("rgb_led", 0, "g"),
        trouble=Lamp("rgb_led", 0, "r"),
        running_note="LED green",
        trouble_note="LED red",
        programmers=(
            Programmer(
                "dfu-util",
                ("-d", "1209:5af0", "-a", "0", "-D", "{file}"),
                ("-p", "{port}"),
                "dfu-util",
            ),
            _open_loader("-b", "orangeCrab"),
        ),
    ),
    "colorlight_5a_75b": BoardPins(
        serial="a 3.3 V USB serial adapter on connector J19: KEY+ (its TX), DATA_LED- (its RX), "
        "and GND; the LED on the board is on the same line and flickers with it; board revision "
        "7.0 alone, others have other pins",
        extra=(
            Resource("lamp", 0, PinsN("1", dir="o", conn=("j", 1)), Attrs(**_LVCMOS33)),
            Resource("lamp", 1, PinsN("2", dir="o", conn=("j", 1)), Attrs(**_LVCMOS33)),
        ),
        running=Lamp("lamp", 0),
        trouble=Lamp("lamp", 1),
        running_note="an LED with resistor from 5 V to J1 pin 1",
        trouble_note="an LED with resistor from 5 V to J1 pin 2",
        programmers=(
            Programmer(
                "openFPGALoader",
                ("-c", "ft232", "-m", "{file}"),
                ("--device", "{port}"),
                "openfpgaloader",
            ),
        ),
        programming_note="The board has no programmer of its own: an FT232H adapter must be wired "
        "to its JTAG holes, J27 (TCK), J31 (TMS), J32 (TDI), J30 (TDO) and J34 (GND).\n\n",
    ),
    "arty_a7": BoardPins(
        serial="on the board: USB connector J10 (FT2232H, second channel)",
        port="/dev/ttyUSB1",
        running=Lamp("led", 0),
        trouble=Lamp("led", 1),
        running_note="LED LD4",
        trouble_note="LED LD5",
        reset="rst",
        programmers=(_open_loader("-b", "arty_a7_35t"),),
    ),
    "de0_nano": BoardPins(
        serial="a 3.3 V USB serial adapter on JP1 pins 2 (its TX), 4 (its RX) and 12 (GND)",
        extra=(
            Resource(
                "uart",
                0,
                Subsignal(
                    "rx",
                    Pins("2", dir="i", conn=("gpio", 0)),
                    Attrs(weak_pull_up_resistor="ON"),
                ),
                Subsignal("tx", Pins("4", dir="o", conn=("gpio", 0))),
                Attrs(io_standard="3.3-V LVCMOS"),
            ),
        ),
        running=Lamp("led", 0),
        trouble=Lamp("led", 1),
        running_note="LED 0",
        trouble_note="LED 1",
        programmers=(_open_loader("-b", "de0nano"),),
    ),
}


def make_platform(name: str) -> Any:
    """A platform of amaranth-boards with what trisign adds to it."""
    platform = boards.find(name).platform_class()
    platform.add_resources(PINS[name].extra)
    return platform


def request_ports(platform: Any, pins: BoardPins) -> dict[str, Any]:
    """Ports without buffers: clk, rx, tx, running, trouble.

    Also reset where there is a button, and high where a pin is to be held at 1.

    What else a resource holds stays unconnected.
    """
    uart = _request(platform, *pins.uart)
    ports = {"clk": _request(platform, platform.default_clk), "rx": uart.rx, "tx": uart.tx}
    held: dict[tuple[str, int], Any] = {}
    wanted = {"running": pins.running, "trouble": pins.trouble, "high": pins.high}
    for function, lamp in wanted.items():
        if lamp is None:
            continue
        key = (lamp.resource, lamp.number)
        if key not in held:
            held[key] = _request(platform, *key)
        ports[function] = getattr(held[key], lamp.part) if lamp.part else held[key]
    if pins.reset:
        ports["reset"] = _request(platform, pins.reset)
    return ports


def _request(platform: Any, resource: str, number: int = 0) -> Any:
    parts = platform.lookup(resource, number).ios
    if all(isinstance(part, Subsignal) for part in parts):
        return platform.request(resource, number, dir={part.name: "-" for part in parts})
    return platform.request(resource, number, dir="-")


def pin_table(name: str) -> dict[str, str]:
    """Function of ``request_ports`` → pin of the part."""
    ports = request_ports(make_platform(name), PINS[name])
    return {function: str(port.io.metadata[0].name) for function, port in ports.items()}
