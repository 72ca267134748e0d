"""What tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run

from trisign.__main__ import main


@pytest.fixture
def trisign(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``trisign`` with arguments: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
