"""Dividers of the parts' PLLs, derived from two frequencies and checked against legal ranges.

iCE40: Lattice FPGA-TN-02052 (simple feedback). ECP5: Lattice FPGA-TN-02200 and FPGA-DS-02012.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..golden.checks import ParameterError

ICE40_INPUT_MHZ = (10, 133)
ICE40_COMPARED_MHZ = (10, 133)
ICE40_VCO_MHZ = (533, 1066)
ICE40_OUTPUT_MHZ = (16, 275)
# The seven bits of DIVF; the note's limit of 64 is that of the other feedback paths.
ICE40_MULTIPLE_MAX = 128
# Loop filter: the first whose limit the compared frequency stays below, else one more.
ICE40_FILTER_MHZ = (17, 26, 44, 66, 101)

ECP5_INPUT_MHZ = (8, 400)
ECP5_COMPARED_MHZ = (10, 400)
ECP5_VCO_MHZ = (400, 800)
ECP5_OUTPUT_MHZ = (Fraction(25, 8), 400)
ECP5_DIVIDER_MAX = 128


@dataclass(frozen=True)
class Ice40Pll:
    """Settings of SB_PLL40 with simple feedback.

    f_out = f_in · (divf + 1) / ((divr + 1) · 2^divq)
    """

    divr: int
    divf: int
    divq: int
    filter_range: int


@dataclass(frozen=True)
class Ecp5Pll:
    """Settings of EHXPLLL: CLKOP has the compared frequency and is fed back, CLKOS is the output.

    f_out = f_in · multiplier / (input_divider · output_divider)

    A second output makes frequencies that CLKOP alone could not make from a compared frequency
    inside its limits, below which the PLL does not report that it is locked.
    """

    input_divider: int
    multiplier: int
    output_divider: int


def ice40_pll(input_mhz: float, output_mhz: float) -> Ice40Pll:
    """Dividers that make exactly ``output_mhz``; raises ParameterError where there are none.

    The input is divided as little as possible, for the lowest jitter.
    """
    source, wanted = Fraction(input_mhz), Fraction(output_mhz)
    if _inside(source, ICE40_INPUT_MHZ) and _inside(wanted, ICE40_OUTPUT_MHZ):
        for divr in range(16):
            compared = source / (divr + 1)
            for divq in range(1, 7):
                vco = wanted * 2**divq
                multiple = vco / compared
                if (
                    _inside(compared, ICE40_COMPARED_MHZ)
                    and _inside(vco, ICE40_VCO_MHZ)
                    and multiple.denominator == 1
                    and 1 <= multiple <= ICE40_MULTIPLE_MAX
                ):
                    below = sum(compared >= limit for limit in ICE40_FILTER_MHZ)
                    return Ice40Pll(divr, int(multiple) - 1, divq, below + 1)
    raise _impossible("iCE40", input_mhz, output_mhz)


def ecp5_pll(input_mhz: float, output_mhz: float) -> Ecp5Pll:
    """Dividers that make exactly ``output_mhz``; raises ParameterError where there are none.

    The input is divided as little as possible, for the lowest jitter; the VCO runs as near to the
    middle of its range as then can be.
    """
    source, wanted = Fraction(input_mhz), Fraction(output_mhz)
    if _inside(source, ECP5_INPUT_MHZ) and _inside(wanted, ECP5_OUTPUT_MHZ):
        middle = Fraction(sum(ECP5_VCO_MHZ), 2)
        for divider in range(1, ECP5_DIVIDER_MAX + 1):
            compared = source / divider
            found = [
                (abs(vco - middle), Ecp5Pll(divider, int(vco / compared), output))
                for output in range(1, ECP5_DIVIDER_MAX + 1)
                if _inside(vco := wanted * output, ECP5_VCO_MHZ)
                and _inside(compared, ECP5_COMPARED_MHZ)
                and (vco / compared).denominator == 1
            ]
            if found:
                return min(found, key=lambda pair: pair[0])[1]
    raise _impossible("ECP5", input_mhz, output_mhz)


def _inside(value: Fraction, limits: tuple[Fraction | int, Fraction | int]) -> bool:
    return limits[0] <= value <= limits[1]


def _impossible(family: str, input_mhz: float, output_mhz: float) -> ParameterError:
    return ParameterError(
        f"clock_mhz must be a frequency that the {family} PLL makes from {input_mhz:g} MHz, "
        f"not {output_mhz:g}"
    )
