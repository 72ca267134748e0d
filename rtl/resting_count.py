"""Counts the products of the forward pass that are zero."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .delay import delayed
from .forward_order import groups_ahead, loss_latency
from .popcount import ADDED_TOGETHER, COUNTED_TOGETHER, popcount, tree_sum
from .trainer_plan import TrainerPlan


def resting_range(plan: TrainerPlan) -> range:
    """What ``RestingCount.resting`` may be."""
    cycles_ahead = 0
    if (groups := groups_ahead(plan)) is not None:
        cycles_ahead = groups * plan.layers[0].words + loss_latency(plan)
    return range((cycles_ahead + 1) * plan.hardware.lanes * plan.hardware.rows + 1)


class RestingCount(wiring.Component):
    """Real products of a word of every row, less those whose gate is open.

    What belongs to a sample begun ahead counts when it becomes the present one, or never.

    Members
    -------
    valid : In(1)
        Words arrive; with them come those from ``layer`` to ``inputs``.
    layer : In, last_word, last_group, ahead : In(1)
        As of ``ForwardOrder``.
    weights : In(R · 2P), inputs : In(2P)
    begun, parked : In(1)
        As of ``ForwardOrder``, in the same cycle.
    resting : Out
        Products that were zero in cycles before, padding left out.
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan
        lanes, rows = plan.hardware.lanes, plan.hardware.rows
        super().__init__(
            {
                "valid": In(1),
                "layer": In(range(max(len(plan.layers), 2))),
                "last_word": In(1),
                "last_group": In(1),
                "ahead": In(1),
                "weights": In(2 * lanes * rows),
                "inputs": In(2 * lanes),
                "begun": In(1),
                "parked": In(1),
                "resting": Out(resting_range(plan)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, lanes, rows = self.plan, self.plan.hardware.lanes, self.plan.hardware.rows

        # Cycle 0: which products are real, and which gates are open.
        tail_lanes = Array([p.inputs - (p.words - 1) * lanes for p in plan.layers])[self.layer]
        in_tail = [p.units - (p.row_groups - 1) * rows for p in plan.layers]
        tail_rows = Array(in_tail)[self.layer]
        # Rows beyond the layer's units may hold anything.
        exists = [
            (~self.last_group | (tail_rows > r)) if r >= min(in_tail) else Const(1)
            for r in range(rows)
        ]
        gates = Signal(lanes * rows)
        real_lanes = Signal(range(lanes + 1))
        real_rows = Signal(range(rows + 1))
        m.d.sync += [
            real_lanes.eq(Mux(self.last_word, tail_lanes, lanes)),
            real_rows.eq(Mux(self.last_group, tail_rows, rows)),
            gates.eq(
                Cat(
                    self.weights[2 * (r * lanes + k)] & self.inputs[2 * k] & exists[r]
                    for r in range(rows)
                    for k in range(lanes)
                )
            ),
        ]

        # Cycles 1, 2: they are counted; cycle 3: added up.
        valid = [delayed(m, self.valid, k) for k in (1, 2)]
        real = Signal(range(lanes * rows + 1))
        parts = []
        for first in range(0, lanes * rows, COUNTED_TOGETHER):
            some = gates[first : first + COUNTED_TOGETHER]
            part = Signal(range(len(some) + 1), name=f"gates_open{first}")
            m.d.sync += part.eq(popcount(some))
            parts.append(part)
        m.d.sync += real.eq(Mux(valid[0], real_lanes * real_rows, 0))
        arrived: Value = valid[1]
        if plan.config.convolves and len(parts) > ADDED_TOGETHER:
            # Nothing waits for the count: many parts take a cycle more.
            sums = []
            for first in range(0, len(parts), ADDED_TOGETHER):
                total = tree_sum(parts[first : first + ADDED_TOGETHER])
                some = Signal(len(total), name=f"gates_open_from{first}")
                m.d.sync += some.eq(total)
                sums.append(some)
            parts, real, arrived = sums, delayed(m, real, 1), delayed(m, valid[1], 1)
        count = Signal(range(lanes * rows + 1))
        m.d.sync += count.eq(Mux(arrived, real - tree_sum(parts), 0))
        if groups_ahead(plan) is None:
            m.d.comb += self.resting.eq(count)
        else:
            self._hold_back(m, count, delayed(m, self.ahead, 3))
        return m

    def _hold_back(self, m: Module, count: Signal, ahead: Signal) -> None:
        """Collect what is counted ahead until it is known whether it counts."""
        held = Signal.like(self.resting)
        total = held + count
        with m.If(~self.begun):
            m.d.sync += [self.resting.eq(total), held.eq(0)]
        with m.Elif(ahead):
            m.d.sync += [self.resting.eq(0), held.eq(total)]
        with m.Else():
            m.d.sync += self.resting.eq(count)
        with m.If(self.parked):
            m.d.sync += held.eq(0)
