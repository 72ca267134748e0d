"""The online training rule of the golden trainer: the digest on real digits, and each step by hand.

The hand-sized cases set weights and counters, train on one sample and look at what changed. Where
the gate matters the LFSR is stepped here, by its definition.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from trisign.gen import data
from trisign.golden.checks import DataError, ParameterError
from trisign.golden.encoding import encode
from trisign.golden.trainer import Trainer, TrainerConfig


def digest(array: np.ndarray) -> str:
    assert array.dtype == np.int8
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def test_first_digest_on_real_digits() -> None:
    """Dense 192-64-10, defaults, M 16: the first 300 training digits, seed 1, one pass."""
    digits = data.load_digits()
    assert digits.train_pixels.shape == (1437, 64)
    assert digits.test_pixels.shape == (360, 64)
    assert digits.train_pixels.max() == 15
    config = TrainerConfig(layers=(192, 64, 10), margin=16)
    trainer = Trainer(config, seed=1)
    trainer.fit(encode(digits.train_pixels[:300]), digits.train_labels[:300])
    assert [digest(w) for w in trainer.weights] == ["9460995e2cdb2455", "f4d80f14483bf2b8"]
    assert [digest(c) for c in trainer.counters] == ["77642fc8d1e39c00", "90f2555730aaaebf"]
    assert trainer.groups_written == 14330
    assert trainer.lfsr_state == 10317


def build(
    layers: Sequence[int], *weights: Any, counters: Sequence[Any] = (), seed: int = 1, **fields: Any
) -> Trainer:
    """A trainer with given weights; no group skip unless asked for."""
    options: dict[str, Any] = {"margin": 1, "threshold": 0, "window": 1023, "gate_shift": 0}
    trainer = Trainer(TrainerConfig(layers=tuple(layers), **(options | fields)), seed=seed)
    for layer, rows in enumerate(weights):
        trainer.weights[layer][:] = rows
    for layer, rows in enumerate(counters):
        trainer.counters[layer][:] = rows
    return trainer


def lfsr_after(state: int, steps: int) -> int:
    for _ in range(steps):
        state = (state >> 1) ^ (0xB400 if state & 1 else 0)
    return state


# Initialisation


def test_initial_weights_take_the_third_of_three_states_each() -> None:
    trainer = Trainer(TrainerConfig(layers=(5, 3, 2)), seed=3)
    state = lfsr_after(3 * 7919, 64)
    for shape, weights in zip([(3, 5), (2, 3)], trainer.weights, strict=True):
        assert weights.shape == shape
        assert weights.dtype == np.int8
        for value in weights.flat:  # rows, then columns
            state = lfsr_after(state, 3)
            assert value == (-1, 0, 1, 0)[state % 4]
    assert trainer.lfsr_state == state
    assert [c.shape for c in trainer.counters] == [(3, 5), (2, 3)]
    assert not any(c.any() for c in trainer.counters)
    assert (trainer.groups_written, trainer.samples_active) == (0, 0)


# Forward and prediction


@pytest.mark.parametrize(
    ("threshold", "offset", "expected"),
    [
        # y = (0, h, −h), so the class tells h: 0, 1 and 2 for 0, +1 and −1. z = Σx − b for
        # Σx = −3, −2, −1, 0, 1, 2, 3.
        (0, 0, [2, 2, 2, 0, 1, 1, 1]),
        (1, 0, [2, 2, 0, 0, 0, 1, 1]),
        (2, 0, [2, 0, 0, 0, 0, 0, 1]),
        (3, 0, [0, 0, 0, 0, 0, 0, 0]),
        (1, 1, [2, 2, 2, 0, 0, 0, 1]),
        (1, -2, [0, 0, 0, 1, 1, 1, 1]),
    ],
)
def test_activation_is_strict_and_offset_is_subtracted(
    threshold: int, offset: int, expected: list[int]
) -> None:
    x = [[-1, -1, -1], [-1, -1, 0], [-1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    trainer = build(
        (3, 1, 3), [[1, 1, 1]], [[0], [1], [-1]], threshold=threshold, offset=(offset, 0)
    )
    assert trainer.predict(x).tolist() == expected


def test_prediction_takes_the_lowest_index_on_ties() -> None:
    trainer = build((2, 4), [[0, 0], [1, 0], [1, 0], [1, -1]])
    # y = (0, 1, 1, 2), (0, 1, 1, 1), (0, 0, 0, 0), (0, −1, −1, −1)
    x = [[1, -1], [1, 0], [0, 0], [-1, 0]]
    assert trainer.predict(x).tolist() == [3, 1, 0, 0]


# Loss


@pytest.mark.parametrize(("label", "rival"), [(0, 1), (1, 0), (2, 0), (3, 0)])
def test_rival_is_the_lowest_index_of_the_largest_other_sums(label: int, rival: int) -> None:
    """All sums are equal: the label's row gets +x, the first other row −x, the rest nothing."""
    trainer = build((2, 4), np.zeros((4, 2)))
    trainer.fit([[1, -1]], [label])
    expected = np.zeros((4, 2), int)
    expected[label], expected[rival] = [1, -1], [-1, 1]
    assert trainer.counters[0].tolist() == expected.tolist()


