"""Scores or histograms of single samples -> percentile intervals that resample whole groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.leaderboard.statistics.draws import Labels, Values, resampled
from framework.leaderboard.statistics.exact import ELEMENT_METRICS, REGION_METRICS, checked, steps, thresholds, values

CHUNK = 1 << 20  # weights of samples held at a time
ROUNDED = 1e-6  # resamples that differ by less agree: they are reckoned in float32
ROUNDING, ASIDE = (
    1e-3,
    0.1,
)  # how far the centre of an interval may lie from the value: so much, and a share of its width


@dataclass(frozen=True, slots=True)
class Interval:
    """Of a metric.

    Attributes:
        low: lower end.
        high: upper end.
        unit_count: how many groups there were.
        centre: the metric of the data themselves, as resamples compute it: from histograms it is not quite the value.
        how: it was made, in words.
    """

    low: float
    high: float
    unit_count: int
    centre: float
    how: str

    def describes(self, value: float) -> bool:
        """Whether ``centre`` is near enough to the exact ``value``, by the interval's width, to be its interval."""
        return abs(self.centre - value) <= ROUNDING + ASIDE * (self.high - self.low)


def sample_interval(
    scores: np.ndarray,
    labels: np.ndarray,
    groups: Labels,
    categories: Labels | None,
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Interval of a sample-level metric, or of its mean over categories.

    Args:
        scores: ``(n,)`` of any range.
        labels: ``(n,)`` bool or 0/1.
        groups: ``(n,)``, the group of each sample.
        categories: ``(n,)``, or None for one category. Those of one class have no value and are left out.
        metric: one of ``SAMPLE_METRICS``.
        resamples: how many.
        seed: equal seeds give equal intervals, in any order of the samples.
        level: share of resamples inside, in (0, 1).

    Returns:
        None where a class of a category lives in no stratum of two groups or more, no category has both classes, or
        every resample has the same value: that the samples at hand are told apart does not say that all will be.

    Raises:
        ValueError: lengths differ, a score is NaN, or an unknown metric.
    """
    scores, labels = checked(scores, labels, metric)
    found = sample_values(scores[None], labels, (metric,))
    return group_interval(groups, categories, np.stack([~labels, labels], 1), found, resamples, seed, level)


def element_interval(
    hists: np.ndarray,
    regions: np.ndarray,
    groups: Labels,
    categories: Labels | None,
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    fpr_limit: float = 0.3,
) -> Interval | None:
    """Interval of an element-level metric, or of its mean over categories, from each sample's coarse histogram.

    ``hists (n, 3, K)`` hold normal elements, anomalous elements and shares of regions, ascending in score
    (``framework.metrics.regions.coarse``), ``regions (n,)`` how many regions each sample has; ``metric`` is one of
    ``ELEMENT_METRICS``, "aupro" up to the false-positive rate ``fpr_limit``; the rest, what is returned and what is
    raised are as in ``sample_interval``. Inside a bin scores count as evenly mixed. That moves a value by some
    1e-3 where scores spread over many of the bins, and by far more where they crowd in a few or lie beyond the ends:
    ask ``Interval.describes``.
    """
    if not len(hists) == len(regions) == len(groups) or metric not in ELEMENT_METRICS:
        raise ValueError(f"{metric}: {len(hists)} histograms, {len(regions)} region counts, {len(groups)} groups")
    found = element_values(hists, regions, (metric,), fpr_limit)
    held = element_parts(hists, regions if metric in REGION_METRICS else None)
    return group_interval(groups, categories, held, found, resamples, seed, level)


def group_interval(
    groups: Labels,
    categories: Labels | None,
    held: np.ndarray,
    values: Values,
    resamples: int,
    seed: int,
    level: float,
) -> Interval | None:
    """Interval of the mean over categories of ``values``, one value a resample: see ``draws.resampled``."""
    found = resampled(groups, categories, held, values, resamples, seed)
    if found is None:
        return None
    centre, *drawn = found.values.reshape(-1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).clip(0, 1)  # 1 + 2e-16 is rounding
    if max(drawn) - min(drawn) < ROUNDED:
        return None
    how = f"percentile bootstrap by group, {resamples} resamples, {100 * level:g} %"
    return Interval(float(low), float(high), found.units, float(centre), how)


def sample_values(scores: np.ndarray, labels: np.ndarray, metrics: tuple[str, ...]) -> Values:
    """What ``resampled`` asks for, of ``(S, n)`` scores and ``(n,)`` bool labels: ``(M, S, 1 + resamples)``."""

    def found(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        truth, ranked = labels[rows], [thresholds(own) for own in scores[:, rows]]
        parts = []
        for part in [drawn[:1].astype(np.float64), *_chunks(drawn[1:], len(rows))]:
            weights = part[:, owner]  # (b, n)
            normal, anomalous = weights * ~truth, weights * truth
            each = [
                values(steps(normal[:, order], ends), steps(anomalous[:, order], ends), metrics)
                for order, ends in ranked
            ]
            parts.append(np.stack(each, 1))  # (M, S, b)
        return np.concatenate(parts, 2)

    return found


def element_values(
    hists: np.ndarray,
    regions: np.ndarray,
    metrics: tuple[str, ...],
    fpr_limit: float = 0.3,
    bins: int | None = None,
) -> Values:
    """What ``resampled`` asks for, of ``(n, 3, K)`` histograms and ``(n,)`` regions: ``(M, 1 + resamples)``.

    Bins that no sample of a category fills are left out: they change no value, and are most of the bins. ``bins`` joins
    those of each category to that many, for the resamples, not for the data themselves: enough to see how they vary.
    """
    regions = np.asarray(regions)

    def found(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        order, starts = np.argsort(owner, kind="stable"), np.bincount(owner).cumsum() - np.bincount(owner)
        own = hists[rows[order]]
        masses = np.add.reduceat(own[:, :, own.any((0, 1))][:, :, ::-1], starts, dtype=np.float64)  # highest first
        counts = np.bincount(owner, regions[rows])
        whole = _mixed(masses, counts, drawn[:1].astype(np.float64), metrics, fpr_limit)
        masses = masses if bins is None else joined_bins(masses, bins)
        parts = [_mixed(masses, counts, part, metrics, fpr_limit) for part in _chunks(drawn[1:], 2 * masses[0].size)]
        return np.concatenate([whole, *parts], 1)

    return found


def joined_bins(masses: np.ndarray, bins: int) -> np.ndarray:
    """``(G, 3, T)`` -> ``(G, 3, at most bins)``: neighbours joined so that all hold like shares of the three masses."""
    total = masses.sum(0)
    weight = (total / np.maximum(total.sum(1, keepdims=True), 1e-30)).sum(0)
    place = (weight.cumsum() - weight / 2) * bins / weight.sum()
    starts = np.flatnonzero(np.diff(place.astype(int), prepend=-1))
    return np.asarray(np.add.reduceat(masses, starts, axis=2))


def _mixed(
    masses: np.ndarray, counts: np.ndarray, drawn: np.ndarray, metrics: tuple[str, ...], limit: float
) -> np.ndarray:
    """``(M, b)`` values of ``(b, G)`` draws of groups with ``(G, 3, T)`` masses. Sums of mixtures mix sums."""
    both = np.stack([masses, masses.cumsum(2)]).astype(drawn.dtype)  # (2, G, 3, T)
    each, sums = drawn @ np.ascontiguousarray(both.transpose(0, 2, 1, 3))  # (3, b, T) each
    return values(each[0], each[1], metrics, each[2], drawn @ counts, limit, (sums[0], sums[1], sums[2]))


def element_parts(hists: np.ndarray, regions: np.ndarray | None = None) -> np.ndarray:
    """``(n, 2)`` bool, whether samples have normal and anomalous elements; for AUPRO with ``regions``, and regions."""
    held = np.asarray(hists[:, :2].any(2))
    if regions is not None:
        held[:, 1] = np.asarray(regions) > 0
    return held


def _chunks(drawn: np.ndarray, width: int) -> Sequence[np.ndarray]:
    """The resamples in parts of which each holds about ``CHUNK`` numbers."""
    return np.array_split(drawn, math.ceil(len(drawn) * width / CHUNK))
