"""Trits as two planes of bits, 64 to a word, and loops over them. Importing this needs Numba."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from .compiled_kernel import compiled

Bits = NDArray[np.uint64]

WORD = 64
ONE = np.uint64(1)
ALL = np.uint64(2**64 - 1)


@intrinsic
def popcount(typing_context, word):
    """Ones of an unsigned 64-bit word."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def pack(trits, nonzero, negative):
    """Trits as two planes of bits."""
    for start in range(0, len(trits), WORD):
        a, b = np.uint64(0), np.uint64(0)
        for i in range(min(WORD, len(trits) - start)):
            trit = np.uint64(np.int64(trits[start + i]))  # -1 is all ones
            a |= (trit & ONE) << np.uint64(i)
            b |= (trit >> np.uint64(63)) << np.uint64(i)
        nonzero[start // WORD], negative[start // WORD] = a, b


@compiled
def copy_bits(source, source_bit, target, target_bit, count):
    """Put ``count`` bits of ``source`` where ``target`` is zero."""
    done = 0
    while done < count:
        place = target_bit + done
        n = min(count - done, WORD - place % WORD)
        start = source_bit + done
        shift = start % WORD
        bits = source[start // WORD] >> np.uint64(shift)
        if shift + n > WORD:
            bits |= source[start // WORD + 1] << np.uint64(WORD - shift)
        bits &= ALL >> np.uint64(WORD - n)
        target[place // WORD] |= bits << np.uint64(place % WORD)
        done += n
