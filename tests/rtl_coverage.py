"""Lines, branches and bits of the generated Verilog that the benches reach, in Verilator.

``python tests/rtl_coverage.py [BLOCK …]`` tells what is reached of each block, and writes the rest
to build/reports/rtl-coverage.txt. Exit code 1 below ``TARGET``, or where an entry of
``rtl_exclusions.toml`` excludes nothing. ``--kept`` runs only benches that have no record.

Wires without a name of their own are not counted: parts of expressions, whose leading bits are
constant where the whole is extended, and whose values named signals take.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import test_convolution_trainer as convolution
import test_core
import test_link
import test_precision_controller as precision
import test_processing_element as element
import test_ternary_dot as dot
import test_trainer as trainer
import test_update_engine as update

from trisign.gen.verilog import to_verilog
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.processing_element import ProcessingElementParameters
from trisign.golden.ternary_dot import DotParameters
from trisign.rtl.lfsr import Lfsr16Source
from trisign.rtl.register_map import COUNTERS
from trisign.rtl.xorshift import Xorshift32Source
from trisign.sim.runner import COVERAGE_VARIABLE, build_root, run_bench

TARGET = 0.90
EXCLUSIONS = Path(__file__).parent / "rtl_exclusions.toml"
# Verilator writes a character of a name that C++ does not take as __0 and its code.
ESCAPED = re.compile(r"__0([0-9A-F]{2})")
POINT = re.compile(r"^C '(.*)' (\d+)$", re.MULTILINE)
COUNTING = ("epoch", "sample", "epochs_left", "samples_left")
KINDS = {"v_line": "lines", "v_branch": "lines", "v_toggle": "bits"}


def _update(name: str, lanes: int) -> None:
    update.run({**update.ENGINES[name], "lanes": lanes}, "verilator")


def _generator(create: Callable[[], Any], name: str, **parameters: int) -> None:
    run_bench(
        to_verilog(create(), name), name, f"trisign.sim.tb_{name}", parameters=parameters,
        simulator="verilator",
    )  # fmt: skip


def writable(verilog: str) -> str:
    """``verilog`` with the counters that the bench sets on their way to their limits."""
    names = "|".join((*(register.name for register in COUNTERS), *COUNTING))
    return re.sub(
        rf"\breg (\[(?:31|15):0\] (?:{names})\b)", r"reg \1 /*verilator public_flat_rw*/", verilog
    )


def _trainer(
    kind: Any, network: Mapping[str, Any], samples: int, tests: str, **layout: Any
) -> None:
    hardware = {"store_samples": samples, "image": (4, 4), **layout}
    with tempfile.TemporaryDirectory() as folder:
        vectors = trainer.write_vectors(Path(folder) / "vectors.npz", samples, small=True)
        kind.run(
            network, hardware, vectors, simulator="verilator", test_filter=tests, change=writable,
            epochs=2,
        )  # fmt: skip


RUNS: dict[str, list[Callable[[], Any]]] = {
    "ternary_dot": [
        partial(dot.bench, DotParameters(**fields), "verilator")
        for fields in (
            {"lanes": 64},
            {"lanes": 16, "structure": "compact", "tech": "lut6", "pipeline": (0, 3)},
            {"lanes": 33, "binary": True},
        )
    ],
    "processing_element": [
        partial(element.bench, ProcessingElementParameters(**element.CASES[name]), "verilator")
        for name in ("small", "deep", "binary")
    ],
    "update_engine": [
        partial(_update, name, lanes)
        for name, lanes in (
            ("counter_summed", 8),
            ("ema_dst_tanh", 16),
            ("sign_sgd_decoupled", 4),
            ("signum_coupled", 4),
            ("signadam_decoupled", 4),
            ("signadam_pp_coupled", 4),
            ("signadam_pp_published_coupled", 4),
        )
    ],
    "precision_controller": [
        partial(precision.bench, PrecisionParameters(**precision.CASES[name]), "verilator")
        for name in ("small", "search", "search_by_sums")
    ],
    "lfsr": [partial(_generator, partial(Lfsr16Source, seed=1), "lfsr", seed=1, steps=1)],
    "xorshift": [partial(_generator, partial(Xorshift32Source, seed=7), "xorshift", seed=7)],
    "trainer": [
        partial(_trainer, trainer, trainer.SMALL, 12, "", lanes=16, **trainer.REGISTER),
        partial(_trainer, trainer, trainer.HINGE, 12, "", lanes=16, rows=2, counter_lanes=8),
        partial(_trainer, trainer, trainer.AVERAGE, 12, "", lanes=32),
    ],
    "convolution": [
        partial(
            _trainer, convolution, convolution.ODD, 12,
            "digest|moved|reset_in|stops|refuses|counters_of|registers_", **convolution.ODD_LAYOUT,
        ),
    ],
    "link": [partial(test_link.test_link, "verilator", 2000, False)],
    "core": [test_core.test_core],
}  # fmt: skip


# Modules inside that have benches of their own, here too: they are not counted again.
ELSEWHERE = {
    "core": re.compile(r"core\.trainer\b.*|trisign_.*"),
    "link": re.compile(r"link\.trainer\b.*|trisign_.*"),
}


class Point(NamedTuple):
    """A line, a branch, or a bit that rises or falls."""

    design: str
    module: str
    kind: str
    name: str


@dataclass
class Reached:
    """Points of a block: how often each was reached."""

    block: str
    counts: dict[Point, int] = field(default_factory=lambda: defaultdict(int))

    def read(self, path: Path) -> None:
        """Add what a run of a bench reached."""
        for match in POINT.finditer(path.read_text(encoding="latin1")):
            fields = dict(part.split("\2", 1) for part in match[1].split("\1")[1:])
            kind, _, module = fields["page"].partition("/")
            if self.block in ELSEWHERE and ELSEWHERE[self.block].fullmatch(module):
                continue
            name = ESCAPED.sub(lambda code: chr(int(code[1], 16)), fields["o"])
            if kind != "v_toggle":
                name = f"{fields['l']}: {name}"
            elif name.startswith("$"):
                continue
            # Instances of a module count as one, and so do runs of the same Verilog.
            point = Point(Path(fields["f"]).parent.name, module, KINDS[kind], name)
            self.counts[point] += int(match[2])


def measure(block: str, kept: bool) -> Reached:
    """Run the benches of ``block``, those without a record where ``kept``."""
    reached = Reached(block)
    for number, run in enumerate(RUNS[block]):
        folder = build_root() / "rtl-coverage" / f"{block}-{number}"
        if not kept or not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            os.environ[COVERAGE_VARIABLE] = str(folder)
            run()
            (folder / "done").touch()
        for path in sorted(folder.glob("*.dat")):
            reached.read(path)
    return reached


def excluded(entries: Sequence[Mapping[str, str]], block: str, point: Point) -> int | None:
    """Which entry excludes ``point``."""
    for number, entry in enumerate(entries):
        if (
            entry["block"] == block
            and re.fullmatch(entry.get("module", ".*"), point.module)
            and re.fullmatch(entry["name"], point.name)
        ):
            return number
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/rtl_coverage.py", description=__doc__)
    parser.add_argument("blocks", nargs="*", choices=[*RUNS, []], metavar="BLOCK", default=[])
    parser.add_argument("--kept", action="store_true", help="take records of an earlier run")
    options = parser.parse_args(arguments)
    blocks = options.blocks or list(RUNS)
    entries = tomllib.loads(EXCLUSIONS.read_text()).get("exclusion", [])
    used: set[int] = set()
    rest: list[str] = []
    fine = True
    print("| block | lines and branches | bits that rise and fall | reviewed rest |")
    print("|---|---|---|---|")
    for block in blocks:
        counts = measure(block, options.kept).counts
        missed: dict[str, list[Point]] = defaultdict(list)
        reviewed = 0
        for point, count in counts.items():
            if count:
                continue
            number = excluded(entries, block, point)
            if number is None:
                missed[point.kind].append(point)
            else:
                used.add(number)
                reviewed += 1
        cells = []
        for kind in ("lines", "bits"):
            total = sum(point.kind == kind for point in counts)
            hit = sum(count > 0 for point, count in counts.items() if point.kind == kind)
            share = hit / total if total else 1.0
            fine &= share >= TARGET
            cells.append(f"{100 * share:.1f} % of {total}")
        print(f"| {block} | {cells[0]} | {cells[1]} | {reviewed} |", flush=True)
        rest += [f"{block} {p.design} {p.module} {p.name}" for ps in missed.values() for p in ps]
    report = build_root() / "reports" / "rtl-coverage.txt"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("".join(f"{line}\n" for line in sorted(rest)))
    print(f"{len(rest)} more points not reached, without a reason: {report}")
    stale = {n for n, e in enumerate(entries) if e["block"] in blocks} - used
    for number in sorted(stale):
        print(f"{EXCLUSIONS.name}: {entries[number]} excludes nothing", file=sys.stderr)
    return 0 if fine and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
