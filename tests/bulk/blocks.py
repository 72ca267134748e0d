"""What is driven in bulk, and the vectors that golden makes for it.

A vector is what golden is asked for once: a dot product, a word of a processing element, the update
of a weight, a value to quantise, a word of a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray
from test_precision_controller import CASES as CONTROLLERS  # type: ignore[import-not-found, unused-ignore]
from test_processing_element import CASES as ELEMENTS  # type: ignore[import-not-found, unused-ignore]
from test_update_engine import ENGINES  # type: ignore[import-not-found, unused-ignore]

from bulk.driver import Batch, Driver  # type: ignore[import-not-found, unused-ignore]
from bulk.streamed_dot import StreamedDot  # type: ignore[import-not-found, unused-ignore]
from trisign.golden import lfsr, xorshift
from trisign.golden.checks import signed_range
from trisign.golden.precision_controller import PrecisionController, PrecisionState
from trisign.golden.precision_parameters import PrecisionParameters
from trisign.golden.processing_element import ProcessingElementParameters, processing_element
from trisign.golden.ternary_dot import DotParameters, binary_dot, ternary_dot
from trisign.golden.trits import from_code, to_code
from trisign.golden.update_engine import UpdateEngine, UpdateParameters
from trisign.golden.update_rules import gradient_range, momentum_range, weight_range
from trisign.rtl import lfsr as lfsr_rtl
from trisign.rtl import precision_controller as precision_rtl
from trisign.rtl import processing_element as element_rtl
from trisign.rtl import update_engine as update_rtl
from trisign.rtl import xorshift as xorshift_rtl
from trisign.sim.payload import Payload

BATCH = 20_000  # vectors
PAUSES = (0.0, 0.25, 0.75)
Ints = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A block with parameters.

    Parameters
    ----------
    block : str
        Its name everywhere.
    create : callable
        The component.
    batches : callable
        ``batches(driver, random, count)``: ``count`` vectors or a few more; all there are where it
        is exhaustive, whatever ``count``.
    exhaustive : bool
        One run tells everything: seeds only change where streams idle and stall.
    """

    block: str
    create: Callable[[], wiring.Component]
    batches: Callable[[Driver, Random, int], Iterator[Batch]]
    exhaustive: bool = False


def pauses(random: Random) -> dict[str, float]:
    """Half of all batches run at full rate."""
    if random.random() < 1 / 2:
        return {}
    return {"idle": float(random.choice(PAUSES)), "stall": float(random.choice(PAUSES))}


def shares(count: int) -> Iterator[tuple[int, int]]:
    """Number and size of the batches that make ``count`` vectors."""
    for number, start in enumerate(range(0, count, BATCH)):
        yield number, min(BATCH, count - start)


def operands(random: Random, count: int, lanes: int, binary: bool) -> tuple[Ints, Ints]:
    """Codes, illegal ones too, of rows whose sums lie all over the range."""
    small: Any = {"dtype": np.uint8}
    top = 2 if binary else 4
    a, w = (random.integers(0, top, (count, lanes), **small) for _ in range(2))
    often = random.choice([0, 128, 230, 255], (count, 1))
    alike = random.integers(0, 256, (count, lanes), **small) < often
    opposite = random.integers(0, 2, (count, 1), **small)
    if binary:
        return a, np.where(alike, a ^ opposite, w)
    a = np.where(alike & (random.random((count, 1)) < 0.7), a | 1, a)
    return a, np.where(alike, a ^ (opposite << 1), w)