def test_rival_is_the_largest_sum_even_above_the_label() -> None:
    # y = (1, −1, 3, 2): for label 0 the rival is 2
    trainer = build((3, 4), [[1, 0, 0], [-1, 0, 0], [1, 1, 1], [1, 1, 0]])
    trainer.fit([[1, 1, 1]], [0])
    assert trainer.counters[0].tolist() == [[1, 1, 1], [0, 0, 0], [-1, -1, -1], [0, 0, 0]]


@pytest.mark.parametrize(("margin", "active"), [(2, False), (3, False), (4, True)])
def test_sample_is_done_where_the_margin_is_met(margin: int, active: bool) -> None:
    """y = (2, −1): the lead of 3 meets margins up to 3; a done sample changes and draws nothing."""
    trainer = build((3, 2), [[1, 1, 0], [0, 0, -1]], margin=margin)
    before = trainer.lfsr_state
    trainer.fit([[1, 1, 1]], [0])
    assert trainer.samples_active == active
    assert trainer.counters[0].any() == active
    assert trainer.groups_written == 2 * active
    assert (trainer.lfsr_state != before) == active


# Update


@pytest.mark.parametrize(
    ("weight", "counter", "trit", "after"),
    [
        # F = 3, Q = 3, the label's row (d = +1): weight, counter, x → weight, counter
        (0, 0, 1, (0, 1)),
        (0, 2, 1, (0, 3)),  # |m| = Q does not step
        (0, 3, 1, (1, 0)),  # m = 4 steps up and starts again
        (-1, 3, 1, (0, 0)),
        (1, 3, 1, (1, 3)),  # clipped: unchanged, so the counter stays at +Q
        (0, -2, -1, (0, -3)),
        (0, -3, -1, (-1, 0)),
        (1, -3, -1, (0, 0)),
        (-1, -3, -1, (-1, -3)),
        (0, 3, 0, (0, 3)),  # no input, no gradient
        (1, -3, 0, (1, -3)),
        (0, 3, -1, (0, 2)),
    ],
)
def test_counter_and_weight(weight: int, counter: int, trit: int, after: tuple[int, int]) -> None:
    trainer = build(
        (1, 2), [[weight], [weight]], counters=[[[counter], [-counter]]], counter_width=3, margin=9
    )
    trainer.fit([[trit]], [0])
    assert (trainer.weights[0][0, 0], trainer.counters[0][0, 0]) == after


