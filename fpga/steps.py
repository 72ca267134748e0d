"""Steps of a build whose results are kept, so that an interrupted build goes on where it stopped.

A step's result is written aside and renamed: it is there and whole, or it is not there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Steps:
    """Steps in one folder: each runs once, its result and its time in STEP.done.json.

    Attributes
    ----------
    seconds : float
        Time that the steps asked for took when they ran, kept ones included.
    all_kept : bool
        True as long as none had to run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        self.all_kept = True
        # Steps that do not need each other may run in threads.
        self._counting = threading.Lock()

    def once(self, step: str, run: Callable[[], Any]) -> Any:
        """The result of ``run()``, plain data, from now or from an earlier run of ``step``."""
        path = self.folder / f"{step}.done.json"
        if not path.is_file():
            self.all_kept = False
            started = time.monotonic()
            result = run()
            record = {"seconds": time.monotonic() - started, "result": result}
            aside = path.with_suffix(".part")
            aside.write_text(json.dumps(record))
            os.replace(aside, path)
        record = json.loads(path.read_text())
        with self._counting:
            self.seconds += record["seconds"]
        return record["result"]
