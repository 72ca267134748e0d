"""Mutation campaigns: does each block's bench notice a single changed bit of its netlist?

``python tests/mutation/run.py [NAME ...]``. Every mutant is killed by the bench, shown equivalent
by a solver, or listed. Results are kept in build/mutate as they come: an interrupted run goes on.
Exit code 1 where a mutant is left that ``explained.toml`` does not account for.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from mutation.campaigns import Campaign, campaigns
from mutation.netlist import Mutants
from mutation.session import tests_of
from trisign.gen.verilog import to_verilog
from trisign.sim.runner import BenchFailure, run_bench

EXPLAINED = Path(__file__).parent / "explained.toml"
FOLDER = Path("build/mutate").resolve()
SLOWEST = 3  # a test of a mutant that takes so many times as long as of the original hangs
MARGIN_NS = 10_000
BATCH = 50  # mutants of one simulation; a simulation that dies costs one start
ALONE_MAX = 10  # proofs of a mutant by itself
TELL_SECONDS = 10.0


def session(campaign: Campaign, netlist: str, given: dict[str, object]) -> None:
    """One simulation (see ``session``); it may die, the log tells how far it came."""
    os.environ["TRISIGN_MUTATION"] = json.dumps({"block": campaign.block, **given})
    os.environ["COCOTB_LOG_LEVEL"] = "CRITICAL"
    with contextlib.suppress(BenchFailure):
        run_bench(
            netlist,
            campaign.block,
            "mutation.session",
            parameters=campaign.parameters,
            simulator="verilator",
            waves_on_failure=False,
            check=False,
        )


def batch(name: str, netlist: str, mutants: list[int], limits: dict[str, int], log: str) -> str:
    """Verdicts on ``mutants`` to the end of ``log``."""
    campaign, path = campaigns()[name], Path(log)
    left = list(mutants)
    while left:
        given = {"mutants": left, "tests": list(limits), "limits": limits, "log": log}
        before = len(verdicts(path, limits))
        session(campaign, netlist, given)
        path.touch()
        found = verdicts(path, limits, ended=True)
        if len(found) == before and not any(k in found for k in left):
            raise RuntimeError(f"{name}: the simulation does not start")
        with path.open("a") as file:
            file.writelines(f"end {k}\n" for k in left if k in found)
        left = [k for k in left if k not in found]
    return log


def verdicts(path: Path, tests: dict[str, int], *, ended: bool = False) -> dict[int, str]:
    """Mutants that a log has done with: ``survived``, or the test that killed.

    The mutant at the end of the log may still be at work, unless the simulation has ``ended``.
    """
    passed: Counter[int] = Counter()
    last: dict[int, str] = {}
    done = set()
    for line in path.read_text().splitlines() if path.exists() else ():
        kind, number, *rest = line.split()
        k = int(number)
        if kind == "run":
            if rest[0] == next(iter(tests)):
                passed[k] = 0
            done |= set(last) - {k}
            last[k] = rest[0]
        elif kind == "pass":
            passed[k] += 1
        else:
            done.add(k)
    done |= {k for k in last if passed[k] == len(tests)} | (set(last) if ended else set())
    return {k: "survived" if passed[k] == len(tests) else last[k] for k in done}


def original(name: str, campaign: Campaign, netlist: str) -> tuple[dict[str, int], float]:
    """Nanoseconds each test may take, quick and short ones first; and seconds of them all."""
    path = FOLDER / f"{name}-original.log"
    tests = tests_of_campaign(campaign)
    for _ in range(2):  # the first one builds
        path.unlink(missing_ok=True)
        started = time.monotonic()
        session(campaign, netlist, {"mutants": [0], "tests": tests, "limits": {}, "log": str(path)})
    seconds = time.monotonic() - started
    lines = path.read_text().splitlines() if path.exists() else []
    took = {line.split()[2]: int(line.split()[3]) for line in lines if line.startswith("pass")}
    if took.keys() != set(tests):
        raise SystemExit(f"{name}: the bench fails on the original: {set(tests) - took.keys()}")
    tests.sort(key=lambda test: (not re.search(campaign.quick, test), took[test]))
    return {test: SLOWEST * took[test] + MARGIN_NS for test in tests}, seconds


def tests_of_campaign(campaign: Campaign) -> list[str]:
    """Names of the bench's tests that the campaign runs."""
    os.environ["TRISIGN_PARAMETERS"] = json.dumps(campaign.parameters)
    sys.modules.pop(f"trisign.sim.tb_{campaign.block}", None)
    return [t for t in tests_of(campaign.block) if re.search(campaign.tests, t)]


