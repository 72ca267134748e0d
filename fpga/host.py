"""A board from the host's side: load samples, train, predict, read and write the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..gen.config import short_hash
from ..gen.memory_image import MemoryImage
from ..golden.checks import DataError, ParameterError, integer
from ..golden.design import DesignConfig
from ..golden.precision_controller import PrecisionState
from ..golden.trainer import Trainer
from ..golden.trainer_state import GENERATORS
from ..rtl.convolution_plan import plan_of
from ..rtl.register_map import COUNTERS as COUNTS
from ..rtl.register_map import IDENTITY, Command, Region, address, register_addresses, registers
from .link_client import LinkClient, runs
from .link_errors import LinkError, WrongConfiguration
from .transport import SerialTransport, Transport

BUSY, INITIALISED = 1, 2
POLL_SECONDS = 0.02
# Far more cycles than any sample takes, at a clock slower than any board's.
SAMPLE_SECONDS = 1.0

Progress = Callable[["BoardStatus"], None]


@dataclass(frozen=True)
class BoardStatus:
    """Where a board is.

    Attributes
    ----------
    busy, initialised : bool
    epoch, sample : int
        Finished in this run; samples in this epoch.
    counts : dict of int
        The trainer's status counters.
    saturated : tuple of str
        Those that reached their limit.
    """

    busy: bool
    initialised: bool
    epoch: int
    sample: int
    counts: dict[str, int]
    saturated: tuple[str, ...]


class Board:
    """A board that holds ``design``.

    Parameters
    ----------
    design : DesignConfig
    transport : Transport
        The line to the board; see ``open_board`` for serial ports.
    client : keywords
        ``timeout`` and ``attempts`` of ``LinkClient``.

    Raises
    ------
    WrongConfiguration
        The board holds another one.
    NoAnswer, LinkError
        There is no board, or the line fails.

    Every method raises NoAnswer, Refused or LinkError where the board does not do its part. After
    any of them, and after the host itself was away, ``identify`` begins anew: the board keeps what
    it holds, and a run goes on meanwhile.
    """

    def __init__(self, design: DesignConfig, transport: Transport, **client: float) -> None:
        self.design = design
        self.plan = plan_of(design.network, design.hardware)
        self.image = MemoryImage(self.plan)
        self.link = LinkClient(transport, baud=design.hardware.baud, **client)  # type: ignore[arg-type]
        self._registers = registers(design.network)
        self._addresses = register_addresses(design.network)
        self.identify()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.link.transport.close()

    # The board as a whole

    def identify(self) -> None:
        """Begin a session with the board, and make sure that it is the right one."""
        identity, config_hash = self.link.identify(self._addresses["identity"], 2)
        if identity != IDENTITY:
            raise LinkError(
                f"what answers is no trainer: identity {identity:#010x}, not {IDENTITY:#010x}",
                self.link.counters,
            )
        wanted = short_hash(self.design)
        if config_hash != int(wanted, 16):
            raise WrongConfiguration(
                f"the board holds configuration {config_hash:08x}, not {wanted} "
                f"({self.design.name}): program it with that one, or name the one it holds",
                self.link.counters,
            )

    def status(self) -> BoardStatus:
        """Where the board is."""
        names = ("status", "saturated", "epoch", "sample", *(register.name for register in COUNTS))
        values = dict(zip(names, self.read_registers(names), strict=True))
        return BoardStatus(
            busy=bool(values["status"] & BUSY),
            initialised=bool(values["status"] & INITIALISED),
            epoch=values["epoch"],
            sample=values["sample"],
            counts={register.name: values[register.name] for register in COUNTS},
            saturated=tuple(
                register.name for i, register in enumerate(COUNTS) if values["saturated"] >> i & 1
            ),
        )

    def link_status(self) -> dict[str, int]:
        """The board's counters of the link: see ``golden.link.COUNTERS``."""
        return self.link.status()

    def reset(self) -> None:
        """Registers to their initial values, a run ends at once; memories keep their contents."""
        self.link.reset()

    def stop(self) -> None:
        """End a run after the sample in work, and wait for that."""
        self.write_register("command", Command.STOP)
        self.wait(samples=2)

    def wait(self, *, samples: int, progress: Progress | None = None) -> BoardStatus:
        """Wait for the end of a run of ``samples``; where the board is then.

        Raises LinkError where it takes longer than any run of so many could.
        """
        limit = time.monotonic() + 5 + SAMPLE_SECONDS * samples
        pause = 0.0
        while True:
            busy = self.read_register("status") & BUSY
            if not busy:
                return self.status()
            if progress is not None:
                progress(self.status())
            if time.monotonic() > limit:
                raise LinkError("the board does not finish its run: reset it", self.link.counters)
            time.sleep(pause)
            pause = POLL_SECONDS

    # Registers

    def read_registers(self, names: Sequence[str]) -> list[int]:
        """Values of registers, as many requests as there are runs of addresses."""
        return [
            self._signed(name, word)
            for name, word in zip(
                names, self.link.read_at(self._address(name) for name in names), strict=True
            )
        ]

    def read_register(self, name: str) -> int:
        """The value of a register, signed where it is."""
        return self.read_registers([name])[0]

    def write_register(self, name: str, value: int) -> None:
        """Write a register; raises ParameterError for a value that it cannot hold."""
        where, register = self._address(name), self._registers[name]
        low = -(1 << (register.width - 1)) if register.signed else 0
        value = integer(name, value, low, low + (1 << register.width) - 1)
        self.link.write(where, [value & 0xFFFFFFFF])

    def _address(self, name: str) -> int:
        if name not in self._addresses:
            raise ParameterError(
                f"register must be one of {', '.join(self._addresses)}, not {name!r}"
            )
        return address(Region.REGISTERS, self._addresses[name])

    def _signed(self, name: str, word: int) -> int:
        return word - (word >> 31 << 32) if self._registers[name].signed else word

    # Samples

    def load_samples(self, pixels: ArrayLike, labels: ArrayLike) -> int:
        """Fill the sample store from its start, and make them the samples of an epoch.

        Raises DataError, before anything is sent, for samples that do not fit the design or are
        more than the store holds.
        """
        words = self.image.store(pixels, labels)
        self.link.write(address(Region.STORE, 0), words.tolist())
        count = len(words) // self.plan.record_words
        self.write_register("samples", count)
        return count

    # The network's state

    def initialise(self, seed: int = 1) -> None:
        """Draw weights and generators from ``seed``, as ``golden.trainer.Trainer`` does."""
        golden = Trainer(self.design.network, integer("seed", seed, 0, 2**32 - 1))
        self.write_register("seed", seed & 0xFFFF)
        self._write_generators(golden.state(), ("shift_lfsr", "xorshift"))
        self.write_register("command", Command.INITIALISE | Command.CLEAR_COUNTERS)
        self.wait(samples=1)

    def read_weights(self) -> list[NDArray[np.int8]]:
        """Weights, an array [out, in] a layer."""
        return self.image.weights_from(self._read(Region.WEIGHTS, self.image.weight_offsets()))

    def write_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace the weights."""
        self._write(Region.WEIGHTS, *self.image.weights(weights))

    def read_counters(self) -> list[NDArray[np.int64]]:
        """Counters of the update rule, an array [out, in] a layer."""
        return self.image.counters_from(self._read(Region.COUNTERS, self.image.counter_offsets()))

    def write_counters(self, counters: Sequence[ArrayLike]) -> None:
        """Replace the counters."""
        self._write(Region.COUNTERS, *self.image.counters(counters))

    def state(self) -> dict[str, NDArray]:
        """What the board holds of ``golden.trainer.Trainer.state()``; its counts are left out."""
        state: dict[str, NDArray] = {}
        layers = zip(self.read_weights(), self.read_counters(), strict=True)
        for l, (weights, counters) in enumerate(layers):
            state |= {f"weights_{l}": weights, f"counters_{l}": counters}
        for name in GENERATORS:
            state[name] = np.array(self.read_register(name), np.int64)
        for name in self._controllers():
            word = self.read_register(name)
            fields = (word >> 16 & 31, word >> 21 & 31, word >> 26, word & 0xFFFF)
            state[name] = np.array(fields, np.int64)
        return state

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from a checkpoint: arrays as ``state`` or the golden trainer gives them."""
        layers = range(len(self.plan.layers))
        missing = [
            name
            for name in (*(f"weights_{l}" for l in layers), *(f"counters_{l}" for l in layers))
            if name not in state
        ]
        if missing:
            raise DataError(f"state must hold {missing[0]!r}, not only {sorted(state)}")
        self.write_weights([state[f"weights_{l}"] for l in layers])
        self.write_counters([state[f"counters_{l}"] for l in layers])
        self._write_generators(state, tuple(GENERATORS))

    def _write_generators(self, state: Mapping[str, ArrayLike], names: Sequence[str]) -> None:
        for name in names:
            self.write_register(name, int(np.asarray(state[name])))
        for name in self._controllers():
            now = PrecisionState(*(int(value) for value in np.asarray(state[name])))
            word = now.lfsr | now.exponent << 16 | now.width << 21 | now.streak << 26
            self.write_register(name, word)

    def _controllers(self) -> list[str]:
        return [name for name in self._addresses if name.startswith("controller_")]

    def _read(self, region: Region, offsets: NDArray[np.int64]) -> list[int]:
        return self.link.read_at(address(region, int(offset)) for offset in offsets)

    def _write(self, region: Region, offsets: NDArray[np.int64], words: NDArray[np.uint32]) -> None:
        at = 0
        for first, count in runs(address(region, int(offset)) for offset in offsets):
            self.link.write(first, words[at : at + count].tolist())
            at += count

    # Runs

    def train(
        self,
        epochs: int,
        *,
        first_epoch: int = 0,
        shift: bool = False,
        progress: Progress | None = None,
    ) -> BoardStatus:
        """Train ``epochs`` over the samples in the store; bit for bit what golden does.

        ``first_epoch`` counts from the beginning of the training, for the schedule.
        """
        integer("epochs", epochs, 1, 65535)
        self._check_shift(shift)
        samples = self.read_register("samples")
        self.write_register("learn", 1)
        self.write_register("shift", int(shift))
        status = self.status()
        done = 0
        while done < epochs:
            self._settings(first_epoch + done)
            # As many as go by without a change of the schedule.
            changes = [e - first_epoch for e, _, _ in self.design.network.schedule]
            until = min([change for change in changes if change > done] + [epochs])
            self.write_register("epochs", until - done)
            self.write_register("command", Command.RUN)
            status = self.wait(samples=samples * (until - done), progress=progress)
            done = until
        return status

    def train_stream(
        self,
        pixels: ArrayLike,
        labels: ArrayLike,
        epochs: int,
        *,
        first_epoch: int = 0,
        shift: bool = False,
        progress: Progress | None = None,
    ) -> BoardStatus:
        """Train on more samples than the store holds, a piece at a time, as golden would.

        Raises ParameterError for a loss whose precision controllers close a window an epoch.
        """
        if self.plan.quantises:
            raise ParameterError(
                "network.loss must be 'crammer_singer' to train on more samples than the "
                f"store holds ({self.design.hardware.store_samples}), "
                f"not {self.design.network.loss!r}"
            )
        pixels, labels = np.asarray(pixels), np.asarray(labels)
        piece = self.design.hardware.store_samples
        if not len(pixels) or len(pixels) != len(labels):
            raise DataError(f"labels must be one a sample ({len(pixels)}), not {len(labels)}")
        status = self.status()
        for epoch in range(integer("epochs", epochs, 1, 65535)):
            for at in range(0, len(pixels), piece):
                self.load_samples(pixels[at : at + piece], labels[at : at + piece])
                status = self.train(
                    1, first_epoch=first_epoch + epoch, shift=shift, progress=progress
                )
        return status

    def predict(self, pixels: ArrayLike) -> NDArray[np.int64]:
        """Classes of one or many samples, without learning; the store holds them afterwards."""
        pixels = np.asarray(pixels)
        pixels = pixels[None] if pixels.ndim == 1 else pixels
        piece = self.design.hardware.store_samples
        for name, value in (("learn", 0), ("shift", 0), ("epochs", 1)):
            self.write_register(name, value)
        found = []
        for at in range(0, len(pixels), piece):
            part = pixels[at : at + piece]
            count = self.load_samples(part, np.zeros(len(part), np.int64))
            self.write_register("command", Command.RUN)
            self.wait(samples=count)
            words = self._read(Region.STORE, self.image.prediction_offsets(count))
            found.append(self.image.predictions(words))
        self.write_register("learn", 1)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def _check_shift(self, shift: bool) -> None:
        if shift and self.design.image is None:
            raise ParameterError("hardware.image must be a pair (height, width) to shift, not None")

    def _settings(self, epoch: int) -> None:
        """The registers that a schedule changes, as they are in ``epoch``."""
        settings = self.design.network.settings(epoch)
        self.write_register("margin", settings["margin"])
        self.write_register("probability_shift", settings["probability_shift"])
        for l, gate_shift in enumerate(settings["gate_shift"]):
            self.write_register(f"gate_shift_{l}", gate_shift)


def open_board(design: DesignConfig, port: str, **client: float) -> Board:
    """The board on serial port ``port``; see ``Board``."""
    return Board(design, SerialTransport(port, design.hardware.baud), **client)
