"""``compare``: equal on real traffic, and the first difference where the RTL is not right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from trisign.__main__ import main
from trisign.gen import blocks, config, data
from trisign.gen.verilog import to_verilog
from trisign.golden.encoding import encode
from trisign.golden.precision_controller import PrecisionController
from trisign.golden.precision_controller import check_vectors as check_precision_vectors
from trisign.golden.ternary_dot import ternary_dot
from trisign.golden.trainer import CONTROLLER_SEED, Trainer
from trisign.golden.update_engine import check_vectors
from trisign.sim.compare import COMPARISONS, compare, text
from trisign.sim.traffic import dot_rows, dot_words, error_tensors, record, update_rows

SMALL = """
[design]
board = "icebreaker"
[network]
layers = [192, 12, 10]
rng_group = 16
[hardware]
lanes = 16
structure = "compact"
"""
DESIGN = config.parse(SMALL, default_name="small")
SAMPLES = 8
RECORDED = [name for name, comparison in COMPARISONS.items() if comparison.vectors]


@pytest.fixture(scope="module")
def digits() -> data.Samples:
    return data.load_digits()


class Tampered(wiring.Component):
    """A block whose output is wrong in one bit, now and then."""

    def __init__(self, good: wiring.Component) -> None:
        self.good = good
        super().__init__(good.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.good = good = self.good
        for name, member in self.signature.members.items():
            ours, theirs = getattr(self, name), getattr(good, name)
            if not member.is_port:
                connect(m, flipped(ours), theirs) if member.flow == wiring.In else connect(
                    m, theirs, flipped(ours)
                )
            elif member.flow == wiring.In:
                m.d.comb += Value.cast(theirs).eq(Value.cast(ours))
            else:
                m.d.comb += Value.cast(ours).eq(Value.cast(theirs))
        if "sum" in self.signature.members:
            m.d.comb += self.sum.eq(good.sum ^ Value.cast(self.a)[:16].all())
            return m
        transfers = Signal(range(21))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += transfers.eq(transfers + (transfers != 20))
        payload = Value.cast(self.o.payload)
        m.d.comb += payload.eq(Value.cast(good.o.payload) ^ (transfers == 19))
        return m


def test_every_part_can_be_compared() -> None:
    assert COMPARISONS.keys() == blocks.PARTS.keys()


@pytest.mark.parametrize("block", COMPARISONS)
def test_equal_on_real_digits(block: str) -> None:
    samples = SAMPLES if block in RECORDED else None
    outcome = compare(DESIGN, block, samples=samples)
    assert outcome.equal, outcome.difference
    assert outcome.tests >= 1
    if block in RECORDED:
        assert outcome.vectors is not None
        assert outcome.vectors >= 50


def test_equal_on_verilator() -> None:
    assert compare(DESIGN, "precision_controller", samples=SAMPLES, simulator="verilator").equal


@pytest.mark.parametrize(
    "block", ["processing_element", "update_engine", "precision_controller", "lfsr"]
)
def test_a_wrong_bit_is_found(block: str) -> None:
    verilog = to_verilog(Tampered(blocks.find(block).create(DESIGN)), block)
    samples = SAMPLES if block in RECORDED else None
    outcome = compare(DESIGN, block, samples=samples, verilog=verilog)
    assert not outcome.equal
    assert outcome.difference is not None
    assert re.search(
        r"differs: word \d+, lane \d+; cycle \d+; golden -?\d+, RTL -?\d+", outcome.difference
    )
    if block in RECORDED:
        assert "inputs" in outcome.difference
    assert "waveform: " in outcome.difference
    assert "rerun: " in outcome.difference
    waveform = re.search(r"waveform: (\S+)", outcome.difference)
    assert waveform is not None
    assert Path(waveform[1]).is_file()


def test_the_command_tells_equal_and_different(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    rng = np.random.default_rng(1)
    a, w = rng.integers(-1, 2, (2, 200, 16))
    a[7, :8] = -1  # the trit code of −1 is all ones: this is the word that Tampered spoils
    np.savez(tmp_path / "mine.npz", a=a, w=w)
    command = ["compare", "ternary_dot", "--config", str(tmp_path / "small.toml"), "--vectors"]
    command.append(str(tmp_path / "mine.npz"))
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["equal"], told["vectors"], told["tests"]) == (True, 200, 1)
    assert captured.err == f"ternary_dot: 200 vectors of {tmp_path}/mine.npz, on icarus\n"

    create = blocks.BLOCKS["ternary_dot"].create
    broken = blocks.Block("ternary_dot", lambda design: Tampered(create(design)), "")
    monkeypatch.setitem(blocks.BLOCKS, "ternary_dot", broken)
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "RTL and golden are not equal on " in out
    assert "differs: word 7, lane 0" in out


def test_samples_of_a_users_file(tmp_path: Path, digits: data.Samples) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, x=digits.test_pixels[:3], y=digits.test_labels[:3].astype(np.uint8))
    outcome = compare(DESIGN, "ternary_dot", vectors=path)
    assert outcome.equal
    assert text(outcome).startswith("ternary_dot (small) on icarus: RTL equals golden on all ")
    # 12 rows of 12 words and 10 rows of one word a sample.
    assert (outcome.source, outcome.vectors) == (f"{path}, 3 samples", 3 * (12 * 12 + 10))


# Recorded traffic is what the trainer did.


@pytest.fixture(scope="module")
def run(digits: data.Samples) -> Any:
    return record(DESIGN, digits.train_pixels[:20], digits.train_labels[:20], 5)


@pytest.mark.parametrize("rule", ["counter", "ema_dst"])
def test_the_update_engine_repeats_the_trainer_on_its_traffic(
    rule: str, digits: data.Samples
) -> None:
    """Golden engine on recorded rows: the trainer's generators, groups written, and weights."""
    text = SMALL.replace("rng_group = 16", f'rng_group = 32\nrule = "{rule}"')
    design = config.parse(text)
    run = record(design, digits.train_pixels[:20], digits.train_labels[:20], 5)
    plain = Trainer(design.network, 5)
    plain.fit(encode(digits.train_pixels[:20]), digits.train_labels[:20])

    parameters = blocks.update_parameters(design)
    vectors = check_vectors(parameters, update_rows(run))
    engine = vectors.engine(parameters)
    written = 0
    latest = {}
    for index in range(len(vectors)):
        row = engine.process_row(*vectors.row(index))
        written += int(row.written[::32].sum())
        latest[len(row.weight)] = row.weight
    assert engine.lfsr.state == plain.lfsr.state
    assert engine.xorshift.state == plain.xorshift.state
    assert written == plain.groups_written > 50
    for weights in plain.weights:
        assert (weights == latest[weights.shape[1]]).all(axis=1).any()


