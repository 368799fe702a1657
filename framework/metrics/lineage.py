"""A histogram and the least and the highest score -> AUPRO as most papers print it, and how far the bins can move it.

Not a property of the ranking: the thresholds are even steps between the least and the highest score, so any monotone
change of the scores changes the value. It is here to be compared with printed tables, under a name of its own.
Source: ``cal_pro_score`` of AnomalyCLIP, WinCLIP's and many more, which comes from gudovskiy/cflow-ad, train.py.
"""

from __future__ import annotations

import numpy as np

STEPS, LIMIT = 200, 0.3


def aupro_lineage(
    normal: np.ndarray, shares: np.ndarray, low: np.ndarray, top: np.ndarray, span: tuple[float, float]
) -> tuple[float, float] | None:
    """Value and half-width. At each threshold t, elements count that score above t; a bin that holds t is split evenly.

    Points with a false-positive rate below 0.3 are kept, their rates are stretched to [0, 1], and the area under them
    is taken by trapezoids. Thresholds are the least score and 199 even steps towards the highest, in float64.

    Args:
        normal: ``(K,)`` normal elements of each bin, ascending in score.
        shares: ``(K,)``, what its anomalous elements cover of their regions, over the number of regions.
        low: ``(K,)`` lower edges of the bins.
        top: ``(K,)`` upper edges.
        span: least and highest score.

    Returns:
        None where fewer than two rates below 0.3 differ, or scores are not finite: there the published code fails.
    """
    least, highest = span
    if not np.isfinite([least, highest]).all() or least == highest:
        return None
    at = least + np.arange(STEPS) * ((highest - least) / STEPS)
    low, top = low.clip(least, highest), top.clip(least, highest)
    first = np.searchsorted(low, at, "right")  # the first bin that is above as a whole
    width = top[first - 1] - low[first - 1]
    part = np.divide(top[first - 1] - at, width, out=np.zeros(STEPS), where=width > 0).clip(0, 1)
    held = part > 0  # the bin before holds t
    counts = np.stack([normal / normal.sum(), shares])  # (2, K)
    above = np.append(counts[:, ::-1].cumsum(1)[:, ::-1], np.zeros((2, 1)), 1)[:, first]  # (2, STEPS)
    split = counts[:, first - 1]
    rates, covered = (above + split * part)[:, ::-1]
    value = _area(rates, covered, rates < LIMIT)
    if value is None:
        return None
    least_at, most_at = above[:, ::-1], (above + split * held)[:, ::-1]  # rates and coverage: bounds at each threshold
    bounds: list[float] = []
    for keep in {int((most_at[0] < LIMIT).sum()), int((least_at[0] < LIMIT).sum())}:
        bounds += _bounds(least_at[:, :keep], most_at[:, :keep])
    return value, max(abs(bound - value) for bound in bounds)


def _area(rates: np.ndarray, covered: np.ndarray, keep: np.ndarray) -> float | None:
    x, y = rates[keep], covered[keep]
    if not len(x) or x[-1] == x[0]:
        return None
    return float(np.trapezoid(y, (x - x[0]) / (x[-1] - x[0])))


def _bounds(least: np.ndarray, most: np.ndarray) -> tuple[float, float]:
    """What the area can be at most and at least, of ``(2, k)`` rates and coverage.

    Both only rise, so the curve whose points lie as far up and left as they may is above any other, and that of those
    down and right below. The area of either over the widest and narrowest span of rates is divided by that span.
    """
    if least.shape[1] < 2 or least[0, -1] <= most[0, 0]:
        return 1.0, 0.0
    left, right, narrowest = least[0, 0], most[0, -1], least[0, -1] - most[0, 0]
    high = np.trapezoid(most[1], least[0]) + most[1, -1] * (right - least[0, -1])
    low = np.trapezoid(least[1], most[0]) - least[1, -1] * (right - least[0, -1])
    return float(high / narrowest), float(low / (right - left))
