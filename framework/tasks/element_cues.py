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
ONE = 1 << 40  # squared distance of a corner


def brightness(sample: Sample) -> Tensor:
    """``(E,)`` uint8, grey of each element as the views show it: (R + 2 G + B) / 4, rounded down.

    Of a cloud that is how its renderings are lit, of a scan what its window leaves; of several views it joins as scores
    do.
    """
    red, green, blue = (sample.views[:, c].astype(np.uint16) for c in range(3))
    green *= 2
    green += red
    green += blue
    green >>= 2
    grey = torch.from_numpy(green.astype(np.uint8))
    if sample.owner is None and sample.back is None:
        return grey.flatten()
    return lift(grey, sample).to(torch.uint8)


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
        near = _near(grid_of(sample), places)
    else:
        shown = _nearness(sample.views.shape[-2:]).expand(len(sample.views), -1, -1)
        near = _told(lift(shown, sample).to(torch.uint8), places)
    shares = shares_of(places, regions)
    metric.update(CENTRAL, *near, shares, group)
    metric.update(BRIGHT, *_told(brightness(sample), places), shares, group)


def count_cells(metric: ValueCurves, sample: Sample, truth: Tensor, regions: Tensor, group: int) -> None:
    """Add the cells of the grid that a sample has; one that shows no element is black. Arguments as ``count``."""
    assert sample.grid is not None
    places, index = where(truth), torch.from_numpy(sample.grid.index.ravel())
    shares = shares_of(places, regions)
    metric.update(CENTRAL, *_near(sample.grid.index.shape, places), shares, group)
    bright = torch.where(index < 0, 0, brightness(sample)[index])
    metric.update(BRIGHT, *_told(bright, places), shares, group)


def _told(values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    return torch.bincount(values, minlength=VALUES), values[places]


def _near(shape: Shape, places: Tensor) -> tuple[Tensor, Tensor]:
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
    """Squared distances -> uint8, 255 in the centre, 0 near the corners."""
    return (255 - np.sqrt(squares * (255**2 / ONE)).astype(np.int64)).astype(np.uint8)


def _nearness(shape: Shape) -> Tensor:
    """``(H, W)`` uint8."""
    y, x = _squares(shape)
    return torch.from_numpy(_steps(y[:, None] + x))


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
