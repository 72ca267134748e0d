"""The one validated description of a design: its network and the hardware that trains it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .checks import ParameterError, boolean, choice, integer
from .encoding import DIGIT_PLANES, check_planes
from .ternary_dot import LANES_MAX, STRUCTURES, TECHS, check_pipeline
from .trainer_config import GATE_SHIFT_MAX, TrainerConfig

ROWS_MAX = 16
STORE_SAMPLES_MAX = 65535
SPILL_MAX = 65535
MEMORIES = ("weights", "counters", "samples")
PIXEL_WIDTHS = (1, 2, 4, 8)
IMAGE_SIDE_MAX = 256
BAUD_LIMITS = (1200, 12_000_000)
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """How a network is laid out in hardware: speed and area, never the trained weights.

    Parameters
    ----------
    lanes : int
        P, 1 … 1024: trits of a weight word, multiplied in one cycle.
    rows : int
        R, 1 … 16: rows of weights read in parallel in the forward pass.
    structure, tech : str
        Structure of the dot product and the LUT it is mapped to (``golden.ternary_dot``).
    counter_lanes : int
        Lanes that one word of the counter memory covers, a divisor of ``lanes``; 0 stands for all
        of them. Fewer make a narrower memory and a slower update.
    single_port : sequence of str
        Memories that have one port, and go to the part's large blocks of that kind (iCE40 SPRAM):
        any of ``weights``, ``counters``, ``samples``. Single-port weights or counters make the
        update take two cycles a word.
    counter_spill : int
        Bits of a counter word that lie in an ordinary memory beside the single-port one.
    store_samples : int
        1 … 65535 samples kept on chip.
    pixel_width : int
        1, 2, 4 or 8 bits of a stored pixel.
    planes : sequence of (lo, hi)
        Thresholds of the encoder (``golden.encoding``), each at most 2^pixel_width.
    image : (height, width), optional
        1 … 256 each, where pixels form an image that can be shifted.
    gate_shift_max : int
        0 … 8: the largest gate shift s that can be set while running.
    pipeline : sequence of int
        LUT levels of the dot product, ascending, after which a register is put
        (``golden.ternary_dot``): a faster clock for a cycle of latency each.
    memory_register : bool
        Put a register behind every read of weights, counters and activations: a faster clock for a
        cycle of latency.
    accumulator_lanes : int
        Of a network with convolutions: trits of an activation word, and lanes in which error and
        gradient sums are added up. Divides ``lanes`` and the units of every hidden layer; 0 stands
        for the most that does.
    monitor : bool
        Count resting products (their status register stays zero without).
    baud : int
        1200 … 12000000 bits a second of the serial line; a core needs 8 clock cycles a bit, and
        says so where its clock is known.

    Raises
    ------
    ParameterError
        Names the field, the value and the legal range.
    """

    lanes: int = 64
    rows: int = 1
    structure: str = "balanced"
    tech: str = "lut4"
    counter_lanes: int = 0
    single_port: tuple[str, ...] = ()
    counter_spill: int = 0
    store_samples: int = 1
    pixel_width: int = 4
    planes: tuple[tuple[int, int], ...] = DIGIT_PLANES
    image: tuple[int, int] | None = None
    gate_shift_max: int = 3
    pipeline: tuple[int, ...] = ()
    memory_register: bool = False
    accumulator_lanes: int = 0
    monitor: bool = True
    baud: int = 1_000_000

    def __post_init__(self) -> None:
        put = object.__setattr__
        integer("lanes", self.lanes, 1, LANES_MAX)
        integer("rows", self.rows, 1, ROWS_MAX)
        choice("structure", self.structure, STRUCTURES)
        choice("tech", self.tech, TECHS)
        put(self, "counter_lanes", integer("counter_lanes", self.counter_lanes, 0, self.lanes))
        if self.counter_lanes == 0:
            put(self, "counter_lanes", self.lanes)
        if self.lanes % self.counter_lanes:
            raise ParameterError(
                f"counter_lanes must divide lanes ({self.lanes}), not {self.counter_lanes}"
            )
        put(self, "single_port", check_memories("single_port", self.single_port))
        integer("counter_spill", self.counter_spill, 0, SPILL_MAX)
        if self.counter_spill and "counters" not in self.single_port:
            raise ParameterError(
                "counter_spill must be 0 where single_port does not name 'counters', "
                f"not {self.counter_spill}"
            )
        put(self, "pipeline", check_pipeline(self.pipeline))
        boolean("memory_register", self.memory_register)
        integer("accumulator_lanes", self.accumulator_lanes, 0, self.lanes)
        boolean("monitor", self.monitor)
        integer("baud", self.baud, *BAUD_LIMITS)
        integer("store_samples", self.store_samples, 1, STORE_SAMPLES_MAX)
        if integer("pixel_width", self.pixel_width, 1, 8) not in PIXEL_WIDTHS:
            raise ParameterError(f"pixel_width must be 1, 2, 4 or 8, not {self.pixel_width}")
        integer("gate_shift_max", self.gate_shift_max, 0, GATE_SHIFT_MAX)
        put(self, "planes", check_planes(self.planes))
        limit = 1 << self.pixel_width
        for i, (_, hi) in enumerate(self.planes):
            if hi > limit:
                raise ParameterError(
                    f"planes[{i}].hi must be at most 2^pixel_width ({limit}), not {hi}"
                )
        put(self, "image", check_image(self.image))


def check_memories(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """``value`` as different names of ``MEMORIES`` in that order; raises ParameterError."""
    legal = ", ".join(map(repr, MEMORIES))
    if not isinstance(value, list | tuple) or len({*map(repr, value)}) < len(value):
        raise ParameterError(f"{name} must be a list of different ones of {legal}, not {value!r}")
    for i, memory in enumerate(value):
        choice(f"{name}[{i}]", memory, MEMORIES)
    return tuple(memory for memory in MEMORIES if memory in value)


def check_image(image: Sequence[int] | None) -> tuple[int, int] | None:
    """``image`` as (height, width) or None; raises ParameterError for anything else."""
    if image is None:
        return None
    if not isinstance(image, list | tuple) or len(image) != 2:
        raise ParameterError(f"image must be a pair (height, width), not {image!r}")
    height, width = (
        integer(f"image[{i}]", side, 1, IMAGE_SIDE_MAX) for i, side in enumerate(image)
    )
    return height, width


@dataclass(frozen=True, kw_only=True)
class DesignConfig:
    """A named design for a board: what every command of trisign is given.

    Parameters
    ----------
    name : str
        1 … 64 of a-z, 0-9, ``-`` and ``_``, starting with a letter or digit.
    board : str
        A board of ``trisign boards``.
    description : str
        One line for people.
    network : TrainerConfig
    hardware : HardwareConfig

    Raises
    ------
    ParameterError
        A field is out of range, or network and hardware do not fit each other.
    """

    name: str
    board: str
    description: str = ""
    network: TrainerConfig = field(default_factory=TrainerConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            raise ParameterError(
                "name must be 1 to 64 of a-z, 0-9, '-' and '_', starting with a letter or digit, "
                f"not {self.name!r}"
            )
        for name in ("board", "description"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.isprintable():
                raise ParameterError(f"{name} must be one line of text, not {value!r}")
        check_fit(self.network, self.hardware)

    @property
    def pixels(self) -> int:
        """Pixels of a sample: the network's inputs divided by the planes."""
        return self.network.inputs // len(self.hardware.planes)

    @property
    def classes(self) -> int:
        """Units of the last layer."""
        return self.network.classes

    @property
    def image(self) -> tuple[int, int] | None:
        """(height, width) where pixels form an image: a convolution's input always does."""
        if self.network.input_shape is not None:
            return self.network.input_shape[:2]
        return self.hardware.image


