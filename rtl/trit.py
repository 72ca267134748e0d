"""The two-bit trit that every block reads and writes."""

from amaranth.hdl import Cat, Value
from amaranth.lib import data


class Trit(data.Struct):
    """One of −1, 0, +1. The code (nonzero 0, negative 1) is illegal and reads as zero.

    Golden: :mod:`trisign.golden.trits`.

    Members
    -------
    nonzero : unsigned(1)
        Bit 0.
    negative : unsigned(1)
        Bit 1; without meaning where ``nonzero`` is 0.
    """

    # Amaranth reads these annotations, so this file must not postpone their evaluation.
    nonzero: 1  # type: ignore[valid-type]
    negative: 1  # type: ignore[valid-type]

    def is_positive(self) -> Value:
        """1 for the trit +1 alone."""
        return self.nonzero & ~self.negative

    def is_negative(self) -> Value:
        """1 for the trit −1 alone, never for the illegal code."""
        return self.nonzero & self.negative

    def to_signed(self) -> Value:
        """The trit as ``signed(2)``: −1, 0 or +1, zero for the illegal code."""
        return Cat(self.nonzero, self.is_negative()).as_signed()


def trit_vector(lanes: int) -> data.ArrayLayout:
    """A word of ``lanes`` trits, lane 0 in the lowest two bits."""
    return data.ArrayLayout(Trit, lanes)
