"""Runs a block's bench once for every mutant, in one simulation: a mutant costs milliseconds.

A cocotb module. ``TRISIGN_MUTATION`` holds JSON: ``block``, ``mutants``, ``tests`` (names in the
order in which they run), ``limits`` (nanoseconds a test may take, by name; empty for the original)
and ``log``, the file that takes a line as each test of a mutant begins (``run``) and ends
(``pass`` and its nanoseconds). A mutant is killed by a test that begins and does not pass.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from importlib import import_module
from typing import Any

from cocotb.regression import Test, TestGenerator
from cocotb.simtime import get_sim_time

GIVEN = json.loads(os.environ.get("TRISIGN_MUTATION", '{"mutants": []}'))
HANG_SECONDS = 120  # of a simulation that does not come back; the kernel ends it


def tests_of(block: str) -> dict[str, Test]:
    """The tests of a bench that are not skipped, by name."""
    found = []
    for value in vars(import_module(f"trisign.sim.tb_{block}")).values():
        if isinstance(value, Test):
            found.append(value)
        elif isinstance(value, TestGenerator):
            found += list(value.generate_tests())
    return {test.name: test for test in found if not test.skip}


class Session:
    """Which mutant is under test, and which tests of it are left."""

    def __init__(self) -> None:
        self.begun: int | None = None
        self.killed: int | None = None

    def log(self, *words: object) -> None:
        with open(GIVEN["log"], "a") as file:
            print(*words, file=file)

    def wrapped(self, test: Test, mutant: int) -> Callable[..., Any]:
        """``test`` on ``mutant``; nothing where an earlier test did not pass."""

        async def run(dut: Any, *args: Any, **named: Any) -> None:
            if self.begun is not None:
                self.killed, self.begun = self.begun, None
            if mutant == self.killed:
                return
            self.begun = mutant
            self.log("run", mutant, test.name)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(HANG_SECONDS)
            started = get_sim_time("ns")
            dut.mutsel.value = mutant
            await test.func(dut, *args, **named)
            self.begun = None
            self.log("pass", mutant, test.name, int(get_sim_time("ns") - started))

        return run


def wanted() -> dict[str, Test]:
    """Every test of every mutant, as cocotb wants them."""
    session, found = Session(), {}
    tests = tests_of(GIVEN["block"])
    for mutant in GIVEN["mutants"]:
        for name in GIVEN.get("tests") or tests:
            test = tests[name]
            limit = GIVEN["limits"].get(name)
            found[f"{name}:{mutant}"] = Test(
                func=session.wrapped(test, mutant),
                args=test.args,
                kwargs=test.kwargs,
                name=f"{name}:{mutant}",
                module=test.module,
                doc=None,
                timeout=(limit, "ns") if limit else None,
                expect_fail=False,
                expect_error=(),
                skip=False,
                stage=0,
            )
    return found


if GIVEN["mutants"]:
    globals().update(wanted())
