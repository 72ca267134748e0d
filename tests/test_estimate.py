"""Estimates: counted by hand, against the core that is generated, and boards that were built.

boards.json: the tables of docs/timing.md, which are what ``trisign build`` reports.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from trisign.fpga import tools
from trisign.fpga.targets import ECP5_25F, UP5K, Target
from trisign.gen import blocks, boards, config
from trisign.gen.boards import MemoryBlock
from trisign.gen.estimate import Estimate, estimate, text
from trisign.gen.resources import LUT_ERROR, ROUTED
from trisign.gen.verilog import to_verilog
from trisign.golden.design import DesignConfig


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
    # 512 x 36 bits each, enabled by nines: 4 x 32 bits, and 16 x 24, of which each takes 27.
    assert memories["weights"].blocks == 4
    assert memories["counters"].blocks == 12
    # 18 words of 128 bits: LUTs, 16 x 4 each.
    assert (memories["activations"].block, memories["activations"].blocks) == ("DPR16X4", 32)
    assert (memories["link"].depth, memories["link"].width) == (512, 8)


@pytest.mark.parametrize(
    ("lanes", "rows", "cycles"),
    [(16, 1, 64 * 12 + 10 * 4), (32, 1, 64 * 6 + 10 * 2), (64, 2, 32 * 3 + 5 * 2)],
)
def test_forward_cycles_follow_lanes_and_rows(lanes: int, rows: int, cycles: int) -> None:
    assert of(f"[hardware]\nlanes = {lanes}\nrows = {rows}").forward_cycles == cycles


@pytest.mark.parametrize(
    ("block", "width", "depth", "granule", "count"),
    [
        ("icebreaker", 16, 256, 16, 1),
        ("icebreaker", 17, 256, 17, 2),
        ("icebreaker", 16, 257, 16, 2),
        ("icebreaker", 2, 2048, 2, 1),
        ("icebreaker", 96, 808, 96, 24),
        ("icebreaker", 192, 202, 24, 12),
        ("ulx3s_25f", 36, 512, 36, 1),
        ("ulx3s_25f", 1, 16384, 1, 1),
        ("ulx3s_25f", 9, 2049, 9, 2),
        ("ulx3s_25f", 384, 202, 24, 12),
        ("ulx3s_25f", 896, 1000, 28, 64),
        # As synthesis took them for ``rtl.ram`` alone.
        ("icebreaker", 112, 1210, 28, 35),
        ("icebreaker", 12, 1987, 4, 6),
        ("icebreaker", 512, 3206, 32, 416),
        ("ulx3s_25f", 352, 658, 22, 24),
        ("ulx3s_25f", 120, 2992, 40, 23),
        ("ulx3s_25f", 44, 3153, 44, 9),
        ("de0_nano", 18, 512, 18, 1),
        ("de0_nano", 18, 1024, 18, 2),
    ],
)
def test_blocks_of_a_memory(block: str, width: int, depth: int, granule: int, count: int) -> None:
    assert boards.find(block).memories[0].blocks(width, depth, granule) == count


def test_a_memory_takes_the_cheapest_shape() -> None:
    assert MemoryBlock("m", 9, ((8, 4), (4, 8))).blocks(12, 8) == 3
    # Two blocks fewer, but seven more words to choose among.
    deep = MemoryBlock("m", 9, ((8, 4), (1, 32)))
    assert deep.blocks(7, 24) == 6
    assert MemoryBlock("m", 9, deep.shapes, cost=8).blocks(7, 24) == 7


def test_single_port_memory_is_used_where_the_part_has_it() -> None:
    single_port = "single_port = ['counters', 'samples']"
    toml = f"[hardware]\n{single_port}\ncounter_lanes = 4\nstore_samples = 1437"
    blocks = {memory.name: memory.block for memory in of(toml, "icebreaker").memories}
    assert blocks == {
        "weights": "EBR",
        "counters": "SPRAM",
        "activations": "EBR",
        "samples": "SPRAM",
        "link": "EBR",
    }


def test_what_does_not_fit_is_said() -> None:
    result = of("", "ice40_hx8k_b_evn")
    assert not result.fits
    assert "EBR: 39 of 32  does not fit" in text(result)
    assert result.as_json()["fits"] is False


@pytest.mark.parametrize("name", config.shipped())
def test_shipped_configurations_fit(name: str) -> None:
    result = estimate(config.load(name))
    assert result.verdict == "fits"
    assert result.advice == ()
    assert "fit" not in text(result).replace("boards it fits", "")


BUILT = json.loads((Path(__file__).parent / "boards.json").read_text())["boards"]


@pytest.mark.parametrize("name", BUILT)
def test_blocks_are_those_that_were_built(name: str) -> None:
    assert {use.block: use.used for use in estimate(config.load(name)).use} == BUILT[name]["blocks"]


@pytest.mark.parametrize("name", BUILT)
def test_cells_are_about_those_that_were_built(name: str) -> None:
    """Within the 10 % that LUTs may be off."""
    result = estimate(config.load(name))
    filled = 100 * result.logic_cells / result.luts_available
    assert abs(filled / BUILT[name]["cells_percent"] - 1) < LUT_ERROR


def test_what_was_built_is_every_board_that_is_routed() -> None:
    routed = {n for n in config.shipped() if boards.find(config.load(n).board).family.embedded}
    assert routed == BUILT.keys()
    assert max(built["cells_percent"] for built in BUILT.values()) == 100 * ROUTED


TIMING = Path(__file__).parents[1] / "docs" / "timing.md"


@pytest.mark.parametrize("name", BUILT)
def test_the_page_of_builds_says_the_same(name: str) -> None:
    rows = [line for line in TIMING.read_text().splitlines() if line.startswith(f"| {name} |")]
    *_, cells, memories, _ = (cell.strip() for cell in rows[-1].split("|"))
    blocks = {block: int(n) for n, block in re.findall(r"(\d+) of \d+ (\w+)", memories)}
    assert (cells, blocks) == (f"{BUILT[name]['cells_percent']} %", BUILT[name]["blocks"])


@pytest.mark.parametrize(
    ("cells", "verdict", "fits"),
    [
        (5121, "fits", True),
        (5122, "may not fit", True),
        (5808, "may not fit", True),
        (5809, "does not fit", False),
    ],
)
def test_logic_decides_as_memories_do(cells: int, verdict: str, fits: bool) -> None:
    """97 % of 5280 cells have been routed; LUTs may be 10 % off."""
    result = replace(estimate(config.load("digits-icebreaker")), logic_cells=cells)
    assert (result.verdict, result.fits) == (verdict, fits)
    assert result.as_json()["verdict"] == verdict
    line = next(line for line in text(result).splitlines() if line.startswith("logic: "))
    assert line.endswith(f" % of the cells{'' if verdict == 'fits' else '  ' + verdict}")


DENSE = "[network]\nlayers = [96, 20, 12, 4]\nrng_group = 16\ncounter_width = 5\n"
CONVOLUTION = (
    "[network]\ninput_shape = [4, 8, 3]\nlayers = [{conv = 8, pool = 2, padding = -1}, 12, 4]\n"
    "counter_width = 5\nrng_group = 16\n"
)


@pytest.mark.parametrize(
    "tables",
    [
        f"{DENSE}[hardware]\nlanes = 16\nrows = 2\ncounter_lanes = 4\nstore_samples = 20\n",
        f"{DENSE}[hardware]\nlanes = 16\nstore_samples = 500\nmemory_register = true\n",
        f'{DENSE}loss = "squared_hinge"\nmargin = 9\n[hardware]\nlanes = 16\n',
        f"{CONVOLUTION}[hardware]\nlanes = 32\nrows = 2\n",
    ],
    ids=["rows", "columns", "quantised", "convolution"],
)
def test_the_memories_are_those_of_the_core(tables: str) -> None:
    design = config.parse(f'[design]\nboard = "ulx3s_25f"\n{tables}')
    verilog = to_verilog(blocks.find("core").create(design), "core")
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


def mapped(design: DesignConfig, target: Target, folder: Path) -> dict[str, int]:
    """Blocks of each kind that synthesis takes for the core, and memories of LUTs."""
    (folder / "core.v").write_text(to_verilog(blocks.find("core").create(design), "core"))
    script = (
        f"read_verilog core.v\n{target.synthesis} -top core -run begin:map_ffram\n"
        "tee -q -o stat.json stat -json\n"
    )
    (folder / "synthesis.ys").write_text(script)
    tools.run(tools.YOSYS, ["-s", "synthesis.ys"], folder, "synthesis.log")
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    names = {kind: target.memory_name(kind) for kind in cells}
    return {name: cells[kind] for kind, name in names.items() if name is not None}


def test_synthesis_takes_the_estimated_blocks(tmp_path: Path) -> None:
    """Up to the mapping of memories, where the single-port ones must have become SPRAM."""
    design = config.load("digits-icebreaker")
    result = estimate(design)
    assert mapped(design, UP5K, tmp_path) == {use.block: use.used for use in result.use}


def test_synthesis_takes_the_estimated_blocks_and_lut_memories(tmp_path: Path) -> None:
    """Counters of 28 bits in nines, two blocks deep; shallow memories in LUTs."""
    design = config.parse(
        '[design]\nboard = "ulx3s_25f"\n[network]\nlayers = [192, 91, 10]\ncounter_width = 7\n'
        "[hardware]\nlanes = 32\nstore_samples = 70\n"
    )
    result = estimate(design)
    assert {memory.block for memory in result.memories} == {"EBR", "DPR16X4"}
    found: dict[str, int] = {}
    for memory in result.memories:
        found[memory.block] = found.get(memory.block, 0) + memory.blocks
    assert mapped(design, ECP5_25F, tmp_path) == found
