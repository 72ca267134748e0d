"""A data set that is kept once and replayed in order, each image moved at random if wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import DataError, ParameterError, integer_array
from .design import check_image
from .encoding import DIGIT_PLANES, PIXEL_MAX, check_planes, encode
from .lfsr import Lfsr16, advance

SHIFT_STEPS = 16
SHIFT_SEED = 0x5A5A


def shift_generator(seed: int) -> Lfsr16:
    """The generator of shifts, apart from the trainer's: seeded with (seed XOR 0x5A5A) mod 2^16."""
    return Lfsr16((seed ^ SHIFT_SEED) & 0xFFFF)


def shift_of(state: int) -> tuple[int, int]:
    """(dy, dx), each −1, 0 or +1, of a generator state u.

    dy = ((u mod 2^8)·3 >> 8) − 1, dx = ((u >> 8)·3 >> 8) − 1.
    """
    return ((state & 0xFF) * 3 >> 8) - 1, ((state >> 8) * 3 >> 8) - 1


class SampleStore:
    """Samples as the hardware stores them.

    Parameters
    ----------
    pixels : int array [n, pixels]
        0 … 255, n ≥ 1; rows of an image one after the other.
    labels : int array [n]
        0 or more.
    planes : sequence of (lo, hi)
        Thresholds of the encoder.
    image : (height, width), optional
        Needed for shifts.
    channel_last : bool
        Encode as convolutions read it (``golden.encoding``).

    Attributes
    ----------
    pixels : uint8 array [n, pixels]
    labels : int64 array [n]

    Raises
    ------
    DataError
        Shapes or values do not fit.
    """

    def __init__(
        self,
        pixels: ArrayLike,
        labels: ArrayLike,
        *,
        planes: Sequence[Sequence[int]] = DIGIT_PLANES,
        image: Sequence[int] | None = None,
        channel_last: bool = False,
    ) -> None:
        self.channel_last = channel_last
        self.planes = check_planes(planes)
        self.image = check_image(image)
        self.pixels = integer_array("pixels", pixels, 0, PIXEL_MAX, (None, None)).astype(np.uint8)
        if not len(self.pixels):
            raise DataError("pixels must hold at least one sample, not 0")
        self.labels = integer_array("labels", labels, 0, 2**31 - 1, (len(self.pixels),))
        if self.image is not None and self.image[0] * self.image[1] != self.pixels.shape[1]:
            raise DataError(
                f"pixels must have {self.image[0]} × {self.image[1]} = "
                f"{self.image[0] * self.image[1]} a sample, not {self.pixels.shape[1]}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def shifted(self, shifts: ArrayLike) -> NDArray[np.uint8]:
        """The pixels [n, pixels], image k moved by ``shifts`` [n, 2] (dy, dx), each −1, 0 or +1.

        Pixel (y, x) becomes what was at (y − dy, x − dx), 0 where that is outside the image.
        """
        if self.image is None:
            raise ParameterError("image must be a pair (height, width) for shifts, not None")
        moves = integer_array("shifts", shifts, -1, 1, (len(self), 2))
        height, width = self.image
        padded = np.pad(self.pixels.reshape(-1, height, width), ((0, 0), (1, 1), (1, 1)))
        y = np.arange(height)[None, :, None] + 1 - moves[:, 0, None, None]
        x = np.arange(width)[None, None, :] + 1 - moves[:, 1, None, None]
        return padded[np.arange(len(self))[:, None, None], y, x].reshape(self.pixels.shape)

    def moved(self, dy: int, dx: int) -> NDArray[np.uint8]:
        """The pixels, every image moved by (dy, dx)."""
        return self.shifted(np.broadcast_to([dy, dx], (len(self), 2)))

    def epoch(self, generator: Lfsr16 | None = None) -> NDArray[np.int8]:
        """Trits [n, inputs] of one pass, in order.

        With a ``generator`` each image is moved at random: 16 steps a sample, then ``shift_of`` the
        state.
        """
        if generator is None:
            return self._encode(self.pixels)
        moves = []
        for _ in range(len(self)):
            generator.state = advance(generator.state, SHIFT_STEPS)
            moves.append(shift_of(generator.state))
        return self._encode(self.shifted(moves))

    def _encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
        return encode(pixels, self.planes, channel_last=self.channel_last)
