"""The folder a command writes: complete or untouched, and never someone else's files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..golden.checks import DataError

MANIFEST = "manifest.json"
GENERATOR = "trisign"


@contextmanager
def replaced(out: str | Path) -> Iterator[Path]:
    """A draft folder to fill, which becomes ``out`` when all went well and disappears otherwise.

    Raises DataError where ``out`` holds files that trisign did not write, or cannot be written.
    """
    folder = Path(out).resolve()
    check_replaceable(folder)
    with _aside(folder) as draft:
        yield draft


def check_replaceable(folder: Path) -> None:
    """Raise DataError unless ``folder`` is new, empty, or holds only what trisign wrote."""
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise DataError(f"out must be a folder, not the file {folder}")
        if Path.cwd().is_relative_to(folder):
            raise DataError(f"out must not be, or contain, the working folder; {folder} does")
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise DataError(
            f"out must be a folder that can be read, not {folder}: {error.strerror}"
        ) from error
    foreign = sorted(present - _written_files(folder))
    if foreign:
        raise DataError(
            "out must be a new or empty folder, or one that trisign wrote; "
            f"{folder} holds {foreign[0]!r}, which it did not write"
        )


def _written_files(folder: Path) -> set[str]:
    """Names of the files that the manifest in ``folder`` lists, itself included; else none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["generator"] != GENERATOR:
            return set()
        return {MANIFEST, *(str(entry["file"]) for entry in manifest["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A draft folder that takes the place of ``folder`` when all went well, else disappears."""
    parents = [parent for parent in folder.parents if not parent.exists()]
    made: list[Path] = []
    draft = None
    try:
        for parent in reversed(parents):
            parent.mkdir()
            made.insert(0, parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        yield draft
        draft.chmod(0o755)
        _replace(folder, draft)
    except BaseException as error:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
        for parent in made:
            parent.rmdir()
        if isinstance(error, OSError):
            raise DataError(
                f"out must be a folder that can be written, not {folder}: {error.strerror}"
            ) from error
        raise


def _replace(folder: Path, draft: Path) -> None:
    """Rename ``draft`` to ``folder``; what was there goes when the new one is in place."""
    if not folder.exists():
        draft.rename(folder)
        return
    old = draft.with_name(draft.name + "-old")
    folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old)
