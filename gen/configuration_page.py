"""The page of docs/ on configurations: every key, as the parameter objects describe and check it.

Texts are their docstrings', legal ranges what their errors say of a wrong value.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..golden.design import DesignConfig, HardwareConfig
from ..golden.layers import SIDE_MAX, Conv
from ..golden.precision_parameters import PrecisionParameters
from ..golden.trainer_config import TrainerConfig
from .boards import BOARDS
from .config import DERIVED_HARDWARE_KEYS, DESIGN_KEYS, ConfigError, fields, parse
from .configuration_example import EXAMPLE
from .markdown import NOTE, table

HEAD = ("key", "type", "legal", "default", "what it is")
# Files that lack nothing but a key of some table and its value, {}.
BOARD = "[design]\n{}\n"
DESIGN = '[design]\nboard = "icebreaker"\n{}\n'
NETWORK = DESIGN.format("[network]\n{}")
PRECISION = DESIGN.format("[network.precision]\n{}")
HARDWARE = DESIGN.format("[hardware]\n{}")
LAYER = NETWORK.format("input_shape = [8, 8, 3]\nlayers = [{{{}}}, 10]")
CONV = NETWORK.format("input_shape = [8, 8, 3]\nlayers = [{{conv = 8, {}}}, 10]")
# No key takes a fraction; of these the error to a wrong integer says more.
WRONG = "0.5"
WRONG_VALUES = {"pixel_width": "3", "kernel": "2"}
# Lists whose items are all checked alike, and one with a wrong item.
WRONG_ITEMS = {"layers": "[0.5, 10]", "pipeline": "[0.5]", "image": "[0.5, 8]"}
DEFAULTS = {"lanes": "the board's", "name": "the file's"}
TYPES = {bool: "boolean", int: "integer", str: "string", tuple: "list"}

Item = tuple[tuple[str, ...], str]


def documented(cls: type) -> Iterator[Item]:
    """Names and text of each entry in the section Parameters of a class's docstring."""
    section = inspect.getdoc(cls).split("Parameters\n----------\n")[1]  # type: ignore[union-attr]
    section = re.split(r"\n\n\w+\n-+\n", section)[0]
    for entry in re.split(r"\n(?=\S)", section):
        head, *lines = entry.split("\n")
        names = tuple(head.split(" : ")[0].split(", "))
        yield names, " ".join(line.strip() for line in lines)


def legal(place: str, key: str) -> str:
    """What the errors to wrong values of ``key`` say must be given."""
    text = BOARD if key == "board" else place
    found = [_asked(text, key, WRONG_VALUES.get(key, WRONG))]
    if key in WRONG_ITEMS:
        found.append(f"each {_asked(text, key, WRONG_ITEMS[key])}")
    return ", ".join(found)


def _asked(text: str, key: str, value: str) -> str:
    try:
        parse(text.format(f"{key} = {value}"))
    except ConfigError as error:
        found = re.fullmatch(rf"\S*\b{key}\S* must (?:be |list )?(.*), not .*", str(error))
        if found:
            return _markdown_of(found[1])
        raise AssertionError(
            f"the error to a wrong {key} must name it, not say: {error}"
        ) from error
    raise AssertionError(f"{key} = {value} must be refused")


def _markdown_of(phrase: str) -> str:
    limits = re.fullmatch(r"an integer from (-?\d+) to (-?\d+)", phrase)
    if limits:
        return f"{limits[1]} … {limits[2]}".replace("-", "−")
    return re.sub(r"'([^']+)'", r'`"\1"`', phrase.removeprefix("one of "))


def toml_type(hint: Any) -> str:
    """What a field of this type is in TOML."""
    options = typing.get_args(hint) if typing.get_origin(hint) is not tuple else ()
    found = [option for option in options or (hint,) if option is not type(None)]
    kinds = (typing.get_origin(option) or option for option in found)
    return " or ".join(TYPES.get(kind, "table") for kind in kinds)


def default(field: dataclasses.Field) -> str:
    """The default of a field, as TOML writes it."""
    if field.name in DEFAULTS:
        return DEFAULTS[field.name]
    if field.default is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else "below"
    if field.default is None:
        return "none"
    return f"`{json.dumps(field.default)}`"


