"""The trainer compiled: the same bits as ``trainer.Trainer``, hundreds of times faster.

Plain loops over the same integers, translated by Numba. Numba is optional: ``fast_trainer`` falls
back to the NumPy trainer where it is missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import TrisignError
from .precision_controller import PrecisionState
from .trainer import Trainer, Trits
from .trainer_config import TrainerConfig
from .write_log import RecordingTrainer, WriteLog, words_of_sample

try:
    from . import compiled_convolution
    from . import compiled_kernel as kernel
except ImportError:  # no Numba
    kernel = None  # type: ignore[assignment]

COUNTS = (
    "samples_seen",
    "samples_active",
    "correct",
    "groups_drawn",
    "groups_written",
    "sign_flips",
    "resting",
)
# Samples are logged in blocks of about this size; a lane takes a weight and a counter.
LOG_BYTES = 8 << 20
LOGGED_BYTES = 3


def fast_trainer(config: TrainerConfig, seed: int = 1) -> Trainer:
    """The fastest trainer there is: compiled, or with a warning NumPy where Numba is missing."""
    if kernel is None:
        warnings.warn("numba is missing: training with NumPy, which takes far longer", stacklevel=2)
        return Trainer(config, seed)
    return CompiledTrainer(config, seed)


def recording_trainer(config: TrainerConfig, seed: int = 1) -> RecordingTrainer:
    """The fastest trainer there is that has ``record_epoch``."""
    return RecordingTrainer(config, seed) if kernel is None else CompiledTrainer(config, seed)


class CompiledTrainer(RecordingTrainer):
    """``Trainer`` whose epochs run compiled; parameters, attributes and results are the same.

    The first epoch in a new environment compiles for some seconds; the result is cached on disk.
    ``train_sample`` stays NumPy.

    Raises
    ------
    TrisignError
        Numba is not installed.
    """

    def __init__(self, config: TrainerConfig, seed: int = 1) -> None:
        if kernel is None:
            raise TrisignError(
                "numba must be installed for the compiled trainer: pip install numba"
            )
        super().__init__(config, seed)

    def train_epoch(self, samples: Trits, labels: NDArray[np.int64]) -> None:
        """Train on checked samples, once and in order."""
        if self.config.convolves:
            self._train_convolution(samples, labels)
            return
        for _ in self._in_blocks(samples, labels, len(samples), 0):
            pass

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """Class of each row of ``x``: the largest sum, the lowest index on ties."""
        if self.config.convolves:
            return compiled_convolution.predict(self, self.check_trits(x))
        return super().predict(x)

    def record_epoch(
        self, samples: Trits, labels: NDArray[np.int64], lanes: int
    ) -> Iterator[WriteLog]:
        """Train on checked samples, once and in order, as the logs are taken.

        Each log is of some samples, and the trainer then is in the state after the last of them.
        """
        if self.config.convolves:
            return super().record_epoch(samples, labels, lanes)
        size = words_of_sample(self.config.shapes, lanes) * lanes * LOGGED_BYTES
        return self._in_blocks(samples, labels, max(1, LOG_BYTES // size), lanes)

    def _in_blocks(
        self, samples: Trits, labels: NDArray[np.int64], block: int, lanes: int
    ) -> Iterator[WriteLog]:
        weights = np.concatenate([w.ravel() for w in self.weights])
        counters = np.concatenate([c.ravel() for c in self.counters]).astype(np.int16)
        generators = np.array([self.lfsr.state, self.xorshift.state], np.int64)
        controllers, layers, settings = self._controllers(), self._layers(), self._settings()
        for first in range(0, len(samples), block):
            part = slice(first, first + block)
            counts = np.zeros(len(COUNTS), np.int64)
            log = self._log(lanes, len(samples[part]))
            kernel.train(
                np.ascontiguousarray(samples[part]),
                labels[part],
                layers,
                settings,
                weights,
                counters,
                generators,
                controllers,
                counts,
                log,
            )
            self._take_over(weights, counters, generators, controllers, counts)
            words = int(log.written[0])
            yield WriteLog(
                log.bounds, log.places[:words], log.weights[:words], log.counters[:words]
            )

    def _train_convolution(self, samples: Trits, labels: NDArray[np.int64]) -> None:
        weights = np.concatenate([w.ravel() for w in self.weights])
        counters = np.concatenate([c.ravel() for c in self.counters]).astype(np.int16)
        generators = np.array([self.lfsr.state, self.xorshift.state], np.int64)
        counts = np.zeros(len(COUNTS), np.int64)
        compiled_convolution.train(
            self,
            self._settings(),
            samples,
            labels,
            weights,
            counters,
            generators,
            counts,
            self.error_counts,
        )
        self._take_over(weights, counters, generators, self._controllers(), counts)

    def _take_over(
        self,
        weights: NDArray[np.int8],
        counters: NDArray[np.int16],
        generators: NDArray[np.int64],
        controllers: kernel.Controllers,
        counts: NDArray[np.int64],
    ) -> None:
        start = 0
        for w, c in zip(self.weights, self.counters, strict=True):
            w[...] = weights[start : start + w.size].reshape(w.shape)
            c[...] = counters[start : start + c.size].reshape(c.shape)
            start += w.size
        self.lfsr.state, self.xorshift.state = map(int, generators)
        for l, controller in enumerate(self.controllers):
            controller.load(PrecisionState(*map(int, controllers.state[l])))
        for name, count in zip(COUNTS, counts, strict=True):
            setattr(self, name, getattr(self, name) + int(count))

    def _log(self, lanes: int, samples: int) -> kernel.Log:
        words = samples * words_of_sample(self.config.shapes, lanes) if lanes else 0
        return kernel.Log(
            lanes=lanes,
            written=np.zeros(1, np.int64),
            bounds=np.zeros(samples + 1, np.int64),
            places=np.zeros((words, 3), np.int64),
            weights=np.zeros((words, lanes), np.int8),
            counters=np.zeros((words, lanes), np.int16),
        )

    def _layers(self) -> kernel.Layers:
        config = self.config
        sizes = [n_out * n_in for n_out, n_in in config.shapes]

        def column(values: object) -> NDArray[np.int64]:
            return np.array(values, np.int64)

        return kernel.Layers(
            inputs=column(config.layers[:-1]),
            units=column(config.layers[1:]),
            base=column([sum(sizes[:l]) for l in range(len(sizes))]),
            threshold=column(config.threshold),
            window=column(config.window),
            offset=column(config.offset),
            confidence=column(config.confidence),
            gradient_confidence=column(config.gradient_confidence),
            limit=column([config.momentum_limit(l) for l in range(len(sizes))]),
            gate_shift=column(self.gate_shift),
            increment=column(self.counter_increment),
        )

    def _settings(self) -> kernel.Settings:
        rule = self._rules[0]
        return kernel.Settings(
            squared_hinge=self.config.loss == "squared_hinge",
            averages=rule.averages,
            margin=self.margin,
            group=self.config.rng_group,
            frac=rule.momentum_frac,
            momentum_shift=rule.momentum_shift,
            dead_zone=rule.dead_zone,
            probability_shift=self.probability_shift,
            step_limits=np.array(rule.step_limits(), np.int64),
        )

    def _controllers(self) -> kernel.Controllers:
        """Controllers at the start of an epoch, when their windows are empty."""
        rows = [controller.parameters for controller in self.controllers]
        return kernel.Controllers(
            state=np.array([c.state for c in self.controllers], np.int64).reshape(-1, 4),
            window=np.zeros((len(rows), 6), np.int64),
            length=np.array([p.window for p in rows], np.int64),
            base=np.array([p.overflow_base for p in rows], np.int64),
            random_bits=np.array([p.overflow_random_bits for p in rows], np.int64),
            stochastic=np.array([p.stochastic for p in rows], np.bool_),
            absolute=np.array([p.error_measure == "absolute" for p in rows], np.bool_),
            rule=np.array([tuple(map(int, p.rule)) for p in rows], np.int64).reshape(-1, 8),
        )
