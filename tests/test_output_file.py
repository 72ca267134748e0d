"""Files that commands write: refused where they would take the place of something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trisign.golden.checks import DataError
from trisign.golden.output_file import check_apart, check_writable, written_aside


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a file, a folder, a pipe, and links, one to nothing, one to itself."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("old")
    Path("inner").mkdir()
    os.mkfifo("pipe")
    for name, target in (
        ("link", "file"), ("device", "/dev/null"), ("to-inner", "inner"), ("to-new", "new"),
        ("ring", "ring"),
    ):  # fmt: skip
        Path(name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("inner", "it is a folder"),
        ("to-inner", "it is a folder"),
        ("/dev/null", "it is no regular file"),
        ("device", "it is no regular file"),
        ("pipe", "it is no regular file"),
        ("ring", "it is no regular file"),
        ("none/file", "there is no folder none"),
        ("file/more", "there is no folder file"),
    ],
)
def test_what_cannot_be_written(path: str, reason: str) -> None:
    message = f"out must be a file that can be written, not {path}: {reason}"
    kind = os.lstat(path).st_mode if os.path.lexists(path) else None
    with pytest.raises(DataError) as caught:
        check_writable("out", path)
    assert str(caught.value) == message
    with pytest.raises(DataError) as caught, written_aside(path, "out"):
        pytest.fail("must not come to this")
    assert str(caught.value) == message
    if kind is not None:
        assert os.lstat(path).st_mode == kind
    assert Path("file").read_text() == "old"


@pytest.mark.parametrize(("path", "written"), [("link", "file"), ("to-new", "new"), ("n", "n")])
def test_links_stay_and_lead_to_what_was_written(path: str, written: str) -> None:
    link = Path(path).is_symlink()
    names = {*os.listdir(), written}
    with written_aside(path, "out") as file:
        file.write(b"new")
    assert Path(path).is_symlink() == link
    assert Path(written).read_bytes() == b"new"
    assert not Path(written).is_symlink()
    assert set(os.listdir()) == names


def test_what_is_interrupted_leaves_the_old_one() -> None:
    def interrupted() -> None:
        with written_aside("file", "out") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    names = set(os.listdir())
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert Path("file").read_text() == "old"
    assert set(os.listdir()) == names


@pytest.mark.parametrize("path", ["a.npz", "a.b.NPZ", "a.png"])
def test_endings(path: str) -> None:
    check_writable("out", path, endings=(".npz", ".png"))


@pytest.mark.parametrize("path", ["a", "npz", ".npz", "a.npz.txt", "file", "ends.npz", "other.png"])
def test_other_endings(path: str) -> None:
    """The name's own, and that of the file that it leads to."""
    Path("ends.npz").symlink_to("file")
    Path("other.png").symlink_to("file.txt")
    message = rf"^out must be a file whose name ends in \.npz or \.png, not {path}$"
    with pytest.raises(DataError, match=message):
        check_writable("out", path, endings=(".npz", ".png"))


@pytest.mark.parametrize(
    ("out", "data", "message"),
    [
        ("file", "file", "out must be another file than data, not file"),
        ("link", "file", "out must be another file than data, not link"),
        ("file", "link", "out must be another file than data, not file"),
        ("hard", "file", "out must be another file than data, not hard"),
        ("new", "./inner/../new", "out must be another file than data, not new"),
        ("to-inner/new", "inner/new", "out must be another file than data, not to-inner/new"),
        ("new", "to-new", "out must be another file than data, not new"),
        ("ring", "ring", "out must be another file than data, not ring"),
        ("inner", "to-inner/x", "out must not hold data, to-inner/x; inner does"),
        ("to-inner/x/y", "inner", "out must lie outside data, inner, not be to-inner/x/y"),
    ],
)
def test_one_place_for_two(out: str, data: str, message: str) -> None:
    os.link("file", "hard")
    for outputs, inputs in (({"out": out}, {"data": data}), ({"data": data, "out": out}, {})):
        with pytest.raises(DataError) as caught:
            check_apart(outputs, inputs)
        assert str(caught.value) == message


def test_places_of_their_own() -> None:
    """Names that begin alike are none inside another; inputs may well be one file."""
    outputs = {"out": "inner", "plot": "inner.png", "checkpoint": "inner-2/x", "more": "ring"}
    check_apart(outputs, {"data": "file", "test": "link"})
