"""Loops of the compiled trainer for networks with convolutions. Importing this file needs Numba.

Functions do what those of the same purpose in ``trainer`` and ``convolution`` do. A layer's input
lies in memory with its padding around it, so that what a unit sees at a position is, for each ky,
one run of kernel · channels trits. Products are counted 64 at a time on packed bits; gradients and
error sums are added up run by run where an error is not zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled_kernel import (
    ACTIVE,
    CORRECT,
    DRAWN,
    FLIPS,
    LFSR,
    RESTING,
    SEEN,
    WRITTEN,
    Ints,
    advance,
    compiled,
    output_error,
    step_averages,
)
from .trit_bits import WORD, Bits, copy_bits, pack, popcount


class Layers(NamedTuple):
    """One entry a layer. Shapes as in ``LayerShape``; ``map_*`` tell of the padded input,
    ``*_base`` where a layer's part of a flat array begins."""

    width: Ints
    channels: Ints
    height: Ints
    units: Ints
    kernel: Ints
    pool: Ints
    padding: Ints
    border: Ints
    columns: Ints
    cells: Ints
    positions: Ints
    inputs: Ints
    words: Ints
    map_width: Ints
    map_base: Ints
    weight_base: Ints
    bit_base: Ints
    sum_base: Ints
    threshold: Ints
    window: Ints
    offset: Ints
    confidence: Ints
    gradient_confidence: Ints
    limit: Ints
    gate_shift: Ints
    increment: Ints


class Scratch(NamedTuple):
    """Room to work in."""

    maps: NDArray[np.int8]
    sums: Ints
    winners: Ints
    errors: Ints
    deltas: NDArray[np.int32]
    gradient: NDArray[np.int32]
    trits: NDArray[np.int8]
    map_bits: Bits
    row_bits: Bits
    weight_bits: Bits
    error_counts: NDArray[np.int64]


@compiled
def train(samples, labels, layers, settings, weights, counters, generators, counts, scratch):
    """Train on samples in order; everything from ``weights`` on is changed in place."""
    depth = len(layers.units)
    prepare(layers, weights, scratch)
    y = scratch.sums[layers.sum_base[depth - 1] :]
    for k in range(len(samples)):
        counts[RESTING] += forward(samples[k], layers, scratch)
        counts[SEEN] += 1
        counts[CORRECT] += np.argmax(y) == labels[k]
        if not output_error(y, labels[k], settings, scratch.errors[layers.sum_base[depth - 1] :]):
            continue
        counts[ACTIVE] += 1
        for l in range(depth - 1, -1, -1):
            if l > 0:
                error_below(l, layers, weights, scratch)
            update(l, layers, settings, weights, counters, generators, counts, scratch)


@compiled
def predict(samples, layers, weights, scratch, classes):
    """Write the class of each sample."""
    prepare(layers, weights, scratch)
    y = scratch.sums[layers.sum_base[len(layers.units) - 1] :]
    for k in range(len(samples)):
        forward(samples[k], layers, scratch)
        classes[k] = np.argmax(y)


@compiled
def prepare(layers, weights, scratch):
    """Padding around the maps, and the weights as bits."""
    for l in range(len(layers.units)):
        rows = layers.height[l] + 2 * layers.border[l]
        size = rows * layers.map_width[l] * layers.channels[l]
        base = layers.map_base[l]
        scratch.maps[base : base + size] = layers.padding[l]
        for j in range(layers.units[l]):
            pack_row(l, j, layers, weights, scratch)


@compiled
def pack_row(l, j, layers, weights, scratch):
    row = layers.weight_base[l] + j * layers.inputs[l]
    first = layers.bit_base[l] + j * layers.words[l]
    bits = scratch.weight_bits[:, first : first + layers.words[l]]
    pack(weights[row : row + layers.inputs[l]], bits[0], bits[1])


