"""Mutation campaigns: does each block's bench notice a single changed bit of its netlist?

``python tests/mutation/run.py [NAME ...]``. Every mutant is killed by the bench, shown equivalent
by a solver, or listed. Results are kept in build/mutate as they come: an interrupted run goes on.
Exit code 1 where a mutant is left unexplained.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
import tomllib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from mutation.campaigns import Campaign, campaigns
from mutation.netlist import Mutants
from trisign.gen.verilog import to_verilog
from trisign.sim.runner import BenchFailure, run_bench

EXPLAINED = Path(__file__).parent / "explained.toml"
SLOWEST = 20  # a mutant that takes so many times as long as the original hangs
TELL_SECONDS = 10.0


class Hung(Exception):
    """The bench did not end."""


def bench(campaign: Campaign, netlist: str, mutant: int, seconds: int, tests: str | None) -> bool:
    """Whether the bench passes on mutant ``mutant``; 0 is the original."""

    def stop(*_: Any) -> None:
        raise Hung

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        result = run_bench(
            netlist,
            campaign.block,
            f"trisign.sim.tb_{campaign.block}",
            parameters=campaign.parameters,
            simulator="verilator",
            test_filter=tests,
            plusargs=(f"+mutant={mutant}",),
            waves_on_failure=False,
            check=False,
        )
        return bool(result.tests) and not result.failures
    finally:
        signal.alarm(0)


def verdict(name: str, mutants: Mutants, netlist: str, mutant: int, limits: list[int]) -> str:
    """``killed``, ``equivalent`` or ``survived``."""
    campaign = campaigns()[name]
    for tests, seconds in zip((campaign.quick, None), limits, strict=True):
        try:
            if not bench(campaign, netlist, mutant, seconds, tests):
                return "killed"
        except (Hung, BenchFailure):
            return "killed"
    return "equivalent" if mutants.equivalent(mutant) else "survived"


def run(name: str, campaign: Campaign, count: int, workers: int) -> dict[int, str]:
    """Run one campaign to its end, from where an earlier run left it."""
    verilog = to_verilog(campaign.create(), campaign.block)
    mutants = Mutants(verilog, campaign.block, count)
    netlist = mutants.netlist()
    key = hashlib.sha256((netlist + json.dumps(campaign.parameters)).encode()).hexdigest()[:12]
    path = Path("build/mutate") / f"{name}-{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {int(k): v for k, v in json.loads(path.read_text()).items()} if path.exists() else {}
    limits, taken = [], []
    for tests in (campaign.quick, None):
        bench(campaign, netlist, 0, 600, tests)  # builds
        started = time.monotonic()
        if not bench(campaign, netlist, 0, 600, tests):
            raise SystemExit(f"{name}: the bench fails on the original")
        taken.append(time.monotonic() - started)
        limits.append(int(SLOWEST * taken[-1]) + 5)
    # Survivors run again: the bench may have learnt since.
    left = [
        k for k in range(1, len(mutants.commands) + 1) if found.get(k, "survived") == "survived"
    ]
    minutes = len(left) * (taken[0] * 1.2 + 0.1 * taken[1]) / workers / 60
    print(f"{name}: {len(mutants.commands)} mutants, {len(left)} to go, about {minutes:.0f} min")
    told = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        jobs = {pool.submit(verdict, name, mutants, netlist, k, limits): k for k in left}
        try:
            for done in as_completed(jobs):
                found[jobs[done]] = done.result()
                if time.monotonic() - told > TELL_SECONDS or len(found) == len(mutants.commands):
                    told = time.monotonic()
                    save(path, found)
                    print(f"{name}: {len(found)}/{len(mutants.commands)} {dict(tally(found))}")
        except BaseException:
            save(path, found)
            pool.shutdown(cancel_futures=True)
            raise
    save(path, found)
    for k in sorted(found):
        if found[k] == "survived":
            print(f"  {name} {k}: {mutants.describe(k)}")
    return found


def tally(found: dict[int, str]) -> Counter[str]:
    """How many mutants came to what."""
    return Counter(found.values())


def save(path: Path, found: dict[int, str]) -> None:
    """Write results aside, then rename."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(found))
    os.replace(aside, path)


def main() -> int:
    known = campaigns()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--count", type=int, help="mutants a campaign, in place of its share")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    for name in options.names:
        if name not in known:
            parser.error(f"NAME must be one of {', '.join(known)}, not {name}")
    explained = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    unexplained = 0
    for name in options.names or known:
        campaign = known[name]
        found = run(name, campaign, options.count or campaign.share, options.workers)
        survived = [k for k, v in found.items() if v == "survived"]
        open_ones = [k for k in survived if str(k) not in explained.get(name, {})]
        counts = tally(found)
        print(
            f"{name}: {len(found)} mutants, {counts['killed']} killed, "
            f"{counts['equivalent']} equivalent, {len(survived) - len(open_ones)} explained, "
            f"{len(open_ones)} unexplained"
        )
        unexplained += len(open_ones)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
