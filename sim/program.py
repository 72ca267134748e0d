"""Verilated designs with a main program of their own, in C++: built once, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .runner import BenchFailure, ToolError, build_root, environment, locked, require_simulator


def build_program(
    verilog: str,
    name: str,
    main: Path,
    kind: str,
    *,
    headers: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Path:
    """The program of ``main`` and top module ``name`` of ``verilog``, which it knows as ``Vtop``.

    Parameters
    ----------
    kind : str
        What ``main`` makes of the design; part of the name of the folder in build/sim.
    headers : mapping of str to str, optional
        Name → text of files that ``main`` includes.
    flags : sequence of str
        For the C++ compiler.
    options : sequence of str
        For Verilator.

    Raises
    ------
    ToolError, BenchFailure
        Verilator is missing, or the design does not build.
    """
    require_simulator("verilator")
    headers = headers or {}
    what = [verilog, main.read_text(), sys.version, *headers.values(), *flags, *options]
    key = hashlib.sha256("\0".join(what).encode()).hexdigest()[:12]
    folder = build_root() / "sim" / f"{name}-{kind}-{key}"
    program, log = folder / kind, folder.with_suffix(".build.log")
    with locked(folder.with_suffix(".lock")), environment("verilator"):
        if program.exists():
            os.utime(folder)
            return program
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = folder / f"{name}.v"
        source.write_text(verilog)
        for header, text in headers.items():
            (folder / header).write_text(text)
        command = [
            "verilator", "--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "-Wno-fatal",
            "--prefix", "Vtop", "--top-module", name, "--Mdir", str(folder), "-o", f"{kind}.new",
            *options, "-CFLAGS", " ".join(["-std=c++17", *flags]), str(main), str(source),
        ]  # fmt: skip
        try:
            with log.open("w") as file:
                subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=True)
        except OSError as error:
            raise ToolError(f"verilator cannot be run: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            raise BenchFailure(f"{name} does not build on verilator; log {log}") from error
        # Whoever finds the program finds all of it.
        (folder / f"{kind}.new").rename(program)
    return program
