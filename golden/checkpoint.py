"""Checkpoints: the state of a training run in one file that is always whole.

A checkpoint is an .npz file: an array ``state.NAME`` for each of ``Trainer.state()``, and
``header``, UTF-8 JSON that says which run it belongs to and what its epochs came to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import DataError
from .output_file import written_aside

FORMAT = "trisign checkpoint 1"
HEADER = "header"
STATE_PREFIX = "state."

Identity = Mapping[str, str | int | bool]


class Checkpoint(NamedTuple):
    """What a file holds: arrays for ``Trainer.load_state``, and a record an epoch."""

    state: dict[str, NDArray]
    history: list[dict[str, Any]]


def save(
    path: str | Path,
    state: Mapping[str, NDArray],
    *,
    identity: Identity,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write a checkpoint; whenever this is interrupted, ``path`` holds the old or the new one.

    Parameters
    ----------
    state : arrays by name
        Of ``Trainer.state()``.
    identity : plain values by name
        What a run must agree in to go on from here: configuration, seed, data.
    history : sequence of mappings
        Plain values, one mapping an epoch.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    header = {"format": FORMAT, "identity": dict(identity), "history": list(history)}
    arrays = {STATE_PREFIX + name: array for name, array in state.items()}
    arrays[HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with written_aside(path, "checkpoint") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load(path: str | Path, *, identity: Identity) -> Checkpoint:
    """The checkpoint ``path`` of the run that ``identity`` describes.

    Raises
    ------
    DataError
        One line naming the file and the reason: it cannot be read, is damaged or no checkpoint, or
        belongs to another run.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("a single array")
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        if HEADER not in arrays:
            raise ValueError(f"it has no array {HEADER!r}, which every checkpoint of trisign has")
        header = json.loads(arrays.pop(HEADER).tobytes().decode())
        missing = [name for name in ("format", "identity", "history") if name not in header]
        if missing:
            raise ValueError(f"its header has no {missing[0]!r}")
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        found, history = dict(header["identity"]), [dict(entry) for entry in header["history"]]
    # A damaged file can make the readers of zip, npy and JSON raise nearly anything.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(
            f"{path} must be a readable checkpoint: {reason or type(error).__name__}"
        ) from error
    for name, wanted in identity.items():
        if found.get(name) != wanted:
            raise DataError(
                f"{path} must be a checkpoint of {name} {wanted}, not {found.get(name)}"
            )
    return Checkpoint(
        {name.removeprefix(STATE_PREFIX): array for name, array in arrays.items()}, history
    )
