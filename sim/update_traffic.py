"""Rows for the update engine: made, cut into words, and compared with golden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..golden.trits import from_code, to_code
from ..golden.update_engine import UpdateEngine, UpdateParameters
from ..golden.update_rules import gradient_range, momentum_range, weight_range
from ..rtl.update_engine import groups_per_word, input_layout, output_layout
from .functional_coverage import update_crosses
from .payload import Payload
from .scoreboard import compare

ROW_LANES_MAX = 300


def decode_trits(codes: ArrayLike) -> NDArray[np.int64]:
    return from_code(codes).astype(np.int64)


class Row(NamedTuple):
    """A row as numbers, and as raw codes where those are to be illegal."""

    gradient: NDArray[np.int64]
    momentum: NDArray[np.int64]
    weight: NDArray[np.int64]
    gradient_code: NDArray[np.int64] | None = None
    weight_code: NDArray[np.int64] | None = None


class UpdateTraffic:
    """Rows of an engine with ``parameters``, and their words."""

    def __init__(self, parameters: UpdateParameters) -> None:
        self.parameters = parameters
        self.input = Payload(input_layout(parameters))
        self.output = Payload(output_layout(parameters))
        self.rng = np.random.default_rng(11)

    def random_row(self, rng: np.random.Generator, length: int) -> Row:
        """Values over the whole range, a third of them at or beside an end or zero."""
        p = self.parameters
        columns = []
        for low, high in (gradient_range(p), momentum_range(p), weight_range(p)):
            special = np.clip([low, low + 1, -1, 0, 1, high - 1, high], low, high)
            values = rng.integers(low, high + 1, length)
            columns.append(
                np.where(rng.random(length) < 1 / 3, rng.choice(special, length), values)
            )
        return Row(*columns)

    def random_rows(self, rng: np.random.Generator, count: int) -> list[Row]:
        """Rows of random lengths, among them single lanes, whole words and whole groups."""
        p = self.parameters
        lengths = [1, p.lanes, p.lanes + 1, p.rng_group, max(1, p.rng_group - 1), 2 * p.rng_group]
        limit = max(ROW_LANES_MAX, 2 * p.rng_group)
        rows = []
        for _ in range(count):
            random_length = rng.integers(1, limit + 1)
            length = rng.choice(lengths) if rng.random() < 1 / 2 else random_length
            rows.append(self.random_row(rng, int(length)))
        return rows

    def words(
        self, rows: Sequence[Row], golden: UpdateEngine
    ) -> tuple[list[int], list[dict[str, Any]]]:
        """Payloads to send for ``rows``, and the records that ``golden`` makes of them.

        What they meet of ``functional_coverage`` is in ``met``.
        """
        self.met: Counter[str] = Counter()
        payloads: list[int] = []
        records: list[dict[str, Any]] = []
        p = self.parameters
        for row in rows:
            result = golden.process_row(row.gradient, row.momentum, row.weight)
            self.met += update_crosses(p, *row[:3], result.weight, result.written, golden.threshold)
            gradient: NDArray[Any] = row.gradient
            weight: NDArray[Any] = row.weight
            if row.gradient_code is not None:
                gradient = row.gradient_code
            if p.has_trit_weights:
                weight = row.weight_code if row.weight_code is not None else to_code(weight)
            new_weight = to_code(result.weight) if p.has_trit_weights else result.weight
            for start in range(0, len(gradient), p.lanes):
                last = start + p.lanes >= len(gradient)
                end = len(gradient) - 1 - start if last else int(self.rng.integers(p.lanes))
                values: dict[str, ArrayLike] = {
                    "grad": self._word(gradient, start),
                    "momentum": self._word(row.momentum, start),
                    "weight": self._word(weight, start),
                    "end": end,
                    "last": last,
                }
                record = {
                    "momentum": self._word(result.momentum, start),
                    "weight": self._word(new_weight, start),
                    "write": self._write(result.written, start),
                    "last": int(last),
                }
                if not p.momentum_width:
                    del values["momentum"], record["momentum"]
                payloads.append(self.input.pack(**values))
                records.append(record)
        return payloads, records

    def compare(
        self,
        words: Sequence[int],
        expected: Sequence[dict[str, Any]],
        received: Sequence[int],
        cycles: Sequence[int],
    ) -> None:
        """Golden records against received payloads; raises AssertionError on a difference."""

        def inputs(index: int) -> dict[str, Any]:
            return {
                name: np.asarray(v).tolist() for name, v in self.input.unpack(words[index]).items()
            }

        actual = [self.output.unpack(word) for word in received]
        compare(expected, actual, cycles=cycles, inputs=inputs, what="o")

    def _word(self, lanes: NDArray[Any], start: int) -> NDArray[np.int64]:
        """Lanes of the word at ``start``, zeros past the end of the row."""
        word = np.zeros(self.parameters.lanes, np.int64)
        present = lanes[start : start + len(word)]
        word[: len(present)] = present
        return word

    def _write(self, written: NDArray[np.bool_], start: int) -> int:
        """The ``write`` bits of the word at ``start``."""
        lanes = self._word(written.astype(np.int64), start)
        groups = groups_per_word(self.parameters)
        spacing = self.parameters.rng_group if groups > 1 else 0
        return sum(int(lanes[g * spacing]) << g for g in range(groups))
