"""The host against a board in Python, over lines that lose and damage what they carry."""

from __future__ import annotations

import dataclasses
import os
import random
import socket
import threading

import numpy as np
import pytest

from trisign.fpga.host import Board, open_board
from trisign.fpga.link_errors import LinkError, NoAnswer, Refused, WrongConfiguration
from trisign.fpga.transport import FileTransport, SerialTransport
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.design import DesignConfig, HardwareConfig
from trisign.golden.link import LinkStatus
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.register_map import COUNTERS, Region, address
from trisign.sim.model_board import ModelBoard

STORE = 20
DESIGN = DesignConfig(
    name="small",
    board="none",
    network=TrainerConfig(layers=(27, 6, 4), rng_group=4, margin=5, schedule=((2, "margin", 3),)),
    hardware=HardwareConfig(lanes=4, rows=2, store_samples=STORE, image=(3, 3)),
)
FAST = {"timeout": 0.0, "attempts": 40}


class ModelTransport:
    """A line to a ModelBoard in the same process that loses and damages bytes.

    ``loss`` is the probability that a write or a read is damaged.
    """

    def __init__(self, board: ModelBoard, loss: float = 0.0, seed: int = 1) -> None:
        self.board = board
        self.loss = loss
        self.random = random.Random(seed)
        self.incoming = b""
        self.closed = False

    def _damaged(self, data: bytes) -> bytes:
        if not data or self.random.random() >= self.loss:
            return data
        at, kind = self.random.randrange(len(data)), self.random.randrange(5)
        if kind == 0:
            return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1 :]
        if kind == 1:
            return data[:at] + data[at + 1 :]
        if kind == 2:
            return data + data
        if kind == 3:
            return self.random.randbytes(20) + data
        return b""

    def write(self, data: bytes) -> None:
        for answer in self.board.link.receive(self._damaged(data)):
            self.incoming += self._damaged(answer)

    def read(self, timeout: float) -> bytes:
        data, self.incoming = self.incoming, b""
        return data

    def discard(self) -> None:
        self.incoming = b""

    def close(self) -> None:
        self.closed = True


def samples(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 16, (count, 9)), generator.integers(0, 4, count)


def golden_run(count: int, epochs: int, *, seed: int = 3, shift: bool = False) -> Trainer:
    trainer = Trainer(DESIGN.network, seed)
    store = SampleStore(*samples(count), image=DESIGN.hardware.image)
    for _ in range(epochs):
        trainer.fit_store(store, shift=shift)
    return trainer


def assert_equal(board: Board, golden: Trainer) -> None:
    state, expected = board.state(), golden.state()
    for name, array in state.items():
        if name != "xorshift" or board.design.network.rule == "ema_dst":
            assert np.array_equal(array, expected[name]), name


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("shift", [False, True])
def test_trains_as_golden_does(loss: float, shift: bool) -> None:
    # Where nothing is lost every answer is there at once; only a starved host would wait in vain.
    patience = FAST if loss else {"timeout": 60.0}
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN), loss), **patience)
    accepted = board.link_status()["accepted"] - board.link.counters["requests"]
    board.load_samples(*samples(STORE))
    board.initialise(3)
    status = board.train(4, shift=shift)
    assert_equal(board, golden_run(STORE, 4, shift=shift))
    assert status.counts["samples_seen"] == 4 * STORE
    assert not status.busy
    assert status.initialised
    assert (board.link.counters["repeats"] > 0) == (loss > 0)
    # Every request was carried out exactly once, whatever became of it on its way.
    accepted += board.link.counters["requests"] + 1
    assert board.link_status()["accepted"] == accepted
    pixels = samples(50, seed=5)[0]
    store = SampleStore(pixels, np.zeros(50, np.int64), image=(3, 3))
    expected = golden_run(STORE, 4, shift=shift).predict(np.array(list(store.epoch(None))))
    assert np.array_equal(board.predict(pixels), expected)
    assert board.predict(pixels[0]).tolist() == [expected[0]]


def test_streams_more_samples_than_the_store_holds() -> None:
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN)), **FAST)
    board.initialise(3)
    board.train_stream(*samples(53), epochs=3, shift=True)
    assert_equal(board, golden_run(53, 3, shift=True))


def test_goes_on_from_a_checkpoint() -> None:
    half = golden_run(STORE, 2, shift=True)
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN)), **FAST)
    board.load_samples(*samples(STORE))
    board.load_state(half.state())
    board.train(3, first_epoch=2, shift=True)
    assert_equal(board, golden_run(STORE, 5, shift=True))


