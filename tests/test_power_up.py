"""Registers unknown at power-up: after a reset, no output is unknown.

On a simulator that knows unknown values. The benches refuse an unknown ``valid``, an unknown
payload while valid, and whatever else they read. Memories begin at zero, as bitstreams fill them.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from test_trainer import HINGE, SMALL, run, write_vectors

from trisign.gen.verilog import to_verilog
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.processing_element import ProcessingElementParameters
from trisign.golden.update_parameters import UpdateParameters
from trisign.rtl.lfsr import Lfsr16Source
from trisign.rtl.precision_controller import PrecisionController
from trisign.rtl.processing_element import ProcessingElement
from trisign.rtl.update_engine import UpdateEngine
from trisign.rtl.xorshift import Xorshift32Source
from trisign.sim.runner import BenchFailure, run_bench

INITIAL = re.compile(r"^( *(?:output )?reg [^=;]*?) = [^;]*;", re.MULTILINE)
PARAMETERS = PrecisionParameters(input_width=8, exponent_max=4, window=8, width=3)
ENGINE: dict[str, Any] = {"rule": "ema_dst", "lanes": 32, "rng_group": 32, "gate_shift_max": 1}
ELEMENT = ProcessingElementParameters(lanes=8, words=2)


def unknown_at_first(verilog: str) -> str:
    """``verilog`` with registers that begin unknown."""
    changed, count = INITIAL.subn(r"\1;", verilog)
    assert count
    return changed


BLOCKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lfsr": (lambda: Lfsr16Source(seed=1), {"seed": 1, "steps": 1}),
    "xorshift": (lambda: Xorshift32Source(seed=1), {"seed": 1}),
    "update_engine": (
        lambda: UpdateEngine(UpdateParameters(**ENGINE), seed=1),
        {"engine": ENGINE, "seed": 1},
    ),
    "precision_controller": (
        lambda: PrecisionController(PARAMETERS, seed=5),
        {"parameters": asdict(PARAMETERS), "seed": 5},
    ),
    "processing_element": (
        lambda: ProcessingElement(ELEMENT),
        {"parameters": asdict(ELEMENT)},
    ),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_nothing_unknown_after_reset(block: str) -> None:
    create, parameters = BLOCKS[block]
    run_bench(
        unknown_at_first(to_verilog(create(), block)),
        block,
        f"trisign.sim.tb_{block}",
        parameters=parameters,
        test_filter="reset_in_mid_stream|smoke|after_reset|extremes",
    )


@pytest.mark.long
@pytest.mark.parametrize("network", [SMALL, HINGE], ids=["trits", "integers"])
def test_trainer(tmp_path: Path, network: dict[str, Any]) -> None:
    run(
        network,
        {"lanes": 16, "store_samples": 12, "image": (4, 4)},
        write_vectors(tmp_path / "vectors.npz", 12, True),
        change=unknown_at_first,
        test_filter="digest|reset_in_mid_run|refuses",
    )


def test_a_register_without_reset_is_found() -> None:
    broken = unknown_at_first(to_verilog(Lfsr16Source(seed=1), "lfsr"))
    broken = broken.replace("rst ?", "1'b0 ?")
    with pytest.raises(BenchFailure, match="unknown"):
        run_bench(broken, "lfsr", "trisign.sim.tb_lfsr", parameters={"seed": 1, "steps": 1},
                  test_filter="words_after_reset", waves_on_failure=False)  # fmt: skip
