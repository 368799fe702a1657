"""Scores of a volume and marked voxels -> how many lone blobs each threshold leaves, for all thresholds at once.

A blob is a 26-connected component of the voxels at or above a threshold. Counting them for every threshold is
0-dimensional persistence: a blob is born at each local maximum and dies where it meets another at their highest saddle,
so blobs at t = maxima at or above t - edges at or above t of the maximum spanning forest whose nodes are the maxima.

Source: Edelsbrunner and Harer, Computational Topology, chapter VII (persistence, elder rule); basins by steepest ascent
as in the watershed transform.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from framework.metrics import axis
from framework.metrics.regions import box

SLAB = 1 << 18  # voxels at a time, so that what lies between steps stays in the cache and memory small
KEY_BITS = axis.BINS.bit_length() - 1
LABEL = (1 << 32) - 1


def alone(scores: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """How many blobs hold no marked voxel, at each threshold.

    Marked voxels are joined to one node that is there at every threshold and counts as no blob. Voxels that score 0
    are below every threshold and cost next to nothing.

    Args:
        scores: ``(I, J, K)`` float32 probabilities that passed ``axis.check``.
        marked: ``(I, J, K)`` bool.

    Returns:
        ``(axis.BINS,)`` int64: births less deaths in each bin. What a threshold leaves is the sum from its bin to the
        last.

    Raises:
        ValueError: more local maxima than fit the code of an edge: 2^23, as white noise has in 200 million voxels.
    """
    if not scores.any():
        return np.zeros(axis.BINS, np.int64)
    inside = box(scores > 0)
    scores, marked = scores[inside], marked[inside]
    basins, births = _basins(scores)
    keys = _keys(scores[marked]).astype(np.int64)
    joined = _code(basins[marked].astype(np.int64), np.full(len(keys), len(births)), keys)
    codes = [joined[keys > 0]]
    codes += [_highest(found) for found in _saddles(scores, basins)]
    merges = _forest(_highest(np.concatenate(codes)), len(births) + 1)
    return np.bincount(births, minlength=axis.BINS) - np.bincount(merges, minlength=axis.BINS)


def _keys(scores: np.ndarray) -> np.ndarray:
    """Bins of any shape of scores: int32 of the same shape."""
    flat = torch.from_numpy(np.ascontiguousarray(scores, np.float32).reshape(-1))
    return axis.keys(flat, "probability").numpy().reshape(scores.shape)


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """First and last (excluded) row of the first axis of each slab."""
    rows = max(SLAB // max(shape[1] * shape[2], 1), 1)
    for start in range(0, shape[0], rows):
        yield start, min(start + rows, shape[0])


def _basins(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The local maximum that steepest ascent leads to from each voxel; of equal neighbours the last is the highest.

    Returns:
        ``(I, J, K)`` int32, the number of the maximum (0 too where the score is 0), and ``(M,)`` int64, their bins.
    """
    ahead = np.empty(scores.shape, np.int32 if scores.size < 1 << 31 else np.int64)
    flat, row = ahead.reshape(-1), scores[0].size
    tops, births = [], []
    for start, stop in _slabs(scores.shape):
        first, last = max(start - 1, 0), min(stop + 1, len(scores))
        keys = _keys(scores[first:last])
        packed = keys.astype(np.int64) << 46
        own = np.arange(first * row, last * row).reshape(packed.shape)
        packed |= own
        for along in range(3):
            packed = _spread(packed, along)
        inner = slice(start - first, stop - first)
        keys, own = keys[inner], own[inner]
        found = np.where(keys > 0, packed[inner] & ((1 << 46) - 1), own)
        ahead[start:stop] = found
        top = (found == own) & (keys > 0)
        tops.append(own[top])
        births.append(keys[top])
        flat[start * row : stop * row][keys.reshape(-1) == 0] = -1
    places = np.concatenate(tops)
    _ascend(flat)
    flat[places] = ~np.arange(len(places))
    for start in range(0, len(flat), SLAB):
        part = flat[start : start + SLAB]
        on = np.flatnonzero(part >= 0)
        part[on] = flat[part[on]]
    np.invert(flat, out=flat)
    return ahead, np.concatenate(births).astype(np.int64)


def _ascend(ahead: np.ndarray) -> None:
    """Let each of ``(n,)`` pointers point to the end of its path, in place; -1 is the end of a path of its own."""
    waiting = list(range(0, len(ahead), SLAB))
    while waiting:
        left = []
        for start in waiting:
            part = ahead[start : start + SLAB]
            further = np.where(part < 0, part, ahead[part])
            if not np.array_equal(further, part):
                part[:] = further
                left.append(start)
        waiting = left


def _spread(values: np.ndarray, along: int) -> np.ndarray:
    """The highest of each value and its two neighbours along an axis."""
    moved = np.moveaxis(values, along, 0)
    found = np.empty_like(values)
    out = np.moveaxis(found, along, 0)
    if len(moved) == 1:
        return values
    np.maximum(moved[:-1], moved[1:], out=out[:-1])
    out[-1] = out[-2]
    np.maximum(out[1:-1], moved[:-2], out=out[1:-1])
    return found


def _saddles(scores: np.ndarray, basins: np.ndarray) -> Iterator[np.ndarray]:
    """Codes of edges between basins that connect what touches, at every threshold, as all 26 neighbours would.

    Neighbours share a cube of 2 x 2 x 2 voxels, all of which touch. There the highest of each pair along one axis meet
    along the next, as in a tournament: three edges a voxel, and at any threshold they connect all of a cube that is
    above.
    """
    for start, stop in _slabs(scores.shape):
        last = min(stop + 1, len(scores))
        held = (_keys(scores[start:last]).astype(np.int64) << 32) | basins[start:last]
        for along in range(3):
            if held.shape[along] == 1:
                continue
            moved = np.moveaxis(held, along, 0)
            one, other = moved[:-1], moved[1:]
            low, high = np.minimum(one, other), np.maximum(one, other)
            met = (((low ^ high) & LABEL) != 0) & (low > LABEL)
            low, held = low[met], np.moveaxis(high, 0, along)
            a, b = low & LABEL, high[met] & LABEL
            yield _code(np.minimum(a, b), np.maximum(a, b), low >> 32)


def _code(a: np.ndarray, b: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Edges from ``a`` to ``b`` in one int64 each, in the order of (a, b, key)."""
    return (((a << 23) | b) << KEY_BITS) | keys


def _highest(codes: np.ndarray) -> np.ndarray:
    """Of edges between the same two the highest, in order."""
    codes = np.sort(codes)
    pairs = codes >> KEY_BITS
    return codes[np.append(pairs[1:] != pairs[:-1], True)] if len(codes) else codes


def _forest(codes: np.ndarray, nodes: int) -> np.ndarray:
    """``(F,)`` int64, the bins of the edges of a maximum spanning forest."""
    if nodes > 1 << 23:
        raise ValueError(f"{nodes - 1} local maxima in one volume, at most {(1 << 23) - 1} can be told apart")
    pairs, cost = codes >> KEY_BITS, axis.BINS - (codes & (axis.BINS - 1))  # the forest sought is that of least cost
    graph = coo_matrix((cost, (pairs >> 23, pairs & ((1 << 23) - 1))), shape=(nodes, nodes))
    return axis.BINS - minimum_spanning_tree(graph.tocsr()).data.astype(np.int64)
