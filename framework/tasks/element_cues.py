"""A sample -> how central and how bright each of its elements is, counted: what may tell of it without a method."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from framework.lift import lift
from framework.metrics.ranking import shares_of
from framework.metrics.regions import where
from framework.metrics.values import VALUES, ValueCurves
from framework.tasks.truth import grid_of
from framework.types import Sample

CENTRAL, BRIGHT = NAMES = "position", "intensity"
Shape = tuple[int, ...]
Counted = tuple[Tensor, Tensor]  # (VALUES,) int64 of all elements, and (P,) uint8, the values of anomalous ones
BITS = 20  # of a sum of up to 4,112 views
ONE = 1 << 40  # squared distance of a corner


def grey(views: np.ndarray) -> np.ndarray:
    """``(V, 3, H, W)`` uint8 -> ``(V, H, W)`` uint8: (R + 2 G + B) / 4, rounded down. One view after the other."""
    found = np.empty_like(views[:, 0])
    for (red, green, blue), out in zip(views, found, strict=True):
        total = green.astype(np.uint16)
        total *= 2
        total += red
        total += blue
        total >>= 2
        out[:] = total
    return found


def brightness(sample: Sample) -> Tensor:
    """``(E,)`` uint8, grey of each pixel or voxel of a sample without owner, as its views show it."""
    shown = torch.from_numpy(grey(sample.views))
    if sample.back is None:
        return shown.flatten()
    return lift(shown, sample).clamp_(0, VALUES - 1).to(torch.uint8)


def joined(sample: Sample) -> tuple[Tensor, Tensor]:
    """``(E,)`` uint8 twice, of a cloud: how near the centre of the views that show a point it lies, and its grey there.

    Means over these views, all alike, rounded down; of a point that none shows those of its stand-in. Where the sample
    has places, both sums and their number share one integer, so that each view is looked up once.
    """
    near, shown = _nearness(sample.views.shape[-2:]), grey(sample.views)
    if sample.place is None:
        maps = (torch.from_numpy(np.broadcast_to(m, shown.shape).copy()) for m in (near, shown))
        first, second = (lift(m, sample).to(torch.uint8) for m in maps)
        return first, second
    held = (1 << 2 * BITS) + (near.astype(np.int64) << BITS) + shown
    sums = np.zeros(sample.elements, np.int64)
    for view, place in zip(held, sample.place, strict=True):
        sums += np.append(view, 0)[place]  # -1, where a view hides a point, is the last
    if sample.stand_in is not None:
        sums = sums[sample.stand_in]
    number, rest = np.maximum(sums >> 2 * BITS, 1), sums & ((1 << 2 * BITS) - 1)
    means = ((part // number).astype(np.uint8) for part in (rest >> BITS, rest & ((1 << BITS) - 1)))
    first, second = map(torch.from_numpy, means)
    return first, second


def count(metric: ValueCurves, sample: Sample, truth: Tensor, regions: Tensor, group: int) -> None:
    """Add the elements of a sample to a metric of ``NAMES``.

    Nearness to the centre is that to the centre of the picture or volume, each axis in shares of its length; of a cloud
    that to the centre of the views that show a point.

    Args:
        metric: to add to.
        sample: the sample.
        truth: ``(E,)`` bool on the CPU, of ``truth.numbered``.
        regions: ``(E,)`` int32, of the same.
        group: of the metric.
    """
    places = where(truth)
    if sample.owner is None:
        told = _near(grid_of(sample), places), _told(brightness(sample), places)
    else:
        near, bright = joined(sample)
        told = _told(near, places), _told(bright, places)
    _add(metric, told, shares_of(places, regions), group)


def count_cells(metric: ValueCurves, sample: Sample, truth: Tensor, regions: Tensor, group: int) -> None:
    """Add the cells of the grid that a sample has; one that shows no element is black. Arguments as ``count``."""
    assert sample.grid is not None
    places, index = where(truth), torch.from_numpy(sample.grid.index.ravel())
    shown = brightness(sample) if sample.owner is None else joined(sample)[1]
    bright = torch.where(index < 0, 0, shown[index])
    _add(metric, (_near(sample.grid.index.shape, places), _told(bright, places)), shares_of(places, regions), group)


def _add(metric: ValueCurves, told: tuple[Counted, Counted], shares: Tensor, group: int) -> None:
    """What is told of nearness and of brightness."""
    for name, (counts, found) in zip(NAMES, told, strict=True):
        metric.update(name, counts, found, shares, group)


def _told(values: Tensor, places: Tensor) -> Counted:
    return torch.bincount(values, minlength=VALUES), values[places]


def _near(shape: Shape, places: Tensor) -> Counted:
    """How many cells of a grid are how near, which its shape tells, and how near those at ``places`` are."""
    at = np.unravel_index(places.numpy(), shape)
    squares = np.zeros(len(places), np.int64)
    for axis, i in zip(_squares(shape), at, strict=True):
        squares += axis[i]
    return _spread(shape), torch.from_numpy(_steps(squares))


def _squares(shape: Shape) -> list[np.ndarray]:
    """Of each axis ``(n,)`` int64: squared distance from its middle to that of each cell, 1 / ``ONE`` of the corners'.

    Whole numbers, so that their sum is the same in any order.
    """
    axes = max(1, sum(n > 1 for n in shape))
    return [np.rint(((2 * np.arange(n) + 1 - n) / n) ** 2 * (ONE / axes)).astype(np.int64) for n in shape]


def _steps(squares: np.ndarray) -> np.ndarray:
    """Squared distances -> uint8, 255 in the centre, 0 near the corners; rounding does not move what lies on a step."""
    return (255 - (np.sqrt(squares * (255**2 / ONE)) + 1e-6).astype(np.int64)).astype(np.uint8)


def _nearness(shape: Shape) -> np.ndarray:
    """``(H, W)`` uint8."""
    y, x = _squares(shape)
    return _steps(y[:, None] + x)


@lru_cache(maxsize=64)
def _spread(shape: Shape) -> Tensor:
    """``(VALUES,)`` int64, how many cells of a grid are how near. Both halves of an axis are alike: one is counted."""
    halves = [axis[: -(-len(axis) // 2)] for axis in _squares(shape)]
    times = [np.where(2 * np.arange(len(half)) + 1 == n, 1, 2) for half, n in zip(halves, shape, strict=True)]
    rest, alike = np.zeros((), np.int64), np.ones((), np.int64)
    for half, count in zip(halves[1:], times[1:], strict=True):
        rest, alike = rest[..., None] + half, alike[..., None] * count
    found = np.zeros(VALUES, np.int64)
    for square, count in zip(halves[0], times[0], strict=True):
        found += count * np.bincount(_steps(square + rest).ravel(), alike.ravel(), VALUES).astype(np.int64)
    return torch.from_numpy(found)
