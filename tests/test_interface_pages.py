"""The pages of docs/ that follow from definitions are those of the present definitions."""

import re
from pathlib import Path

import pytest

from trisign.gen.config import configuration_hash, load, parse
from trisign.gen.configuration_example import EXAMPLE
from trisign.gen.configuration_page import HARDWARE, NETWORK, documented, keys_of, legal
from trisign.gen.interface_pages import DOCS, PAGES, write_pages
from trisign.golden.design import DesignConfig, HardwareConfig
from trisign.golden.link import (
    COMMAND_MEANINGS,
    COUNTERS,
    STATUS_MEANINGS,
    LinkCommand,
    LinkStatus,
)
from trisign.golden.precision_parameters import PrecisionParameters
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


# Configurations

KEYS: dict[type, tuple[str, ...]] = {
    cls: keys_of(cls) for cls in (DesignConfig, TrainerConfig, PrecisionParameters, HardwareConfig)
}


@pytest.mark.parametrize("cls", KEYS)
def test_every_key_of_a_configuration_is_described(cls: type) -> None:
    described = [name for names, text in documented(cls) if text for name in names]
    assert [key for key in KEYS[cls] if described.count(key) != 1] == []


def test_the_example_is_the_shipped_configuration_with_every_key() -> None:
    assert parse(EXAMPLE).network == load("digits-icebreaker").network
    assert configuration_hash(parse(EXAMPLE)) == configuration_hash(load("digits-icebreaker"))
    written = re.findall(r"^(?:# )?(\w+) = ", EXAMPLE, re.MULTILINE)
    assert sorted(written) == sorted(
        key for keys in KEYS.values() for key in keys if key != "precision"
    )


def test_legal_ranges_are_what_is_accepted() -> None:
    assert legal(NETWORK, "margin") == "1 … 4095"
    assert parse(NETWORK.format("margin = 4095")).network.margin == 4095
    assert legal(HARDWARE, "pixel_width") == "1, 2, 4 or 8"
    with pytest.raises(AssertionError, match=r"^the error to a wrong nothing must name it"):
        legal(NETWORK, "nothing")
    with pytest.raises(AssertionError, match=r"^lanes = 0\.5 must be refused$"):
        legal("[design]\nboard = 'icebreaker' # {}", "lanes")
