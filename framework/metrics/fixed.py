"""Samples that a threshold from elsewhere flags, and their labels -> F1, and its interval over whole groups."""

from __future__ import annotations

import numpy as np

from framework.leaderboard.statistics import Interval, Labels, group_interval
from framework.leaderboard.statistics.counts import f1_of, f1_values


def f1(flagged: np.ndarray, labels: np.ndarray) -> float | None:
    """``2 TP / (2 TP + FP + FN)``; 0 where nothing anomalous is flagged.

    Args:
        flagged: ``(n,)`` bool, samples whose score is at or above the threshold.
        labels: ``(n,)`` bool, anomalous samples.

    Returns:
        In [0, 1]; None where a class is missing.
    """
    if labels.all() or not labels.any():
        return None
    return float(f1_of(_counts(flagged, labels)[None])[0])


def f1_interval(
    flagged: np.ndarray,
    labels: np.ndarray,
    groups: Labels,
    categories: Labels | None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Interval of ``f1``, or of its mean over categories, that resamples groups; the threshold stays where it is.

    Args:
        flagged: ``(n,)`` bool.
        labels: ``(n,)`` bool.
        groups: ``(n,)``, the group of each sample.
        categories: ``(n,)``, or None for one category.
        resamples: how many.
        seed: equal seeds give equal intervals.
        level: share of resamples inside, in (0, 1).

    Returns:
        None where a class of a category is all of one group, or no category has both classes.
    """
    flagged, labels = np.asarray(flagged, bool), np.asarray(labels, bool)
    held = np.stack([~labels, labels], 1)
    return group_interval(groups, categories, held, f1_values(flagged, labels), resamples, seed, level)


def _counts(flagged: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``(3,)`` true positives, false positives, false negatives."""
    return np.array([(flagged & labels).sum(), (flagged & ~labels).sum(), (~flagged & labels).sum()], np.float64)
