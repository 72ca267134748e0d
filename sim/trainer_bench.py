"""A trainer in simulation: its bus, its memories, and a golden trainer beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from cocotb.triggers import ClockCycles, with_timeout
from numpy.typing import NDArray

from ..gen.config import build, build_network
from ..gen.memory_image import MemoryImage
from ..golden.design import HardwareConfig
from ..golden.encoding import encode
from ..golden.precision_controller import PrecisionController
from ..golden.sample_store import SampleStore
from ..golden.write_log import RecordingTrainer
from ..rtl.convolution_plan import plan_of
from ..rtl.register_map import Command, Region, address, register_addresses, registers
from ..rtl.trainer_bus import BusRequest, BusResponse
from ..rtl.trainer_plan import BUS_WIDTH
from .agents import pattern
from .follower import Follower
from .payload import Payload
from .testbench import PERIOD_NS, Testbench, parameters

STATUS_COUNTERS = (
    "samples_seen",
    "samples_active",
    "correct",
    "groups_drawn",
    "groups_written",
    "sign_flips",
    "resting",
)
BUSY = 1
READ_CYCLES = 4  # of a register, at least


def controller_word(controller: PrecisionController) -> int:
    """State of a precision controller as the register ``controller_l`` shows it."""
    state = controller.state
    return state.lfsr | state.exponent << 16 | state.width << 21 | state.streak << 26


class Refused(Exception):
    """The trainer refused a request."""


class TrainerBench(Testbench):
    """Drives a trainer through its bus as a host would, and follows what it writes."""

    # NumPy: what a bench of a few samples does not pay for is loading a compiled trainer.
    make_golden: Callable[..., RecordingTrainer] = RecordingTrainer

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.network = build_network(given["network"])
        self.hardware = build(HardwareConfig, given["hardware"], "hardware.")
        self.plan = plan_of(self.network, self.hardware)
        self.image = MemoryImage(self.plan)
        self.addresses = register_addresses(self.network)
        self.registers = registers(self.network)
        self.seed = given.get("seed", 1)
        self.epochs = given.get("epochs", 1)
        with np.load(given["vectors"]) as vectors:
            self.use_samples(vectors["pixels"], vectors["labels"])
        self.request, self.response = Payload(BusRequest), Payload(BusResponse)
        self.golden = self.make_golden(self.network, self.seed)

    def use_samples(self, pixels: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """Take these to be loaded and trained on."""
        self.pixels, self.labels = pixels, labels.astype(np.int64)
        self.trits = self.encode(pixels)
        self.store = SampleStore(
            pixels,
            self.labels,
            planes=self.hardware.planes,
            image=self.plan.image,
            channel_last=self.network.convolves,
        )

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Pixels as the network reads them."""
        return encode(pixels, self.hardware.planes, channel_last=self.network.convolves)

    async def begin(self, idle: bool = False, stall: bool = False) -> None:
        """Reset, and take up the bus."""
        self.dut.i__valid.value = 0
        self.dut.o__ready.value = 0
        await self.start()
        self.follower = Follower(self, self.plan, self.golden)
        self.bus_in = self.source("i", pattern(idle, seed=3))
        self.bus_out = self.sink("o", pattern(stall, seed=4))

    async def exchange(self, requests: Iterable[tuple[int, int, int]]) -> list[int]:
        """Send (write, address, data) requests; the data answered. Raises Refused."""
        requests = list(requests)
        done = len(self.bus_out.received)
        self.bus_in.send(self.request.pack(write=w, address=a, data=d) for w, a, d in requests)
        await self.until(
            lambda: len(self.bus_out.received) >= done + len(requests),
            40 * len(requests) + 100,
            f"{len(requests)} answers on the bus",
        )
        answers = [self.response.unpack(word) for word in self.bus_out.received[done:]]
        for request, answer in zip(requests, answers, strict=True):
            if answer["error"]:
                raise Refused(request)
        return [answer["data"] for answer in answers]

    async def write(self, name: str, value: int) -> None:
        """Write a register by name."""
        await self.exchange([(1, self.addresses[name], int(value) % (1 << BUS_WIDTH))])

    async def read(self, name: str) -> int:
        """Read a register by name."""
        return (await self.exchange([(0, self.addresses[name], 0)]))[0]

    async def write_words(self, region: Region, offsets: Iterable, words: Iterable) -> None:
        """Write words of a memory."""
        await self.exchange(
            (1, address(region, int(o)), int(w)) for o, w in zip(offsets, words, strict=True)
        )

    async def read_words(self, region: Region, offsets: Iterable) -> list[int]:
        """Read words of a memory."""
        return await self.exchange((0, address(region, int(o)), 0) for o in offsets)

    async def load_samples(self) -> None:
        """Fill the sample store with the bench's vectors."""
        words = self.image.store(self.pixels, self.labels)
        await self.write_words(Region.STORE, range(len(words)), words)
        await self.write("samples", len(self.pixels))

    async def initialise(self) -> None:
        """Have the trainer draw its initial weights from the seed."""
        await self.write("seed", self.seed % (1 << 16))
        await self.write("xorshift", self.golden.xorshift.state)
        await self.write("shift_lfsr", self.golden.shift_lfsr.state)
        await self.write_controllers()
        await self.write("command", Command.INITIALISE)
        lanes = self.plan.weight_depth * self.hardware.rows * self.hardware.lanes
        cycles = lanes + self.plan.counter_depth
        await ClockCycles(self.clk, cycles)
        await self.wait_until_idle(1000)

    async def write_controllers(self) -> None:
        """Have the precision controllers go on from golden's state, with a new window."""
        for l, controller in enumerate(self.golden.controllers):
            await self.write(f"controller_{l}", controller_word(controller))

    async def wait_until_idle(self, limit: int) -> None:
        """Read the status until no run is in progress."""
        for _ in range(limit):
            if not await self.read("status") & BUSY:
                return
        raise AssertionError(f"still busy after {limit} reads of the status")

    async def wait_for_run(self) -> None:
        """Read the status until a run over the store is over, as long as any may take."""
        await self.wait_until_idle(len(self.labels) * self.sample_limit() // READ_CYCLES)

    async def change(self, **settings: Any) -> None:
        """Write registers, and have golden go on with fields of those names."""
        self.golden.config = replace(self.golden.config, **settings)
        self.golden.load_state(self.golden.state())
        for name, value in settings.items():
            if isinstance(value, tuple):
                for l, entry in enumerate(value):
                    await self.write(f"{name}_{l}", entry)
            else:
                await self.write(name, value)

    async def train(self, epochs: int | None = None, *, shift: bool = False) -> None:
        """Run ``epochs`` over the store, every write compared with golden as it happens."""
        epochs = self.epochs if epochs is None else epochs
        await self.write("epochs", epochs)
        await self.write("shift", shift)
        await self.write("command", Command.RUN)
        generator = self.golden.shift_lfsr if shift else None
        expected = ((self.store.epoch(generator), self.labels) for _ in range(epochs))
        limit = (epochs * len(self.labels) + 2) * self.sample_limit() * PERIOD_NS
        await with_timeout(self.follower.run(expected), limit, "ns")
        await self.wait_until_idle(50)

    def sample_limit(self) -> int:
        """Cycles that no sample takes: many times a write of every word of every memory."""
        return 20 * (self.plan.counter_depth + self.plan.weight_depth + self.plan.pixels * 8 + 1000)

    async def read_memories(self) -> dict[str, Any]:
        """Every weight and every counter, by the names of a checkpoint."""
        weights = self.image.weights_from(
            await self.read_words(Region.WEIGHTS, self.image.weight_offsets())
        )
        counters = self.image.counters_from(
            await self.read_words(Region.COUNTERS, self.image.counter_offsets())
        )
        layers = range(len(self.plan.layers))
        return {f"weights_{l}": weights[l] for l in layers} | {
            f"counters_{l}": counters[l] for l in layers
        }

    async def compare_memories(self) -> dict[str, Any]:
        """Every weight, every counter and the generators against golden; what was read."""
        memories = await self.read_memories()
        golden = self.golden.state()
        for name, values in memories.items():
            self._equal(name, golden[name], values)
        self._equal("lfsr", self.golden.lfsr_state, await self.read("lfsr"))
        if self.network.rule == "ema_dst":
            self._equal("xorshift", self.golden.xorshift.state, await self.read("xorshift"))
        for l, controller in enumerate(self.golden.controllers):
            name = f"controller_{l}"
            self._equal(name, controller_word(controller), await self.read(name))
        return memories

    async def compare_status(self) -> None:
        """Every status counter against golden."""
        for name in STATUS_COUNTERS:
            counted = name != "resting" or self.hardware.monitor
            self._equal(name, getattr(self.golden, name) if counted else 0, await self.read(name))

    async def compare_predictions(self) -> None:
        """Every sample once, without learning: classes in the store, and the counters."""
        await self.write("command", Command.CLEAR_COUNTERS)
        await self.write("learn", 0)
        await self.write("epochs", 1)
        await self.write("command", Command.RUN)
        await self.wait_for_run()
        expected = self.golden.predict(self.trits)
        offsets = self.image.prediction_offsets(len(expected))
        read = self.image.predictions(await self.read_words(Region.STORE, offsets))
        self._equal("predictions", expected, read)
        self._equal("correct", np.sum(expected == self.labels), await self.read("correct"))
        golden = self.golden
        resting = sum(golden.resting_products(golden.forward(trits)[0]) for trits in self.trits)
        resting *= self.hardware.monitor
        self._equal("resting", resting, await self.read("resting"))

    async def compare_expected(self, parameter: str) -> None:
        """Registers against what ``parameter`` of the bench gives for them."""
        for name, expected in parameters().get(parameter, {}).items():
            self._equal(name, expected, await self.read(name))

    @staticmethod
    def _equal(what: str, golden: Any, rtl: Any) -> None:
        golden, rtl = np.asarray(golden), np.asarray(rtl)
        wrong = np.argwhere(golden != rtl)
        if len(wrong):
            place = tuple(wrong[0])
            raise AssertionError(
                f"{what}: {len(wrong)} differ, first at {wrong[0].tolist()}: "
                f"golden {golden[place]}, RTL {rtl[place]}"
            )
