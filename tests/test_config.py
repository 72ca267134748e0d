"""Configurations: what is shipped loads, what is wrong is told in one line, hashes are stable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trisign.gen import boards, config
from trisign.gen.config import ConfigError
from trisign.golden.checks import TrisignError
from trisign.golden.design import DesignConfig, HardwareConfig
from trisign.golden.trainer_config import TrainerConfig

MINIMAL = '[design]\nboard = "icebreaker"\n'


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    return str(caught.value)


@pytest.mark.parametrize("name", config.shipped())
def test_shipped_configurations_load(name: str) -> None:
    design = config.load(name)
    assert design.name == name
    assert design.description
    assert design.hardware.tech == boards.find(design.board).family.tech
    assert design.pixels == 64
    assert design.classes == 10


def test_every_board_has_a_shipped_configuration() -> None:
    assert {config.load(name).board for name in config.shipped()} == set(boards.BOARDS)


def test_defaults_come_from_the_dataclasses_and_the_board() -> None:
    design = config.parse('[design]\nboard = "arty_a7"\n', default_name="mine")
    assert design == DesignConfig(
        name="mine",
        board="arty_a7",
        network=TrainerConfig(),
        hardware=HardwareConfig(lanes=128, tech="lut6"),
    )


def test_every_field_reaches_its_dataclass() -> None:
    text = (
        MINIMAL
        + "[network]\nlayers = [128, 40, 8, 3]\nthreshold = [3, 2, 1]\nmargin = 7\nrng_group = 16\n"
        + "[hardware]\nlanes = 32\nrows = 2\ncounter_lanes = 8\n"
        + "single_port = ['samples', 'counters']\n"
        + 'structure = "compact"\nplanes = [[1, 2], [3, 3]]\npixel_width = 2\nimage = [4, 16]\n'
        + "store_samples = 12\n"
    )
    design = config.parse(text)
    assert design.network == TrainerConfig(
        layers=(128, 40, 8, 3), threshold=(3, 2, 1), margin=7, rng_group=16
    )
    assert design.hardware == HardwareConfig(
        lanes=32,
        rows=2,
        counter_lanes=8,
        single_port=("counters", "samples"),
        structure="compact",
        planes=((1, 2), (3, 3)),
        pixel_width=2,
        image=(4, 16),
        store_samples=12,
    )
    assert design.pixels == 64


def test_a_file_is_loaded_by_path_and_named_after_it(tmp_path: Path) -> None:
    path = tmp_path / "two-layers.toml"
    path.write_text(MINIMAL)
    assert config.load(path).name == "two-layers"
    assert config.load(str(path)) == config.load(path)


def test_a_shipped_name_wins_over_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits-icebreaker").mkdir()
    monkeypatch.chdir(tmp_path)
    assert config.load("digits-icebreaker").board == "icebreaker"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "design.board must be given: one of icebreaker, "),
        (
            '[design]\nboard = "icebraker"',
            "design.board must be one of 'icebreaker', .*, not 'icebraker'",
        ),
        ("[design]\nboard = 3", "design.board must be one of .*, not 3"),
        ("design = 3", "design must be a table, not 3"),
        (MINIMAL + "[networks]", "unknown key 'networks'; did you mean 'network'\\?; legal here: "),
        (
            MINIMAL + "[network]\ntreshold = 3",
            "unknown key 'network.treshold'; did you mean 'threshold'\\?; legal here: layers, ",
        ),
        (MINIMAL + '[hardware]\ntech = "lut6"', "unknown key 'hardware.tech'"),
        (MINIMAL + 'name = "A b"', "design.name must be 1 to 64 of a-z, .*, not 'A b'"),
        (MINIMAL + "description = 4", "design.description must be one line of text, not 4"),
        (MINIMAL + '[network]\nmargin = "16"', "network.margin must be an integer .*, not '16'"),
        (MINIMAL + "[network]\nmargin = 16.0", "network.margin must be an integer .*, not 16.0"),
        (MINIMAL + "[network]\nmargin = true", "network.margin must be an integer .*, not True"),
        (MINIMAL + "[network]\nmargin = 0", "network.margin must be an integer from 1 to 4095, "),
        (MINIMAL + "[network]\nlayers = 5", "network.layers must list .*, not 5"),
        (
            MINIMAL + "[network]\nlayers = [6, 1]",
            "network.layers\\[1\\] must be an integer from 2 ",
        ),
        (MINIMAL + '[network]\nrule = "adam"', "network.rule must be one of .*, not 'adam'"),
        (MINIMAL + "[network]\nwindow = [1, 2, 3]", "network.window must be one integer or 2 of "),
        (
            MINIMAL + "[hardware]\nlanes = 1025",
            "hardware.lanes must be an integer from 1 to 1024, not 1025",
        ),
        (MINIMAL + "[hardware]\nrows = 17", "hardware.rows must be an integer from 1 to 16, "),
        (
            MINIMAL + "[hardware]\nsingle_port = true",
            "hardware.single_port must be a list of different ones of 'weights', .*, not True",
        ),
        (
            MINIMAL + "[hardware]\nsingle_port = ['samples', 'samples']",
            "hardware.single_port must be a list of different ones of 'weights', 'counters', ",
        ),
        (
            MINIMAL + "[hardware]\nsingle_port = ['errors']",
            "hardware.single_port\\[0\\] must be one of 'weights', .*, not 'errors'",
        ),
        (
            '[design]\nboard = "ulx3s_25f"\n[hardware]\nsingle_port = ["samples"]',
            "hardware.single_port must be empty on ulx3s_25f, which has no single-port memory, ",
        ),
        (
            MINIMAL + "[hardware]\nsingle_port = ['counters']\ncounter_spill = 384",
            "hardware.counter_spill must be less than the bits of a counter word \\(384\\), not ",
        ),
        (
            MINIMAL + "[hardware]\nlanes = 32\nsingle_port = ['counters']\n[network]\n"
            "counter_width = 9",
            "hardware.counter_lanes must make the parts in which counters are written a multiple ",
        ),
        (
            MINIMAL + "[hardware]\ncounter_spill = 8",
            "hardware.counter_spill must be 0 where single_port does not name 'counters', not 8",
        ),
        (
            MINIMAL + "[hardware]\ncounter_lanes = 5",
            "hardware.counter_lanes must divide lanes \\(64\\), not 5",
        ),
        (MINIMAL + "[hardware]\npixel_width = 9", "hardware.pixel_width must be .*, not 9"),
        (MINIMAL + "[hardware]\npixel_width = 2", "hardware.planes\\[1\\].hi must be at most "),
        (
            MINIMAL + "[hardware]\nplanes = [[4, 1]]",
            "hardware.planes\\[0\\].hi must be an integer ",
        ),
        (MINIMAL + "[hardware]\nimage = [8]", "hardware.image must be a pair .*, not \\(8,\\)"),
        (MINIMAL + "[hardware]\nimage = [8, 9]", "hardware.image must hold 64 pixels .*\\(8, 9\\)"),
        (MINIMAL + "[hardware]\nstore_samples = 0", "hardware.store_samples must be an integer "),
        (MINIMAL + "[hardware]\nlanes = 48", "hardware.lanes must divide network.rng_group "),
        (MINIMAL + "[hardware]\nrows = 3", "hardware.rows must be a power of two, not 3"),
        (
            MINIMAL + "[network]\ncounter_width = [6, 7]",
            "network.counter_width must be the same for every layer",
        ),
        (
            MINIMAL + "[network]\nlayers = [191, 64, 10]",
            "network.layers\\[0\\] must be a multiple of .* \\(3\\), not 191",
        ),
        (
            MINIMAL + "[network.precision]\nwidht = 3",
            "unknown key 'network.precision.widht'; did you mean 'width'\\?",
        ),
        (
            MINIMAL + "[network.precision]\nwidth = 17",
            "network.precision.width must be an integer from 2 to 16, not 17",
        ),
        (MINIMAL + "[network]\nprecision = 4", "network.precision must be a table, not 4"),
        (MINIMAL + "x = \n", "must be TOML: .*line 3"),
        (MINIMAL + "x = " + "[" * 5000, "must be TOML: "),
        (MINIMAL + "x = " + "9" * 5000, "must be TOML: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, message: str) -> None:
    line = error_of(text)
    assert re.match(message, line), line
    assert "\n" not in line


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(MINIMAL + "[network]\nmargin = 0\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: network\.margin must be"):
        config.load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read: No such file"):
        config.load(tmp_path / "missing.toml")
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"folder\.toml: cannot be read: Is a directory"):
        config.load(folder)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml: must be UTF-8 text; byte 0 is not"):
        config.load(binary)


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load("digits-icebraker")
    assert "not 'digits-icebraker'; did you mean 'digits-icebreaker'?" in str(caught.value)
    assert all(name in str(caught.value) for name in config.shipped())


def test_the_hash_is_that_of_the_canonical_resolved_configuration() -> None:
    design = config.load("digits-icebreaker")
    text = json.dumps(config.resolved(design), sort_keys=True, separators=(",", ":"))
    assert config.configuration_hash(design) == hashlib.sha256(text.encode()).hexdigest()
    assert config.short_hash(design) == config.configuration_hash(design)[:8]


def test_the_hash_follows_what_matters_and_nothing_else() -> None:
    plain = config.configuration_hash(config.parse(MINIMAL))
    spelled_out = MINIMAL + "[hardware]\nlanes = 64\n[network]\nthreshold = [4, 4]\n"
    assert config.configuration_hash(config.parse(spelled_out)) == plain
    described = MINIMAL + 'description = "other words"\n'
    assert config.configuration_hash(config.parse(described)) == plain
    for other in ("[hardware]\nlanes = 32", "[network]\nmargin = 17", "[network]\noffset = [0, 1]"):
        assert config.configuration_hash(config.parse(MINIMAL + other)) != plain


def test_a_resolved_configuration_loads_again() -> None:
    design = config.load("digits-ulx3s-85f")
    values = json.loads(config.canonical_json(design))
    again = DesignConfig(
        name=values["name"],
        board=values["board"],
        network=config.build(TrainerConfig, values["network"], "network."),
        hardware=config.build(HardwareConfig, values["hardware"], "hardware."),
    )
    assert config.configuration_hash(again) == config.configuration_hash(design)


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    size: int
    inner: Inner | None = None


@pytest.mark.parametrize("name", config.shipped())
def test_a_network_as_json_is_built_again(name: str) -> None:
    network = config.load(name).network
    plain = json.loads(json.dumps(config.plain_network(network)))
    assert config.build_network(plain) == network


def test_a_field_that_is_a_dataclass_takes_a_table() -> None:
    values = {"size": 2, "inner": {"depth": 3}}
    assert config.build(Outer, values, "outer.") == Outer(2, Inner(3))
    with pytest.raises(ConfigError, match=r"^outer\.inner must be a table, not 3$"):
        config.build(Outer, {"size": 2, "inner": 3}, "outer.")
    with pytest.raises(ConfigError, match=r"^unknown key 'outer\.inner\.dept'; did you mean"):
        config.build(Outer, {"size": 2, "inner": {"dept": 3}}, "outer.")
    with pytest.raises(ConfigError, match=r"^outer\.size must be given$"):
        config.build(Outer, {}, "outer.")


KEYS = [
    *("name", "board", "description", "design", "network", "hardware", "x"),
    *config.fields(TrainerConfig),
    *config.fields(HardwareConfig),
]
SCALARS = st.one_of(
    st.integers(),
    st.sampled_from([-1, 0, 1, 2, 3, 4, 6, 8, 16, 64, 128, 192, 1024]),
    st.booleans(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["icebreaker", "arty_a7", "counter", "ema_dst", "compact", "lut6"]),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)


def check_outcome(text: str) -> None:
    """A design or one line: any other exception fails the test that calls this."""
    line = ""
    try:
        assert config.canonical_json(config.parse(text))
    except TrisignError as error:
        line = str(error)
    assert "\n" not in line


def toml(value: object) -> str:
    """``value`` as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return str(value)


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "design": st.dictionaries(st.sampled_from(KEYS[:3]), VALUES, max_size=3)
            | st.just({"board": "icebreaker"}),
            "network": st.dictionaries(
                st.sampled_from(config.fields(TrainerConfig)), VALUES, max_size=4
            ),
            "hardware": st.dictionaries(
                st.sampled_from(config.fields(HardwareConfig)), VALUES, max_size=4
            ),
            "x": VALUES,
        },
    )
)
def test_no_configuration_ends_in_anything_but_a_design_or_one_line(
    tables: dict[str, object],
) -> None:
    check_outcome("\n".join(f"{key} = {toml(value)}" for key, value in tables.items()))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60).map(lambda tail: MINIMAL + tail) | st.text(max_size=40))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    check_outcome(text)
