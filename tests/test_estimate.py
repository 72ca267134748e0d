"""Estimates: counted by hand, and against the memories of the trainer that is generated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from trisign.fpga import tools
from trisign.fpga.targets import UP5K
from trisign.gen import boards, config
from trisign.gen.boards import MemoryBlock
from trisign.gen.estimate import Estimate, estimate, text
from trisign.gen.verilog import to_verilog
from trisign.rtl.trainer import Trainer


def of(toml: str, board: str = "ulx3s_25f") -> Estimate:
    return estimate(config.parse(f'[design]\nboard = "{board}"\n{toml}'))


def test_dense_192_64_10_by_hand() -> None:
    result = of("")
    first, last = result.layers
    assert (first.inputs, first.units, first.weights) == (192, 64, 12288)
    assert (first.weight_bits, first.counter_bits) == (24576, 73728)
    assert (last.weights, last.weight_bits, last.counter_bits) == (640, 1280, 3840)
    assert result.state_bits == 12928 * 8
    assert result.forward_cycles == 64 * 3 + 10 * 1
    memories = {memory.name: memory for memory in result.memories}
    assert (memories["weights"].depth, memories["weights"].width) == (202, 128)
    assert (memories["counters"].depth, memories["counters"].width) == (202, 384)
    # A sample is 64 pixels of 4 bits, 8 to a word, and a word for label and prediction.
    assert (memories["samples"].depth, memories["samples"].width) == (9, 32)
    # 512 x 36 bits each: 128, 384 bits wide.
    assert memories["weights"].blocks == 4
    assert memories["counters"].blocks == 11


@pytest.mark.parametrize(
    ("lanes", "rows", "cycles"),
    [(16, 1, 64 * 12 + 10 * 4), (32, 1, 64 * 6 + 10 * 2), (64, 2, 32 * 3 + 5 * 2)],
)
def test_forward_cycles_follow_lanes_and_rows(lanes: int, rows: int, cycles: int) -> None:
    assert of(f"[hardware]\nlanes = {lanes}\nrows = {rows}").forward_cycles == cycles


@pytest.mark.parametrize(
    ("block", "width", "depth", "count"),
    [
        ("icebreaker", 16, 256, 1),
        ("icebreaker", 17, 256, 2),
        ("icebreaker", 16, 257, 2),
        ("icebreaker", 2, 2048, 1),
        ("icebreaker", 96, 808, 24),
        ("ulx3s_25f", 36, 512, 1),
        ("ulx3s_25f", 1, 16384, 1),
        ("ulx3s_25f", 9, 2049, 2),
        ("de0_nano", 18, 512, 1),
        ("de0_nano", 18, 1024, 2),
    ],
)
def test_blocks_of_a_memory(block: str, width: int, depth: int, count: int) -> None:
    assert boards.find(block).memories[0].blocks(width, depth) == count


def test_a_memory_takes_the_cheapest_shape() -> None:
    assert MemoryBlock("m", 9, ((8, 4), (4, 8))).blocks(12, 8) == 3


def test_single_port_memory_is_used_where_the_part_has_it() -> None:
    single_port = "single_port = ['counters', 'samples']"
    toml = f"[hardware]\n{single_port}\ncounter_lanes = 4\nstore_samples = 1437"
    blocks = {memory.name: memory.block for memory in of(toml, "icebreaker").memories}
    assert blocks == {
        "weights": "EBR",
        "counters": "SPRAM",
        "activations": "EBR",
        "samples": "SPRAM",
    }


def test_what_does_not_fit_is_said() -> None:
    result = of("", "ice40_hx8k_b_evn")
    assert not result.fits
    assert "EBR: 38 of 32  does not fit" in text(result)
    assert result.as_json()["fits"] is False


@pytest.mark.parametrize("name", config.shipped())
def test_shipped_configurations_fit(name: str) -> None:
    assert estimate(config.load(name)).fits


@pytest.mark.parametrize("hardware", ["", "rows = 2\ncounter_lanes = 4\nstore_samples = 20"])
def test_the_memories_are_those_of_the_trainer(hardware: str) -> None:
    network = "[network]\nlayers = [96, 20, 12, 4]\nrng_group = 16\ncounter_width = 5\n"
    design = config.parse(
        f'[design]\nboard = "ulx3s_25f"\n{network}[hardware]\nlanes = 16\n{hardware}'
    )
    verilog = to_verilog(Trainer(design.network, design.hardware), "trainer")
    generated = sorted(
        (int(high) + 1, int(last) + 1)
        for high, last in re.findall(
            r"^ +reg (?:signed )?\[(\d+):0\] \S+ +\[(\d+):0\];", verilog, re.MULTILINE
        )
    )
    estimated = sorted(
        (memory.width, memory.depth)
        for memory in estimate(design).memories
        for _ in range(memory.copies)
    )
    assert generated == estimated


def test_synthesis_takes_the_estimated_blocks(tmp_path: Path) -> None:
    """Up to the mapping of memories, where the single-port ones must have become SPRAM."""
    design = config.load("digits-icebreaker")
    verilog = to_verilog(Trainer(design.network, design.hardware), "trainer")
    (tmp_path / "trainer.v").write_text(verilog)
    script = (
        f"read_verilog trainer.v\n{UP5K.synthesis} -top trainer -run begin:map_ffram\n"
        "tee -q -o stat.json stat -json\n"
    )
    (tmp_path / "synthesis.ys").write_text(script)
    tools.run(tools.YOSYS, ["-s", "synthesis.ys"], tmp_path, "synthesis.log")
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    found = {UP5K.memories[kind]: n for kind, n in cells.items() if kind in UP5K.memories}
    assert found == {use.block: use.used for use in estimate(design).use}
