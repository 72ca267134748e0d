"""Stream payloads between NumPy arrays and the one integer a simulator sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape, ShapeCastable
from amaranth.lib import data
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Field:
    """One field of a payload: ``lanes`` elements of ``width`` bits from bit ``offset``."""

    offset: int
    width: int
    signed: bool
    lanes: int | None


def _field(offset: int, shape: Any) -> Field:
    layout = data.Layout.cast(shape) if isinstance(shape, ShapeCastable) else None
    if isinstance(layout, data.ArrayLayout):
        element = _field(0, layout.elem_shape)
        return Field(offset, element.width, element.signed, layout.length)
    plain = Shape.cast(shape)
    return Field(offset, plain.width, plain.signed and layout is None, None)


def pack_lanes(values: ArrayLike, width: int) -> int:
    """Elements of ``width`` bits (two's complement where negative) as one integer, lane 0 low."""
    lanes = np.asarray(values, np.int64).reshape(-1)
    bits = (lanes[:, None] >> np.arange(width)) & 1
    packed = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


def unpack_lanes(word: int, width: int, lanes: int, signed: bool = False) -> NDArray[np.int64]:
    """The ``lanes`` elements of ``width`` bits of an integer, lane 0 first."""
    size = (width * lanes + 7) // 8
    raw = np.frombuffer(word.to_bytes(size, "little"), np.uint8)
    bits = np.unpackbits(raw, bitorder="little")[: width * lanes].reshape(lanes, width)
    values = bits.astype(np.int64) @ (np.int64(1) << np.arange(width, dtype=np.int64))
    if signed:
        values -= (values >> (width - 1)) << width
    return values


class Payload:
    """Packs and unpacks the payload of a stream.

    Parameters
    ----------
    shape : shape-castable
        The payload's shape. In a struct each field is an integer or an array; elements that are
        structs themselves (trits) are exchanged as their raw code. A payload that is not a struct
        has the single field ``value``.
    """

    def __init__(self, shape: Any) -> None:
        layout = data.Layout.cast(shape) if isinstance(shape, ShapeCastable) else None
        if isinstance(layout, data.StructLayout):
            self.fields = {name: _field(item.offset, item.shape) for name, item in layout}
        else:
            self.fields = {"value": _field(0, shape)}

    def pack(self, **values: ArrayLike) -> int:
        """One integer from a value for every field."""
        if values.keys() != self.fields.keys():
            raise KeyError(f"fields must be {sorted(self.fields)}, not {sorted(values)}")
        word = 0
        for name, field in self.fields.items():
            lanes = np.asarray(values[name], np.int64).reshape(-1)
            if len(lanes) != (field.lanes if field.lanes is not None else 1):
                raise ValueError(f"{name} must have {field.lanes or 1} lanes, not {len(lanes)}")
            word |= pack_lanes(lanes, field.width) << field.offset
        return word

    def unpack(self, word: int) -> dict[str, Any]:
        """A dict of the fields: int for a plain field, int64 array for an array field."""
        result: dict[str, Any] = {}
        for name, field in self.fields.items():
            count = 1 if field.lanes is None else field.lanes
            part = (word >> field.offset) & ((1 << field.width * count) - 1)
            values = unpack_lanes(part, field.width, count, field.signed)
            result[name] = int(values[0]) if field.lanes is None else values
        return result
