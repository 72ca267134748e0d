"""Configurations: TOML in, one validated ``DesignConfig`` out, and the hash that names it."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..golden.checks import ParameterError, TrisignError
from ..golden.design import DesignConfig, HardwareConfig, check_fit, missing_in_hardware
from ..golden.layers import Conv, Dense
from ..golden.trainer_config import TrainerConfig
from ..rtl.convolution_plan import plan_of
from . import boards

T = TypeVar("T")

SHIPPED_DIR = Path(__file__).parent / "configs"
SHORT_HASH_DIGITS = 8
DESIGN_KEYS = ("name", "board", "description")
TABLES = ("design", "network", "hardware")
# Follows from the board, so a configuration cannot contradict it.
DERIVED_HARDWARE_KEYS = ("tech",)


class ConfigError(ParameterError):
    """A configuration cannot be read, or says something illegal: file, field, value, range."""


def shipped() -> dict[str, Path]:
    """The configurations that come with trisign: name → file."""
    return {path.stem: path for path in sorted(SHIPPED_DIR.glob("*.toml"))}


def load(source: str | Path) -> DesignConfig:
    """The configuration ``source``: the name of a shipped one, or the path of a TOML file.

    Tables: ``[design]`` name, board, description; ``[network]`` the fields of ``TrainerConfig``;
    (a convolution in ``layers`` is a table, ``{conv = 32, kernel = 3, pool = 2, padding = -1}``);
    ``[hardware]`` those of ``HardwareConfig`` except ``tech``. What is left out takes the default;
    ``hardware.lanes`` that of the board, ``design.name`` the file's name.

    Raises
    ------
    ConfigError
        One line: the file, the field, its value and the legal range.
    """
    path = find(source)
    try:
        text = path.read_bytes().decode()
        return parse(text, default_name=path.stem)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 text; byte {error.start} is not") from error
    except TrisignError as error:
        raise ConfigError(f"{path}: {error}") from error


def load_hardware(source: str | Path) -> DesignConfig:
    """As ``load``, for what needs hardware: raises ConfigError where none can train the network."""
    design = load(source)
    missing = missing_in_hardware(design.network)
    if missing is not None:
        raise ConfigError(f"{find(source)}: {missing}")
    try:
        check_plan(design.network, design.hardware)
    except ConfigError as error:
        raise ConfigError(f"{find(source)}: {error}") from error
    return design


def find(source: str | Path) -> Path:
    """The file that ``source`` means; a shipped name wins over a file of that name."""
    known = shipped()
    if str(source) in known:
        return known[str(source)]
    path = Path(source)
    if path.suffix == ".toml" or path.is_file():
        return path
    raise ConfigError(
        f"configuration must be a TOML file or one of {', '.join(known)}, "
        f"not {str(source)!r}{suggestion(str(source), known)}"
    )


def parse(text: str, *, default_name: str = "unnamed") -> DesignConfig:
    """The configuration that a TOML text describes; see ``load``."""
    try:
        tables = tomllib.loads(text)
    # Besides its own error: nesting too deep, and integers too long to convert.
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"must be TOML: {error}") from error
    check_keys(tables, TABLES, "")
    design = table(tables, "design", DESIGN_KEYS)
    network_table = table(tables, "network", fields(TrainerConfig))
    hardware_keys = [key for key in fields(HardwareConfig) if key not in DERIVED_HARDWARE_KEYS]
    hardware_table = table(tables, "hardware", hardware_keys)
    if "board" not in design:
        raise ConfigError(f"design.board must be given: one of {', '.join(boards.BOARDS)}")
    with prefixed("design."):
        board = boards.find(design["board"])
    network = build_network(network_table)
    hardware_defaults = {"lanes": board.lanes, "tech": board.family.tech}
    hardware = build(HardwareConfig, hardware_defaults | hardware_table, "hardware.")
    with prefixed(""):
        check_fit(network, hardware)
    # What cannot become hardware still trains in the golden engine; so do all convolutions.
    if missing_in_hardware(network) is None and not network.convolves:
        check_plan(network, hardware)
    if hardware.single_port and board.single_port is None:
        raise ConfigError(
            f"hardware.single_port must be empty on {board.name}, which has no single-port memory, "
            f"not {hardware.single_port!r}"
        )
    with prefixed("design."):
        return DesignConfig(**{"name": default_name} | design, network=network, hardware=hardware)


def check_plan(network: TrainerConfig, hardware: HardwareConfig) -> None:
    """Raise ConfigError unless the trainer can be laid out; the field is of either table."""
    try:
        plan_of(network, hardware)
    except TrisignError as error:
        field = str(error).split()[0]
        place = "network" if field in fields(TrainerConfig) else "hardware"
        raise ConfigError(f"{place}.{error}") from error


def build_network(values: Mapping[str, Any]) -> TrainerConfig:
    """The network that the table ``[network]`` describes; raises ConfigError."""
    if isinstance(values.get("layers"), list):
        layers = [describe(item, f"network.layers[{i}]") for i, item in enumerate(values["layers"])]
        values = {**values, "layers": layers}
    return build(TrainerConfig, values, "network.")


def plain_network(network: TrainerConfig) -> dict[str, Any]:
    """The fields of ``network`` as JSON carries them; ``build_network`` takes them back."""
    first = {Conv: ("conv", "channels"), Dense: ("dense", "units")}
    layers = []
    for layer in network.layers:
        if type(layer) in first:
            options = dataclasses.asdict(layer)
            key, name = first[type(layer)]
            layer = {key: options.pop(name), **options}
        layers.append(layer)
    return dataclasses.asdict(network) | {"layers": layers}


def describe(layer: Any, place: str) -> Any:
    """A layer that a table describes, ``{conv = 32, …}`` or ``{dense = 10}``; others unchanged.

    Raises ConfigError naming ``place``.
    """
    if not isinstance(layer, dict):
        return layer
    kinds = {"conv": (Conv, "channels"), "dense": (Dense, "units")}
    named = [kind for kind in kinds if kind in layer]
    if len(named) != 1:
        raise ConfigError(f"{place} must have one of the keys 'conv' and 'dense', not {layer!r}")
    cls, first = kinds[named[0]]
    others = [name for name in fields(cls) if name != first]
    check_keys(layer, (named[0], *others), f"{place}.")
    options = {name: value for name, value in layer.items() if name != named[0]}
    try:
        return cls(**{first: layer[named[0]]}, **options)
    except ParameterError as error:
        text = str(error)
        name = named[0] if text.split()[0] == first else text.split()[0]
        raise ConfigError(f"{place}.{name}{text.removeprefix(text.split()[0])}") from error


def table(tables: Mapping[str, Any], name: str, legal: Iterable[str]) -> dict[str, Any]:
    """Table ``name``, empty where it is left out; raises ConfigError for a key not in ``legal``."""
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{name} must be a table, not {found!r}")
    check_keys(found, legal, f"{name}.")
    return found


def build(cls: type[T], values: Mapping[str, Any], prefix: str) -> T:
    """Dataclass ``cls`` from TOML ``values``; a field that is a dataclass takes a table.

    Raises ConfigError, its field names prefixed with ``prefix``.
    """
    hints = typing.get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        nested = dataclass_in(hints[key])
        if nested is not None:
            place = f"{prefix}{key}"
            if not isinstance(value, dict):
                raise ConfigError(f"{place} must be a table, not {value!r}")
            check_keys(value, fields(nested), f"{place}.")
            arguments[key] = build(nested, value, f"{place}.")
        else:
            arguments[key] = as_tuples(value)
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        has_default = (item.default, item.default_factory) != (dataclasses.MISSING,) * 2
        if item.name not in arguments and not has_default:
            raise ConfigError(f"{prefix}{item.name} must be given")
    with prefixed(prefix):
        return cls(**arguments)


def fields(cls: type) -> tuple[str, ...]:
    """Field names of a dataclass."""
    return tuple(item.name for item in dataclasses.fields(cls))


def dataclass_in(hint: Any) -> type | None:
    """The dataclass that a type hint is, or has among its alternatives."""
    for option in (hint, *typing.get_args(hint)):
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def as_tuples(value: Any) -> Any:
    """``value`` with every list a tuple, so that a configuration can be compared and hashed."""
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value


def check_keys(keys: Iterable[str], legal: Iterable[str], prefix: str) -> None:
    """Raise ConfigError for the first key not in ``legal``, with the nearest legal one."""
    legal = tuple(legal)
    for key in keys:
        if key not in legal:
            raise ConfigError(
                f"unknown key {prefix + key!r}{suggestion(key, legal)}; "
                f"legal here: {', '.join(legal)}"
            )


def suggestion(word: str, options: Iterable[str]) -> str:
    """``; did you mean 'X'?`` where one of ``options`` is close to ``word``, else nothing."""
    close = difflib.get_close_matches(word, list(options), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


@contextmanager
def prefixed(prefix: str) -> Iterator[None]:
    """Errors within begin with the field they are about: put its table in front."""
    try:
        yield
    except TrisignError as error:
        raise ConfigError(f"{prefix}{error}") from error


def resolved(design: DesignConfig) -> dict[str, Any]:
    """Everything that determines a design, defaults filled in; its description is not part."""
    values = dataclasses.asdict(design)
    del values["description"]
    return values


def canonical_json(design: DesignConfig) -> str:
    """The resolved configuration as JSON: keys sorted, no spaces."""
    return json.dumps(resolved(design), sort_keys=True, separators=(",", ":"))


def configuration_hash(design: DesignConfig) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(design).encode()).hexdigest()


def short_hash(design: DesignConfig) -> str:
    """First 8 digits (32 bits) of the hash: what a board answers when it is asked who it is."""
    return configuration_hash(design)[:SHORT_HASH_DIGITS]
