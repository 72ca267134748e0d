"""Sums of the last layer come R at a time and leave one by one."""

from collections.abc import Sequence
from itertools import pairwise

from amaranth import Module, Mux, Signal, Value, signed

from .trainer_plan import TrainerPlan


def queue_sums(
    m: Module,
    plan: TrainerPlan,
    sums: Sequence[Value],
    *,
    push: Value,
    last: Value,
    finishing: Value,
    sum_valid: Signal,
    sum_out: Signal,
) -> None:
    """Drive ``sum_valid`` and ``sum_out``, a class a cycle.

    ``push``: the R ``sums`` are there, ``last`` where they end the layer. Those before have left
    by then, as R rows take R cycles or more. ``finishing``: the last class leaves in this cycle.
    """
    rows, top = plan.hardware.rows, plan.layers[-1]
    if rows == 1:
        m.d.comb += [sum_valid.eq(push), sum_out.eq(sums[0])]
        return
    queue = [Signal(signed(plan.sum_width), name=f"queue{r}") for r in range(rows)]
    queued = Signal(range(rows + 1))
    m.d.comb += [sum_valid.eq(queued != 0), sum_out.eq(queue[0])]
    with m.If(sum_valid):
        m.d.sync += [a.eq(b) for a, b in pairwise(queue)]
        m.d.sync += queued.eq(queued - 1)
    with m.If(finishing):
        m.d.sync += queued.eq(0)
    with m.If(push):
        m.d.sync += [waiting.eq(total) for waiting, total in zip(queue, sums, strict=True)]
        m.d.sync += queued.eq(Mux(last, top.units - (top.row_groups - 1) * rows, rows))
