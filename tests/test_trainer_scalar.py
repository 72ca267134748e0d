"""The golden trainer against a second one written with plain integers, straight from the rule.

Random small networks with one to four layers and every per-layer parameter away from its default.
"""

from __future__ import annotations

import numpy as np
import pytest

from trisign.golden.trainer import Trainer, TrainerConfig


class ScalarTrainer:
    """One weight at a time; lists only. ``limit`` and the rest hold one value a layer."""

    def __init__(self, config: TrainerConfig, state: int) -> None:
        self.config = config
        self.state = state
        self.weights: list[list[list[int]]] = []
        for n_out, n_in in zip(config.layers[1:], config.layers, strict=False):
            self.weights.append([[self.first() for _ in range(n_in)] for _ in range(n_out)])
        self.counters = [[[0] * len(row) for row in w] for w in self.weights]
        self.written = 0
        self.resting = 0

    def draw(self, steps: int) -> int:
        for _ in range(steps):
            bit = self.state & 1
            self.state >>= 1
            if bit:
                self.state ^= 0xB400
        return self.state

    def first(self) -> int:
        return (-1, 0, 1, 0)[self.draw(3) % 4]

    def per_layer(self, name: str, layer: int) -> int:
        value = getattr(self.config, name)
        return value[layer] if isinstance(value, tuple) else value

    def sample(self, x: list[int], label: int) -> None:
        h, z = [x], []
        for l, w in enumerate(self.weights):
            offset, r = self.per_layer("offset", l), self.per_layer("threshold", l)
            products = [[a * b for a, b in zip(row, h[l], strict=True)] for row in w]
            self.resting += sum(row.count(0) for row in products)
            z.append([sum(row) - offset for row in products])
            h.append([1 if s > r else -1 if s < -r else 0 for s in z[l]])
        y = z[-1]
        rival = -1
        for j in range(len(y)):
            if j != label and (rival < 0 or y[j] > y[rival]):
                rival = j
        if y[label] - y[rival] >= self.config.margin:
            return
        d = [1 if j == label else -1 if j == rival else 0 for j in range(len(y))]
        for l in reversed(range(len(self.weights))):
            below = self.errors_below(l, d, z[l - 1]) if l else []
            for j, dj in enumerate(d):
                if dj:
                    self.update_row(l, j, [dj * a for a in h[l]])
            d = below

    def errors_below(self, l: int, d: list[int], z: list[int]) -> list[int]:
        r, a = self.per_layer("threshold", l - 1), self.per_layer("window", l - 1)
        theta = self.per_layer("confidence", l - 1)
        errors = []
        for i, s in enumerate(z):
            delta = sum(dj * row[i] for dj, row in zip(d, self.weights[l], strict=True))
            passes = abs(delta) > theta and abs(abs(s) - r) <= a
            errors.append((delta > 0) - (delta < 0) if passes else 0)
        return errors

    def update_row(self, l: int, j: int, gradient: list[int]) -> None:
        limit = 2 ** (self.per_layer("counter_width", l) - 1) - 1
        shift = self.per_layer("gate_shift", l)
        group = self.config.rng_group
        for start in range(0, len(gradient), group):
            if self.draw(shift + 1) % 2**shift:
                continue
            self.written += 1
            for i in range(start, min(start + group, len(gradient))):
                m = self.counters[l][j][i] + gradient[i]
                old = self.weights[l][j][i]
                new = max(-1, min(1, old + (m > limit) - (m < -limit)))
                self.weights[l][j][i] = new
                self.counters[l][j][i] = 0 if new != old else max(-limit, min(limit, m))


@pytest.mark.parametrize("seed", range(12))
def test_golden_equals_plain_integers_at_every_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 1 + seed % 4
    layers = (*rng.integers(1, 24, count).tolist(), int(rng.integers(2, 6)))

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.integers(low, high, count).tolist())

    config = TrainerConfig(
        layers=layers,
        margin=int(rng.integers(1, 12)),
        threshold=draw(0, 4),
        window=draw(1, 5),
        offset=draw(-2, 3),
        confidence=draw(0, 2),
        counter_width=draw(3, 6),
        gate_shift=int(rng.integers(0, 3)),
        rng_group=int(rng.integers(1, 12)),
    )
    trainer = Trainer(config, seed=seed)
    x = rng.integers(-1, 2, (200, layers[0]))
    labels = rng.integers(0, layers[-1], 200)

    state = seed * 7919 % 65536 or 0xACE1
    for _ in range(64):
        state = (state >> 1) ^ (0xB400 if state & 1 else 0)
    scalar = ScalarTrainer(config, state)
    for k in range(200):
        assert [w.tolist() for w in trainer.weights] == scalar.weights, f"before sample {k}"
        assert [c.tolist() for c in trainer.counters] == scalar.counters, f"before sample {k}"
        assert (trainer.lfsr_state, trainer.groups_written) == (scalar.state, scalar.written)
        assert trainer.resting == scalar.resting
        trainer.fit(x[k : k + 1], labels[k : k + 1])
        scalar.sample(x[k].tolist(), int(labels[k]))
    assert [w.tolist() for w in trainer.weights] == scalar.weights
    assert scalar.written > 0
