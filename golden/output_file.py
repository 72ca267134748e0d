"""Files that a command writes: whole or untouched, and never in the place of something else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .checks import DataError


def check_writable(field: str, path: str | Path, *, endings: Sequence[str] = ()) -> None:
    """Raise DataError, before anything has been spent, unless a file ``path`` can be written.

    What exists must be a regular file, or a link to one; the name, and that of the file that a link
    leads to, ends in one of ``endings``, in capital or small letters, where there are some.
    """
    if not os.fspath(path):
        raise DataError(f"{field} must not be empty")
    target = real(path)
    folder = target.parent
    reason = None
    if target.is_dir():
        reason = "it is a folder"
    elif os.path.lexists(target) and not target.is_file():
        reason = "it is no regular file"
    elif not folder.is_dir():
        reason = f"there is no folder {Path(path).parent}"
    elif not os.access(folder, os.W_OK):
        reason = f"{folder} cannot be written"
    if reason:
        raise DataError(f"{field} must be a file that can be written, not {path}: {reason}")
    if endings and not {Path(path).suffix.lower(), target.suffix.lower()} <= set(endings):
        *first, last = endings
        legal = f"{', '.join(first)} or {last}" if first else last
        raise DataError(f"{field} must be a file whose name ends in {legal}, not {path}")


def check_apart(outputs: Mapping[str, str | Path], inputs: Mapping[str, str | Path]) -> None:
    """Raise DataError unless every output, a file or a folder, is a place of its own.

    Parameters
    ----------
    outputs, inputs : paths by field
        No output is an input or another output, by any name, nor lies in one or holds one.
    """
    taken = dict(inputs)
    for field, path in outputs.items():
        for other, its in taken.items():
            if same(path, its):
                raise DataError(f"{field} must be another file than {other}, not {path}")
            if real(path).is_relative_to(real(its)):
                raise DataError(f"{field} must lie outside {other}, {its}, not be {path}")
            if real(its).is_relative_to(real(path)):
                raise DataError(f"{field} must not hold {other}, {its}; {path} does")
        taken[field] = path


def real(path: str | Path) -> Path:
    """``path`` from the root, no link in it; unlike Path.resolve, also where links go in rings."""
    return Path(os.path.realpath(path))


def same(one: str | Path, other: str | Path) -> bool:
    """True where both are one file, whatever links lead to it."""
    with suppress(OSError):
        return os.path.samefile(one, other)
    return real(one) == real(other)


@contextmanager
def written_aside(path: str | Path, field: str) -> Iterator[BinaryIO]:
    """A file to fill, which takes the place of ``path`` when it is complete and on disk.

    Where ``path`` is a link, of the file that it leads to. Raises DataError, naming ``field``,
    where that cannot be done; ``path`` is then untouched.
    """
    check_writable(field, path)
    target = real(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise DataError(
            f"{field} must be a file that can be written, not {path}: {error.strerror}"
        ) from error
    finally:
        # Gone already where all went well.
        with suppress(OSError):
            aside.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
