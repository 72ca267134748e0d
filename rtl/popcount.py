"""Population count as a balanced tree of additions."""

from amaranth import Value


def popcount(bits: Value) -> Value:
    """How many bits of ``bits`` are set, in ⌈log2(n + 1)⌉ bits."""
    if len(bits) <= 1:
        return bits
    half = len(bits) // 2
    return (popcount(bits[:half]) + popcount(bits[half:]))[: len(bits).bit_length()]