def check_fit(network: TrainerConfig, hardware: HardwareConfig) -> None:
    """Raise ParameterError unless ``hardware`` can train ``network``."""
    for epoch in (0, *(change[0] for change in network.schedule)):
        for gate_shift in network.settings(epoch)["gate_shift"]:
            if gate_shift > hardware.gate_shift_max:
                raise ParameterError(
                    f"network.gate_shift must be from 0 to hardware.gate_shift_max "
                    f"({hardware.gate_shift_max}), not {gate_shift}"
                )
    lanes, group = hardware.lanes, network.rng_group
    if lanes % group and group % lanes:
        raise ParameterError(
            f"hardware.lanes must divide network.rng_group ({group}) or be a multiple of it, "
            f"not {lanes}"
        )
    planes = len(hardware.planes)
    if network.input_shape is not None:
        height, width, channels = network.input_shape
        if channels != planes:
            raise ParameterError(
                f"network.input_shape[2] must be the number of hardware.planes ({planes}), "
                f"not {channels}"
            )
        if hardware.image not in (None, (height, width)):
            raise ParameterError(
                f"hardware.image must be left out or {(height, width)}, as network.input_shape, "
                f"not {hardware.image!r}"
            )
    elif network.inputs % planes:
        raise ParameterError(
            f"network.layers[0] must be a multiple of the number of hardware.planes ({planes}), "
            f"not {network.inputs}"
        )
    pixels = network.inputs // planes
    if hardware.image is not None and hardware.image[0] * hardware.image[1] != pixels:
        raise ParameterError(
            f"hardware.image must hold {pixels} pixels (inputs ÷ planes), not {hardware.image!r}"
        )


def missing_in_hardware(network: TrainerConfig) -> str | None:
    """What only the golden engine can train of ``network``, as an error line; None if nothing."""
    increments = [network.counter_increment]
    increments += [value for _, name, value in network.schedule if name == "counter_increment"]
    if any(increment != (1,) * network.layer_count for increment in increments):
        return "network.counter_increment: values above 1 are trained by the golden engine only"
    return None
