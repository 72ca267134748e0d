"""The complete project of a board whose tools are the vendor's, written without them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..gen import boards
from ..gen.output_folder import BUILD, check_replaceable, replaced
from ..golden.design import DesignConfig
from . import tools
from .board_pins import make_platform
from .board_top import BoardTop
from .build import write_manifest
from .build_plan import TOP, core_verilog

# Nothing that a tool reads.
LEFT_OUT = (f"{TOP}.debug.v", f"build_{TOP}.json")
SCRIPT = f"build_{TOP}.sh"
# Family → the bitstream that the script makes.
BITSTREAMS = {boards.XC7.name: f"{TOP}.bit", boards.CYCLONE4.name: f"{TOP}.rbf"}

Report = Callable[[str], None]


def write_project(
    design: DesignConfig, out: str | Path, *, report: Report = lambda line: None
) -> list[str]:
    """Write the project of ``design`` into the folder ``out``; the names of its files.

    Its script ``build_top.sh`` runs the vendor's tool; pins and clock are constrained.

    Parameters
    ----------
    out : path
        A new or empty folder, or one that trisign wrote. Move what the vendor's tool left there.
    report : callable
        Told each step.

    Raises
    ------
    DataError
        ``out`` holds other files, or cannot be written.
    ToolError
        Yosys is missing: it writes the Verilog.
    """
    check_replaceable(out, BUILD)
    board = boards.find(design.board)
    report("Verilog")
    core = core_verilog(design)
    report("project")
    with _embedded_yosys():
        plan = make_platform(board.name).prepare(BoardTop(board, core), TOP, emit_src=False)
    with replaced(out, BUILD) as draft:
        for name, content in plan.files.items():
            if name not in LEFT_OUT:
                data = content if isinstance(content, bytes) else content.encode()
                (draft / name).write_bytes(data)
        (draft / SCRIPT).chmod(0o755)
        write_manifest(design, draft)
        return sorted(path.name for path in draft.iterdir())


@contextmanager
def _embedded_yosys() -> Iterator[None]:
    """Amaranth writes Verilog with the Yosys that these variables name."""
    changed = {"AMARANTH_USE_YOSYS": "system", "YOSYS": str(tools.find(tools.YOSYS))}
    before = {key: os.environ.get(key) for key in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
