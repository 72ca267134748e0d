"""Samples in IDX files: read plain and compressed, trained on, and refused where damaged."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from trisign.__main__ import main
from trisign.gen import config, idx
from trisign.gen.training_set import training_set
from trisign.golden.checks import DataError

TINY = """\
[design]
board = "icebreaker"
[network]
input_shape = [4, 4, 3]
layers = [{conv = 2, padding = -1, pool = 2}, {dense = 3}]
margin = 4
[hardware]
pixel_width = 8
"""
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def content(array: np.ndarray) -> bytes:
    """The file format, from its description."""
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write(folder: Path, *, compress: bool = False, count: int = 12) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, 4, 4)).astype(np.uint8)
    labels = rng.integers(0, 3, count).astype(np.uint8)
    for name, array in ((IMAGES, images), (LABELS, labels)):
        raw = content(array)
        suffix = ".gz" if compress else ""
        (folder / (name + suffix)).write_bytes(gzip.compress(raw) if compress else raw)
    return images, labels


@pytest.mark.parametrize("compress", [False, True])
def test_pairs_are_read(tmp_path: Path, compress: bool) -> None:
    images, labels = write(tmp_path, compress=compress)
    path = tmp_path / (IMAGES + ".gz" * compress)
    arrays = idx.read_pair(path)
    assert (arrays["x"] == images.reshape(12, 16)).all()
    assert (arrays["y"] == labels).all()
    design = config.parse(TINY)
    samples = training_set(design, path, test=path, samples=5)
    assert (samples.pixels == images.reshape(12, 16)[:5]).all()
    assert (samples.test_labels == labels).all()


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("mine.idx3", "mine.idx1.gz"),
        ("a-images-idx3-ubyte.gz", "a-labels-idx1-ubyte"),
    ],
)
def test_labels_beside(tmp_path: Path, images: str, labels: str) -> None:
    (tmp_path / labels).touch()
    assert idx.labels_beside(tmp_path / images) == tmp_path / labels


def test_training_on_idx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    arguments = ["--data", str(tmp_path / IMAGES), "--test-fraction", "0.25", "--epochs", "1"]
    assert main(["train", str(tmp_path / "tiny.toml"), *arguments]) == 0
    assert "1 epochs on 9 samples" in capsys.readouterr().out


def message_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        training_set(config.parse(TINY), path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_files(tmp_path: Path) -> None:
    images, labels = write(tmp_path)
    path = tmp_path / IMAGES
    good = path.read_bytes()
    for damaged, message in (
        (b"", "an IDX file of unsigned bytes in 3 dimensions, its first bytes 00000803, not noth"),
        (good[:3], "not 000008"),
        (content(labels), "must be an IDX file .*, not 00000801"),
        (b"\0\0\x0d\x03" + good[4:], "not 00000d03"),
        (good[:-1], "must hold 12 x 4 x 4 values after 16 bytes, not 191"),
        (good + b"\0", "must hold 12 x 4 x 4 values after 16 bytes, not 193"),
        (good[:4] + b"\xff" * 12, "must hold 4294967295 x 4294967295 x 4294967295 values"),
        (good[:9], "must hold 12 x 0 x 0 values after 16 bytes, not -7"),
        (gzip.compress(good)[:-9], "must be a readable IDX file: "),
        (gzip.compress(good)[:12] + b"\xff" * 9, "must be a readable IDX file: "),
        (content(images[:5]), "y must have shape \\(5\\), not \\(12,\\)"),
        (content(images.reshape(12, 2, 8)[:, :1]), "x must have shape \\(any, 16\\), not"),
    ):
        path.write_bytes(damaged)
        assert re.search(f"^{re.escape(str(path))}.*{message}", message_of(path)), message_of(path)


def test_missing_files(tmp_path: Path) -> None:
    path = tmp_path / IMAGES
    assert message_of(path) == f"{path} must be a readable IDX file: No such file or directory"
    write(tmp_path)
    (tmp_path / LABELS).unlink()
    assert message_of(path) == f"{path} must have its labels beside it, in {tmp_path / LABELS}"


def test_labels_out_of_range(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / LABELS).write_bytes(content(np.full(12, 3, np.uint8)))
    assert message_of(tmp_path / IMAGES).endswith("y[0] must be from 0 to 2, not 3")
