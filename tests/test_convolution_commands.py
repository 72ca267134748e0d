"""Convolution from the command line and in configuration files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trisign.__main__ import main
from trisign.gen import config
from trisign.gen.config import ConfigError
from trisign.gen.estimate import estimate, text
from trisign.golden.checks import ParameterError
from trisign.golden.layers import Conv, Dense
from trisign.golden.trainer_config import TrainerConfig
from trisign.rtl.convolution_plan import plan_of

DESIGN = '[design]\nboard = "ulx3s_85f"\n'
LAYERS = "layers = [{conv = 4, padding = -1}, {conv = 6, kernel = 5, pool = 2}, {dense = 12}, 10]\n"
NETWORK = (
    "[network]\ninput_shape = [8, 8, 3]\n" + LAYERS + "counter_width = 4\ngate_shift = 0\n"
    'offset = [1, 2, 0, 0]\nmargin = 24\nschedule = [[1, "counter_increment", 2]]\n'
)
CONVOLUTION = NETWORK.partition("schedule")[0]
INCREMENT = "[network]\ncounter_increment = 2\n"


def test_layers_in_a_file() -> None:
    design = config.parse(DESIGN + NETWORK)
    assert design.network == TrainerConfig(
        input_shape=(8, 8, 3),
        layers=(Conv(4, padding=-1), Conv(6, kernel=5, pool=2), Dense(12), Dense(10)),
        counter_width=4,
        gate_shift=0,
        offset=(1, 2, 0, 0),
        margin=24,
        schedule=((1, "counter_increment", 2),),
    )
    assert (design.pixels, design.classes, design.image) == (64, 10, (8, 8))
    assert design.network.shapes == ((4, 27), (6, 100), (12, 96), (10, 12))
    plain = config.configuration_hash(design)
    other = config.parse(DESIGN + NETWORK.replace("padding = -1", "padding = 1"))
    assert config.configuration_hash(other) != plain
    explicit = config.parse(DESIGN + NETWORK.replace("conv = 4,", "conv = 4, kernel = 3,"))
    assert config.configuration_hash(explicit) == plain


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "conv = 4",
            "cnov = 4",
            "network.layers[0] must have one of the keys 'conv' and 'dense', ",
        ),
        ("conv = 4", "conv = 4, dense = 4", "network.layers[0] must have one of the keys"),
        ("padding", "pading", "unknown key 'network.layers[0].pading'; did you mean 'padding'?"),
        (
            "conv = 4",
            "conv = 0",
            "network.layers[0].conv must be an integer from 1 to 65535, not 0",
        ),
        ("dense = 12", "dense = 0", "network.layers[2].dense must be an integer from 1 to"),
        ("kernel = 5", "kernel = 4", "network.layers[1].kernel must be odd, from 1 to 15, not 4"),
        ("pool = 2", "pool = 3", "network.layers[1].pool must divide 8 and 8, the sides of its"),
        ("-1", "-2", "network.layers[0].padding must be -1, 0, 1 or 'none', not -2"),
        ("[8, 8, 3]", "[8, 8, 2]", "network.input_shape[2] must be the number of hardware.planes"),
        ("input_shape = [8, 8, 3]", "", "network.input_shape must be (height, width, channels)"),
        (
            "schedule",
            "[hardware]\nimage = [4, 16]\n#",
            "hardware.image must be left out or (8, 8),",
        ),
    ],
)
def test_wrong_files(old: str, new: str, message: str) -> None:
    file = DESIGN + NETWORK
    assert old in file
    with pytest.raises(ConfigError) as caught:
        config.parse(file.replace(old, new, 1))
    assert str(caught.value).startswith(message)


def test_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Interrupted and resumed to the same bits, with shifts; record, curve and checkpoint."""
    path = tmp_path / "conv.toml"
    path.write_text(DESIGN + NETWORK)

    def record(*arguments: str) -> dict:
        options = ["--samples", "100", "--shift", "--json", "--quiet", *arguments]
        assert main(["train", str(path), *options]) == 0
        return json.loads(capsys.readouterr().out)

    out, kept = str(tmp_path / "out"), str(tmp_path / "run.npz")
    whole = record("--epochs", "3", "--out", out, "--plot", str(tmp_path / "curve.png"))
    record("--epochs", "1", "--checkpoint", kept)
    resumed = record("--epochs", "3", "--checkpoint", kept, "--resume")
    for name in ("digests", "generators", "test_accuracy", "groups_written", "resting"):
        assert resumed[name] == whole[name]
    assert whole["sign_flips"] > 0
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in Path(out).iterdir()) == [
        "checkpoint.npz", "learning_curve.png", "manifest.json", "record.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        # Four and six units have two in common, a pixel of the input three planes.
        (CONVOLUTION, "hardware.accumulator_lanes must be at least 3 (planes of a pixel), not 2"),
        (
            INCREMENT,
            "network.counter_increment: values above 1 are trained by the golden engine only",
        ),
        (
            NETWORK,
            "network.counter_increment: values above 1 are trained by the golden engine only",
        ),
    ],
    ids=["convolution", "increment", "both"],
)
@pytest.mark.parametrize(
    "command",
    [
        ("generate", "CONFIG", "--out", "OUT"),
        ("implement", "CONFIG"),
        ("infer", "CONFIG", "--port", "/dev/null"),
        ("compare", "ternary_dot", "--config", "CONFIG"),
        ("train", "CONFIG", "--engine", "rtl"),
        ("train", "CONFIG", "--engine", "board", "--port", "/dev/null"),
    ],
    ids=lambda command: " ".join(command[:4]),
)
def test_hardware_refuses(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    network: str,
    reason: str,
) -> None:
    path = tmp_path / "golden_only.toml"
    path.write_text(DESIGN + network)
    names = {"CONFIG": str(path), "OUT": str(tmp_path / "out")}
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(main([names.get(word, word) for word in command]))
    assert stopped.value.code == 2
    assert f"{path}: {reason}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    design = config.load(path)
    with pytest.raises(ParameterError) as refused:
        plan_of(design.network, design.hardware)
    assert reason.endswith(str(refused.value))


