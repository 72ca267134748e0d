"""Synthesises cores and fits the coefficients of ``gen/lut_estimate.py`` to them.

``python tools/fit_lut_model.py [NAME ...]``: an hour on two cores where nothing is kept; with
names, those alone are synthesised anew; with ``--fit``, none. Renews tests/luts.json; prints the
coefficients, and how far each estimate is off, of the cores that were fitted and of those held out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from trisign.fpga.implement import implement
from trisign.fpga.targets import BOARD_TARGETS
from trisign.gen import blocks, boards, config
from trisign.gen.lut_estimate import FITTED, RELATIVE, counted, features, parts
from trisign.gen.verilog import to_verilog
from trisign.golden.design import DesignConfig

RECORD = Path(__file__).parent.parent / "tests" / "luts.json"
REFERENCE = "ice40"
# A coefficient that doubles counts as much as a core that is so much off.
STAY = 0.02


def dense(network: str = "", hardware: str = "", *, board: str = "icebreaker") -> str:
    """A network without convolutions: what differs from a plain one."""
    return _merged(
        board,
        {"layers": "[192, 64, 10]", "margin": "22", "window": "7", "rng_group": "32"},
        {"lanes": "32", "structure": '"balanced"', "store_samples": "100", "image": "[8, 8]"},
        network,
        hardware,
    )


def convolving(network: str = "", hardware: str = "", *, board: str = "icebreaker") -> str:
    """A network of two convolutions: what differs from a plain one."""
    return _merged(
        board,
        {
            "input_shape": "[8, 8, 3]",
            "layers": "[{conv = 32, pool = 2, padding = -1}, {conv = 64, pool = 2}, 10]",
            "margin": "32",
            "threshold": "[2, 4, 0]",
            "window": "[4, 6, 0]",
            "counter_width": "7",
            "rng_group": "32",
        },
        {"lanes": "32", "structure": '"balanced"', "monitor": "false", "store_samples": "100"},
        network,
        hardware,
    )


def _merged(board: str, network: dict, hardware: dict, *changes: str) -> str:
    sections = []
    tables = (("network", network), ("hardware", hardware))
    for (name, values), change in zip(tables, changes, strict=True):
        changed = dict(part.split(" = ", 1) for part in change.split("; ") if part)
        values = values | changed
        sections.append("\n".join([f"[{name}]", *(f"{k} = {v}" for k, v in values.items())]))
    return "\n".join([f'[design]\nboard = "{board}"', *sections]) + "\n"


# Configurations around the shipped ones, which the coefficients are fitted to, ...
OTHERS = {
    "p16": dense("", "lanes = 16; monitor = false"),
    "deep": dense("layers = [192, 32, 16, 10]; threshold = [4, 2, 0]", "monitor = false"),
    "p32-r2": dense("", "rows = 2"),
    "hinge": dense('loss = "squared_hinge"; margin = 8', "monitor = false"),
    "ema": dense('rule = "ema_dst"; probability_shift = 4', "monitor = false"),
    "f8": dense("counter_width = 8", "monitor = false"),
    "classes": dense("layers = [192, 32, 26]", "monitor = false"),
    "six-p32": dense("counter_width = 7", "", board="arty_a7"),
    "conv": convolving(),
    "conv-g8": convolving(
        "offset = [1, 4, 0]; gate_shift = 0",
        "accumulator_lanes = 8; pipeline = [5]; counter_lanes = 4; gate_shift_max = 0; "
        'single_port = ["counters", "samples"]; store_samples = 1437',
    ),
    "conv-r2": convolving("", "rows = 2; accumulator_lanes = 8; monitor = true"),
    "conv-three": convolving(
        "layers = [{conv = 32, padding = -1}, {conv = 32, pool = 2}, {conv = 64, pool = 2}, 10]; "
        "threshold = [1, 4, 4, 0]; window = [4, 6, 6, 0]",
        "accumulator_lanes = 16",
    ),
}
# ... and those that are not, which tell how far it can be trusted.
HELD_OUT = {
    "held-p64": dense("layers = [192, 48, 10]", "lanes = 64", board="ice40_hx8k_b_evn"),
    "held-compact": dense(
        "layers = [192, 96, 14]; counter_width = 5",
        'lanes = 16; structure = "compact"; counter_lanes = 8; single_port = ["counters"]',
    ),
    "held-hinge-deep": dense(
        'loss = "squared_hinge"; margin = 8; layers = [192, 40, 20, 10]; threshold = [4, 2, 0]',
        "lanes = 16; monitor = false",
    ),
    "held-ecp5-p32-r2": dense(
        "layers = [192, 96, 10]; counter_width = 7",
        "rows = 2; memory_register = true; pipeline = [4, 8]",
        board="ulx3s_25f",
    ),
    "held-ecp5-ema": dense('rule = "ema_dst"; probability_shift = 4', "", board="ulx3s_25f"),
    "held-six-r2": dense("layers = [192, 128, 10]", "rows = 2", board="arty_a7"),
    "held-conv": convolving(
        "layers = [{conv = 16, pool = 2, padding = -1}, {conv = 32, pool = 2}, 16, 10]; "
        "threshold = [2, 4, 3, 0]; window = [4, 6, 5, 0]",
        "accumulator_lanes = 16; counter_lanes = 8",
    ),
    "held-conv-ecp5": convolving(
        "layers = [{conv = 24, padding = -1}, {conv = 48, pool = 2}, 10]; rng_group = 48",
        "lanes = 48; rows = 2; accumulator_lanes = 12; memory_register = true; monitor = true",
        board="ulx3s_25f",
    ),
}


def designs() -> dict[str, tuple[DesignConfig, str | None, bool]]:
    """Name → design, its text where it is not shipped, and whether it is held out."""
    found: dict[str, tuple[DesignConfig, str | None, bool]] = {}
    for name in config.shipped():
        design = config.load(name)
        if design.board in BOARD_TARGETS:
            found[name] = design, None, False
    for texts, held_out in ((OTHERS, False), (HELD_OUT, True)):
        for name, text in texts.items():
            found[name] = config.parse(text, default_name=name), text, held_out
    return found


def synthesised_luts(design: DesignConfig) -> int:
    """LUTs of the core of ``design`` on the part of its board."""
    verilog = to_verilog(blocks.find("core").create(design), "core")
    return implement(verilog, "core", BOARD_TARGETS[design.board], seeds=0).luts


def main(chosen: Sequence[str]) -> int:
    found = designs()
    record = json.loads(RECORD.read_text()) if chosen else {}
    names = list(chosen or found)
    if "--fit" in chosen:
        names = []
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"NAME must be one of {', '.join(found)}, not {unknown[0]}", file=sys.stderr)
        return 2
    for number, name in enumerate(names, 1):
        design, text, held_out = found[name]
        print(f"[{number}/{len(names)}] {name}", file=sys.stderr, flush=True)
        entry: dict[str, object] = {"luts": synthesised_luts(design)}
        if text is not None:
            entry |= {"held_out": held_out, "config": text}
        record[name] = entry
        # What is there stays where a run is stopped.
        kept = {n: record[n] for n in found if n in record}
        RECORD.write_text(json.dumps(kept, indent=2) + "\n")
    fit({n: d for n, (d, _, _) in found.items()}, record)
    return 0


def least_squares(x: np.ndarray, y: np.ndarray, luts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Coefficients, none negative, of the least relative errors.

    What the cores cannot tell apart stays near what it was ``before``.
    """
    hold = np.diag(STAY / np.maximum(before, 0.1))
    left = np.vstack([x / luts[:, None], hold])
    return nnls(left, np.concatenate([y / luts, hold @ before]))[0]


