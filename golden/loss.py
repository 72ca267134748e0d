"""Losses of the trainer: from the sums of the last layer to its errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.int64]


def crammer_singer(y: Sums, label: int, margin: int) -> Sums | None:
    """Errors of the hinge max(0, M − (y_t − y_v)): +1 at the label t, −1 at its rival v.

    The rival is the other class of largest sum, the lowest index on ties. None once the margin is
    met.
    """
    others = y.copy()
    others[label] = np.iinfo(np.int64).min
    rival = int(np.argmax(others))
    if y[label] - y[rival] >= margin:
        return None
    errors = np.zeros(len(y), np.int64)
    errors[label], errors[rival] = 1, -1
    return errors


def squared_hinge(y: Sums, label: int, margin: int) -> Sums | None:
    """Errors of Σ_j max(0, M − T_j·y_j)² / 2, T = +1 at the label and −1 elsewhere, downhill:

    e_j = T_j · max(0, M − T_j·y_j). None where all are zero. (The loss of GXNOR-Net's networks.)
    """
    targets = np.full(len(y), -1, np.int64)
    targets[label] = 1
    errors = targets * np.maximum(0, margin - targets * y)
    return errors if errors.any() else None
