"""Population count as a balanced tree of additions."""

from collections.abc import Sequence

from amaranth import Value

COUNTED_TOGETHER = 16  # bits of a population count in one cycle
ADDED_TOGETHER = 8  # counts that are added up in one cycle


def popcount(bits: Value) -> Value:
    """How many bits of ``bits`` are set, in ⌈log2(n + 1)⌉ bits."""
    if len(bits) <= 1:
        return bits
    half = len(bits) // 2
    return (popcount(bits[:half]) + popcount(bits[half:]))[: len(bits).bit_length()]


def tree_sum(values: Sequence[Value]) -> Value:
    """Sum of ``values`` as a balanced tree of additions."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return tree_sum(values[:half]) + tree_sum(values[half:])
