# amaranth: UnusedElaboratable=no
"""The registered update lane against the plain one, for all inputs; the plain one is the engine's.

The registered one is what trainers with memory registers have: tests/test_trainer.py holds those
against golden.
"""

import pytest
from amaranth import Module
from amaranth.sim import Simulator

from trisign.golden.checks import ParameterError
from trisign.golden.update_engine import UpdateParameters
from trisign.rtl.update_lane import UpdateLane


@pytest.mark.parametrize("width", [3, 6])
def test_registered_lane_answers_a_cycle_later(width: int) -> None:
    p = UpdateParameters(rule="counter", gradient_width=2, counter_width=width)
    m = Module()
    m.submodules.plain = plain = UpdateLane(p)
    m.submodules.registered = registered = UpdateLane(p, registered=True)
    answers: dict[str, list[tuple[int, int, int]]] = {"plain": [], "registered": []}

    async def bench(ctx) -> None:  # type: ignore[no-untyped-def]
        cases = [
            (counter, grad, weight)
            for counter in range(-(1 << width - 1), 1 << width - 1)
            for grad in range(-2, 2)
            for weight in range(4)
        ]
        for counter, grad, weight in (*cases, cases[0]):
            for lane, kept in ((plain, "plain"), (registered, "registered")):
                ctx.set(lane.momentum, counter)
                ctx.set(lane.grad, grad)
                ctx.set(lane.weight.as_value(), weight)
                answers[kept].append(
                    (
                        ctx.get(lane.momentum_next),
                        ctx.get(lane.weight_next.as_value()),
                        ctx.get(lane.changed),
                    )
                )
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(set(answers["plain"])) > 3 * (1 << width) // 2
    assert answers["registered"][1:] == answers["plain"][:-1]


def test_other_rules_have_no_register() -> None:
    with pytest.raises(ParameterError, match="rule must be counter for a registered lane"):
        UpdateLane(UpdateParameters(rule="sign_sgd"), registered=True)
