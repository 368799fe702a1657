"""The groups of samples in; how often each of many resamples holds each group out.

A group (a patient, an object) is drawn with all of its samples, as samples of one group are not independent. Groups
are drawn with replacement inside strata: a category's groups of normal samples only, of anomalous ones only, and of
both. So every resample keeps both classes of each category. A stratum of one group does not vary; where a class of
a category lives in no stratum of at least two groups nothing is drawn: one group says nothing about the spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Labels = Sequence[str] | Sequence[int] | np.ndarray
Values = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``(rows, owner, drawn)`` of one category -> ``(..., 1 + resamples)``, the value of each resample."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """Means over categories, of the data themselves and of resamples.

    Attributes:
        values: ``(..., 1 + resamples)``, the first of the data themselves.
        units: how many groups were resampled.
        strata: in how many strata these are, over all categories.
    """

    values: np.ndarray
    units: int
    strata: int


def resampled(
    groups: Labels, categories: Labels | None, held: np.ndarray, values: Values, resamples: int, seed: int
) -> Resampled | None:
    """Mean over categories of ``values``, under draws that depend on the groups, ``held`` and the seed alone.

    Two methods that scored the same samples, given in the same order of groups, are thus resampled alike: their
    difference is paired.

    Args:
        groups: ``(n,)``, the group of each sample.
        categories: ``(n,)``, or None for one category. Those of one class have no value and are left out.
        held: ``(n, 2)`` bool, whether a sample has a normal, and an anomalous part.
        values: of a category: the positions of its samples ``(m,)``, the position of each one's group among its G
            groups, and how often each resample holds each group ``(1 + resamples, G)`` float32 -> a value a resample.
        resamples: how many.
        seed: of the draws.

    Returns:
        None where a class of a category lives in no stratum of two groups or more, or no category has both classes.
    """
    total: np.ndarray | None = None
    used = units = strata = 0
    groups = np.asarray(groups)
    for number, rows in enumerate(category_rows(categories, len(held))):
        if not held[rows].any(0).all():
            continue
        owner, drawn, kinds = draw(groups[rows], held[rows], resamples, (seed, number))
        if drawn is None:
            return None
        found = values(rows, owner, drawn)
        total = found if total is None else total + found
        used, units, strata = used + 1, units + drawn.shape[1], strata + kinds
    return None if total is None else Resampled(total / used, units, strata)


def category_rows(categories: Labels | None, count: int) -> Iterator[np.ndarray]:
    """Positions of each category's samples, categories sorted by name."""
    if categories is None:
        yield np.arange(count)
        return
    names, number = np.unique(np.asarray(categories), return_inverse=True)
    order = np.argsort(number, kind="stable")
    yield from np.split(order, np.bincount(number, minlength=len(names)).cumsum()[:-1])


def draw(
    groups: np.ndarray, held: np.ndarray, resamples: int, seed: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """How often each resample holds each group of one category.

    Takes ``(n,)`` groups and ``(n, 2)`` bool, whether a sample has something normal and something anomalous. Returns
    ``(n,)``, the position of each sample's group among the G groups sorted by name; ``(1 + resamples, G)`` float32,
    every group once and then the resamples, or None where a class lives in no stratum of two groups; and how many
    strata there are.
    """
    names, owner = np.unique(groups, return_inverse=True)
    kind = 1 * (np.bincount(owner, held[:, 0]) > 0) + 2 * (np.bincount(owner, held[:, 1]) > 0)  # 3: both
    sizes = np.bincount(kind, minlength=4)
    strata = int((sizes > 0).sum())
    if max(sizes[1], sizes[3]) < 2 or max(sizes[2], sizes[3]) < 2:
        return owner, None, strata
    generator = np.random.default_rng(seed)
    drawn = np.ones((1 + resamples, len(names)), np.float32)
    for stratum, size in enumerate(sizes.tolist()):
        if size:
            picks = generator.integers(0, size, (resamples, size), np.int32) + size * np.arange(resamples)[:, None]
            drawn[1:, kind == stratum] = np.bincount(picks.ravel(), minlength=resamples * size).reshape(-1, size)
    return owner, drawn, strata