def test_estimate_by_hand() -> None:
    """8 x 8 positions of 4 rows of 27, 8 rows of 100 and dense rows of 128 and 12; 64 lanes."""
    network = CONVOLUTION.replace("conv = 6", "conv = 8")
    result = estimate(config.parse(DESIGN + network + "[hardware]\nlanes = 64\n"))
    # Four lanes take a pixel of the input at a time, so nine cycles gather what a unit sees.
    assert [layer.forward_cycles for layer in result.layers] == [
        64 * 9, 64 * 25, 12 * 2, 10 * 1,
    ]  # fmt: skip
    assert [layer.weights for layer in result.layers] == [108, 800, 1536, 120]
    assert result.state_bits == 2564 * (2 + 4)
    memories = {memory.name: (memory.depth, memory.width) for memory in result.memories}
    assert memories["weights"] == (4 + 8 * 2 + 12 * 2 + 10, 128)
    # 8 x 8 x 4, 4 x 4 x 8 and 12 trits in words of four, then two images of 64 pixels.
    hidden = 64 + 32 + 3
    assert memories["maps"] == (hidden + 2 * 64, 8)
    assert memories["errors"] == (hidden, 8)
    # Which of four positions won.
    assert memories["winners"] == (hidden, 8)
    # A row of 128 trits takes two words; two such rows are kept.
    assert memories["windows"] == (4, 128)
    # Up to 64 errors of 8 bits add up to a gradient of up to 32 granules, of the first dense layer.
    assert memories["gradients"] == (32, 8 * 4)
    assert result.active_cycles is not None
    assert result.active_cycles > 2 * result.forward_cycles
    assert result.fits
    assert result.fitting_boards is not None
    assert "ulx3s_85f" in result.fitting_boards


def test_estimate_of_the_gxnor_network() -> None:
    """32C5-P2-64C5-P2-512-10 on 28 x 28: 581,000 weights, more than any of the boards holds."""
    result = estimate(
        config.parse(
            DESIGN + "[network]\ninput_shape = [28, 28, 1]\n"
            'layers = [{conv = 32, kernel = 5, pool = 2, padding = "none"},'
            '{conv = 64, kernel = 5, pool = 2, padding = "none"}, 512, 10]\n'
            "[hardware]\nplanes = [[85, 170]]\npixel_width = 8\n"
        )
    )
    assert sum(layer.weights for layer in result.layers) == 25 * 32 + 800 * 64 + 1024 * 512 + 5120
    assert result.state_bits == 581_408 * 8
    assert not result.fits
    assert result.fitting_boards == ()
    assert "boards it fits: none" in text(result)


def test_verilog_of_a_network_with_convolutions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file but that of the precision controller, whose errors a dense network has."""
    path = tmp_path / "small.toml"
    hardware = "[hardware]\nlanes = 32\n"
    path.write_text(DESIGN + CONVOLUTION.replace("conv = 6", "conv = 8") + hardware)
    out = tmp_path / "out"
    assert main(["generate", str(path), "--out", str(out)]) == 0
    written = {file.name for file in out.iterdir()}
    assert {"trainer.v", "core.v", "update_engine.v", "registers.md"} <= written
    assert "precision_controller.v" not in written
    assert "module trainer" in (out / "trainer.v").read_text()
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(main(["compare", "ternary_dot", "--config", str(path)]))
    assert stopped.value.code == 2
    assert "network must be dense for its traffic to be recorded" in capsys.readouterr().err


PAGE = Path(__file__).parents[1] / "docs" / "convolution.md"


def test_the_page_says_what_is_estimated() -> None:
    """The MNIST network of docs/convolution.md, as printed there."""
    _, _, after = PAGE.read_text().partition("estimated by a test:\n\n```toml\n")
    toml, _, after = after.partition("```\n")
    printed = after.partition("```\n")[2].partition("```\n")[0]
    design = replace(config.parse(toml), name="mnist")
    estimated = [line.rstrip() for line in text(estimate(design)).splitlines()]
    assert printed.splitlines() == estimated