def test_another_host_finds_the_board_as_it_was() -> None:
    model = ModelBoard(DESIGN)
    transport = ModelTransport(model)
    board = Board(DESIGN, transport, **FAST)
    board.load_samples(*samples(STORE))
    board.initialise(3)
    board.train(2)
    transport.write(b"\x07\x01\x02half a request")  # killed in the middle of it
    again = Board(DESIGN, ModelTransport(model), **FAST)
    assert again.status().epoch == 2
    assert_equal(again, golden_run(STORE, 2))
    # The first one comes back: its sequence numbers are not due.
    with pytest.raises(NoAnswer) as error:
        board.status()
    assert error.value.counters["repeats"] > 0
    board.identify()
    assert board.status().epoch == 2


def test_weights_and_counters_can_be_written() -> None:
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN)), **FAST)
    golden = golden_run(STORE, 1)
    board.write_weights(golden.weights)
    board.write_counters(golden.counters)
    for l in range(len(golden.weights)):
        assert np.array_equal(golden.weights[l], board.read_weights()[l])
        assert np.array_equal(golden.counters[l], board.read_counters()[l])


def test_registers_by_name() -> None:
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN)), **FAST)
    board.write_register("offset_1", -3)
    board.write_register("margin", 17)
    assert board.read_registers(["margin", "offset_1"]) == [17, -3]
    with pytest.raises(ParameterError, match=r"^register must be one of identity, .*not 'nope'$"):
        board.read_register("nope")
    with pytest.raises(ParameterError, match=r"^gate_shift_0 must be an integer from 0 to 15"):
        board.write_register("gate_shift_0", 16)
    with pytest.raises(Refused, match=r"^the board refused to read") as error:
        board.read_register("command")
    assert error.value.status == LinkStatus.REFUSED
    with pytest.raises(Refused, match="there is no such address"):
        board.link.read(address(Region.STORE, 1 << 19), 1)
    board.reset()
    assert board.read_register("margin") == DESIGN.network.margin


def test_another_configuration_is_refused() -> None:
    other = dataclasses.replace(DESIGN, name="other")
    with pytest.raises(WrongConfiguration, match=r"^the board holds configuration [0-9a-f]{8}, "):
        Board(DESIGN, ModelTransport(ModelBoard(other)), **FAST)


def test_saturated_counters_have_names() -> None:
    model = ModelBoard(DESIGN)
    model.registers["saturated"] = 1 << len(COUNTERS) - 1 | 1
    board = Board(DESIGN, ModelTransport(model), **FAST)
    assert board.status().saturated == ("samples_seen", "cycles")


def test_nobody_there() -> None:
    with pytest.raises(NoAnswer, match=r"^no answer to identify in 3 attempts: .*repeats 2\)$"):
        Board(DESIGN, Silence(ModelBoard(DESIGN)), timeout=0, attempts=3)


class Silence(ModelTransport):
    def write(self, data: bytes) -> None:
        pass


class Babble(ModelTransport):
    def read(self, timeout: float) -> bytes:
        return b"x" * 1000


def test_a_line_that_never_ends_does_not_hold_the_host() -> None:
    with pytest.raises(NoAnswer, match=r"damaged"):
        Board(DESIGN, Babble(ModelBoard(DESIGN)), timeout=0.01, attempts=2)


def test_too_many_samples() -> None:
    board = Board(DESIGN, ModelTransport(ModelBoard(DESIGN)), **FAST)
    before = board.link.counters["requests"]
    with pytest.raises(DataError, match=r"^samples must be from 1 to 20 \(the store's size\)"):
        board.load_samples(*samples(STORE + 1))
    assert board.link.counters["requests"] == before


def test_no_such_port() -> None:
    with pytest.raises(LinkError, match=r"^port /dev/nonsense cannot be opened: "):
        open_board(DESIGN, "/dev/nonsense")


def serve(model: ModelBoard, descriptor: int) -> None:
    try:
        while data := os.read(descriptor, 4096):
            for answer in model.link.receive(data):
                os.write(descriptor, answer)
    except OSError:
        pass


def test_over_a_pseudo_terminal() -> None:
    ours, theirs = os.openpty()
    FileTransport(theirs)
    threading.Thread(target=serve, args=(ModelBoard(DESIGN), ours), daemon=True).start()
    transport = SerialTransport(os.ttyname(theirs), 1_000_000)
    with Board(DESIGN, transport) as board:
        board.load_samples(*samples(STORE))
        board.initialise(3)
        board.train(1)
        assert_equal(board, golden_run(STORE, 1))
    os.close(theirs)
    os.close(ours)


def test_over_a_socket_that_is_cut() -> None:
    ours, theirs = socket.socketpair()
    threading.Thread(target=serve, args=(ModelBoard(DESIGN), ours.fileno()), daemon=True).start()
    board = Board(DESIGN, FileTransport(theirs.fileno()))
    assert board.read_register("epochs") == 1
    ours.shutdown(socket.SHUT_RDWR)
    with pytest.raises(LinkError, match=r"^the line to the core is gone"):
        board.status()
