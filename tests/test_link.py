"""The link in RTL against golden: every answer, every counter, whatever the line does to frames."""

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trisign.gen.config import short_hash
from trisign.gen.verilog import to_verilog
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.design import DesignConfig, HardwareConfig
from trisign.golden.link import (
    COUNTERS,
    Link,
    LinkCommand,
    LinkStatus,
    cobs_decode,
    cobs_encode,
    decode_answer,
    encode_request,
)
from trisign.golden.trainer_config import TrainerConfig
from trisign.sim.linked_trainer import LinkedTrainer
from trisign.sim.runner import run_bench

NETWORK: dict[str, Any] = {"layers": (12, 4, 3), "rng_group": 4, "margin": 4}
HARDWARE: dict[str, Any] = {"lanes": 4, "store_samples": 100}
DESIGN = DesignConfig(
    name="bench",
    board="none",
    network=TrainerConfig(**NETWORK),
    hardware=HardwareConfig(**HARDWARE),
)


@pytest.mark.parametrize(
    ("simulator", "frames", "pause"),
    [
        ("icarus", 60, True),
        ("verilator", 2000, False),
        pytest.param("verilator", 100_000, False, marks=pytest.mark.long),
    ],
)
def test_link(simulator: str, frames: int, pause: bool) -> None:
    verilog = to_verilog(LinkedTrainer(DESIGN, config_hash=int(short_hash(DESIGN), 16)), "link")
    run_bench(
        verilog,
        "link",
        "trisign.sim.tb_link",
        parameters={
            "network": NETWORK,
            "hardware": HARDWARE,
            "frames": frames,
            "seed": 1,
            "pause": pause,
        },
        simulator=simulator,
        waves_on_failure=frames < 10_000,
    )


@pytest.mark.parametrize(
    ("packet", "frame"),
    [
        (b"", b"\x01\x00"),
        (b"\x00", b"\x01\x01\x00"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33\x00"),
        (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01\x00"),
    ],
)
def test_cobs_by_hand(packet: bytes, frame: bytes) -> None:
    assert cobs_encode(packet) == frame
    assert cobs_decode(frame[:-1]) == packet


@given(st.binary(max_size=254))
def test_cobs_there_and_back(packet: bytes) -> None:
    frame = cobs_encode(packet)
    assert frame.count(b"\x00") == 1
    assert len(frame) == len(packet) + 2
    assert cobs_decode(frame[:-1]) == packet


@given(st.binary(max_size=300).filter(lambda data: b"\x00" not in data))
def test_an_answer_is_whole_or_refused(frame: bytes) -> None:
    with pytest.raises(DataError):
        decode_answer(frame)


def test_a_request_by_hand() -> None:
    body = bytes([1, 7, 3, 8, 0x56, 0x34, 0x12, 1, 0xEF, 0xBE, 0xAD, 0xDE])
    frame = encode_request(7, LinkCommand.WRITE, 0x123456, words=[0xDEADBEEF])
    assert cobs_decode(frame[:-1]) == body + zlib.crc32(body).to_bytes(4, "little")


@pytest.mark.parametrize(("address", "count"), [(1 << 24, 1), (-1, 1), (0, 56)])
def test_requests_that_no_packet_carries(address: int, count: int) -> None:
    with pytest.raises(ParameterError, match=r"^(address|count) must be an integer from 0 to "):
        encode_request(0, LinkCommand.READ, address, count)


def request(sequence: int, command: int, address: int = 0, count: int = 0) -> bytes:
    return encode_request(sequence, command, address, count, ())  # type: ignore[arg-type]


def test_the_golden_link_counts_what_it_does_not_carry_out() -> None:
    """And carries out nothing twice."""
    done: list[tuple[bool, int, int]] = []

    def access(write: bool, address: int, data: int) -> tuple[int, LinkStatus]:
        done.append((write, address, data))
        return 7, LinkStatus.REFUSED if address == 9 else LinkStatus.OK

    link = Link(access)
    (hello,) = link.receive(request(5, LinkCommand.IDENTIFY, address=3, count=1))
    assert decode_answer(hello[:-1]).words == (7,)
    read = request(6, LinkCommand.READ, address=3, count=2)
    assert link.is_due(read)
    first = link.receive(read)
    assert link.receive(read) == first  # answered again
    assert len(done) == 3
    assert link.is_due(read)
    late = request(9, LinkCommand.READ, address=3, count=2)
    assert not link.is_due(late)
    damaged = bytearray(request(7, LinkCommand.READ, address=3, count=1))
    damaged[3] ^= 0x10
    for frame in (late, bytes(damaged), b"\x05\x01\x00", b"\x01" * 250 + b"\x00", b"\x00"):
        assert link.receive(frame) == []
    assert len(done) == 3
    (refused,) = link.receive(request(7, LinkCommand.READ, address=9, count=1))
    assert decode_answer(refused[:-1]).status == LinkStatus.REFUSED
    (malformed,) = link.receive(request(8, 77))
    assert decode_answer(malformed[:-1]).status == LinkStatus.MALFORMED
    expected = {"accepted": 4, "duplicates": 1, "out_of_sequence": 1, "crc_errors": 1,
                "cobs_errors": 1, "oversize": 1}  # fmt: skip
    assert link.counters == dict.fromkeys(COUNTERS, 0) | expected
