"""Coarse histograms of single scans -> intervals of Dice and of detection that resample whole groups (patients)."""

from __future__ import annotations

import numpy as np

from framework.leaderboard.statistics import Interval, Labels, group_interval
from framework.leaderboard.statistics.counts import DICE, LIMIT, dice_values, sensitivity_values


def dice_interval(
    hists: np.ndarray,
    groups: Labels,
    categories: Labels | None,
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Interval of a mean Dice, or of its mean over categories.

    Args:
        hists: ``(n, 2 or 3, K)`` as of ``regions.coarse``: normal and anomalous voxels. The best threshold is looked
            for among the K edges, and anew in each resample; the fixed one, 0.5, is the edge in the middle.
        groups: ``(n,)``, the group of each scan.
        categories: ``(n,)``, or None for one category.
        metric: one of ``DICE``.
        resamples: how many.
        seed: equal seeds give equal intervals.
        level: share of resamples inside, in (0, 1).

    Returns:
        None where a category's scans with lesions are of one group, or no scan has a lesion.

    Raises:
        ValueError: lengths differ or an unknown metric.
    """
    if len(hists) != len(groups) or metric not in DICE:
        raise ValueError(f"{metric}: {len(hists)} histograms, {len(groups)} groups; metrics are {', '.join(DICE)}")
    used = np.flatnonzero(hists[:, 1].any(1))
    names = None if categories is None else np.asarray(categories)[used]
    held = np.ones((len(used), 2), bool)  # every scan with a lesion counts in the one mean
    values = dice_values(hists[used], (metric,))
    return group_interval(np.asarray(groups)[used], names, held, values, resamples, seed, level)


def sensitivity_interval(
    hists: np.ndarray,
    groups: Labels,
    categories: Labels | None,
    limit: float = LIMIT,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Interval of the sensitivity at so many false positives a scan, or of its mean over categories.

    ``hists (n, 3, K)`` are of ``detections.found_coarse``, of scans with and without lesions; the operating point is
    looked for among the edges of the bins, and anew in each resample. The rest is as in ``dice_interval``.

    Returns:
        None where a category's lesions are all of one group, or no scan has a lesion.

    Raises:
        ValueError: lengths differ.
    """
    if len(hists) != len(groups):
        raise ValueError(f"sensitivity: {len(hists)} histograms, {len(groups)} groups")
    held = np.stack([np.ones(len(hists), bool), hists[:, 2].any(1)], 1)
    return group_interval(groups, categories, held, sensitivity_values(hists, limit), resamples, seed, level)
