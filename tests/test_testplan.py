"""The test plan: complete, true, and shown in docs/verification.md.

As a script: ``test_testplan.py REPORT.xml BENCHES.txt`` exits 1 unless every test that the plan
names ran and passed in that pytest run, those of benches too (``sim.runner.PASSED_VARIABLE``);
``test_testplan.py --write`` renews the page.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trisign.gen.blocks import BLOCKS

ROOT = Path(__file__).parent.parent
PLAN = tomllib.loads((ROOT / "testplan.toml").read_text())
PAGE = ROOT / "docs" / "verification.md"
FIGURES = tomllib.loads((ROOT / "tests" / "signoff.toml").read_text())["figure"]
STATES = ("done", "partly", "open")
STAGES = ("V1", "V2", "V3")
POINTS = [(block, point) for block, entry in PLAN.items() for point in entry["points"]]
NAMED = sorted({test for _, point in POINTS for test in point["tests"]})
FIGURE_FIELDS = ("what", "command", "state", "result")
FIELDS = {"stage", "name", "what", "tests"}
CASE = re.compile(r"[/\[].*", re.DOTALL)  # of a test with parameters


@cache
def functions(file: str) -> frozenset[str]:
    """Names of the tests that a file defines."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize("test", NAMED)
def test_named_tests_exist(test: str) -> None:
    file, name = test.split("::")
    assert name in functions(file), f"testplan.toml names {test}"


def test_every_block_has_a_plan() -> None:
    assert BLOCKS.keys() <= PLAN.keys()


@pytest.mark.parametrize("block", PLAN)
def test_a_plan_begins_with_stage_one_and_names_tests(block: str) -> None:
    points = PLAN[block]["points"]
    assert all(point.keys() == FIELDS and point["tests"] for point in points)
    stages = [point["stage"] for point in points]
    assert stages[0] == "V1"
    assert stages == sorted(stages)
    assert set(stages) <= set(STAGES)
    names = [point["name"] for point in points]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", sorted((ROOT / "sim").glob("tb_*.py")), ids=lambda p: p.stem)
def test_every_test_of_a_planned_bench_is_in_the_plan_or_the_plan_says_all(path: Path) -> None:
    """A bench's tests all run together, so its block's plan must name the test that runs it."""
    block = path.stem.removeprefix("tb_")
    assert block in PLAN, f"testplan.toml has no [{block}]"
    files = {test.split("::")[0] for point in PLAN[block]["points"] for test in point["tests"]}
    assert f"tests/test_{block}.py" in files


def page() -> str:
    """docs/verification.md."""
    lines = [
        "# What is verified",
        "",
        "Made from `testplan.toml` by `python tests/test_testplan.py --write`. `make test` fails",
        "when a test named here is missing, did not run, or did not pass.",
        "",
        "Figures of runs that take longer are at the end, with what is not done yet.",
        "",
        "V1: the block works and is reset cleanly. V2: every feature, at random and at its",
        "extremes, under any stalls. V3: proved, exhausted, or sabotaged.",
    ]
    for block, entry in PLAN.items():
        lines += ["", f"## {block}", "", f"{entry['summary']}.", ""]
        lines += ["| stage | point | what must hold | tests |", "|---|---|---|---|"]
        for point in entry["points"]:
            tests = ", ".join(f"`{test.split('::')[1]}`" for test in point["tests"])
            lines.append(f"| {point['stage']} | {point['name']} | {point['what']} | {tests} |")
    lines += ["", "## Long runs", "", "| what | command | state | result |", "|---|---|---|---|"]
    for figure in FIGURES:
        what, command, state, result = (figure[key] for key in FIGURE_FIELDS)
        lines.append(f"| {what} | `{command}` | {state} | {result} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure["what"])
def test_figures_have_a_state(figure: dict[str, str]) -> None:
    assert set(figure) == set(FIGURE_FIELDS)
    assert figure["state"] in STATES


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()


def not_passed(report: Path, benches: Path) -> list[str]:
    """Tests of the plan that a pytest report, or the list of a bench's tests that passed, does not
    show as run and passed, in full."""
    passed: dict[str, bool] = {}
    for line in benches.read_text().splitlines():
        module, name = line.split("::")
        # A test with several cases has them in its name.
        passed[f"{module.removeprefix('trisign.').replace('.', '/')}.py::{CASE.sub('', name)}"] = (
            True
        )
    for case in ElementTree.parse(report).iter("testcase"):
        name = re.sub(r"\[.*", "", case.attrib["name"], flags=re.DOTALL)
        test = f"{case.attrib['classname'].replace('.', '/')}.py::{name}"
        fine = not any(child.tag in ("failure", "error", "skipped") for child in case)
        passed[test] = passed.get(test, True) and fine
    return [test for test in NAMED if not passed.get(test, False)]


def test_a_report_without_the_tests_is_found_wanting(tmp_path: Path) -> None:
    report, benches = tmp_path / "report.xml", tmp_path / "benches.txt"
    benches.write_text(
        "trisign.sim.tb_lfsr::every_state\ntrisign.sim.tb_xorshift::smoke/idle=True\n"
    )
    case = '<testcase classname="tests.test_lfsr" name="test_lfsr[{}]">{}</testcase>'
    good, bad = case.format("a", ""), case.format("b", "<skipped/>")
    wanted = "tests/test_lfsr.py::test_lfsr"
    report.write_text(f"<testsuite>{good}</testsuite>")
    assert wanted not in not_passed(report, benches)
    report.write_text(f"<testsuite>{good}{bad}</testsuite>")
    assert wanted in not_passed(report, benches)
    missing = set(not_passed(report, benches))
    assert "sim/tb_lfsr.py::every_state" not in missing
    assert "sim/tb_lfsr.py::words_after_reset" in missing
    report.write_text("<testsuite></testsuite>")
    assert wanted in not_passed(report, benches)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
        sys.exit()
    missing = not_passed(*map(Path, sys.argv[1:]))
    for each in missing:
        print(f"testplan.toml: {each} did not run and pass", file=sys.stderr)
    sys.exit(bool(missing))
