"""The folder a command writes: complete or untouched, and never someone else's files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..golden.checks import DataError
from ..golden.output_file import real

MANIFEST = "manifest.json"
GENERATOR = "trisign"
# Commands that write folders, as the field ``kind`` of a manifest names them.
BUILD, GENERATE, TRAIN = "build", "generate", "train"
UNKNOWN = "an unknown command"
# A file that tells who wrote a folder whose manifest has no ``kind``; the first one counts.
FILES_OF_KIND = (
    ("checkpoint.npz", TRAIN),
    ("report.json", BUILD),
    ("build_top.sh", BUILD),
    ("registers.md", GENERATE),
)


@contextmanager
def replaced(out: str | Path, kind: str = BUILD) -> Iterator[Path]:
    """A draft folder to fill, which becomes ``out`` when all went well and disappears otherwise.

    The caller puts a manifest of this ``kind`` in it. Raises DataError where ``out`` holds files
    that trisign did not write, or those of another kind, or cannot be written.
    """
    check_replaceable(out, kind)
    with _aside(real(out)) as draft:
        yield draft


def check_replaceable(out: str | Path, kind: str = BUILD) -> None:
    """Raise DataError unless ``out`` is new, empty, or holds only what this command wrote."""
    if not os.fspath(out):
        raise DataError("out must not be empty")
    folder = real(out)
    try:
        if not folder.exists():
            _check_can_be_made(folder)
            return
        if not folder.is_dir():
            raise DataError(f"out must be a folder, not the file {folder}")
        if Path.cwd().is_relative_to(folder):
            raise DataError(f"out must not be, or contain, the working folder; {folder} does")
        # What a manifest lists are files: a folder by such a name is someone else's.
        present = {path.name: path.is_file() for path in folder.iterdir()}
    except OSError as error:
        raise DataError(
            f"out must be a folder that can be read, not {folder}: {error.strerror}"
        ) from error
    manifest = _manifest(folder)
    written = {MANIFEST, *_files(manifest)} if manifest else set()
    foreign = sorted(
        name for name, is_file in present.items() if not is_file or name not in written
    )
    if foreign:
        raise DataError(
            "out must be a new or empty folder, or one that trisign wrote; "
            f"{folder} holds {foreign[0]!r}, which it did not write"
        )
    found = _kind(manifest) if manifest else kind
    if found != kind:
        raise DataError(
            f"out must be a new or empty folder, or one that trisign {kind} wrote; "
            f"{folder} was written by {found if found == UNKNOWN else f'trisign {found}'}"
        )


def kind_of(folder: Path) -> str | None:
    """The command that wrote ``folder``, as far as its manifest tells; None where none did."""
    manifest = _manifest(folder)
    return _kind(manifest) if manifest else None


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest in ``folder`` where it is one of trisign, else empty."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        _files(manifest)
        return manifest if manifest["generator"] == GENERATOR else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _files(manifest: dict[str, Any]) -> list[str]:
    return [str(entry["file"]) for entry in manifest["files"]]


def _kind(manifest: dict[str, Any]) -> str:
    """The field of that name; in a manifest without it, by the files that it lists."""
    listed = _files(manifest)
    told = next((kind for file, kind in FILES_OF_KIND if file in listed), UNKNOWN)
    return str(manifest.get("kind", told))


def _check_can_be_made(folder: Path) -> None:
    """Raise DataError unless ``folder``, which is not there, can be."""
    above = next(parent for parent in folder.parents if os.path.lexists(parent))
    reason = None
    if os.path.lexists(folder):
        reason = "it is a link that leads nowhere"
    elif not above.is_dir():
        reason = f"{above} is no folder"
    elif not os.access(above, os.W_OK):
        reason = f"{above} cannot be written"
    if reason:
        raise DataError(f"out must be a folder that can be written, not {folder}: {reason}")


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
