"""A built bitstream loaded into its board, with what programmer is installed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from ..gen import boards
from ..gen.config import SHORT_HASH_DIGITS, configuration_hash
from ..gen.output_folder import BUILD, MANIFEST, kind_of
from ..golden.checks import DataError, choice
from ..golden.design import DesignConfig
from ..sim.runner import ToolError
from .board_pins import PINS, Programmer
from .project import BITSTREAMS, SCRIPT
from .tools import ToolFailure


def find_bitstream(design: DesignConfig, folder: Path) -> Path:
    """The bitstream of ``design`` in a folder that ``trisign build`` wrote.

    Raises
    ------
    DataError
        There is none, it belongs to another configuration, or it was changed: with what to do.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if kind_of(folder) != BUILD:
            raise ValueError
        found = str(manifest["configuration_sha256"])
        digests = {entry["file"]: entry["sha256"] for entry in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"build must be a folder that trisign build wrote, not {folder}; "
            f"build {design.name} first: trisign build CONFIG"
        ) from error
    wanted = configuration_hash(design)
    if found != wanted:
        raise DataError(
            f"build must hold configuration {wanted[:SHORT_HASH_DIGITS]} ({design.name}), and "
            f"{folder} holds {found[:SHORT_HASH_DIGITS]}; build it again: trisign build CONFIG"
        )
    family = boards.find(design.board).family
    if not family.embedded:
        path = folder / BITSTREAMS[family.name]
        if not path.is_file():
            raise DataError(
                f"build must hold {path.name}, and {folder} does not yet; "
                f"make it with the vendor's tool: cd {folder} && ./{SCRIPT}"
            )
        return path
    names = [f"{design.name}{suffix}" for suffix in (".bin", ".bit")]
    built = [folder / name for name in names if name in digests]
    if not built:
        raise DataError(
            f"build must hold a bitstream, and {folder} holds none: "
            f"the build failed, see {folder / 'report.json'}"
        )
    path = built[0]
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digests[path.name]:
        raise DataError(
            f"build must hold {path.name} as it was built, and {folder} does not; "
            "build it again: trisign build CONFIG"
        )
    return path


def find_programmer(board: str, name: str | None = None) -> Programmer:
    """The first programmer of ``board`` that is on PATH, or the one called ``name``.

    Raises
    ------
    ParameterError
        ``name`` is none of the board's.
    ToolError
        None is installed: which, and how to get it.
    """
    programmers = PINS[board].programmers
    if name is not None:
        choice("programmer", name, [item.program for item in programmers])
        programmers = tuple(item for item in programmers if item.program == name)
    for item in programmers:
        if shutil.which(item.program):
            return item
    names = " or ".join(item.program for item in programmers)
    packages = dict.fromkeys(item.debian_package for item in programmers if item.debian_package)
    ways = " or ".join(f"apt-get install {package}" for package in packages)
    raise ToolError(
        f"{names} is needed to program {board} and was not found on PATH; "
        f"get it with: {ways or 'its source, Debian has no package'}"
    )


def command(programmer: Programmer, bitstream: Path, port: str | None) -> list[str]:
    """The command line that loads ``bitstream``."""
    arguments = programmer.arguments if port is None else programmer.port_arguments
    if port is not None:
        arguments += programmer.arguments
    values = {"file": str(bitstream), "port": port}
    return [programmer.program, *(argument.format(**values) for argument in arguments)]


def run(line: list[str]) -> None:
    """Run it; what it prints is for the user. Raises ToolFailure where it fails."""
    code = subprocess.run(line, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        raise ToolFailure(
            f"{line[0]} failed with code {code}; is the board plugged in, and may you use it?"
        )
