"""Convolution in the golden trainer: the digest on real digits, hand-sized cases, a second trainer
written with plain loops from the rule, and the compiled twin."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pytest

from trisign.gen.data import load_digits
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.compiled import CompiledTrainer
from trisign.golden.encoding import encode
from trisign.golden.layers import Conv, Dense
from trisign.golden.sample_store import SampleStore
from trisign.golden.trainer import Trainer, TrainerConfig
from trisign.golden.write_log import RecordingTrainer

ENGINES = (Trainer, CompiledTrainer)
engines = pytest.mark.parametrize("engine", ENGINES)


def digest(array: np.ndarray) -> str:
    assert array.dtype == np.int8
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@engines
def test_digest_on_real_digits(engine: type[Trainer]) -> None:
    """8C3 – 16C3 – P2 – 10: the first 200 training digits, seed 1, one pass."""
    digits = load_digits()
    config = TrainerConfig(
        input_shape=(8, 8, 3),
        layers=(Conv(8, padding=-1), Conv(16, pool=2), Dense(10)),
        threshold=(2, 3, 0),
        window=(4, 6, 0),
        offset=(1, 4, 0),
        counter_width=7,
        gate_shift=0,
        margin=24,
    )
    assert config.shapes == ((8, 27), (16, 72), (10, 256))
    trainer = engine(config, seed=1)
    x = encode(digits.train_pixels[:200], channel_last=True)
    trainer.fit(x.reshape(-1, 8, 8, 3), digits.train_labels[:200])
    assert [digest(w) for w in trainer.weights] == [
        "7effc42df17eb471", "547c4c67a28b07fd", "be1cae66a9a8ca2d",
    ]  # fmt: skip
    assert [digest(c) for c in trainer.counters] == [
        "f75caa5d3c7951b0", "d7eb80ff309a5dc5", "c5faad8466e3600e",
    ]  # fmt: skip
    assert (trainer.groups_written, trainer.lfsr_state) == (9600, 4641)


def test_channel_last_puts_the_planes_of_a_pixel_side_by_side() -> None:
    pixels = np.array([[0, 7, 15, 3]])
    assert encode(pixels).tolist() == [[-1, 1, 1, 0, -1, 0, 1, -1, -1, -1, 1, -1]]
    assert encode(pixels, channel_last=True).tolist() == [
        [-1, -1, -1, 1, 0, -1, 1, 1, 1, 0, -1, -1]
    ]
    store = SampleStore(pixels, [0], channel_last=True)
    assert (store.epoch() == encode(pixels, channel_last=True)).all()


# By hand


def build(
    engine: type[Trainer],
    input_shape: tuple[int, int, int],
    layers: tuple[Any, ...],
    *weights: Any,
    **fields: Any,
) -> Trainer:
    """A trainer with given weights, whose samples never meet the margin."""
    options = {"margin": 4095, "threshold": 0, "window": 1023, "gate_shift": 0} | fields
    trainer = engine(TrainerConfig(input_shape=input_shape, layers=layers, **options))
    for layer, rows in enumerate(weights):
        trainer.weights[layer][:] = rows
    return trainer


@pytest.mark.parametrize(
    ("padding", "sums"),
    [
        # 3 × 3 ones over [[1, 1], [1, -1]]: each position sees all four (+2) and five of padding.
        (0, [2, 2, 2, 2]),
        (-1, [-3, -3, -3, -3]),
        (1, [7, 7, 7, 7]),
    ],
)
def test_padding(padding: int, sums: list[int]) -> None:
    trainer = build(Trainer, (2, 2, 1), (Conv(1, padding=padding), 2), np.ones((1, 9)), 0)
    found = trainer.forward(np.array([1, 1, 1, -1], np.int8))[1]
    assert found[0].tolist() == sums


def test_rows_are_ordered_ky_kx_channel() -> None:
    """One weight at (ky, kx, channel) = (0, 2, 1) sees the pixel above to the right."""
    row = np.zeros((3, 3, 2))
    row[0, 2, 1] = 1
    trainer = build(Trainer, (3, 3, 2), (Conv(1), 2), [row.ravel()], 0)
    x = np.zeros((3, 3, 2), np.int8)
    x[0, 1] = [-1, 1]
    sums = trainer.forward(x.ravel())[1][0].reshape(3, 3)
    assert sums.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


@engines
def test_the_error_returns_to_the_first_of_the_largest_sums(engine: type[Trainer]) -> None:
    """Sums 0, 1, 1, −1 of one cell: only the second position, whose pixel is +1, has the error."""
    trainer = build(
        engine, (2, 2, 2), (Conv(1, kernel=1, pool=2), 2), [[1, 0]], [[1], [-1]], offset=(-1, 0)
    )
    x = np.array([[[[-1, 1], [0, 1]], [[0, -1], [-1, 0]]]])
    trainer.fit(x, [0])
    # δ = 1 − (−1) = 2, so d = +1 and the gradient is that pixel: (0, 1), not (0, −1) of the third.
    assert trainer.counters[0].tolist() == [[0, 1]]
    assert trainer.counters[1].tolist() == [[1], [-1]]


@engines
@pytest.mark.parametrize(
    ("alpha", "moved"), [(0, [1, 0, -1]), (1, [1, 0, 0]), (2, [1, 0, 0]), (3, [0, 0, 0])]
)
def test_gradients_add_up_over_positions(
    engine: type[Trainer], alpha: int, moved: list[int]
) -> None:
    """Four positions with d = +1: G = (3, 0, −1), of which the sign counts above α."""
    trainer = build(
        engine,
        (2, 2, 3),
        (Conv(1, kernel=1), 2),
        [[0, 0, 0]],
        [[1] * 4, [-1] * 4],
        gradient_confidence=(alpha, 0),
    )
    trainer.fit([[[[1, 1, -1], [1, -1, -1]], [[1, 0, 0], [0, 0, 1]]]], [0])
    assert trainer.counters[0].tolist() == [moved]


@engines
def test_a_row_without_error_draws_nothing(engine: type[Trainer]) -> None:
    """The second unit's weights above are zero, so its row takes no part and no draw."""
    trainer = build(
        engine,
        (1, 2, 1),
        (Conv(2, kernel=1), 2),
        [[1], [1]],
        [[1, 0, 1, 0], [-1, 0, -1, 0]],
    )
    state = trainer.lfsr_state
    trainer.fit([[1, 1]], [0])
    for _ in range(3):  # two rows above, one below; a step each
        state = (state >> 1) ^ (0xB400 if state & 1 else 0)
    assert trainer.lfsr_state == state
    assert trainer.counters[0].tolist() == [[1], [0]]


