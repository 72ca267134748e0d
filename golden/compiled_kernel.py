"""Loops of the compiled trainer. Importing this file needs Numba.

Every function does what the one of the same purpose in ``trainer``, ``loss``, ``update_rules`` or
``precision_controller`` does, one element at a time; where those work on plain integers already,
they themselves are compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import lfsr, precision_controller, xorshift
from .precision_controller import NEAREST, WORD_STEPS, WORD_WIDTH, Window
from .precision_parameters import Rule
from .xorshift import GROUP_LANES

Ints = NDArray[np.int64]

LFSR, XORSHIFT = range(2)
SEEN, ACTIVE, CORRECT, DRAWN, WRITTEN, FLIPS, RESTING = range(7)
EXPONENT, WIDTH, STREAK, GENERATOR = range(4)
COUNTED, OVERFLOWS, HALF_OVERFLOWS, ERROR, TOTAL, PERMITTED = range(6)


class Layers(NamedTuple):
    """One entry a layer; ``base`` is where its weights begin in the flat arrays."""

    inputs: Ints
    units: Ints
    base: Ints
    threshold: Ints
    window: Ints
    offset: Ints
    confidence: Ints
    gradient_confidence: Ints
    limit: Ints
    gate_shift: Ints
    increment: Ints


class Settings(NamedTuple):
    """What holds for all layers."""

    squared_hinge: bool
    averages: bool
    margin: int
    group: int
    frac: int
    momentum_shift: int
    dead_zone: int
    probability_shift: int
    step_limits: Ints


class Controllers(NamedTuple):
    """One row a precision controller: its state, the window in work, its parameters."""

    state: Ints
    window: Ints
    length: Ints
    base: Ints
    random_bits: Ints
    stochastic: NDArray[np.bool_]
    absolute: NDArray[np.bool_]
    rule: Ints


class Log(NamedTuple):
    """Where ``write_log.WriteLog`` is put down; nothing is where ``lanes`` is 0."""

    lanes: int
    written: Ints
    bounds: Ints
    places: Ints
    weights: NDArray[np.int8]
    counters: NDArray[np.int16]


compiled = njit(cache=True)
advance = compiled(lfsr.advance)
advance_xorshift = compiled(xorshift.advance)
lane_word = compiled(xorshift.lane_word)
decide = compiled(precision_controller.decide)


@compiled
def train(
    samples, labels, layers, settings, weights, counters, generators, controllers, counts, log
):
    """Train on samples in order; everything from ``weights`` on is changed in place."""
    depth = len(layers.units)
    widest = max(layers.inputs.max(), layers.units.max())
    activations = np.zeros((depth + 1, widest), np.int8)
    sums = np.zeros((depth, widest), np.int64)
    errors = np.zeros((depth, widest), np.int64)
    for k in range(len(samples)):
        log.bounds[k] = log.written[0]
        activations[0, : layers.inputs[0]] = samples[k]
        for l in range(depth):
            forward(l, layers, weights, activations, sums, counts)
        y = sums[depth - 1, : layers.units[depth - 1]]
        counts[SEEN] += 1
        counts[CORRECT] += np.argmax(y) == labels[k]
        if not output_error(y, labels[k], settings, errors[depth - 1]):
            continue
        counts[ACTIVE] += 1
        if settings.squared_hinge:
            quantize(depth - 1, errors[depth - 1, : len(y)], controllers)
        for l in range(depth - 1, -1, -1):
            if l > 0:
                error_below(l, layers, weights, sums, errors)
                below = errors[l - 1, : layers.units[l - 1]]
                if settings.squared_hinge:
                    quantize(l - 1, below, controllers)
                else:
                    below[:] = np.sign(below)
            update(
                l, layers, settings, weights, counters, activations, errors, generators, counts, log
            )
    log.bounds[len(samples)] = log.written[0]


@compiled
def forward(l, layers, weights, activations, sums, counts):
    n_in, n_out, r = layers.inputs[l], layers.units[l], layers.threshold[l]
    x = activations[l, :n_in]
    for j in range(n_out):
        start = layers.base[l] + j * n_in
        w = weights[start : start + n_in]
        total = np.int32(0)
        nonzero = np.int32(0)
        for i in range(n_in):
            product = np.int32(w[i]) * np.int32(x[i])
            total += product
            nonzero += product & np.int32(1)
        z = np.int64(total) - layers.offset[l]
        sums[l, j] = z
        activations[l + 1, j] = np.int8(1) if z > r else np.int8(-1) if z < -r else np.int8(0)
        counts[RESTING] += n_in - nonzero


@compiled
def output_error(y, label, settings, error):
    """Write the errors of the last layer, not yet quantised; False where the sample is done."""
    if settings.squared_hinge:
        active = False
        for j in range(len(y)):
            target = 1 if j == label else -1
            error[j] = target * max(0, settings.margin - target * y[j])
            active |= error[j] != 0
        return active
    rival = 1 if label == 0 else 0
    for j in range(len(y)):
        error[j] = 0
        if j != label and y[j] > y[rival]:
            rival = j
    if y[label] - y[rival] >= settings.margin:
        return False
    error[label], error[rival] = 1, -1
    return True


@compiled
def error_below(l, layers, weights, sums, errors):
    """Write the error sums that pass into the errors of the layer below; zero elsewhere."""
    n_in, n_out, below = layers.inputs[l], layers.units[l], l - 1
    delta = errors[below, :n_in]
    delta[:] = 0
    for j in range(n_out):
        d = errors[l, j]
        if d != 0:
            start = layers.base[l] + j * n_in
            for i in range(n_in):
                delta[i] += d * weights[start + i]
    for i in range(n_in):
        distance = abs(abs(sums[below, i]) - layers.threshold[below])
        if abs(delta[i]) <= layers.confidence[below] or distance > layers.window[below]:
            delta[i] = 0


@compiled
def update(l, layers, settings, weights, counters, activations, errors, generators, counts, log):
    n_in, n_out, s = layers.inputs[l], layers.units[l], layers.gate_shift[l]
    for j in range(n_out):
        d = errors[l, j]
        if d == 0:
            continue
        # Trits x leave |d·x| either 0 or |d|.
        sign = (d > 0) - (d < 0) if abs(d) > layers.gradient_confidence[l] else 0
        row = layers.base[l] + j * n_in
        first, following = log.written[0], 0  # word of the log, and of the row
        for start in range(0, n_in, settings.group):
            counts[DRAWN] += 1
            generators[LFSR] = advance(generators[LFSR], s + 1)
            if generators[LFSR] & ((1 << s) - 1):
                continue
            counts[WRITTEN] += 1
            end = min(start + settings.group, n_in)
            x = activations[l, start:end]
            w = weights[row + start : row + end]
            c = counters[row + start : row + end]
            if settings.averages:
                counts[FLIPS] += step_averages(sign, x, w, c, settings, generators)
            else:
                move = sign * layers.increment[l]
                counts[FLIPS] += step_counters(move, x, w, c, layers.limit[l])
            if log.lanes:
                for word in range(max(start // log.lanes, following), -(-end // log.lanes)):
                    note = log.places[log.written[0]]
                    note[0], note[1], note[2] = l, j, word
                    log.written[0] += 1
                    following = word + 1
        for k in range(first, log.written[0]):
            start = log.places[k, 2] * log.lanes
            end = min(start + log.lanes, n_in)
            log.weights[k, : end - start] = weights[row + start : row + end]
            log.counters[k, : end - start] = counters[row + start : row + end]


@compiled
def step_counters(move, x, w, c, limit):
    """Rule ``counter`` on the lanes of a group; returns the weights changed."""
    flips = 0
    for i in range(len(x)):
        m = c[i] + move * x[i]
        if abs(m) <= limit:
            c[i] = m
        elif w[i] * m > 0:  # already ±1 on this side
            c[i] = limit if m > 0 else -limit
        else:
            w[i] += 1 if m > 0 else -1
            c[i] = 0
            flips += 1
    return flips


@compiled
def step_averages(sign, x, w, c, settings, generators):
    """Rule ``ema_dst`` on the lanes of a group; returns the weights changed."""
    flips = 0
    mask = (1 << (settings.frac + settings.probability_shift)) - 1
    half = 1 << (settings.momentum_shift - 1)
    for i in range(len(x)):
        if i % GROUP_LANES == 0:
            generators[XORSHIFT] = advance_xorshift(generators[XORSHIFT], 1)
        trit = sign * x[i]
        if trit == 0:
            continue
        m = c[i] + (((trit << settings.frac) - c[i] + half) >> settings.momentum_shift)
        excess = max(abs(m) - settings.dead_zone, 0)
        word = lane_word(generators[XORSHIFT], i % GROUP_LANES)
        if (word & mask) >= settings.step_limits[excess]:
            c[i] = m
            continue
        c[i] = 0
        step = (m > 0) - (m < 0)
        if step != 0 and w[i] != step:
            w[i] += step
            flips += 1
    return flips


@compiled
def quantize(l, values, controllers):
    """Quantise one tensor in place, unit 0 first, and let controller ``l`` decide after it."""
    state, window = controllers.state[l], controllers.window[l]
    length = controllers.length[l]
    exponent, width = state[EXPONENT], state[WIDTH]
    limit = (1 << (width - 1)) - 1
    for i in range(len(values)):
        x = abs(values[i])
        if x == 0:
            continue
        state[GENERATOR] = advance(state[GENERATOR], WORD_STEPS)
        word = state[GENERATOR] if controllers.stochastic[l] else NEAREST
        q = min((x + (word >> (WORD_WIDTH - exponent))) >> exponent, limit)
        values[i] = q if values[i] > 0 else -q
        if window[COUNTED] == length:
            continue
        window[COUNTED] += 1
        error = x - (q << exponent)
        window[ERROR] += abs(error) if controllers.absolute[l] else error
        window[TOTAL] += x
        window[OVERFLOWS] += (x >> (exponent + width - 1)) != 0
        window[HALF_OVERFLOWS] += (x >> (exponent + width - 2)) != 0
        if window[COUNTED] == length:
            random = state[GENERATOR] & ((1 << controllers.random_bits[l]) - 1)
            window[PERMITTED] = controllers.base[l] + random
    if window[COUNTED] == length:
        close_window(l, state, window, controllers)


@compiled
def close_window(l, state, window, controllers):
    complete = Window(
        window[OVERFLOWS],
        window[HALF_OVERFLOWS],
        abs(window[ERROR]),
        window[TOTAL],
        window[PERMITTED],
    )
    p = controllers.rule[l]
    rule = Rule(p[0], p[1], p[2], p[3] != 0, p[4] != 0, p[5], p[6], p[7])
    state[EXPONENT], state[WIDTH], state[STREAK] = decide(
        state[EXPONENT], state[WIDTH], state[STREAK], complete, rule
    )
    window[:] = 0
