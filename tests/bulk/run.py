"""Vectors in bulk, block by block: ``python tests/bulk/run.py [CASE …] [--seeds 1-20]``.

10^6 vectors a block under each seed, shared by its cases. What is done is kept in build/bulk and
not run again until the block's Verilog, golden or this folder change; an interrupted run goes on.
A run says its seed where it finds a difference; ``--seeds 7`` repeats it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import trisign
from bulk.case import Case
from bulk.cases import CASES
from bulk.driver import Difference, Driver
from trisign.sim.runner import build_root, locked

SEEDS = range(1, 21)
VECTORS = 1_000_000
TELL_SECONDS = 20.0


@cache
def sources() -> str:
    """Hash of golden and of this folder."""
    folders = (Path(trisign.__file__).parent / "golden", Path(__file__).parent)
    files = sorted(p for folder in folders for p in folder.iterdir() if p.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def share(name: str, vectors: int = VECTORS) -> int:
    """The vectors of case ``name`` where its block's cases share ``vectors``."""
    fellows = [c for c in CASES.values() if c.block == CASES[name].block and not c.exhaustive]
    return -(-vectors // len(fellows))


def run_case(
    name: str, seeds: Sequence[int] = SEEDS, vectors: int = 0, *, keep: bool = True
) -> dict[str, int]:
    """Drive case ``name`` under every seed that is not done; words in and out, and cycles, of all.

    ``vectors`` of a seed: the case's share of 10^6 where it is 0.

    Raises Difference with the seed, the case and how to repeat it.
    """
    case = CASES[name]
    vectors = vectors or share(name)
    seeds = seeds[:1] if case.exhaustive else seeds
    driver = Driver(case.create(), case.block)
    key = hashlib.sha256(f"{sources()}{driver.verilog}{vectors}".encode()).hexdigest()[:12]
    path = build_root() / "bulk" / f"{name}-{key}.json"
    with locked(path.with_suffix(".lock")):
        done: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}
        left = [seed for seed in seeds if str(seed) not in done or not keep]
        told = time.monotonic()
        for number, seed in enumerate(left):
            done[str(seed)] = one_seed(name, case, driver, seed, vectors)
            path.write_text(json.dumps(done))
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                print(f"{name}: {number + 1} of {len(left)} seeds", flush=True)
    answers = [done[str(seed)] for seed in seeds]
    return {count: sum(each[count] for each in answers) for count in answers[0]}


def one_seed(name: str, case: Case, driver: Driver, seed: int, vectors: int) -> dict[str, int]:
    random = np.random.default_rng([seed, *name.encode()])
    try:
        return driver.run(case.batches(driver, random, vectors), seed)
    except Difference as error:
        raise Difference(
            f"{name}, seed {seed}: {error}\n"
            f"  again: python tests/bulk/run.py {name} --seeds {seed} --vectors {vectors}"
        ) from error


def seed_list(text: str) -> list[int]:
    """``7``, ``1-20`` or ``1,5,9``."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests/bulk/run.py", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seeds", type=seed_list, default=list(SEEDS))
    parser.add_argument(
        "--vectors", type=int, default=0, help="a case and seed; its share of 10^6 a block if 0"
    )
    parser.add_argument("--again", action="store_true", help="also what is done")
    options = parser.parse_args(arguments)
    names = options.cases or list(CASES)
    unknown = set(names) - set(CASES)
    if unknown:
        parser.error(f"CASE must be one of {', '.join(CASES)}, not {', '.join(sorted(unknown))}")
    differences = 0
    for number, name in enumerate(names, 1):
        started = time.monotonic()
        try:
            counts = run_case(name, options.seeds, options.vectors, keep=not options.again)
        except Difference as error:
            differences += 1
            print(f"[{number}/{len(names)}] {error}", flush=True)
            continue
        seconds = time.monotonic() - started
        print(
            f"[{number}/{len(names)}] {name}: {counts['inputs']:,} words in, "
            f"{counts['outputs']:,} out, {counts['cycles']:,} cycles, {seconds:.0f} s",
            flush=True,
        )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
