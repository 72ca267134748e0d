"""The trainer's address map: one definition for RTL, host and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from ..golden.trainer_config import MARGIN_MAX, THRESHOLD_MAX, TrainerConfig
from .trainer_plan import BUS_WIDTH

REGION_BITS = 4
OFFSET_BITS = 20
ADDRESS_WIDTH = REGION_BITS + OFFSET_BITS
MARGIN_WIDTH = MARGIN_MAX.bit_length()
THRESHOLD_WIDTH = THRESHOLD_MAX.bit_length()


class Region(IntEnum):
    """What the top bits of an address select."""

    REGISTERS = 0
    STORE = 1
    WEIGHTS = 2
    COUNTERS = 3


class Command(IntFlag):
    """Bits of the ``command`` register; a written 1 acts once."""

    INITIALISE = 1
    RUN = 2
    STOP = 4
    CLEAR_COUNTERS = 8


@dataclass(frozen=True)
class Register:
    """A register, or one a layer.

    ``access``: ``rw``, ``ro`` or ``wo``. Values are unsigned unless ``signed``. An ``external`` one
    is held where it is used, not in the register file.
    """

    name: str
    access: str
    width: int
    meaning: str
    per_layer: bool = False
    signed: bool = False
    external: bool = False


COUNTERS = (
    Register("samples_seen", "ro", BUS_WIDTH, "samples run, learning or not"),
    Register("samples_active", "ro", BUS_WIDTH, "samples whose margin was not met"),
    Register("correct", "ro", BUS_WIDTH, "samples predicted correctly, before their update"),
    Register("groups_drawn", "ro", BUS_WIDTH, "groups of lanes that drew a gate"),
    Register("groups_written", "ro", BUS_WIDTH, "groups whose gate was open"),
    Register("sign_flips", "ro", BUS_WIDTH, "weights that changed"),
    Register("resting", "ro", BUS_WIDTH, "products of the forward pass that were zero"),
    Register("cycles", "ro", BUS_WIDTH, "clock cycles with a run in progress"),
)

REGISTERS = (
    Register("identity", "ro", BUS_WIDTH, "0x54534731, 'TSG1'"),
    Register("config_hash", "ro", BUS_WIDTH, "first 32 bits of the configuration hash"),
    Register("command", "wo", 4, "bit 0 initialise, 1 run, 2 stop, 3 clear counters"),
    Register("status", "ro", 2, "bit 0 busy, bit 1 initialised"),
    Register("saturated", "ro", len(COUNTERS), "a bit for each counter that reached its limit"),
    Register("epoch", "ro", 16, "epochs finished in this run"),
    Register("sample", "ro", 16, "samples finished in this epoch"),
    Register("seed", "rw", 16, "seed of the next initialisation, modulo 2^16"),
    Register("lfsr", "rw", 16, "state of the generator; 0 reads as 0xACE1", external=True),
    Register("shift_lfsr", "rw", 16, "state of the generator of image shifts", external=True),
    Register("learn", "rw", 1, "1: update; 0: predict only"),
    Register("shift", "rw", 1, "1: move each image by −1, 0, +1 pixel each way at random"),
    Register("epochs", "rw", 16, "epochs of the next run"),
    Register("samples", "rw", 16, "samples of an epoch, from the start of the store"),
    Register("margin", "rw", MARGIN_WIDTH, "M"),
    Register("probability_shift", "rw", 5, "s of rule ema_dst"),
    Register("xorshift", "rw", BUS_WIDTH, "random word of rule ema_dst; not 0", external=True),
    *COUNTERS,
    Register("threshold", "rw", THRESHOLD_WIDTH, "r of a layer", per_layer=True),
    Register("window", "rw", THRESHOLD_WIDTH, "a of a layer", per_layer=True),
    Register("offset", "rw", THRESHOLD_WIDTH + 1, "b of a layer", per_layer=True, signed=True),
    Register("confidence", "rw", THRESHOLD_WIDTH, "theta of a layer's errors", per_layer=True),
    Register("gate_shift", "rw", 4, "s of a layer: a group is written 1 in 2^s", per_layer=True),
)

CONTROLLERS = (
    Register(
        "controller",
        "rw",
        BUS_WIDTH,
        "precision controller of a layer's errors: generator in bits 0-15, exponent 16-20, "
        "width 21-25, streak 26-31",
        per_layer=True,
        external=True,
    ),
)

IDENTITY = 0x54534731


def registers(config: TrainerConfig) -> dict[str, Register]:
    """Every register in order of address; those that exist a layer are called ``name_l``."""
    found: dict[str, Register] = {}
    quantises = config.loss == "squared_hinge"
    for register in REGISTERS + (CONTROLLERS if quantises else ()):
        if register.per_layer:
            found.update({f"{register.name}_{l}": register for l in range(config.layer_count)})
        else:
            found[register.name] = register
    return found


def register_addresses(config: TrainerConfig) -> dict[str, int]:
    """Name → address in the region REGISTERS."""
    return {name: address for address, name in enumerate(registers(config))}


def address(region: Region, offset: int) -> int:
    """A bus address."""
    return (region << OFFSET_BITS) | offset
