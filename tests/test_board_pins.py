"""What is on the pins of every board: against its constraint files elsewhere, and its own page."""

import pytest

from trisign.fpga.board_pages import FOLDER, page, write_pages
from trisign.fpga.board_pins import PINS, pin_table
from trisign.fpga.program import command
from trisign.gen.boards import BOARDS

# From the schematics and constraint files of the boards' makers.
EXPECTED = {
    "icebreaker": ("35", "6", "9", "37", "11"),
    "ice40_hx8k_b_evn": ("J3", "B10", "B12", "C3", "B3"),
    "ulx3s_25f": ("G2", "M1", "L4", "B2", "C2"),
    "ulx3s_85f": ("G2", "M1", "L4", "B2", "C2"),
    "orangecrab": ("A9", "N17", "M18", "M3", "K4"),
    "colorlight_5a_75b": ("P6", "M13", "P11", "F3", "F1"),
    "arty_a7": ("E3", "A9", "D10", "H5", "J5"),
    "de0_nano": ("R8", "D3", "C3", "A15", "A13"),
}


@pytest.mark.parametrize("name", BOARDS)
def test_pins(name: str) -> None:
    pins = pin_table(name)
    found = tuple(pins[function] for function in ("clk", "rx", "tx", "running", "trouble"))
    assert found == EXPECTED[name]
    assert len(set(pins.values())) == len(pins)
    assert pins.get("reset") == ("C2" if name == "arty_a7" else None)
    assert pins.get("high") == ("L2" if name.startswith("ulx3s") else None)


def test_every_board_has_pins_and_no_other() -> None:
    assert set(PINS) == set(BOARDS) == set(EXPECTED)


@pytest.mark.parametrize("name", BOARDS)
def test_pages_are_up_to_date(name: str) -> None:
    """Otherwise: python -m trisign.fpga.board_pages"""
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == page(BOARDS[name])


def test_pages_are_written_whole(tmp_path) -> None:
    write_pages(tmp_path / "boards")
    assert {path.stem for path in (tmp_path / "boards").iterdir()} == set(BOARDS)
    for path in (tmp_path / "boards").iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()


@pytest.mark.parametrize("name", BOARDS)
def test_programmers(name: str, tmp_path) -> None:
    """The bitstream is an argument of its own; the port is there where it was given."""
    for programmer in PINS[name].programmers:
        bitstream = tmp_path / "a b.bin"
        line = command(programmer, bitstream, None)
        assert line[0] == programmer.program
        assert line.count(str(bitstream)) == 1
        assert command(programmer, bitstream, "/dev/x").count("/dev/x") == 1