def fit(found: dict[str, DesignConfig], record: dict[str, dict]) -> None:
    """The coefficients on iCE40, then two factors for every other family."""
    luts = {name: entry["luts"] for name, entry in record.items()}
    fitted = [name for name in luts if not record[name].get("held_out", False)]
    family = {name: boards.find(found[name].board).family.name for name in luts}
    rest = {name: luts[name] - counted(found[name]) for name in luts}
    for name in (REFERENCE, *(name for name in RELATIVE if name != REFERENCE)):
        chosen = [n for n in fitted if family[n] == name]
        if not chosen:
            continue
        y = np.array([rest[n] for n in chosen])
        size = np.array([luts[n] for n in chosen], float)
        if name == REFERENCE:
            rows = [features(found[n]) for n in chosen]
            x = np.array([list(row.values()) for row in rows], float)
            weights = least_squares(x, y, size, np.array([FITTED[key] for key in rows[0]]))
            FITTED.update(zip(rows[0], (round(float(w), 1) for w in weights), strict=True))
            print("FITTED =", json.dumps(FITTED, indent=4))
        x = np.array([parts(found[n]) for n in chosen])
        factors = np.ones(2)
        if name != REFERENCE:
            factors = least_squares(x, y, size, np.array(RELATIVE[name]))
        print(f"{name}: {factors.round(3).tolist()}")
        for n in luts:
            if family[n] != name:
                continue
            estimate = counted(found[n]) + factors @ parts(found[n])
            how = "" if n in fitted else ", held out"
            print(f"  {n:24}{luts[n]:7}{estimate:8.0f}{100 * (estimate / luts[n] - 1):7.1f} %{how}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
