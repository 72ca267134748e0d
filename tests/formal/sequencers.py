"""State machines of generated Verilog: which states follow which, found by a SAT solver.

Everything but the state itself is free: the module's inputs, what its submodules say, its other
registers. The graph thus holds every step the machine can ever take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from formal.yosys import yosys

MODULE = re.compile(r"^module (\\?\S+?) ?\(.*?^endmodule", re.MULTILINE | re.DOTALL)
STATE = re.compile(
    r"^ *reg (?:\[(?P<high>\d+):0\] )?\\?(?P<name>fsm_state\S*) +?= \d+'h(?P<first>\w+);",
    re.MULTILINE,
)
# A clock domain's reset is named for it.
RESET = re.compile(r"^ *input (\w*rst);", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    """The register ``name`` of ``module``; ``first`` is its state after ``reset``, an input."""

    module: str
    name: str
    width: int
    first: int
    reset: str


def machines(verilog: str) -> list[Machine]:
    """Every state machine of the text."""
    text = verilog.replace("fsm_state =", "fsm_state  =")
    return [
        Machine(
            body[1].lstrip("\\"),
            state["name"],
            int(state["high"] or 0) + 1,
            int(state["first"], 16),
            RESET.findall(body[0])[0],
        )
        for body in MODULE.finditer(text)
        for state in STATE.finditer(body[0])
    ]


def steps(verilog: str, machine: Machine) -> set[tuple[int, int]]:
    """Pairs of states such that the second may follow the first, without a reset."""
    names = [match[1].lstrip("\\") for match in MODULE.finditer(verilog)]
    others = " ".join(f"\\{name}" for name in names if name != machine.module)
    count = 1 << machine.width
    pairs = [(a, b) for a in range(count) for b in range(count)]
    questions = "\n".join(
        f"log step {a} {b}\n"
        f"sat -set {machine.reset} 0 -set {machine.name}.q {a} -set {machine.name}.d {b} "
        f"\\{machine.module}"
        for a, b in pairs
    )
    script = f"""
        read_verilog block.v
        {f"blackbox {others}" if others else ""}
        proc
        opt_clean
        memory_map
        opt_clean
        setattr -unset init w:*
        expose -dff -evert -evert-dff \\{machine.module}
        opt_clean
        {questions}
    """
    with yosys(script, {"block.v": verilog}) as run:
        if not run.succeeded:
            raise RuntimeError(run.said[-4000:])
        answers = re.split(r"^step (\d+) (\d+)$", run.said, flags=re.MULTILINE)[1:]
    assert len(answers) == 3 * len(pairs)
    return {
        (int(a), int(b))
        for a, b, said in zip(answers[::3], answers[1::3], answers[2::3], strict=True)
        if "model found: FAIL" not in said and "model found:" in said and "no model" not in said
    }


def reached(graph: set[tuple[int, int]], start: int) -> set[int]:
    """States that ``start`` leads to, itself among them."""
    found, fresh = {start}, {start}
    while fresh:
        fresh = {b for a, b in graph if a in fresh} - found
        found |= fresh
    return found
