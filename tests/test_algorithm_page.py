"""docs/algorithm.md has what docstrings cite of it, and the digests that tests compute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "algorithm.md").read_text(encoding="utf-8")
SOURCES = sorted(
    path
    for folder in ("golden", "rtl", "gen", "sim", "fpga")
    for path in (ROOT / folder).rglob("*.py")
)
CITATION = re.compile(
    r"design\s+sections?\s+(?P<sections>\d(?:(?:,| and| to)\s+\d)*)"
    r"(?:,\s+steps?\s+(?P<steps>\d(?:(?:,| and| to)\s+\d)*))?"
    r"(?P<convolution>\s+and\s+convolution)?"
)


def citations() -> list[tuple[str, str]]:
    """(file, heading or step of the page that it cites)."""
    found = []
    for path in SOURCES:
        for match in CITATION.finditer(path.read_text(encoding="utf-8")):
            cited = [f"## {number}. " for number in re.findall(r"\d", match["sections"])]
            cited += [f"**Step {number}, " for number in re.findall(r"\d", match["steps"] or "")]
            cited += ["### Convolution\n"] if match["convolution"] else []
            found += [(path.relative_to(ROOT).as_posix(), each) for each in cited]
    return found


def test_what_docstrings_cite_is_there() -> None:
    found = citations()
    assert len(found) > 30
    assert [(file, cited) for file, cited in found if f"\n{cited}" not in PAGE] == []


def test_every_citation_is_understood() -> None:
    """One that ``CITATION`` did not match would not be looked up."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"design\s+sections?\s", text)
        assert len(named) == len(CITATION.findall(text)), path


@pytest.mark.parametrize(
    ("heading", "test"),
    [
        ("first digest", "test_trainer_digest.py::test_first_digest_on_real_digits"),
        ("second digest", "test_convolution.py::test_digest_on_real_digits"),
    ],
)
def test_digests_are_those_of_the_tests(heading: str, test: str) -> None:
    """The table's column has the digests, groups and generator state that the test asserts."""
    table = PAGE.split("### Digests\n")[1].split("\n## ")[0]
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("|")]
    column = next(i for i, cell in enumerate(lines[0]) if heading in cell)
    cells = " ".join(line[column] for line in lines[2:])
    file, name = test.split("::")
    body = (ROOT / "tests" / file).read_text(encoding="utf-8").split(f"def {name}(")[1]
    body = body.split("\n\n\n")[0]
    digests = re.findall(r"\b[0-9a-f]{16}\b", cells)
    assert sorted(digests) == sorted(re.findall(r'"([0-9a-f]{16})"', body))
    groups, state = re.findall(r"(\d+), (\d+)", lines[-1][column])[0]
    assert {groups, state} <= set(re.findall(r"\b\d+\b", body))