@pytest.mark.parametrize(
    ("weight", "counter", "trit", "after"),
    [(0, -3, 1, (-1, 0)), (1, -3, 1, (0, 0)), (-1, -3, 1, (-1, -3)), (0, 0, -1, (0, 1))],
)
def test_rival_row_moves_the_other_way(
    weight: int, counter: int, trit: int, after: tuple[int, int]
) -> None:
    trainer = build((1, 2), [[0], [weight]], counters=[[[0], [counter]]], counter_width=3, margin=9)
    trainer.fit([[trit]], [0])
    assert (trainer.weights[0][1, 0], trainer.counters[0][1, 0]) == after


@pytest.mark.parametrize("width", [3, 6, 8, 9])
def test_counter_width_sets_the_limit(width: int) -> None:
    """From zero, Q gradients fill the counter and the next one steps the weight."""
    limit = 2 ** (width - 1) - 1
    trainer = build((1, 2), [[0], [0]], counter_width=width, margin=9)
    trainer.fit([[1]], [0], epochs=limit)
    assert trainer.counters[0].tolist() == [[limit], [-limit]]
    assert trainer.weights[0].tolist() == [[0], [0]]
    trainer.fit([[1]], [0])
    assert trainer.counters[0].tolist() == [[0], [0]]
    assert trainer.weights[0].tolist() == [[1], [-1]]


def test_rows_without_an_error_draw_nothing() -> None:
    """Of five rows of three groups only the label's and the rival's draw: 2·3 draws of one step."""
    trainer = build((7, 5), np.zeros((5, 7)), rng_group=3)
    before = trainer.lfsr_state
    trainer.fit(np.ones((1, 7), int), [4])
    assert trainer.lfsr_state == lfsr_after(before, 6)
    assert trainer.groups_written == 6
    assert trainer.counters[0][:, 0].tolist() == [-1, 0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_skipped_groups_keep_their_memory(shift: int, seed: int) -> None:
    """s + 1 steps a group, rows and groups ascending; any of the low s bits set skips the group."""
    trainer = build((10, 3), np.zeros((3, 10)), gate_shift=shift, rng_group=4, seed=seed)
    state = trainer.lfsr_state
    expected = np.zeros((3, 10), int)
    written = 0
    for row, d in ((0, -1), (2, 1)):  # label 2: rival 0, row 1 has no error
        for lanes in (slice(0, 4), slice(4, 8), slice(8, 10)):
            state = lfsr_after(state, shift + 1)
            if state % 2**shift == 0:
                expected[row, lanes] = d
                written += 1
    trainer.fit(np.ones((1, 10), int), [2])
    assert trainer.counters[0].tolist() == expected.tolist()
    assert trainer.groups_written == written
    assert trainer.lfsr_state == state


# Error below

HIDDEN = [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0], [-1, -1, 0], [-1, -1, -1]]
SUMS = [3, 2, 1, 0, -2, -3]  # of x = (1, 1, 1)


@pytest.mark.parametrize(
    ("threshold", "window", "open_sums"),
    [
        # ||z| − r| ≤ a
        (0, 0, {0}),
        (0, 1, {0, 1}),
        (2, 0, {2, -2}),
        (2, 1, {1, 2, 3, -2, -3}),
        (3, 1, {2, 3, -2, -3}),
        (1, 1, {0, 1, 2, -2}),
        (9, 5, set()),
        (9, 6, {3, -3}),
    ],
)
def test_window_opens_around_the_threshold(
    threshold: int, window: int, open_sums: set[int]
) -> None:
    trainer = build(
        (3, 6, 2), HIDDEN, [[1] * 6, [-1] * 6], threshold=threshold, window=window, margin=99
    )
    trainer.fit([[1, 1, 1]], [0])
    moved = [z for z, row in zip(SUMS, trainer.counters[0], strict=True) if row.any()]
    assert moved == [z for z in SUMS if z in open_sums]
    assert all(row.tolist() == [1, 1, 1] for row in trainer.counters[0] if row.any())


