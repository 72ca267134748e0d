"""Dividers of the PLLs: exact frequencies inside every limit of the data sheets."""

from fractions import Fraction

import pytest

from trisign.fpga.pll import ecp5_pll, ice40_pll
from trisign.gen.boards import BOARDS, ECP5, ICE40
from trisign.golden.checks import ParameterError

OF_ECP5 = [board for board in BOARDS.values() if board.family is ECP5]
OF_ICE40 = [board for board in BOARDS.values() if board.family is ICE40]


def check_ice40(source: float, wanted: float) -> None:
    """Lattice FPGA-TN-02052 and FPGA-DS-02008, written down anew."""
    pll = ice40_pll(source, wanted)
    compared = Fraction(source) / (pll.divr + 1)
    vco = compared * (pll.divf + 1)
    assert vco / 2**pll.divq == Fraction(wanted)
    assert 10 <= compared <= 133
    assert 533 <= vco <= 1066
    assert 0 <= pll.divr <= 15
    assert 0 <= pll.divf <= 127
    assert 1 <= pll.divq <= 6


def check_ecp5(source: float, wanted: float) -> None:
    """Lattice FPGA-DS-02012, section sysCLOCK PLL timing."""
    pll = ecp5_pll(source, wanted)
    compared = Fraction(source) / pll.input_divider
    vco = compared * pll.multiplier
    assert vco / pll.output_divider == Fraction(wanted)
    assert 10 <= compared <= 400
    assert 400 <= vco <= 800
    for divider in (pll.input_divider, pll.multiplier, pll.output_divider):
        assert 1 <= divider <= 128


@pytest.mark.parametrize("board", OF_ICE40, ids=lambda board: board.name)
def test_boards_of_ice40(board) -> None:
    check_ice40(board.oscillator_mhz, board.clock_mhz)


@pytest.mark.parametrize("board", OF_ECP5, ids=lambda board: board.name)
def test_boards_of_ecp5(board) -> None:
    check_ecp5(board.oscillator_mhz, board.clock_mhz)


@pytest.mark.parametrize("wanted", [16.5, 18, 20.25, 24, 30, 36, 48, 54, 60, 96])
def test_ice40(wanted: float) -> None:
    check_ice40(12, wanted)


@pytest.mark.parametrize("source", [12, 25, 48, 100])
@pytest.mark.parametrize("wanted", [50, 75, 80, 100, 120])
def test_ecp5(source: float, wanted: float) -> None:
    check_ecp5(source, wanted)


@pytest.mark.parametrize(
    ("compared", "filter_range"), [(12, 1), (16.875, 1), (20, 2), (27, 3), (48, 4), (75, 5)]
)
def test_loop_filter_of_ice40(compared: float, filter_range: int) -> None:
    """The table of FPGA-TN-02052."""
    assert ice40_pll(compared, 2 * compared).filter_range == filter_range


@pytest.mark.parametrize(("source", "wanted"), [(12, 12), (12, 300), (8, 24), (12, 25), (12, 31)])
def test_ice40_has_no_such_dividers(source: float, wanted: float) -> None:
    with pytest.raises(ParameterError, match=f"^clock_mhz must be .* the iCE40 .*, not {wanted}$"):
        ice40_pll(source, wanted)


@pytest.mark.parametrize(("source", "wanted"), [(25, 500), (25, 3), (7, 80), (25, 83), (12, 62.5)])
def test_ecp5_has_no_such_dividers(source: float, wanted: float) -> None:
    with pytest.raises(ParameterError, match=f"^clock_mhz must be .* the ECP5 .*, not {wanted}$"):
        ecp5_pll(source, wanted)
