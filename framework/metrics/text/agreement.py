"""Scores of several judgements of the same items -> how far they agree. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of judgements, over the pairs of two scores of one item.

    Attributes:
        pairs: how many there are.
        exact: share of pairs of equal scores.
        difference: mean absolute difference of a pair.
        alpha: Krippendorff's, for interval data: 1 for full agreement, 0 for that of chance; None where all scores are
            equal, so that there is nothing to agree on.
        kappa: Cohen's with quadratic weights, of two columns; None for more columns and where chance cannot err.
    """

    pairs: int
    exact: float
    difference: float
    alpha: float | None
    kappa: float | None


def agreement(scores: np.ndarray) -> Agreement | None:
    """Agreement of the columns: repeats of one judge, or one column each of several.

    Args:
        scores: ``(N, R)`` of any range; NaN where a judgement has none. An item with one score pairs with nothing.

    Returns:
        None where no item has two scores.

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), with squared differences; Cohen, Weighted
    kappa (1968).
    """
    gaps = [np.abs(scores[:, i] - scores[:, j]) for i, j in combinations(range(scores.shape[1]), 2)]
    gap = np.concatenate([g[~np.isnan(g)] for g in gaps]) if gaps else np.empty(0)
    if not gap.size:
        return None
    kappa = _kappa(scores) if scores.shape[1] == 2 else None
    return Agreement(gap.size, float(np.mean(gap == 0)), float(gap.mean()), _alpha(scores), kappa)


def _alpha(scores: np.ndarray) -> float | None:
    """1 - observed / expected; an item weighs as many as it has scores, so its pairs are divided by one less."""
    rows = [row[~np.isnan(row)] for row in scores]
    rows = [row for row in rows if row.size > 1]
    values = np.concatenate(rows)
    observed = sum(2 * row.size * row.var() * row.size / (row.size - 1) for row in rows) / values.size
    expected = 2 * values.var() * values.size / (values.size - 1)
    return float(1 - observed / expected) if expected else None


def _kappa(scores: np.ndarray) -> float | None:
    """1 - squared difference within items / squared difference between any two items, one of each column."""
    first, second = scores[~np.isnan(scores).any(1)].T
    chance = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    return float(1 - np.mean((first - second) ** 2) / chance) if chance else None
