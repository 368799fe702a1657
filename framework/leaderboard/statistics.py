"""Scores or histograms of single samples -> exact small metrics, and intervals that resample whole groups. NumPy only.

A group (a patient, an object) is drawn with all of its samples, as samples of one group are not independent. Groups
are drawn with replacement inside strata: a category's groups of normal samples only, of anomalous ones only, and of
both. So every resample keeps both classes of each category. A stratum of one group does not vary; where a class of
a category lives in no stratum of at least two groups there is no interval: one group says nothing about the spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Labels = Sequence[str] | Sequence[int] | np.ndarray
SAMPLE_METRICS = ("auroc", "ap", "f1_max")
CHUNK = 1 << 20  # weights of samples held at a time
ROUNDING, ASIDE = (
    1e-3,
    0.1,
)  # how far the centre of an interval may lie from the value: so much, and a share of its width


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval of a bootstrap.

    Attributes:
        low: lower end.
        high: upper end.
        unit_count: how many groups were resampled.
        centre: the metric of the data themselves, as resamples compute it: from histograms it is not quite the value.
    """

    low: float
    high: float
    unit_count: int
    centre: float

    def describes(self, value: float) -> bool:
        """Whether ``centre`` is near enough to the exact ``value``, by the interval's width, to be its interval."""
        return abs(self.centre - value) <= ROUNDING + ASIDE * (self.high - self.low)


def auroc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve, ties count half. ``(n,)`` scores of any range and 0/1 labels; None for one class."""
    return _exact(scores, labels, "auroc")


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Sum of (recall step) * precision over the distinct scores, as scikit-learn; None for one class."""
    return _exact(scores, labels, "ap")


