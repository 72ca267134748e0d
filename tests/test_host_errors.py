"""What goes wrong between a host and a board: each ends in one clear line."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_host import (
    DESIGN,
    FAST,
    STORE,
    ModelTransport,
    golden_run,
    samples,
    serve,
)  # fmt: skip

from trisign.fpga import host
from trisign.fpga.host import Board, BoardStatus
from trisign.fpga.link_client import runs
from trisign.fpga.link_errors import LinkError, Refused
from trisign.fpga.transport import FileTransport, SerialTransport
from trisign.golden import link
from trisign.golden.checks import DataError, ParameterError, TrisignError
from trisign.golden.link import LinkStatus
from trisign.golden.trainer_config import TrainerConfig
from trisign.sim.model_board import ModelBoard


def board(model: ModelBoard | None = None, **changes: Any) -> Board:
    design = dataclasses.replace(DESIGN, **changes)
    return Board(design, ModelTransport(model or ModelBoard(design)), **FAST)


class Working(ModelBoard):
    """A board whose run takes as many looks at ``status`` as ``looks`` says."""

    looks = 0

    def access(self, write: bool, address: int, data: int) -> tuple[int, LinkStatus]:
        if not write and address == self._names.index("status") and self.looks:
            self.looks -= 1
            return 1, LinkStatus.OK
        return super().access(write, address, data)


# A board that answers, and answers wrong


def test_something_else_answers() -> None:
    model = ModelBoard(DESIGN)
    model.registers["identity"] = 0x12345678
    with pytest.raises(LinkError, match=r"is no trainer: identity 0x12345678, not 0x54534731"):
        board(model)


def test_another_version_of_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "VERSION", 9)
    with pytest.raises(LinkError, match=r"^the board speaks version 9 of the link, this host 1: "):
        board()


def test_too_few_words() -> None:
    model = ModelBoard(DESIGN)
    model.link._execute = lambda *_: ([7], LinkStatus.OK)  # type: ignore[method-assign]
    with pytest.raises(LinkError, match=r"^the board answered with 1 words, not 2"):
        board(model)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (LinkStatus.BUSY, "the trainer is at work; wait for it or stop it"),
        (LinkStatus.MALFORMED, "it did not understand the request"),
        (200, "status 200"),
    ],
)
def test_every_refusal_has_a_reason(status: int, reason: str) -> None:
    model = ModelBoard(DESIGN)
    found = board(model)
    model.link._execute = lambda *_: ([], status)  # type: ignore[assignment, method-assign]
    with pytest.raises(Refused, match=rf"^the board refused to reset at 0x000000: {reason}"):
        found.reset()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (link.cobs_encode(b"short")[:-1], "the CRC of an answer must match"),
        (
            link.cobs_encode(link.with_crc(link.HEADER.pack(1, 2, 3, 8) + bytes(5)))[:-1],
            "the length of an answer must match, not 8",
        ),
    ],
)
def test_answers_that_are_none(frame: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        link.decode_answer(frame)


# A run that does not end


def test_a_run_is_followed() -> None:
    model = Working(DESIGN)
    found = board(model)
    model.looks = 2  # the second one is of the status that is told
    told: list[BoardStatus] = []
    found.wait(samples=1, progress=told.append)
    assert [status.busy for status in told] == [True]
    model.looks = 1
    found.stop()
    assert not found.status().busy


def test_a_run_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Working(DESIGN)
    found = board(model)
    model.looks = 1 << 30
    monkeypatch.setattr(host, "SAMPLE_SECONDS", -10.0)
    with pytest.raises(LinkError, match=r"^the board does not finish its run: reset it"):
        found.wait(samples=1)


# What the host refuses to send


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda found: found.load_state({"weights_0": np.zeros((6, 27))}),
            "state must hold 'weights_1', not only ['weights_0']",
        ),
        (
            lambda found: found.train_stream(samples(5)[0], [1, 2], epochs=1),
            "labels must be one a sample (5), not 2",
        ),
        (
            lambda found: found.write_weights(golden_run(STORE, 1).weights[:1]),
            "weights must be 2 arrays, not 1",
        ),
    ],
)
def test_data_that_does_not_fit(call: Callable[[Board], Any], message: str) -> None:
    found = board()
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        call(found)


def test_no_image_to_shift() -> None:
    found = board(hardware=dataclasses.replace(DESIGN.hardware, image=None))
    found.load_samples(*samples(STORE))
    with pytest.raises(ParameterError, match=r"^hardware\.image must be a pair .* not None$"):
        found.train(1, shift=True)


HINGE = TrainerConfig(layers=(27, 6, 4), rng_group=4, margin=5, loss="squared_hinge")


def test_windows_close_with_an_epoch() -> None:
    found = board(network=HINGE)
    with pytest.raises(ParameterError, match=r"^network\.loss must be 'crammer_singer' to train"):
        found.train_stream(samples(STORE + 1)[0], samples(STORE + 1)[1], epochs=1)


def test_controllers_travel_as_words() -> None:
    """Exponent, width, streak and generator of each layer, out and back."""
    found = board(network=HINGE)
    word = 5 << 26 | 4 << 21 | 3 << 16 | 0xBEEF
    found.write_register("controller_1", word)
    state = found.state()
    assert state["controller_1"].tolist() == [3, 4, 5, 0xBEEF]
    found.write_register("controller_1", 0)
    found.load_state(state)
    assert found.read_register("controller_1") == word


def test_no_samples_to_predict() -> None:
    assert board().predict(np.zeros((0, 9))).shape == (0,)


def test_runs_of_addresses() -> None:
    assert list(runs([])) == []
    assert list(runs([4, 5, 7, 6])) == [(4, 2), (7, 1), (6, 1)]


# A line that is gone


def test_a_port_that_is_gone() -> None:
    ours, theirs = os.openpty()
    FileTransport(theirs)
    port = os.ttyname(theirs)
    transport = SerialTransport(port, 1_000_000)
    os.close(theirs)
    os.close(ours)
    for use in (lambda: transport.write(b"x"), lambda: transport.read(0.1), transport.discard):
        with pytest.raises(LinkError, match=rf"^port {port} is gone: "):
            use()
    transport.close()


def test_a_file_that_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(LinkError, match=r"^the line to the core is gone: .*Broken pipe"):
        FileTransport(writing).write(b"x")
    os.close(writing)
    with pytest.raises(LinkError, match=r"^the line to the core is gone: "):
        FileTransport(writing).read(0.1)


def test_what_came_before_is_forgotten() -> None:
    ours, theirs = socket.socketpair()
    threading.Thread(target=serve, args=(ModelBoard(DESIGN), ours.fileno()), daemon=True).start()
    transport = FileTransport(theirs.detach())
    ours.send(b"of an earlier host")
    time.sleep(0.01)
    with Board(DESIGN, transport) as found:
        assert found.read_register("epochs") == 1
        assert found.link.counters["damaged"] == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(transport.descriptor)
    ours.close()


def test_errors_are_all_of_one_kind() -> None:
    assert issubclass(LinkError, TrisignError)
    assert issubclass(Refused, LinkError)
