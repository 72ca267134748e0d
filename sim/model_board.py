"""A board in Python: the golden link in front of a golden trainer, register by register."""

from __future__ import annotations

import numpy as np

from ..gen.config import short_hash
from ..gen.memory_image import MemoryImage
from ..golden.design import DesignConfig
from ..golden.lfsr import FALLBACK_STATE
from ..golden.link import Link, LinkStatus
from ..golden.sample_store import SampleStore
from ..golden.trainer import Trainer
from ..golden.trainer_state import COUNTS
from ..rtl.convolution_plan import plan_of
from ..rtl.register_map import (
    IDENTITY,
    OFFSET_BITS,
    Command,
    Region,
    register_addresses,
    registers,
)


class ModelBoard:
    """What a core answers to the bytes of a host; a run is finished as soon as it has begun.

    Only rule ``counter`` with the margin loss: it has no generator and no controllers besides.

    Parameters
    ----------
    design : DesignConfig
    config_hash : int, optional
        That of ``design`` where it is left out.

    Attributes
    ----------
    link : golden.link.Link
    registers : dict of int
        Values of the registers by name.
    """

    def __init__(self, design: DesignConfig, *, config_hash: int | None = None) -> None:
        self.design = design
        self.plan = plan_of(design.network, design.hardware)
        self.image = MemoryImage(self.plan)
        self.link = Link(self.access, self.reset)
        self._table = registers(design.network)
        self._names = list(register_addresses(design.network))
        weights, counters = self.image.weight_offsets(), self.image.counter_offsets()
        self._words = {
            Region.STORE: dict.fromkeys(range(self.plan.store_depth), 0),
            Region.WEIGHTS: dict.fromkeys(weights.tolist(), 0),
            Region.COUNTERS: dict.fromkeys(counters.tolist(), 0),
        }
        self._masks = {
            Region.STORE: (1 << 32) - 1,
            Region.WEIGHTS: (1 << 2 * self.plan.weight_chunk) - 1,
            Region.COUNTERS: (1 << self.plan.counter_width * self.plan.counter_chunk) - 1,
        }
        self.config_hash = int(short_hash(design), 16) if config_hash is None else config_hash
        self.reset()

    def reset(self) -> None:
        """Registers to their initial values; memories keep their words."""
        network = self.design.network
        self.registers = dict.fromkeys(self._table, 0) | {
            "identity": IDENTITY,
            "config_hash": self.config_hash,
            "seed": 1,
            "learn": 1,
            "epochs": 1,
            "samples": self.design.hardware.store_samples,
            "margin": network.margin,
            "probability_shift": network.probability_shift,
            "lfsr": FALLBACK_STATE,
            "shift_lfsr": FALLBACK_STATE,
            "xorshift": 1,
        }
        for l in range(network.layer_count):
            for name in ("threshold", "window", "offset", "confidence", "gate_shift"):
                self.registers[f"{name}_{l}"] = network.of(name, l)

    def access(self, write: bool, address: int, data: int) -> tuple[int, LinkStatus]:
        """A word of the bus; see ``golden.link.Access``."""
        region, offset = address >> OFFSET_BITS, address & ((1 << OFFSET_BITS) - 1)
        if region == Region.REGISTERS:
            return self._register(write, offset, data)
        words = self._words.get(region, {})  # type: ignore[call-overload]
        if offset not in words:
            return 0, LinkStatus.REFUSED
        if not write:
            return words[offset], LinkStatus.OK
        words[offset] = data & self._masks[Region(region)]
        return 0, LinkStatus.OK

    def _register(self, write: bool, offset: int, data: int) -> tuple[int, LinkStatus]:
        if offset >= len(self._names):
            return 0, LinkStatus.REFUSED
        name = self._names[offset]
        register = self._table[name]
        if register.access == ("ro" if write else "wo"):
            return 0, LinkStatus.REFUSED
        if not write:
            return self.registers[name] & 0xFFFFFFFF, LinkStatus.OK
        value = data & ((1 << register.width) - 1)
        if name == "command":
            self._command(value)
        elif name in ("lfsr", "shift_lfsr"):
            self.registers[name] = value or FALLBACK_STATE
        elif register.signed:
            self.registers[name] = value - ((value >> (register.width - 1)) << register.width)
        else:
            self.registers[name] = value
        return 0, LinkStatus.OK

    def _command(self, value: int) -> None:
        if value & Command.CLEAR_COUNTERS:
            self.registers |= dict.fromkeys(set(COUNTS) & set(self.registers), 0)
        if value & Command.INITIALISE:
            self._keep(Trainer(self.design.network, self.registers["seed"]))
            self.registers["status"] |= 2
        elif value & Command.RUN:
            self._run()

    def _keep(self, trainer: Trainer) -> None:
        for region, (offsets, words) in (
            (Region.WEIGHTS, self.image.weights(trainer.weights)),
            (Region.COUNTERS, self.image.counters(trainer.counters)),
        ):
            self._words[region] |= zip(offsets.tolist(), words.tolist(), strict=True)
        self.registers["lfsr"] = trainer.lfsr_state

    def _run(self) -> None:
        trainer = Trainer(self.design.network, 1)
        region = self._words
        state = trainer.state()
        weights = self.image.weights_from([*region[Region.WEIGHTS].values()])
        counters = self.image.counters_from([*region[Region.COUNTERS].values()])
        for l in range(len(weights)):
            state |= {f"weights_{l}": weights[l], f"counters_{l}": counters[l]}
        for name in ("lfsr", "shift_lfsr"):
            state[name] = np.array(self.registers[name], np.int64)
        trainer.load_state(state)
        plan, count = self.plan, self.registers["samples"]
        stored = np.array([*region[Region.STORE].values()]).reshape(-1, plan.record_words)[:count]
        width = plan.hardware.pixel_width
        shifts = np.arange(plan.pixels_per_word) * width
        pixels = (stored[:, :-1, None] >> shifts) & ((1 << width) - 1)
        pixels = pixels.reshape(count, -1)[:, : plan.pixels]
        labels = stored[:, -1] & 0xFFFF
        hardware = plan.hardware
        store = SampleStore(
            pixels,
            labels,
            planes=hardware.planes,
            image=plan.image,
            channel_last=plan.config.convolves,
        )
        if self.registers["learn"]:
            for _ in range(self.registers["epochs"]):
                trainer.fit_store(store, shift=bool(self.registers["shift"]))
            for name in set(COUNTS) & set(self.registers):
                self.registers[name] += getattr(trainer, name)
            self._keep(trainer)
            self.registers["shift_lfsr"] = trainer.shift_lfsr.state
        predicted = trainer.predict(np.array(list(store.epoch(None))))
        for i, prediction in enumerate(predicted.tolist()):
            region[Region.STORE][(i + 1) * plan.record_words - 1] = prediction << 16 | int(
                labels[i]
            )
        self.registers["epoch"] = self.registers["epochs"]
        self.registers["sample"] = 0
