"""Samples in IDX files, the format that MNIST and its relatives come in."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..golden.checks import DataError

UNSIGNED_BYTE = 0x08
IMAGES, LABELS = "idx3", "idx1"
GZIP_MAGIC = b"\x1f\x8b"
GZIP_SUFFIX = ".gz"


def is_idx(path: str | Path) -> bool:
    """True where the file's name says that it holds images in this format (``…idx3…``)."""
    return IMAGES in Path(path).name


def read_idx(path: str | Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file, plain or gzip, as an array of so many dimensions.

    The file starts with two zero bytes, the type (8: unsigned byte) and the number of dimensions;
    then come the sizes, four bytes each, highest first; then the values, the last index fastest.

    Raises
    ------
    DataError
        One line naming the file: it cannot be read or is not that.
    """
    try:
        content = Path(path).read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{path} must be a readable IDX file: {reason}") from error
    start = 4 + 4 * dimensions
    head = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if content[:4] != head:
        raise DataError(
            f"{path} must be an IDX file of unsigned bytes in {dimensions} dimensions, its first "
            f"bytes {head.hex()}, not {content[:4].hex() or 'nothing'}"
        )
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = 1
    for size in shape:  # Python integers: sizes of a damaged file must not wrap
        expected *= size
    if len(content) != start + expected:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{path} must hold {sizes} values after {start} bytes, not {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def labels_beside(path: str | Path) -> Path:
    """The file of labels that belongs to a file of images: ``idx1`` for ``idx3`` and ``labels``
    for ``images`` in its name, plain or gzip. Raises DataError where there is none."""
    images = Path(path)
    name = images.name.replace(IMAGES, LABELS).replace("images", "labels")
    plain = name.removesuffix(GZIP_SUFFIX)
    for candidate in (name, plain, plain + GZIP_SUFFIX):
        if images.with_name(candidate).is_file():
            return images.with_name(candidate)
    raise DataError(f"{path} must have its labels beside it, in {images.with_name(name)}")


def read_pair(path: str | Path) -> dict[str, NDArray[np.uint8]]:
    """Arrays ``x`` [n, pixels] and ``y`` [n] of a file of images and the labels beside it."""
    images, labels = read_idx(path, 3), read_idx(labels_beside(path), 1)
    return {"x": images.reshape(len(images), images.shape[1] * images.shape[2]), "y": labels}