@engines
def test_opposite_errors_that_cancel_still_draw(engine: type[Trainer]) -> None:
    """d = +1 and −1 where the inputs are equal: G = 0, but the row is not without error."""
    trainer = build(engine, (1, 2, 1), (Conv(1, kernel=1), 2), [[1]], [[1, -1], [-1, 1]])
    trainer.fit([[1, 1]], [0])
    assert trainer.groups_drawn == 3
    assert trainer.counters[0].tolist() == [[0]]


@engines
def test_counters_move_by_the_increment_of_the_epoch(engine: type[Trainer]) -> None:
    config = TrainerConfig(
        layers=(2, 2),
        margin=4095,
        gate_shift=0,
        counter_width=5,
        counter_increment=8,
        schedule=((1, "counter_increment", 5), (2, "counter_increment", 1)),
    )
    trainer = engine(config)
    trainer.weights[0][:] = 0
    found = []
    for _ in range(5):
        trainer.fit([[1, -1]], [0])
        found.append((trainer.counters[0][0].tolist(), trainer.weights[0][0].tolist()))
    assert found == [
        ([8, -8], [0, 0]),
        ([13, -13], [0, 0]),
        ([14, -14], [0, 0]),
        ([15, -15], [0, 0]),
        ([0, 0], [1, -1]),
    ]


# Against plain loops