def test_window_and_threshold_see_the_sum_after_the_offset() -> None:
    """z = Σ − 2 = 1, 0, −1, −2, −4, −5: with r = 0 and a = 1 the first three are open."""
    trainer = build((3, 6, 2), HIDDEN, [[1] * 6, [-1] * 6], window=1, offset=(2, 0), margin=99)
    trainer.fit([[1, 1, 1]], [0])
    assert [row.any() for row in trainer.counters[0]] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("confidence", "errors"),
    [(0, [1, 1, 0, -1, -1]), (1, [1, 0, 0, 0, -1]), (2, [0, 0, 0, 0, 0])],
)
def test_confidence_is_strict(confidence: int, errors: list[int]) -> None:
    """δ = W[label] − W[rival] = 2, 1, 0, −1, −2; it passes where |δ| > θ."""
    output = [[1, 1, 1, 0, -1], [-1, 0, 1, 1, 1]]
    trainer = build(
        (1, 5, 2), np.zeros((5, 1)), output, confidence=(confidence, 0), margin=99, rng_group=1
    )
    before = trainer.lfsr_state
    trainer.fit([[1]], [0])
    assert trainer.counters[0][:, 0].tolist() == errors
    assert trainer.lfsr_state == lfsr_after(before, 10 + sum(map(abs, errors)))


def test_error_below_uses_the_weights_before_their_update() -> None:
    """W₂ = 0 steps to ±1 with this very sample; δ must still be 0 and the hidden row untouched."""
    trainer = build(
        (1, 1, 2), [[1]], [[0], [0]], counters=[[[0]], [[3], [-3]]], counter_width=3, margin=9
    )
    trainer.fit([[1]], [0])
    assert trainer.weights[1].tolist() == [[1], [-1]]
    assert trainer.counters[0].tolist() == [[0]]
    trainer.fit([[1]], [0])
    assert trainer.counters[0].tolist() == [[1]]


def test_layers_draw_from_the_top_down() -> None:
    """The two output rows draw before the hidden rows do."""
    trainer = build((1, 2, 2), [[1], [1]], [[1, 1], [-1, -1]], gate_shift=1, margin=99, seed=5)
    state = trainer.lfsr_state
    opened = []
    for _ in range(4):
        state = lfsr_after(state, 2)
        opened.append(state % 2 == 0)
    assert opened[:2] != opened[2:]  # otherwise the order could not be told
    trainer.fit([[1]], [0])
    moved = [bool(row.any()) for layer in (1, 0) for row in trainer.counters[layer]]
    assert moved == opened


# Data


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        ([[0, 1]], [0], "x must have shape (any, 3), not (1, 2)"),
        ([[0, 1, 2]], [0], "x[0][2] must be from -1 to 1, not 2"),
        ([[0, 1, 1]], [2], "labels[0] must be from 0 to 1, not 2"),
        ([[0, 1, 1]], [-1], "labels[0] must be from 0 to 1, not -1"),
        ([[0, 1, 1]], [0, 1], "labels must have shape (1), not (2,)"),
        (np.zeros((0, 3), int), np.zeros(0, int), "x must hold at least one sample, not 0"),
        ([[0.0, 1.0, 1.0]], [0], "x must be an integer array, not float64"),
    ],
)
def test_wrong_samples_change_nothing(x: Any, labels: Any, message: str) -> None:
    trainer = Trainer(TrainerConfig(layers=(3, 2)))
    weights, state = trainer.weights[0].copy(), trainer.lfsr_state
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        trainer.fit(x, labels)
    assert (trainer.weights[0] == weights).all()
    assert not trainer.counters[0].any()
    assert trainer.lfsr_state == state


def test_wrong_epochs() -> None:
    with pytest.raises(ParameterError, match=r"^epochs must be an integer from 0 to "):
        Trainer(TrainerConfig(layers=(3, 2))).fit([[0, 1, 1]], [0], epochs=-1)
