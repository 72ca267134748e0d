"""What a training run writes: each word of weights and counters that an update touches, in order.

``RecordingTrainer`` is the specification; ``compiled.CompiledTrainer.record_epoch`` equals it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .trainer import Sums, Trainer, Trits


class WriteLog(NamedTuple):
    """The words that samples in succession write, each as the update leaves it.

    A word is ``lanes`` weights of a row; one is written where the gate of a group in it is open.
    Rows end inside their last word: the lanes beyond are zero.

    Attributes
    ----------
    bounds : int64 array [samples + 1]
        Sample k writes the words from bounds[k] to bounds[k + 1].
    places : int64 array [words, 3]
        Layer, row and word within the row.
    weights : int8 array [words, lanes]
    counters : int16 array [words, lanes]
    """

    bounds: NDArray[np.int64]
    places: NDArray[np.int64]
    weights: NDArray[np.int8]
    counters: NDArray[np.int16]


def words_of_sample(shapes: tuple[tuple[int, int], ...], lanes: int) -> int:
    """Words of all layers: the most that a sample writes."""
    return sum(n_out * -(-n_in // lanes) for n_out, n_in in shapes)


class RecordingTrainer(Trainer):
    """``Trainer`` that can tell what it writes; parameters, attributes and results are the same."""

    def record_epoch(
        self, samples: Trits, labels: NDArray[np.int64], lanes: int
    ) -> Iterator[WriteLog]:
        """Train on checked samples, once and in order, as the logs are taken.

        Each log is of some samples, and the trainer then is in the state after the last of them.
        """
        self._lanes = lanes
        for sample, label in zip(samples, labels, strict=True):
            self._places: list[tuple[int, int, int]] = []
            self._words: list[tuple[Trits, Trits]] = []
            self.train_sample(sample, int(label))
            weights, counters = zip(*self._words, strict=True) if self._words else ((), ())
            yield WriteLog(
                np.array([0, len(self._words)]),
                np.array(self._places, np.int64).reshape(-1, 3),
                np.array(weights, np.int8).reshape(-1, lanes),
                np.array(counters, np.int16).reshape(-1, lanes),
            )
        self._lanes = 0

    _lanes = 0

    def update(self, layer: int, error: Sums, x: Trits) -> None:
        self._opened: list[tuple[int, int]] = []
        super().update(layer, error, x)
        lanes, inputs = self._lanes, self.config.shapes[layer][1]
        if not lanes:
            return
        words: dict[tuple[int, int], None] = {}
        for row, start in self._opened:
            end = min(start + self.config.rng_group, inputs)
            words |= {(row, word): None for word in range(start // lanes, -(-end // lanes))}
        for row, word in words:
            part = slice(word * lanes, min((word + 1) * lanes, inputs))
            beyond = lanes - (part.stop - part.start)
            self._places.append((layer, row, word))
            self._words.append(
                (
                    np.pad(self.weights[layer][row, part], (0, beyond)),
                    np.pad(self.counters[layer][row, part], (0, beyond)),
                )
            )

    def step_group(self, layer: int, row: int, lanes: slice, gradient: Sums) -> None:
        self._opened.append((row, lanes.start))
        super().step_group(layer, row, lanes, gradient)