@compiled
def place(l, position, layers):
    """(y, x) of a position; positions count cell by cell."""
    p = layers.pool[l]
    cell, within = position // (p * p), position % (p * p)
    across = layers.columns[l] // p
    return cell // across * p + within // p, cell % across * p + within % p


@compiled
def interior(l, pixel, layers):
    """Where in the maps the channels of a pixel of layer l's input begin."""
    y = pixel // layers.width[l] + layers.border[l]
    x = pixel % layers.width[l] + layers.border[l]
    return layers.map_base[l] + (y * layers.map_width[l] + x) * layers.channels[l]


@compiled
def forward(sample, layers, scratch):
    """Sums, winners and maps of one sample; returns the products that were zero."""
    depth = len(layers.units)
    channels = layers.channels[0]
    for pixel in range(layers.height[0] * layers.width[0]):
        start = interior(0, pixel, layers)
        for c in range(channels):
            scratch.maps[start + c] = sample[pixel * channels + c]
    resting = np.int64(0)
    for l in range(depth):
        resting += forward_layer(l, layers, scratch)
        if l == depth - 1:
            break
        r, units = layers.threshold[l], layers.units[l]
        above = layers.channels[l + 1]
        for i in range(layers.cells[l] * units):
            z = scratch.sums[layers.sum_base[l] + i]
            h = (z > r) - (z < -r)
            scratch.maps[interior(l + 1, i // above, layers) + i % above] = h
    return resting


@compiled
def forward_layer(l, layers, scratch):
    """Sums that remain after pooling, and their winners."""
    kernel, units, words = layers.kernel[l], layers.units[l], layers.words[l]
    channels, offset = layers.channels[l], layers.offset[l]
    across = layers.map_width[l] * channels
    map_rows = layers.height[l] + 2 * layers.border[l]
    pitch = -(-across // WORD)
    map_nonzero, map_negative = scratch.map_bits[0], scratch.map_bits[1]
    for y in range(map_rows):
        start = layers.map_base[l] + y * across
        pack(
            scratch.maps[start : start + across],
            map_nonzero[y * pitch : (y + 1) * pitch],
            map_negative[y * pitch : (y + 1) * pitch],
        )
    x_nonzero, x_negative = scratch.row_bits[0, :words], scratch.row_bits[1, :words]
    first = layers.bit_base[l]
    w_nonzero = scratch.weight_bits[0, first : first + units * words]
    w_negative = scratch.weight_bits[1, first : first + units * words]
    in_cell = layers.pool[l] ** 2
    run = kernel * channels
    counted = np.int64(0)
    for position in range(layers.positions[l]):
        y, x = place(l, position, layers)
        x_nonzero[:] = 0
        x_negative[:] = 0
        for ky in range(kernel):
            row = (y + ky) * pitch
            copy_bits(map_nonzero[row:], x * channels, x_nonzero, ky * run, run)
            copy_bits(map_negative[row:], x * channels, x_negative, ky * run, run)
        target = layers.sum_base[l] + position // in_cell * units
        within = position % in_cell
        for j in range(units):
            nonzero, negative = np.uint64(0), np.uint64(0)
            for i in range(words):
                both = w_nonzero[j * words + i] & x_nonzero[i]
                nonzero += popcount(both)
                negative += popcount(both & (w_negative[j * words + i] ^ x_negative[i]))
            counted += np.int64(nonzero)
            z = np.int64(nonzero) - 2 * np.int64(negative) - offset
            if within == 0 or z > scratch.sums[target + j]:
                scratch.sums[target + j] = z
                scratch.winners[target + j] = within
    return layers.positions[l] * units * layers.inputs[l] - counted


@compiled
def error_below(l, layers, weights, scratch):
    """The signs of the error sums that pass, into the errors of the layer below; else zero."""
    kernel, units, inputs = layers.kernel[l], layers.units[l], layers.inputs[l]
    channels, below = layers.channels[l], l - 1
    in_cell, run = layers.pool[l] ** 2, kernel * channels
    rows = layers.height[l] + 2 * layers.border[l]
    delta = scratch.deltas[: rows * layers.map_width[l] * channels]
    delta[:] = 0
    for i in range(layers.cells[l] * units):
        error = np.int32(scratch.errors[layers.sum_base[l] + i])
        if error == 0:
            continue
        winner = scratch.winners[layers.sum_base[l] + i]
        y, x = place(l, i // units * in_cell + winner, layers)
        row = layers.weight_base[l] + i % units * inputs
        for ky in range(kernel):
            start = ((y + ky) * layers.map_width[l] + x) * channels
            add_run(
                delta[start : start + run], weights[row + ky * run : row + (ky + 1) * run], error
            )
    base, r = layers.sum_base[below], layers.threshold[below]
    for i in range(layers.cells[below] * layers.units[below]):
        distance = abs(abs(scratch.sums[base + i]) - r)
        sign = np.int64(0)
        if distance <= layers.window[below]:
            start = interior(l, i // channels, layers) - layers.map_base[l]
            value = delta[start + i % channels]
            if abs(value) > layers.confidence[below]:
                sign = np.int64(value > 0) - np.int64(value < 0)
        scratch.errors[base + i] = sign


@compiled
def add_run(target, trits, sign):
    """Add ``sign`` times the trits."""
    for i in range(len(target)):
        target[i] += sign * np.int32(trits[i])


@compiled
def update(l, layers, settings, weights, counters, generators, counts, scratch):
    kernel, units, inputs, s = (
        layers.kernel[l],
        layers.units[l],
        layers.inputs[l],
        layers.gate_shift[l],
    )
    channels, in_cell = layers.channels[l], layers.pool[l] ** 2
    run = kernel * channels
    gradient = scratch.gradient[:inputs]
    confidence = np.int32(layers.gradient_confidence[l])
    for j in range(units):
        touched = False
        for cell in range(layers.cells[l]):
            i = layers.sum_base[l] + cell * units + j
            error = np.int32(scratch.errors[i])
            if error == 0:
                continue
            scratch.error_counts[l, 1] += 1
            if not touched:
                scratch.error_counts[l, 0] += 1
                gradient[:] = 0
                touched = True
            y, x = place(l, cell * in_cell + scratch.winners[i], layers)
            for ky in range(kernel):
                start = layers.map_base[l] + ((y + ky) * layers.map_width[l] + x) * channels
                add_run(
                    gradient[ky * run : (ky + 1) * run], scratch.maps[start : start + run], error
                )
        if not touched:
            continue
        row = layers.weight_base[l] + j * inputs
        flips = 0
        for start in range(0, inputs, settings.group):
            counts[DRAWN] += 1
            generators[LFSR] = advance(generators[LFSR], s + 1)
            if generators[LFSR] & ((1 << s) - 1):
                continue
            counts[WRITTEN] += 1
            end = min(start + settings.group, inputs)
            trits = scratch.trits[: end - start]
            for i in range(len(trits)):
                g = gradient[start + i]
                trits[i] = (g > confidence) - (g < -confidence)
            w = weights[row + start : row + end]
            c = counters[row + start : row + end]
            if settings.averages:
                flips += step_averages(1, trits, w, c, settings, generators)
            else:
                flips += step_lanes(trits, w, c, layers.limit[l], layers.increment[l])
        counts[FLIPS] += flips
        if flips:
            pack_row(l, j, layers, weights, scratch)


@compiled
def step_lanes(trits, w, c, limit, increment):
    """Rule ``counter`` without branches; returns the weights changed."""
    limit, increment = np.int16(limit), np.int16(increment)
    flips = 0
    for i in range(len(trits)):
        m = np.int16(c[i] + increment * np.int16(trits[i]))
        step = np.int8(m > limit) - np.int8(m < -limit)
        stepped = min(max(w[i] + step, -1), 1)
        changed = stepped != w[i]
        flips += changed
        w[i] = stepped
        c[i] = 0 if changed else min(max(m, -limit), limit)
    return flips