def f1_max(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Best F1 over all thresholds; None for one class."""
    return _exact(scores, labels, "f1_max")


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
        None where a class of a category lives in no stratum of two groups or more, or no category has both classes.

    Raises:
        ValueError: lengths differ, a score is NaN, or an unknown metric.
    """
    scores, labels = _checked(scores, labels, metric)

    def values(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        order, ends = _thresholds(scores[rows])
        truth, parts = labels[rows][order], []
        for part in np.array_split(drawn, math.ceil(len(drawn) * len(rows) / CHUNK)):
            weights = part[:, owner[order]]  # (b, n)
            positives = weights * truth
            parts.append(_values(_steps(weights - positives, ends), _steps(positives, ends), metric))
        return np.concatenate(parts)

    return group_interval(groups, categories, np.stack([~labels, labels], 1), values, resamples, seed, level)


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
    ``SAMPLE_METRICS`` or "aupro", this up to the false-positive rate ``fpr_limit``; the rest, what is returned and
    what is raised are as in ``sample_interval``. Inside a bin scores count as evenly mixed. That moves a value by some
    1e-3 where scores spread over many of the bins, and by far more where they crowd in a few or lie beyond the ends:
    ask ``Interval.describes``.
    """
    if not len(hists) == len(regions) == len(groups) or metric not in (*SAMPLE_METRICS, "aupro"):
        raise ValueError(f"{metric}: {len(hists)} histograms, {len(regions)} region counts, {len(groups)} groups")
    held = np.asarray(hists[:, :2].any(2))  # (n, 2), the classes of each sample's elements
    if metric == "aupro":
        held[:, 1] = np.asarray(regions) > 0

    def values(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        order, starts = np.argsort(owner, kind="stable"), np.bincount(owner).cumsum() - np.bincount(owner)
        sums = np.add.reduceat(hists[rows[order], :, ::-1], starts, dtype=np.float64)  # (G, 3, K), highest first
        mixed = np.moveaxis((drawn @ sums.reshape(len(sums), -1)).reshape(len(drawn), *sums.shape[1:]), 1, 0)
        counts = drawn @ np.bincount(owner, np.asarray(regions)[rows])
        return _values(mixed[0], mixed[1], metric, mixed[2], counts, fpr_limit)

    return group_interval(groups, categories, held, values, resamples, seed, level)


def group_interval(
    groups: Labels,
    categories: Labels | None,
    held: np.ndarray,
    values: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    resamples: int,
    seed: int,
    level: float,
) -> Interval | None:
    """Mean over categories of ``values(rows, owner, drawn)``; ``held``: ``(n, 2)``, has a normal or anomalous part."""
    total, used, units = np.zeros(1 + resamples), 0, 0  # the first is of the data themselves
    for number, rows in enumerate(_rows(categories, len(held))):
        if not held[rows].any(0).all():
            continue
        owner, drawn = _draw(np.asarray(groups)[rows], held[rows], resamples, (seed, number))
        if drawn is None:
            return None
        total += values(rows, owner, drawn)
        used, units = used + 1, units + drawn.shape[1]
    if not used:
        return None
    centre, *drawn_values = total / used
    low, high = np.quantile(drawn_values, [(1 - level) / 2, (1 + level) / 2]).clip(0, 1)  # 1 + 2e-16 is rounding
    return Interval(float(low), float(high), units, float(centre))


def _checked(scores: np.ndarray, labels: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1 or np.isnan(scores).any() or metric not in SAMPLE_METRICS:
        raise ValueError(f"{metric}: scores {scores.shape}, {np.isnan(scores).sum()} NaN, labels {labels.shape}")
    return scores, labels


def _exact(scores: np.ndarray, labels: np.ndarray, metric: str) -> float | None:
    scores, labels = _checked(scores, labels, metric)
    if labels.all() or not labels.any():
        return None
    order, ends = _thresholds(scores)
    negatives, positives = (_steps(side[None, order].astype(np.float64), ends) for side in (~labels, labels))
    return float(_values(negatives, positives, metric)[0])


def _rows(categories: Labels | None, count: int) -> list[np.ndarray]:
    """Positions of each category's samples, categories sorted by name."""
    if categories is None:
        return [np.arange(count)]
    names, number = np.unique(np.asarray(categories), return_inverse=True)
    return [np.flatnonzero(number == i) for i in range(len(names))]


def _thresholds(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of falling scores, and the position of the last of each tie."""
    order = np.argsort(-scores, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)


def _steps(weights: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """``(b, n)`` weights in the order of scores -> ``(b, T)``, summed over ties."""
    return np.diff(weights.cumsum(1)[:, ends], axis=1, prepend=0.0)


def _draw(
    groups: np.ndarray, held: np.ndarray, resamples: int, seed: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None]:
    """How often each resample holds each group of one category.

    Takes ``(n,)`` groups and ``(n, 2)`` bool, whether a sample has something normal and something anomalous. Returns
    ``(n,)``, the position of each sample's group among the G groups sorted by name, and ``(1 + resamples, G)`` float64,
    every group once and then the resamples, or None where a class lives in no stratum of two groups.
    """
    names, owner = np.unique(groups, return_inverse=True)
    kind = 1 * (np.bincount(owner, held[:, 0]) > 0) + 2 * (np.bincount(owner, held[:, 1]) > 0)  # 3: both
    sizes = np.bincount(kind, minlength=4)
    if max(sizes[1], sizes[3]) < 2 or max(sizes[2], sizes[3]) < 2:
        return owner, None
    generator = np.random.default_rng(seed)
    drawn = np.ones((1 + resamples, len(names)))
    for stratum in range(len(sizes)):
        if size := sizes[stratum]:
            drawn[1:, kind == stratum] = generator.multinomial(size, np.full(size, 1 / size), resamples)
    return owner, drawn


def _values(
    negatives: np.ndarray,
    positives: np.ndarray,
    metric: str,
    shares: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    limit: float = 0.3,
) -> np.ndarray:
    """``(b,)`` values of ``(b, T)`` masses, highest scores first. Shares and ``(b,)`` region counts: histograms."""
    fp, tp = negatives.cumsum(1), positives.cumsum(1)
    if metric == "auroc":
        return (negatives * (tp - positives / 2)).sum(1) / (fp[:, -1] * tp[:, -1])
    if metric == "f1_max":
        return (2 * tp / (tp[:, -1:] + tp + fp)).max(1)
    if metric == "ap":
        mixed = 0.0 if shares is None else 0.5  # a tie counts at its end; a bin of a histogram at its middle
        hits, all_hits = tp - mixed * positives, tp + fp - mixed * (positives + negatives)
        precision = np.divide(hits, all_hits, out=np.zeros_like(tp), where=all_hits > 0)
        return (positives * precision).sum(1) / tp[:, -1]
    assert shares is not None and regions is not None
    across = negatives / fp[:, -1:]
    coverage = shares.cumsum(1) / regions[:, None]
    width = np.clip(limit - (fp / fp[:, -1:] - across), 0, across)
    share = np.divide(width, across, out=np.zeros_like(width), where=across > 0)
    up = shares / regions[:, None]
    return (width * (coverage - up + share * up / 2)).sum(1) / limit
