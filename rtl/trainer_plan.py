"""Where everything lies in the trainer's memories, and how long each layer's rows take.

Pure arithmetic on the shared parameter objects: the RTL, its estimate, the register map and the
host all read the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..golden.checks import ParameterError
from ..golden.design import HardwareConfig, missing_in_hardware
from ..golden.trainer_config import TrainerConfig
from ..golden.update_parameters import UpdateParameters

BUS_WIDTH = 32
COLUMN_BITS = 1 << 14  # of a block memory of the parts that are fast
SINGLE_PORT_GRANULARITY = 4  # bits of a word that iCE40 SPRAM writes at once
STREAK_MAX = 63  # a controller's state is one word of the bus


def ceil_div(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)


def chunk_lanes(lanes: int, element_width: int) -> int:
    """Most lanes of ``element_width`` bits that fit a bus word and divide ``lanes``."""
    limit = max(1, BUS_WIDTH // element_width)
    return max(n for n in range(1, min(limit, lanes) + 1) if lanes % n == 0)


@dataclass(frozen=True)
class LayerPlan:
    """One row of the layer table.

    Attributes
    ----------
    inputs, units : int
        n_in and n_out.
    words : int
        Words of P trits in a row of weights.
    row_groups : int
        Sets of R rows that are read together.
    period : int
        Cycles from one set of rows to the next in the forward pass.
    weight_base : int
        First word in each weight bank.
    input_base : int
        First word of its inputs in the activation memory (layer 0: of the first of two buffers).
    output_base, window_base, error_base : int
        Words of its activations, window flags and errors there; the last layer has none.
    """

    inputs: int
    units: int
    words: int
    row_groups: int
    period: int
    weight_base: int
    input_base: int
    output_base: int
    window_base: int
    error_base: int

    @property
    def forward_cycles(self) -> int:
        """Cycles of its rows in the forward pass."""
        return self.row_groups * self.period


class TrainerPlan:
    """Memory layout of a trainer.

    Parameters
    ----------
    config : TrainerConfig
    hardware : HardwareConfig

    Raises
    ------
    ParameterError
        The two do not fit each other.
    """

    def __init__(self, config: TrainerConfig, hardware: HardwareConfig) -> None:
        self.config = config
        self.hardware = hardware
        if (missing := missing_in_hardware(config)) is not None:
            raise ParameterError(missing)
        lanes, rows = hardware.lanes, hardware.rows
        for name, value in (("rows", rows), ("lanes // counter_lanes", self.counter_steps)):
            if value & (value - 1):
                raise ParameterError(f"{name} must be a power of two, not {value}")
        if lanes % rows or (rows > 1 and lanes // rows < 2):
            raise ParameterError(
                f"rows must divide lanes ({lanes}) with a quotient of 2 or more, not {rows}"
            )
        if lanes % config.rng_group and config.rng_group % lanes:
            raise ParameterError(
                f"lanes must divide rng_group ({config.rng_group}) or be a multiple of it, "
                f"not {lanes}"
            )
        if len({config.of("counter_width", l) for l in range(config.layer_count)}) > 1:
            raise ParameterError(
                f"counter_width must be the same for every layer in hardware, "
                f"not {config.counter_width}"
            )
        if config.precision.patience > STREAK_MAX:
            raise ParameterError(
                f"precision.patience must be from 1 to {STREAK_MAX} in hardware, "
                f"not {config.precision.patience}"
            )
        self._check_memories()
        self._lay_out()

    def _lay_out(self) -> None:
        """Give every layer its place: ``layers``, ``weight_depth`` and ``activation_depth``."""
        config, lanes, rows = self.config, self.hardware.lanes, self.hardware.rows
        plans = []
        weight_base = 0
        first = ceil_div(config.layers[0], lanes)
        base = 2 * first
        input_base = 0
        for l, (units, inputs) in enumerate(config.shapes):
            words, row_groups = ceil_div(inputs, lanes), ceil_div(units, rows)
            own = ceil_div(units, lanes)
            last = l == config.layer_count - 1
            # Two words finished in successive cycles would both want to be written with flags.
            crowded = words == 1 and own > 1 and 0 < units % lanes <= rows
            plans.append(
                LayerPlan(
                    inputs=inputs,
                    units=units,
                    words=words,
                    row_groups=row_groups,
                    period=max(words, rows) if last else words + crowded,
                    weight_base=weight_base,
                    input_base=input_base,
                    output_base=base,
                    window_base=base + own,
                    error_base=base + 2 * own,
                )
            )
            weight_base += row_groups * words
            input_base = base
            if not last:
                base += 3 * own
        self.layers = tuple(plans)
        self.weight_depth = weight_base
        self.activation_depth = base

    def _check_memories(self) -> None:
        word, spill = self.counter_word_width, self.hardware.counter_spill
        if spill >= word:
            raise ParameterError(
                f"counter_spill must be less than the bits of a counter word ({word}), not {spill}"
            )
        # What the host writes at once, in bits, and the word it may be a part of.
        written = {
            "weights": (2 * self.weight_chunk, 2 * self.hardware.lanes),
            "counters": (self.counter_width * self.counter_chunk, word - spill),
        }
        for memory, (part, whole) in written.items():
            if self.is_single_port(memory) and part < whole and part % SINGLE_PORT_GRANULARITY:
                raise ParameterError(
                    f"counter_lanes must make the parts in which {memory} are written a multiple "
                    f"of {SINGLE_PORT_GRANULARITY} bits for a single-port memory, not {part} bits "
                    f"({self.hardware.counter_lanes} lanes)"
                )

    @property
    def read_latency(self) -> int:
        """Cycles from an address to its word of weights, counters or activations."""
        return 2 if self.hardware.memory_register else 1

    @property
    def counter_steps(self) -> int:
        """Counter words (and update cycles) that cover one weight word."""
        return self.hardware.lanes // self.hardware.counter_lanes

    @cached_property
    def update_parameters(self) -> UpdateParameters:
        """What a lane of the update data path does."""
        config = self.config
        return UpdateParameters(
            rule=config.rule,
            lanes=self.hardware.lanes,
            rng_group=config.rng_group,
            gradient_width=2,
            counter_width=config.of("counter_width", 0),
            probability_shift_max=self.probability_shift_max,
        )

    @property
    def update_confidence(self) -> tuple[int, ...]:
        """α of each layer, for the trits that the update is given."""
        layers = range(self.config.layer_count)
        return tuple(self.config.of("gradient_confidence", l) for l in layers)

    @property
    def quantises(self) -> bool:
        """True where errors are integers of a few bits, not trits."""
        return self.config.loss == "squared_hinge"

    @property
    def error_width(self) -> int:
        """Bits of an error of a unit, signed."""
        return self.config.precision.output_width if self.quantises else 2

    def error_base(self, layer: int) -> int:
        """Where the quantised errors of a layer's units begin in their memory."""
        return sum(p.units for p in self.layers[:layer])

    @property
    def error_depth(self) -> int:
        """Quantised errors of all units."""
        return self.error_base(len(self.layers))

    @property
    def probability_shift_max(self) -> int:
        """Largest s of rule ``ema_dst`` that the configuration or its schedule asks for."""
        scheduled = [v for _, name, v in self.config.schedule if name == "probability_shift"]
        return max(self.config.probability_shift, *scheduled, 0)

    @property
    def counter_width(self) -> int:
        """Bits of a stored counter or average."""
        return self.update_parameters.momentum_width

    @property
    def counter_depth(self) -> int:
        """Words of the counter memory."""
        return self.weight_depth * self.hardware.rows * self.counter_steps

    @property
    def counter_word_width(self) -> int:
        """Bits of a word of counters."""
        return self.counter_width * self.hardware.counter_lanes

    @property
    def counter_parts(self) -> dict[str, int]:
        """Memories that a word of counters is spread over, low bits first: name → bits."""
        spill = self.hardware.counter_spill
        parts = {"counters": self.counter_word_width - spill, "counter_spill": spill}
        return {name: width for name, width in parts.items() if width}

    def is_single_port(self, memory: str) -> bool:
        """True where a memory reads or writes in a cycle, not both."""
        return memory in self.hardware.single_port

    @property
    def updates_apart(self) -> bool:
        """False where an update may write part of a word of weights while it reads that word.

        Passes never overlap, and an update comes to a word once; but in ``counter_steps`` steps,
        which follow each other closely where no memory has a single port.
        """
        return (
            self.counter_steps == 1
            or self.is_single_port("weights")
            or self.is_single_port("counters")
        )

    @property
    def weight_chunk(self) -> int:
        """Lanes of a weight word that one bus word carries."""
        return chunk_lanes(self.hardware.counter_lanes, 2)

    @property
    def counter_chunk(self) -> int:
        """Lanes of a counter word that one bus word carries."""
        return chunk_lanes(self.hardware.counter_lanes, self.counter_width)

    @property
    def weight_chunks(self) -> int:
        return self.hardware.lanes // self.weight_chunk

    @property
    def counter_chunks(self) -> int:
        return self.hardware.counter_lanes // self.counter_chunk

    @property
    def pixels(self) -> int:
        """Pixels of a sample: the network's inputs divided by the planes."""
        return self.config.inputs // len(self.hardware.planes)

    @property
    def plane_sets(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Planes whose trits are loaded together, in the order in which they lie."""
        return tuple((plane,) for plane in self.hardware.planes)

    @property
    def loaded_lanes(self) -> int:
        """What the loader puts into a word: trits, or pixels."""
        return self.hardware.lanes

    @property
    def image(self) -> tuple[int, int] | None:
        """(height, width) where pixels form an image."""
        return self.hardware.image

    @property
    def pixels_per_word(self) -> int:
        """Pixels in a word of the sample store."""
        return BUS_WIDTH // self.hardware.pixel_width

    @property
    def record_words(self) -> int:
        """Words of a sample in the store: its pixels, then a word with label and prediction."""
        return ceil_div(self.pixels, self.pixels_per_word) + 1

    @property
    def store_depth(self) -> int:
        """Words of the sample store."""
        return self.record_words * self.hardware.store_samples

    @property
    def store_column(self) -> int | None:
        """Bits of a word of the store that one memory of full depth holds; None: all.

        Only where the clock matters more than some blocks: then each is a block of its own.
        """
        if not self.hardware.memory_register:
            return None
        return max(1, min(BUS_WIDTH, COLUMN_BITS >> (self.store_depth - 1).bit_length()))

    @cached_property
    def sum_width(self) -> int:
        """Width of every z: the widest layer's."""
        return max(self.config.sum_width(l) for l in range(self.config.layer_count))

    def weight_address(self, layer: int, row: int, word: int = 0) -> tuple[int, int]:
        """(address in the bank, bank) of a word of weights."""
        plan = self.layers[layer]
        group, bank = divmod(row, self.hardware.rows)
        return plan.weight_base + group * plan.words + word, bank
