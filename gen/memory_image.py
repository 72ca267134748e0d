"""Samples, weights and counters as the bus words of a trainer, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..golden import trits
from ..golden.checks import DataError, integer_array
from ..rtl.trainer_plan import TrainerPlan

Words = NDArray[np.uint32]


def _to_words(elements: NDArray[np.int64], width: int) -> Words:
    """Elements [..., lanes] of ``width`` bits as one word [...], lane 0 lowest."""
    shifts = np.arange(elements.shape[-1]) * width
    masked = (elements & ((1 << width) - 1)).astype(np.uint64)
    return np.bitwise_or.reduce(masked << shifts.astype(np.uint64), axis=-1).astype(np.uint32)


def _from_words(words: ArrayLike, width: int, lanes: int) -> NDArray[np.int64]:
    """Words [...] as unsigned elements [..., lanes] of ``width`` bits."""
    shifts = np.arange(lanes) * width
    return (np.asarray(words, np.int64)[..., None] >> shifts) & ((1 << width) - 1)


class MemoryImage:
    """The bus words of a trainer's memories; an image is (offsets, words) within a region.

    Parameters
    ----------
    plan : TrainerPlan
    """

    def __init__(self, plan: TrainerPlan) -> None:
        self.plan = plan

    # Samples

    def store(self, pixels: ArrayLike, labels: ArrayLike) -> Words:
        """Words of the sample store, from offset 0.

        Raises DataError for pixels or labels outside their range, more samples than the store
        holds, an empty set.
        """
        plan = self.plan
        limit = (1 << plan.hardware.pixel_width) - 1
        values = integer_array("pixels", pixels, 0, limit, (None, plan.pixels))
        if not 1 <= len(values) <= plan.hardware.store_samples:
            raise DataError(
                f"samples must be from 1 to {plan.hardware.store_samples} (the store's size), "
                f"not {len(values)}"
            )
        classes = integer_array("labels", labels, 0, plan.layers[-1].units - 1, (len(values),))
        per_word = plan.pixels_per_word
        padded = np.zeros((len(values), (plan.record_words - 1) * per_word), np.int64)
        padded[:, : plan.pixels] = values
        packed = _to_words(padded.reshape(len(values), -1, per_word), plan.hardware.pixel_width)
        return np.concatenate([packed, classes[:, None].astype(np.uint32)], axis=1).reshape(-1)

    def prediction_offsets(self, samples: int) -> NDArray[np.int64]:
        """Store offsets of the words that hold the predictions of the first ``samples``."""
        return np.arange(1, samples + 1) * self.plan.record_words - 1

    @staticmethod
    def predictions(words: ArrayLike) -> NDArray[np.int64]:
        """Predicted classes from those words."""
        return np.asarray(words, np.int64) >> 16

    # Weights and counters

    def weights(self, weights: Sequence[ArrayLike]) -> tuple[NDArray[np.int64], Words]:
        """Offsets and words of the weight region; raises DataError for a wrong shape or trit."""
        codes = [trits.to_code(w).astype(np.int64) for w in self._checked("weights", weights, 1)]
        return self._image(codes, self.plan.weight_chunk, 2, self.plan.hardware.lanes)

    def counters(self, counters: Sequence[ArrayLike]) -> tuple[NDArray[np.int64], Words]:
        """Offsets and words of the counter region; raises DataError for a wrong shape or value."""
        plan = self.plan
        limits = [plan.config.counter_limit(l) for l in range(len(plan.layers))]
        checked = self._checked("counters", counters, *limits)
        return self._image(
            checked, plan.counter_chunk, plan.counter_width, plan.hardware.counter_lanes
        )

    def weights_from(self, words: ArrayLike) -> list[NDArray[np.int8]]:
        """Weights from every word of the region, in the order of ``weight_offsets``."""
        chunks = _from_words(words, 2, self.plan.weight_chunk)
        return [trits.from_code(layer) for layer in self._layers(chunks)]

    def counters_from(self, words: ArrayLike) -> list[NDArray[np.int64]]:
        """Counters from every word of the region, in the order of ``counter_offsets``."""
        width = self.plan.counter_width
        chunks = _from_words(words, width, self.plan.counter_chunk)
        return [layer - ((layer >> (width - 1)) << width) for layer in self._layers(chunks)]

    def weight_offsets(self) -> NDArray[np.int64]:
        """Offsets of every word of the weight region."""
        return self._offsets(self.plan.weight_chunk, self.plan.hardware.lanes)

    def counter_offsets(self) -> NDArray[np.int64]:
        """Offsets of every word of the counter region."""
        return self._offsets(self.plan.counter_chunk, self.plan.hardware.counter_lanes)

    def _checked(
        self, name: str, arrays: Sequence[ArrayLike], *limits: int
    ) -> list[NDArray[np.int64]]:
        shapes = self.plan.config.shapes
        if len(arrays) != len(shapes):
            raise DataError(f"{name} must be {len(shapes)} arrays, not {len(arrays)}")
        limits = limits if len(limits) == len(shapes) else limits * len(shapes)
        return [
            integer_array(f"{name}[{l}]", array, -limits[l], limits[l], shapes[l])
            for l, array in enumerate(arrays)
        ]

    def _offsets(self, chunk: int, word_lanes: int) -> NDArray[np.int64]:
        """Offsets in order of bank word, bank, part of the word, chunk of the part."""
        hardware = self.plan.hardware
        words = self.plan.weight_depth * hardware.rows * (hardware.lanes // word_lanes)
        chunks = word_lanes // chunk
        chunk_bits = (chunks - 1).bit_length()
        grid = (np.arange(words)[:, None] << chunk_bits) | np.arange(chunks)
        return grid.reshape(-1)

    def _image(
        self, layers: Sequence[NDArray[np.int64]], chunk: int, width: int, word_lanes: int
    ) -> tuple[NDArray[np.int64], Words]:
        hardware = self.plan.hardware
        banks = np.zeros((self.plan.weight_depth, hardware.rows, hardware.lanes), np.int64)
        for plan, layer in zip(self.plan.layers, layers, strict=True):
            rows = np.zeros(
                (plan.row_groups * hardware.rows, plan.words * hardware.lanes), np.int64
            )
            rows[: plan.units, : plan.inputs] = layer
            block = rows.reshape(plan.row_groups, hardware.rows, plan.words, hardware.lanes)
            end = plan.weight_base + plan.row_groups * plan.words
            banks[plan.weight_base : end] = block.transpose(0, 2, 1, 3).reshape(
                -1, hardware.rows, hardware.lanes
            )
        return self._offsets(chunk, word_lanes), _to_words(banks.reshape(-1, chunk), width)

    def _layers(self, chunks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        hardware = self.plan.hardware
        banks = chunks.reshape(self.plan.weight_depth, hardware.rows, hardware.lanes)
        layers = []
        for plan in self.plan.layers:
            end = plan.weight_base + plan.row_groups * plan.words
            block = banks[plan.weight_base : end].reshape(
                plan.row_groups, plan.words, hardware.rows, hardware.lanes
            )
            rows = block.transpose(0, 2, 1, 3).reshape(plan.row_groups * hardware.rows, -1)
            layers.append(rows[: plan.units, : plan.inputs].copy())
        return layers