def run(name: str, campaign: Campaign, count: int, workers: int) -> dict[str, str]:
    """Run one campaign to its end, from where an earlier run left it: mutant → verdict."""
    verilog = to_verilog(campaign.create(), campaign.block)
    mutants = Mutants(verilog, campaign.block, count, spared=campaign.spared)
    numbers = range(1, len(mutants.commands) + 1)
    netlist = mutants.netlist()
    key = hashlib.sha256(netlist.encode()).hexdigest()[:12]
    netlist = written_by_bench(netlist, campaign.written)
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"{name}: {len(numbers)} mutants, compiling")
    limits, seconds = original(name, campaign, netlist)
    path = FOLDER / f"{name}-{key}.json"
    (FOLDER / f"{name}-{key}.txt").write_text("\n".join(mutants.commands) + "\n")
    found = {int(k): v for k, v in json.loads(path.read_text()).items()} if path.exists() else {}
    # Most mutants fall to the first tests.
    minutes = seconds * sum(k not in found for k in numbers) / workers / 60
    print(f"{name}: about {1 + minutes / 8:.0f} to {1 + minutes / 3:.0f} min", flush=True)

    def simulate(numbers: list[int], tests: list[str], verdict: str) -> None:
        """Bench ``numbers``; those that no test kills come to ``verdict``."""
        for killed in sessions(name, netlist, numbers, {t: limits[t] for t in tests}, workers):
            found.update({k: verdict if v == "survived" else v for k, v in killed.items()})
            save(path, found)
            print(f"{name}: {len(found)}/{len(mutants.commands)} {dict(tally(found))}", flush=True)

    # Most fall to a few tests; of the rest, most are equivalent; what is left meets every test.
    # Survivors of an earlier run go the whole way again: the bench may have learnt since.
    quick = [t for t in limits if re.search(campaign.quick, t)]
    simulate([k for k in numbers if found.get(k, "survived") == "survived"], quick, "open")
    left = [k for k in numbers if found[k] == "open"]
    print(f"{name}: comparing {len(left)} with the original", flush=True)
    for start in range(0, len(left), BATCH):
        equal = mutants.equivalents(left[start : start + BATCH], campaign.relation)
        found |= {k: "equivalent" if k in equal else "unequal" for k in left[start:][:BATCH]}
        save(path, found)
    rest = [t for t in limits if t not in quick]
    simulate([k for k in numbers if found[k] == "unequal"], rest, "survived")
    # Where many stand side by side, one may hide what another is.
    last = [k for k in numbers if found[k] == "survived"]
    for k in last[:ALONE_MAX]:
        if mutants.equivalents([k], campaign.relation):
            found[k] = "equivalent"
            save(path, found)
    return {name: found[k] for k, name in mutants.names().items()}


def written_by_bench(netlist: str, paths: tuple[str, ...]) -> str:
    """The netlist with registers that a bench may write, which Verilator must then not lose.

    Dots become underscores in their names.
    """
    for path in paths:
        name = path.replace(".", "_")
        if name != path:
            netlist = netlist.replace(f"\\{path} ", f"{name} ")
        netlist, count = re.subn(
            rf"\breg (\[\d+:0\] {name}\b)", r"reg \1 /*verilator public_flat_rw*/", netlist
        )
        if count != 1:
            raise ValueError(f"{path} must be one register, not {count}")
    return netlist


def sessions(
    name: str, netlist: str, mutants: list[int], limits: dict[str, int], workers: int
) -> Iterator[dict[int, str]]:
    """What is known of ``mutants`` every few seconds: ``survived``, or the test that killed."""
    batches = [mutants[start : start + BATCH] for start in range(0, len(mutants), BATCH)]
    logs = [FOLDER / f"{name}-{number}.log" for number in range(len(batches))]
    for log in logs:
        log.unlink(missing_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        jobs = {
            pool.submit(batch, name, netlist, part, limits, str(log))
            for part, log in zip(batches, logs, strict=True)
        }
        try:
            while jobs:
                done, jobs = wait(jobs, TELL_SECONDS, FIRST_COMPLETED)
                for job in done:
                    job.result()
                yield collect(logs, limits)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for log in logs:
        log.unlink(missing_ok=True)


def collect(logs: list[Path], tests: dict[str, int]) -> dict[int, str]:
    """What the logs hold so far."""
    found: dict[int, str] = {}
    for log in logs:
        found |= verdicts(log, tests)
    return found


def tally(found: dict[Any, str]) -> Counter[str]:
    """How many mutants came to what."""
    kinds = ("survived", "equivalent", "open", "unequal")
    return Counter(value if value in kinds else "killed" for value in found.values())


def save(path: Path, found: dict[int, str]) -> None:
    """Write results aside, then rename."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(found))
    os.replace(aside, path)


def unexplained(found: dict[str, str], reasons: list[dict[str, Any]], name: str) -> Iterator[str]:
    """What is wrong with the survivors and their reasons: ``mutants``, and ``why``."""
    survived = {mutant for mutant, verdict in found.items() if verdict == "survived"}
    explained = [mutant for reason in reasons if reason["why"] for mutant in reason["mutants"]]
    for mutant in sorted(survived - set(explained)):
        yield f"{name}: {mutant!r} survived and explained.toml does not say why"
    for mutant in sorted(set(explained) - survived):
        yield f"{name}: {mutant!r} is in explained.toml but did not survive"
    for mutant, times in Counter(explained).items():
        if times > 1:
            yield f"{name}: {mutant!r} is in explained.toml {times} times"


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
    wrong: list[str] = []
    for name in options.names or known:
        campaign = known[name]
        found = run(name, campaign, options.count or campaign.share, options.workers)
        bad = list(unexplained(found, explained.get(name, []), name))
        counts = tally(found)
        print(
            f"{name}: {len(found)} mutants, {counts['killed']} killed, "
            f"{counts['equivalent']} equivalent, {counts['survived']} survived, "
            f"{len(bad)} to be explained",
            flush=True,
        )
        wrong += bad
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