def dots(p: DotParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    for number, size in shares(count):
        a, w = operands(random, size, p.lanes, p.binary)
        yield dot_batch(p, driver, a, w, reset=not number, **pauses(random))


def every_dot(p: DotParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    width = 1 if p.binary else 2
    words = np.arange(1 << p.lanes * width)
    codes = words[:, None] >> width * np.arange(p.lanes) & (1 << width) - 1
    for number, code in enumerate(codes):
        rows = np.broadcast_to(code, codes.shape)
        yield dot_batch(p, driver, rows, codes, reset=not number, **pauses(random))


def dot_batch(p: DotParameters, driver: Driver, a: Ints, w: Ints, **how: Any) -> Batch:
    total = binary_dot(a, w) if p.binary else ternary_dot(from_code(a), from_code(w))
    inputs = driver.words("i", len(a), a=a, w=w)
    return Batch(inputs, driver.words("o", len(a), value=total), **how)


def dot(batches: Callable[..., Iterator[Batch]] = dots, **fields: Any) -> Case:
    p = DotParameters(**fields)
    return Case(
        "ternary_dot", lambda: StreamedDot(p), partial(batches, p), exhaustive=batches is every_dot
    )


def elements(
    p: ProcessingElementParameters, driver: Driver, random: Random, count: int
) -> Iterator[Batch]:
    low, high = p.offset_range
    for number, size in shares(count):
        lengths = random.integers(1, p.words + 1, -(-size // p.words))
        a, w = operands(random, int(lengths.sum()), p.lanes, p.binary)
        limits = [0, 1, min(p.lanes, p.threshold_max), p.threshold_max]
        settings = {
            "threshold": int(random.integers(random.choice(limits) + 1)),
            "window": int(random.integers(random.choice(limits) + 1)),
            "offset": int(random.choice(np.array([0, random.integers(-3, 3), low, high]))),
        }
        yield element_batch(p, driver, a, w, lengths, settings, reset=not number, **pauses(random))


def every_word(
    p: ProcessingElementParameters, driver: Driver, random: Random, count: int
) -> Iterator[Batch]:
    """Dot products of one word: operands, threshold, window and offset."""
    words = np.arange(1 << 4 * p.lanes)
    codes = words[:, None] >> 2 * np.arange(2 * p.lanes) & 3
    low, high = p.offset_range
    for number in range((p.threshold_max + 1) ** 2):
        threshold, window = divmod(number, p.threshold_max + 1)
        for offset in range(low, high + 1):
            yield element_batch(
                p, driver, codes[:, : p.lanes], codes[:, p.lanes :], np.ones(len(words), np.int64),
                {"threshold": threshold, "window": window, "offset": offset},
                reset=not number and offset == low, **pauses(random),
            )  # fmt: skip


def element_batch(
    p: ProcessingElementParameters,
    driver: Driver,
    a: Ints,
    w: Ints,
    lengths: Ints,
    settings: dict[str, int],
    **how: Any,
) -> Batch:
    """Dot products of ``lengths`` words each."""
    ends = np.cumsum(lengths)
    total, trit, window = (np.zeros(len(lengths), np.int64) for _ in range(3))
    x, y = (a, w) if p.binary else (from_code(a), from_code(w))
    for length in np.unique(lengths):
        which = np.flatnonzero(lengths == length)
        rows = (ends[which] - length)[:, None] + np.arange(length)
        result = processing_element(
            x[rows], y[rows], settings["threshold"], settings["window"], settings["offset"],
            binary=p.binary,
        )  # fmt: skip
        total[which], trit[which], window[which] = result
    last = np.zeros(len(a), np.int64)
    last[ends - 1] = 1
    return Batch(
        driver.words("i", len(a), a=a, w=w, last=last),
        driver.words("o", len(lengths), sum=total, trit=to_code(trit), window=window),
        settings,
        **how,
    )


def element(batches: Callable[..., Iterator[Batch]] = elements, **fields: Any) -> Case:
    p = ProcessingElementParameters(**fields)
    return Case(
        "processing_element",
        lambda: element_rtl.ProcessingElement(p),
        partial(batches, p),
        exhaustive=batches is every_word,
    )


def updates(p: UpdateParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    golden = UpdateEngine(p)
    ranges = (gradient_range(p), momentum_range(p), weight_range(p))
    for number, size in shares(count):
        settings = {
            "threshold": int(random.integers(1 << p.threshold_width) >> random.integers(4)),
            "gate_shift": int(random.integers(p.gate_shift_max + 1)),
            "shift": int(random.integers(p.shift_max + 1)),
        }
        rows = []
        while size > 0:
            lengths = np.array([1, p.lanes, p.rng_group, random.integers(1, 3000)])
            length = int(random.choice(lengths))
            values = [lane_values(random, length, *limits) for limits in ranges]
            rows.append(tuple(values))
            size -= length
        load = number % 4 == 3
        if load:
            golden.lfsr.state = int(random.integers(1, 1 << 16))
            golden.xorshift.state = int(random.integers(1, 1 << 32))
        yield update_batch(
            p, driver, golden, rows, settings, random, reset=not number, load=load, **pauses(random)
        )


def lane_values(random: Random, length: int, low: int, high: int) -> Ints:
    """Over the whole range, a third of them at or beside an end or zero."""
    special = np.clip([low, low + 1, -1, 0, 1, high - 1, high], low, high)
    values = random.integers(low, high + 1, length)
    return np.where(random.random(length) < 1 / 3, random.choice(special, length), values)


def every_lane(p: UpdateParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    """Every gradient, momentum, weight, threshold and shift there is."""
    golden = UpdateEngine(p)
    axes = [
        np.arange(low, high + 1)
        for low, high in (gradient_range(p), momentum_range(p), weight_range(p))
    ]
    lanes = tuple(axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij"))
    reset = True
    for threshold in range(1 << p.threshold_width):
        for shift in range(p.shift_max + 1):
            settings = {"threshold": threshold, "shift": shift, "gate_shift": 0}
            yield update_batch(
                p, driver, golden, [lanes], settings, random, reset=reset, **pauses(random)
            )
            reset = False


def update_batch(
    p: UpdateParameters,
    driver: Driver,
    golden: UpdateEngine,
    rows: list[tuple[Ints, ...]],
    settings: dict[str, int],
    random: Random,
    **how: Any,
) -> Batch:
    """Rows of gradient, momentum and weight."""
    loaded = {"load_lfsr": golden.lfsr.state, "load_xorshift": golden.xorshift.state}
    golden.configure(**settings)
    parts: dict[str, list[Ints]] = {}

    def keep(name: str, lanes: Any) -> None:
        filled = np.zeros(-(-len(lanes) // p.lanes) * p.lanes, np.int64)
        filled[: len(lanes)] = lanes
        parts.setdefault(name, []).append(filled.reshape(-1, p.lanes))

    ends = []
    for gradient, momentum, weight in rows:
        result = golden.process_row(gradient, momentum, weight)
        for name, values in (
            ("grad", coded(random, gradient) if p.gradient_width == 2 else gradient),
            ("momentum", momentum),
            ("weight", coded(random, weight) if p.has_trit_weights else weight),
            ("new_momentum", result.momentum),
            ("new_weight", to_code(result.weight) if p.has_trit_weights else result.weight),
            ("written", result.written),
        ):
            keep(name, values)
        end = random.integers(0, p.lanes, len(parts["grad"][-1]))
        end[-1] = (len(gradient) - 1) % p.lanes
        ends.append(end)
    all_of = {name: np.concatenate(lanes) for name, lanes in parts.items()}
    last = np.concatenate([np.arange(len(end)) == len(end) - 1 for end in ends])
    count, groups = len(last), update_rtl.groups_per_word(p)
    spacing = p.rng_group if groups > 1 else 0
    written = all_of["written"][:, spacing * np.arange(groups)] @ (1 << np.arange(groups))
    state = {"momentum": all_of["momentum"]} if p.momentum_width else {}
    new_state = {"momentum": all_of["new_momentum"]} if p.momentum_width else {}
    status = {"lfsr_state": golden.lfsr.state, "xorshift_state": golden.xorshift.state}
    return Batch(
        driver.words(
            "i", count, grad=all_of["grad"], weight=all_of["weight"], end=np.concatenate(ends),
            last=last, **state,
        ),
        driver.words(
            "o", count, weight=all_of["new_weight"], write=written, last=last, **new_state
        ),
        {name: value for name, value in (settings | loaded).items() if name in driver.settings},
        {name: status[name] for name in driver.status},
        **how,
    )  # fmt: skip


def coded(random: Random, trits: Ints) -> Ints:
    """Codes of ``trits``, half of the zeros as the illegal code that reads as zero."""
    illegal = (trits == 0) & (random.random(len(trits)) < 1 / 2)
    return np.where(illegal, 2, to_code(trits))


def update(batches: Callable[..., Iterator[Batch]] = updates, **fields: Any) -> Case:
    p = UpdateParameters(**fields)
    if p.lanes > 16:
        p = replace(p, lanes=16)
    return Case(
        "update_engine",
        lambda: update_rtl.UpdateEngine(p),
        partial(batches, p),
        exhaustive=batches is every_lane,
    )


def tensors(p: PrecisionParameters, driver: Driver, random: Random, count: int) -> Iterator[Batch]:
    """Tensors of every length, sparse and dense, their scale resting and jumping."""
    golden = PrecisionController(p)
    layout = Payload(precision_rtl.state_layout(p))
    longest = max(2, min(3 * p.window // 2, 100))
    scale = 1.0
    for number, size in shares(count):
        load = number % 4 == 3
        settings = {}
        if load:
            state = PrecisionState(
                int(random.integers(p.exponent_max + 1)),
                int(random.integers(p.width_limits[0], p.width_limits[1] + 1)),
                int(random.integers(p.patience)),
                int(random.integers(1, 1 << 16)),
            )
            golden.load(state)
            settings = {"load_state": layout.pack(**state._asdict())}
        lengths = random.integers(1, longest, size * 2 // longest + 1)
        last = np.zeros(int(lengths.sum()), np.int64)
        last[np.cumsum(lengths) - 1] = 1
        values, quantized, exponents = [], [], []
        for length in lengths:
            if random.random() < 0.15:
                scale = random.uniform(-1, p.input_width)
            tensor = random.normal(size=length) * 2.0**scale
            tensor *= random.random(length) < random.choice([0.2, 0.8, 1.0])
            value = np.clip(np.rint(tensor), *signed_range(p.input_width)).astype(np.int64)
            exponents.append(np.full(length, golden.exponent))
            quantized.append(golden.quantize(value))
            values.append(value)
        yield Batch(
            driver.words("i", len(last), value=np.concatenate(values), last=last),
            driver.words(
                "o", len(last), value=np.concatenate(quantized), last=last,
                exponent=np.concatenate(exponents),
            ),
            settings,
            {
                "state": layout.pack(**golden.state._asdict()),
                "windows": golden.windows,
                "overflows": golden.overflows,
                "idle": 1,
            },
            reset=not number,
            load=load,
            **pauses(random),
        )  # fmt: skip


def controller(**fields: Any) -> Case:
    p = PrecisionParameters(**fields)
    return Case(
        "precision_controller", lambda: precision_rtl.PrecisionController(p), partial(tensors, p)
    )


def words(
    advance: Callable[[int], int], seeded: int, bits: int,
    driver: Driver, random: Random, count: int,
) -> Iterator[Batch]:  # fmt: skip
    """Of a generator: after reset, then from states loaded at random."""
    state = seeded
    for number, size in shares(count):
        if number:
            state = int(random.integers(1, 1 << bits))
        start, made = state, []
        for _ in range(size):
            state = advance(state)
            made.append(state)
        yield Batch(
            driver.none("i"),
            driver.words("o", size, value=np.array(made)),
            {"load_state": start if number else 0},
            reset=not number,
            load=bool(number),
            stall=pauses(random).get("stall", 0.0),
        )


def successors(steps: int) -> Callable[[int], int]:
    """``golden.lfsr.advance`` by ``steps``, looked up."""
    table: list[int] = []

    def advance(state: int) -> int:
        if not table:
            table.extend(lfsr.advance(each, steps) for each in range(1 << 16))
        return table[state]

    return advance


def generator(block: str) -> Case:
    if block == "xorshift":
        seeded = xorshift.Xorshift32(1).state
        create = xorshift_rtl.Xorshift32Source
        return Case(block, create, partial(words, xorshift.advance, seeded, 32))
    seeded = lfsr.Lfsr16(1).state
    steps = 16
    return Case(
        block,
        lambda: lfsr_rtl.Lfsr16Source(steps=steps),
        partial(words, successors(steps), seeded, 16),
    )


SMALL_LANES = 2
CASES: dict[str, Case] = {
    "dot": dot(lanes=64),
    "dot_lut6": dot(lanes=64, structure="compact", tech="lut6", pipeline=(0, 4)),
    "dot_binary": dot(lanes=64, binary=True),
    "dot_every": dot(every_dot, lanes=5),
    "dot_binary_every": dot(every_dot, lanes=10, binary=True, structure="compact", tech="lut6"),
    **{f"element_{name}": element(**fields) for name, fields in ELEMENTS.items()},
    "element_every": element(every_word, lanes=2, words=1, threshold_width=3),
    **{f"update_{name}": update(**fields) for name, fields in ENGINES.items()},
    **{f"controller_{name}": controller(**fields) for name, fields in CONTROLLERS.items()},
    "lfsr": generator("lfsr"),
    "xorshift": generator("xorshift"),
}
