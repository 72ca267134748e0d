"""A value some cycles later, for what must keep step with a pipeline."""

from amaranth import Module, Signal


def delayed(m: Module, value: Signal, cycles: int) -> Signal:
    """``value`` ``cycles`` cycles later; zero after reset."""
    for cycle in range(cycles):
        later = Signal(value.shape(), name=f"{value.name}_later{cycle + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