def rows(cls: type, place: str, keys: Iterable[str], renamed: str = "") -> Iterator[Sequence[str]]:
    """Rows of the table of the keys of ``cls``; the first field is the key ``renamed``, if given.

    Keys that a docstring describes together share a row.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for names, text in documented(cls):
        wanted = [name for name in names if name in keys]
        if not wanted:
            continue
        shown = [renamed or name for name in wanted[:1]] + wanted[1:]
        renamed = ""
        yield (
            ", ".join(f"`{name}`" for name in shown),
            _joined(toml_type(hints[name]) for name in wanted),
            _joined(_markdown_of_cell(legal(place, name)) for name in shown),
            _joined(default(known[name]) for name in wanted),
            _markdown_of_cell(text.replace("``", "`")),
        )


def _joined(items: Iterable[str]) -> str:
    """Different ``items`` in order, or the one that all of them are."""
    found = list(items)
    return "; ".join(found[:1] if len(set(found)) == 1 else found)


def _markdown_of_cell(text: str) -> str:
    return text.replace("|", "\\|")


def keys_of(cls: type) -> tuple[str, ...]:
    """Keys that a file may have for the fields of ``cls``."""
    if cls is DesignConfig:
        return DESIGN_KEYS
    return tuple(key for key in fields(cls) if key not in DERIVED_HARDWARE_KEYS)


def keys_table(cls: type, place: str) -> str:
    """The table of the keys of ``cls``."""
    return table(HEAD, rows(cls, place, keys_of(cls)))


def layers_table() -> str:
    """The table of the keys of a layer."""
    conv = [*rows(Conv, CONV, fields(Conv)[1:])]
    first = next(rows(Conv, LAYER, fields(Conv)[:1], "conv"))
    dense = ("`dense`", "integer", legal(LAYER, "dense"), "required", "Units of a dense layer.")
    return table(HEAD, (first, *conv, dense))


def configuration_page() -> str:
    """Every key of a configuration."""
    single_port = ", ".join(f"`{name}`" for name, board in BOARDS.items() if board.single_port)
    return f"""{NOTE}

# Configurations

A configuration is a TOML file of three tables: what it is called, what is trained, and on which
hardware. Start from one of [`gen/configs`](../gen/configs) or from the example at the end, and ask
`trisign estimate my.toml` what it takes.

What is left out has its default. An unknown key or a bad value is one line that names file, field,
value and legal range, and exit code 2. "Integer or list" takes one value for all layers, or a list
of one a layer, the lowest first. A range that depends on another key is given for that key's
default on the iCEBreaker.

## [design]

{keys_table(DesignConfig, DESIGN)}
The hash that names a configuration, and that a board answers with, is of everything but
`description`.

## [network]

What is trained; letters are those of [algorithm.md](algorithm.md), section 4.

{keys_table(TrainerConfig, NETWORK)}
### Layers

A network without convolutions is a list of integers, its inputs first: `[192, 64, 10]`; the inputs
are pixels times `hardware.planes`. With `input_shape` each entry is a layer, and convolutions are
tables: `[{{conv = 32, padding = -1}}, {{conv = 64, pool = 2}}, 10]`, where 10 is short for
`{{dense = 10}}`. An image has sides of 1 to {SIDE_MAX} pixels.

{layers_table()}
### [network.precision]

How the integer errors of `loss = "squared_hinge"` are made narrow ([algorithm.md](algorithm.md),
section 6).

{keys_table(PrecisionParameters, PRECISION)}
## [hardware]

How it is laid out: speed and area, never the trained weights. What kind of LUT the dot product is
made for follows from the board; its structures are in section 7 of [algorithm.md](algorithm.md).

{keys_table(HardwareConfig, HARDWARE)}
## What must fit together

- `network.gate_shift`, scheduled values too, is at most `hardware.gate_shift_max`.
- `hardware.lanes` divides `network.rng_group` or is a multiple of it.
- Inputs are a multiple of the number of `hardware.planes`, and `hardware.image` holds as many
  pixels as that leaves; with `input_shape` its channels are the number of planes.
- `hardware.single_port` is for boards with such memories: {single_port}.
- `network.counter_increment` above 1 is for the golden engine; what needs hardware refuses it.

## A complete example

`digits-icebreaker` with every key written out, defaults too.

```toml
{EXAMPLE}```
"""
