"""The layers hold: imports run one way, and a block has one name in every place."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import trisign
from trisign.gen.blocks import BLOCKS

ROOT = Path(trisign.__file__).parent
LAYERS = ("golden", "rtl", "gen", "sim", "fpga")
COMMAND_LINE = "command line"
MODULES = sorted(
    path
    for folder in (ROOT, *(ROOT / layer for layer in LAYERS))
    for path in folder.glob("*.py")
    if path != ROOT / "__init__.py"
)


def layer_of(path: Path) -> str:
    return path.parent.name if path.parent != ROOT else COMMAND_LINE


def imported_layers(path: Path) -> set[str]:
    """Layers that a module of ours imports from, anywhere in it."""
    package = ["trisign", *path.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*module, alias.name]) for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "trisign" and len(parts) > 1 and parts[1] != "__version__":
                found.add(parts[1] if parts[1] in LAYERS else COMMAND_LINE)
    return found


def test_the_folders_are_found() -> None:
    assert {layer_of(path) for path in MODULES} == {*LAYERS, COMMAND_LINE}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    order = [*LAYERS, COMMAND_LINE]
    allowed = set(order[: order.index(layer_of(path)) + 1])
    assert imported_layers(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_packages_are_relative(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "trisign" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] != "trisign"


def test_golden_needs_numpy_alone() -> None:
    """And numba, for compiled twins of slow loops."""
    outside = set()
    for path in (ROOT / "golden").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                outside |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                outside.add((node.module or "").split(".")[0])
    assert outside - sys.stdlib_module_names <= {"numpy", "numba"}


# The core joins trainer, link and UART: its golden models are theirs.
@pytest.mark.parametrize("name", ["link", *(name for name in BLOCKS if name != "core")])
def test_a_block_has_one_name_in_every_place(name: str) -> None:
    for place in (
        f"golden/{name}.py",
        f"rtl/{name}.py",
        f"sim/tb_{name}.py",
        f"tests/test_{name}.py",
    ):
        assert (ROOT / place).is_file(), f"{place} is missing"


def test_every_bench_has_its_three_fellows() -> None:
    for path in (ROOT / "sim").glob("tb_*.py"):
        name = path.stem.removeprefix("tb_")
        for place in (f"golden/{name}.py", f"rtl/{name}.py", f"tests/test_{name}.py"):
            assert (ROOT / place).is_file(), f"sim/{path.name} has no {place}"