def test_dot_words_add_up_to_the_sums(run: Any) -> None:
    words = dot_words(run, 16)
    sums = ternary_dot(words["a"], words["w"])
    position = 0
    for z, (x, _) in zip(run.sums, run.products, strict=True):
        count = -(-len(x) // 16)
        block = sums[position : position + len(z) * count].reshape(len(z), count)
        np.testing.assert_array_equal(block.sum(axis=1), z)
        position += len(z) * count
    assert position == len(sums)


def test_dot_rows_are_the_same_products(run: Any) -> None:
    rows = dot_rows(run, 16)
    sums = ternary_dot(rows["a"], rows["w"]).sum(axis=1)
    np.testing.assert_array_equal(sums, np.concatenate(run.sums))
    assert (int(rows["threshold"]), int(rows["window"]), int(rows["offset"])) == (4, 8, 0)


def test_error_tensors_are_what_the_controller_quantised(digits: data.Samples) -> None:
    design = blocks.with_integer_errors(DESIGN)
    run = record(design, digits.train_pixels[:20], digits.train_labels[:20], 5)
    tensors = check_precision_vectors(blocks.precision_parameters(DESIGN), error_tensors(run))
    seed = 5 ^ CONTROLLER_SEED
    controller = PrecisionController(blocks.precision_parameters(DESIGN), seed)
    for tensor in tensors:
        controller.quantize(tensor)
    assert len(tensors) == run.samples_active > 10
    # The trainer ends each epoch with a new window; what survives is the same.
    assert controller.state == run.controllers[0].state
    assert max(np.abs(tensor).max() for tensor in tensors) > 7
