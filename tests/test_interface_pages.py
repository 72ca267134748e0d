"""The pages of docs/ that follow from definitions are those of the present definitions."""

from pathlib import Path

import pytest

from trisign.gen.interface_pages import DOCS, PAGES, write_pages
from trisign.golden.link import (
    COMMAND_MEANINGS,
    COUNTERS,
    STATUS_MEANINGS,
    LinkCommand,
    LinkStatus,
)
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.register_map import registers


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_up_to_date(name: str) -> None:
    """Otherwise: python -m trisign.gen.interface_pages"""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_pages_are_written_whole(tmp_path: Path) -> None:
    write_pages(tmp_path / "docs")
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == sorted(PAGES)
    for name in PAGES:
        assert (tmp_path / "docs" / name).read_bytes() == (DOCS / name).read_bytes()


def test_nothing_is_left_out() -> None:
    assert list(COMMAND_MEANINGS) == list(LinkCommand)
    assert list(STATUS_MEANINGS) == list(LinkStatus)
    assert all(f"`{name}`" in PAGES["link.md"]() for name in COUNTERS)
    assert all(f"`{name}`" in PAGES["registers.md"]() for name in registers(TrainerConfig()))