class LoopTrainer:
    """The rule with lists and loops alone; every position and tap by its coordinates."""

    def __init__(self, config: TrainerConfig, state: int) -> None:
        self.config = config
        self.state = state
        self.written = 0
        self.resting = 0
        height, width, channels = config.input_shape or (0, 0, 0)
        self.inputs: list[tuple[int, int, int]] = []
        self.weights: list[list[list[int]]] = []
        for layer in config.layers:
            self.inputs.append((height, width, channels))
            if isinstance(layer, Dense):
                units, row = layer.units, height * width * channels
                height, width = 1, 1
            else:
                units, row = layer.channels, layer.kernel * layer.kernel * channels
                if layer.padding == "none":
                    height, width = height - layer.kernel + 1, width - layer.kernel + 1
                height, width = height // layer.pool, width // layer.pool
            channels = units
            self.weights.append([[self.first() for _ in range(row)] for _ in range(units)])
        self.counters = [[[0] * len(row) for row in w] for w in self.weights]

    def draw(self, steps: int) -> int:
        for _ in range(steps):
            bit = self.state & 1
            self.state >>= 1
            if bit:
                self.state ^= 0xB400
        return self.state

    def first(self) -> int:
        return (-1, 0, 1, 0)[self.draw(3) % 4]

    def positions(self, l: int) -> list[list[tuple[int, int]]]:
        """Positions of each cell."""
        layer, (height, width, _) = self.config.layers[l], self.inputs[l]
        if isinstance(layer, Dense):
            return [[(0, 0)]]
        if layer.padding == "none":
            height, width = height - layer.kernel + 1, width - layer.kernel + 1
        p = layer.pool
        return [
            [(cy * p + dy, cx * p + dx) for dy in range(p) for dx in range(p)]
            for cy in range(height // p)
            for cx in range(width // p)
        ]

    def seen(self, l: int, position: tuple[int, int]) -> list[int | None]:
        """Index of each input that a unit sees there, None for padding."""
        layer, (height, width, channels) = self.config.layers[l], self.inputs[l]
        if isinstance(layer, Dense):
            return list(range(height * width * channels))
        border = 0 if layer.padding == "none" else (layer.kernel - 1) // 2
        found: list[int | None] = []
        for ky in range(layer.kernel):
            for kx in range(layer.kernel):
                y, x = position[0] + ky - border, position[1] + kx - border
                for c in range(channels):
                    inside = 0 <= y < height and 0 <= x < width
                    found.append((y * width + x) * channels + c if inside else None)
        return found

    def values(self, l: int, h: list[int], position: tuple[int, int]) -> list[int]:
        layer = self.config.layers[l]
        padding = 0 if isinstance(layer, Dense) else layer.padding
        return [padding if i is None else h[i] for i in self.seen(l, position)]

    def sample(self, x: list[int], label: int) -> None:
        config = self.config
        h, z = [x], list[list[int]]()
        winners = list[list[tuple[int, int]]]()
        for l, w in enumerate(self.weights):
            sums, places = list[int](), list[tuple[int, int]]()
            for cell in self.positions(l):
                for row in w:
                    best, place = -(10**9), (-1, -1)
                    for position in cell:
                        s = -config.of("offset", l)
                        for a, b in zip(row, self.values(l, h[l], position), strict=True):
                            s += a * b
                            self.resting += a * b == 0
                        if s > best:
                            best, place = s, position
                    sums.append(best)
                    places.append(place)
            r = config.of("threshold", l)
            z.append(sums)
            winners.append(places)
            h.append([1 if s > r else -1 if s < -r else 0 for s in sums])
        y = z[-1]
        rival = -1
        for j in range(len(y)):
            if j != label and (rival < 0 or y[j] > y[rival]):
                rival = j
        if y[label] - y[rival] >= config.margin:
            return
        d = [1 if j == label else -1 if j == rival else 0 for j in range(len(y))]
        for l in reversed(range(len(self.weights))):
            below = self.errors_below(l, d, winners[l], z[l - 1]) if l else []
            units = len(self.weights[l])
            for j in range(units):
                errors = [
                    (e, p) for e, p in zip(d[j::units], winners[l][j::units], strict=True) if e
                ]
                if errors:
                    gradient = [0] * len(self.weights[l][j])
                    for e, p in errors:
                        for i, value in enumerate(self.values(l, h[l], p)):
                            gradient[i] += e * value
                    self.update_row(l, j, gradient)
            d = below

    def errors_below(self, l: int, d: list[int], places: list[Any], z: list[int]) -> list[int]:
        config, units = self.config, len(self.weights[l])
        delta = [0] * len(z)
        for k, (e, position) in enumerate(zip(d, places, strict=True)):
            for i, weight in zip(self.seen(l, position), self.weights[l][k % units], strict=True):
                if i is not None:
                    delta[i] += e * weight
        r, a, theta = (config.of(name, l - 1) for name in ("threshold", "window", "confidence"))
        return [
            0 if abs(v) <= theta or abs(abs(s) - r) > a else 1 if v > 0 else -1
            for v, s in zip(delta, z, strict=True)
        ]

    def update_row(self, l: int, j: int, gradient: list[int]) -> None:
        config = self.config
        limit = 2 ** (config.of("counter_width", l) - 1) - 1
        shift, alpha = config.of("gate_shift", l), config.of("gradient_confidence", l)
        step = config.of("counter_increment", l)
        for start in range(0, len(gradient), config.rng_group):
            if self.draw(shift + 1) % 2**shift:
                continue
            self.written += 1
            for i in range(start, min(start + config.rng_group, len(gradient))):
                g = gradient[i]
                m = self.counters[l][j][i]
                m += step if g > alpha else -step if g < -alpha else 0
                old = self.weights[l][j][i]
                new = max(-1, min(1, old + (m > limit) - (m < -limit)))
                self.weights[l][j][i] = new
                self.counters[l][j][i] = 0 if new != old else max(-limit, min(limit, m))


PADDINGS: tuple[int | str, ...] = (-1, 0, 1, "none")


def random_config(rng: np.random.Generator, **fields: Any) -> TrainerConfig:
    """One or two convolutions, one or two dense layers, everything away from its default."""
    while True:
        height, width, channels = (int(n) for n in rng.integers(1, (7, 7, 25)))
        layers: list[Any] = [
            Conv(
                int(rng.integers(1, 6)),
                int(rng.choice([1, 3, 5])),
                int(rng.choice([1, 2, 3])),
                PADDINGS[rng.integers(4)],
            )
            for _ in range(rng.integers(1, 3))
        ]
        layers += [Dense(int(n)) for n in rng.integers(1, 6, rng.integers(0, 2))]
        layers.append(Dense(int(rng.integers(2, 5))))

        def draw(low: int, high: int, count: int = len(layers)) -> tuple[int, ...]:
            return tuple(rng.integers(low, high, count).tolist())

        options: dict[str, Any] = {
            "input_shape": (height, width, channels),
            "layers": tuple(layers),
            "margin": int(rng.integers(1, 40)),
            "threshold": draw(0, 4),
            "window": draw(1, 8),
            "offset": draw(-2, 3),
            "confidence": draw(0, 2),
            "gradient_confidence": draw(0, 2),
            "counter_width": draw(3, 6),
            "counter_increment": draw(1, 4),
            "gate_shift": int(rng.integers(0, 3)),
            "rng_group": int(rng.integers(1, 70)),
        }
        try:
            return TrainerConfig(**options | fields)
        except ParameterError:  # a pool that does not divide, or a kernel beyond the image
            continue


def random_samples(
    rng: np.random.Generator, config: TrainerConfig, count: int
) -> tuple[np.ndarray, np.ndarray]:
    return (
        rng.integers(-1, 2, (count, config.inputs)),
        rng.integers(0, config.classes, count),
    )


@pytest.mark.parametrize("seed", range(24))
def test_golden_equals_plain_loops_at_every_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    x, labels = random_samples(rng, config, 15)
    state = seed * 7919 % 65536 or 0xACE1
    for _ in range(64):
        state = (state >> 1) ^ (0xB400 if state & 1 else 0)
    loops = LoopTrainer(config, state)
    trainer, fast = Trainer(config, seed), CompiledTrainer(config, seed)
    for k in range(len(x)):
        for engine in (trainer, fast):
            assert [w.tolist() for w in engine.weights] == loops.weights, f"before sample {k}"
            assert [c.tolist() for c in engine.counters] == loops.counters, f"before sample {k}"
            assert (engine.lfsr_state, engine.groups_written) == (loops.state, loops.written)
            assert engine.resting == loops.resting
            engine.fit(x[k : k + 1], labels[k : k + 1])
        loops.sample(x[k].tolist(), int(labels[k]))
    assert [w.tolist() for w in trainer.weights] == loops.weights
    assert [w.tolist() for w in fast.weights] == loops.weights
    assert trainer.groups_drawn > 0


# Compiled


def assert_equal_state(first: Trainer, second: Trainer) -> None:
    one, two = first.state(), second.state()
    assert one.keys() == two.keys()
    for name in one:
        assert np.array_equal(one[name], two[name]), name
        assert one[name].dtype == two[name].dtype, name


@pytest.mark.parametrize("rule", ["counter", "ema_dst"])
@pytest.mark.parametrize("seed", range(8))
def test_compiled_equals_golden(seed: int, rule: str) -> None:
    """All state, counts included, over epochs whose settings change; predictions; resuming."""
    rng = np.random.default_rng([seed, len(rule)])
    fields: dict[str, Any] = {
        "rule": rule,
        "rng_group": 64 if rule == "ema_dst" else int(rng.integers(1, 70)),
        "probability_shift": 0,
        "schedule": ((1, "counter_increment", 1), (2, "gate_shift", 1), (2, "margin", 30)),
    }
    config = random_config(rng, **fields)
    x, labels = random_samples(rng, config, 70)
    plain, fast = Trainer(config, seed), CompiledTrainer(config, seed)
    for _ in range(3):
        state = fast.state()
        plain.fit(x, labels)
        fast.fit(x, labels)
        assert_equal_state(plain, fast)
    assert (plain.predict(x) == fast.predict(x)).all()
    assert plain.resting > 0
    resumed = Trainer(config, seed + 1)
    resumed.load_state(state)
    assert_equal_state(resumed.fit(x, labels), fast)


def test_compiled_equals_golden_on_shifted_digits() -> None:
    """Rows of more than a word of bits, and several words of lanes."""
    data = load_digits()
    store = SampleStore(
        data.train_pixels[:40], data.train_labels[:40], image=(8, 8), channel_last=True
    )
    config = TrainerConfig(
        input_shape=(8, 8, 3),
        layers=(Conv(33, padding=-1), Conv(70, pool=4), Dense(10)),
        threshold=(1, 3, 0),
        window=(4, 5, 0),
        offset=(1, 4, 0),
        counter_width=(9, 8, 3),
    )
    plain, fast = Trainer(config, 7), CompiledTrainer(config, 7)
    assert_equal_state(plain.fit_store(store, 2, shift=True), fast.fit_store(store, 2, shift=True))
    assert plain.sign_flips > 0
    x = store.epoch()
    assert (plain.predict(x) == fast.predict(x)).all()
    assert fast.predict(x.reshape(-1, 8, 8, 3)).shape == (40,)
    assert fast.predict(x[:0]).shape == plain.predict(x[:0]).shape == (0,)


def test_the_log_of_a_convolution_tells_every_word_that_changes() -> None:
    rng = np.random.default_rng(3)
    config = random_config(rng, gate_shift=0)
    x, labels = random_samples(rng, config, 20)
    recording = RecordingTrainer(config)
    weights = [w.copy() for w in recording.weights]
    counters = [c.copy() for c in recording.counters]
    words = 0
    for log in recording.record_epoch(x.astype(np.int8), labels, 4):
        for (l, row, word), w, c in zip(log.places, log.weights, log.counters, strict=True):
            end = min(4 * word + 4, config.shapes[l][1])
            weights[l][row, 4 * word : end] = w[: end - 4 * word]
            counters[l][row, 4 * word : end] = c[: end - 4 * word]
            words += 1
        for l in range(config.layer_count):
            assert (weights[l] == recording.weights[l]).all()
            assert (counters[l] == recording.counters[l]).all()
    assert words > 0


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "channels must be an integer from 1 to 65535, not 0"),
        ({"channels": 4, "kernel": 2}, "kernel must be odd, from 1 to 15, not 2"),
        ({"channels": 4, "kernel": 17}, "kernel must be an integer from 1 to 15, not 17"),
        ({"channels": 4, "pool": 0}, "pool must be an integer from 1 to 16, not 0"),
        ({"channels": 4, "padding": 2}, "padding must be -1, 0, 1 or 'none', not 2"),
        ({"channels": 4, "padding": "same"}, "padding must be -1, 0, 1 or 'none', not 'same'"),
        ({"channels": 4, "padding": None}, "padding must be -1, 0, 1 or 'none', not None"),
        ({"channels": 4, "padding": True}, "padding must be -1, 0, 1 or 'none', not True"),
    ],
)
def test_wrong_convolutions(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        Conv(**arguments)


def test_wrong_dense() -> None:
    with pytest.raises(ParameterError, match=r"^units must be an integer from 1 to 65535, not 0$"):
        Dense(0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_shape": None}, "input_shape must be (height, width, channels) where layers has"),
        ({"input_shape": (8, 8)}, "input_shape must be (height, width, channels), not (8, 8)"),
        ({"input_shape": (8, 0, 3)}, "input_shape[1] must be an integer from 1 to 256, not 0"),
        ({"layers": (Conv(4, pool=3), 10)}, "layers[0].pool must divide 8 and 8, the sides of"),
        ({"layers": (Conv(4), Conv(4, kernel=9, padding="none"), 10)},
         "layers[1].kernel must be at most 8 without padding, not 9"),
        ({"layers": (Conv(4), Dense(8), Conv(4), 10)}, "layers[2] must be Dense above a Dense,"),
        ({"layers": (Dense(8), 10)}, "layers[0] must be a Conv where input_shape is given,"),
        ({"layers": (192, 64, 10)}, "layers[0] must be a Conv where input_shape is given, not 192"),
        ({"layers": (Conv(4), Conv(10))}, "layers[1] must be a Dense of 2 or more units,"),
        ({"layers": (Conv(4), 1)}, "layers[1] must be a Dense of 2 or more units, not 1"),
        ({"layers": (Conv(4), "10")}, "layers[1] must be an integer from 1 to 65535, not '10'"),
        ({"layers": (Conv(4),)}, "layers must describe 2 to 8 layers where input_shape is given,"),
        ({"layers": (Conv(2000), 10)}, "layers[0] must have at most 65535 sums, not 128000"),
        ({"threshold": (1, 2, 3)}, "threshold must be one integer or 2 of them (one a layer),"),
        ({"loss": "squared_hinge"}, "loss must be 'crammer_singer' where layers has convolutions"),
        ({"counter_increment": 0}, "counter_increment must be an integer from 1 to 31, not 0"),
        ({"counter_increment": (1, 32)}, "counter_increment[1] must be an integer from 1 to 31,"),
        ({"schedule": ((1, "counter_increment", 99),)}, "schedule[0].value must be an integer"),
    ],
)  # fmt: skip
def test_wrong_networks(fields: dict[str, Any], message: str) -> None:
    options = {"input_shape": (8, 8, 3), "layers": (Conv(4), 10)} | fields
    with pytest.raises(ParameterError) as caught:
        TrainerConfig(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 18), "x must have shape (any, 12), not (1, 18)"),
        ((1, 2, 3, 2), None),
        ((1, 3, 2, 2), "x must have shape (any, 2, 3, 2), not (1, 3, 2, 2)"),
    ],
)
def test_samples_of_the_wrong_shape(shape: tuple[int, ...], message: str | None) -> None:
    trainer = Trainer(TrainerConfig(input_shape=(2, 3, 2), layers=(Conv(1), 2)))
    if message is None:
        assert trainer.predict(np.zeros(shape, int)).shape == (1,)
        return
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        trainer.fit(np.zeros(shape, int), [0])
