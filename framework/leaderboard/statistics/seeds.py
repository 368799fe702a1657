"""Values and intervals of several seeds of one method in; the interval of their mean, a random effect of seeds, out.

The seeds that were run are a sample of those that could be. The variance of the mean over S seeds has two parts: that
of the test set, which all seeds share, and so does not shrink with S; and the variance between seeds over S. The parts
are added, and Student's t takes the degrees of freedom of the sum, as two or three seeds tell little about how they
vary. A bootstrap over the seeds themselves (seeds first, then samples) would see only (S - 1) / S of their variance: a
half, of two seeds. What varies between seeds on one test set and not on another counts in both parts: that errs on the
safe side.

Source: a two-way random-effects model, Searle, Casella and McCulloch, Variance Components, 1992; for learned methods
Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from framework.leaderboard.statistics.student import joined, quantile


def seed_variance(values: Sequence[float]) -> tuple[float, float]:
    """Variance of the mean of values, one a seed, and its degrees of freedom; ``(0, inf)`` for a single one."""
    count = len(values)
    if count < 2:
        return 0.0, math.inf
    mean = math.fsum(values) / count
    return math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count, count - 1


def mean_interval(
    values: Sequence[float], lows: Sequence[float], highs: Sequence[float], level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over seeds from what each seed's row says.

    Args:
        values: one a seed, in [0, 1].
        lows: lower ends of each seed's interval, which is of the sampling of the test set alone.
        highs: upper ends.
        level: of those intervals, and of the result.

    Returns:
        Low and high, cut to [0, 1]; of one seed its own.
    """
    count, mean, seeds = len(values), math.fsum(values) / len(values), seed_variance(values)
    ends = []
    for bounds, sign in ((lows, -1), (highs, 1)):
        reach = math.fsum(abs(b - v) for b, v in zip(bounds, values, strict=True)) / count
        error, freedom = joined([((reach / quantile(level)) ** 2, math.inf), seeds])
        ends.append(mean + sign * (reach if count == 1 else quantile(level, freedom) * error))
    return max(0.0, ends[0]), min(1.0, ends[1])
