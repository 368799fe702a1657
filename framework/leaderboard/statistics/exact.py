"""Scores and labels, or masses over falling thresholds -> AUROC, AP, F1-max and AUPRO, of many resamples at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_METRICS = ("auroc", "ap", "f1_max")
STRICT = 0.05  # highest false-positive rate of "aupro_05"
REGION_METRICS = ("aupro", "aupro_05")
ELEMENT_METRICS = (*SAMPLE_METRICS, *REGION_METRICS)
ROWS = 250  # resamples that are reckoned at a time


def auroc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve, ties count half. ``(n,)`` scores of any range and 0/1 labels; None for one class."""
    return _exact(scores, labels, "auroc")


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Sum of (recall step) * precision over the distinct scores, as scikit-learn; None for one class."""
    return _exact(scores, labels, "ap")


def f1_max(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Best F1 over all thresholds; None for one class."""
    return _exact(scores, labels, "f1_max")


def checked(scores: np.ndarray, labels: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` float64 scores and bool labels. Raises ValueError for other shapes, NaN or an unknown metric."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1 or np.isnan(scores).any() or metric not in SAMPLE_METRICS:
        raise ValueError(f"{metric}: scores {scores.shape}, {np.isnan(scores).sum()} NaN, labels {labels.shape}")
    return scores, labels


def thresholds(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of falling scores, and the position of the last of each tie."""
    order = np.argsort(-scores, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)


def steps(weights: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """``(b, n)`` weights in the order of scores -> ``(b, T)``, summed over ties."""
    if len(ends) == weights.shape[1]:
        return weights
    return np.diff(weights.cumsum(1)[:, ends], axis=1, prepend=weights.dtype.type(0))


def values(
    negatives: np.ndarray,
    positives: np.ndarray,
    metrics: tuple[str, ...],
    shares: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    limit: float = 0.3,
    sums: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """``(M, b)`` values of ``(b, T)`` masses, highest scores first. Shares and ``(b,)`` region counts: histograms.

    ``sums`` are negatives, positives and shares summed up over T, where they are known already.
    """
    fp, tp = (negatives.cumsum(1), positives.cumsum(1)) if sums is None else sums[:2]
    found = np.empty((len(metrics), len(fp)))
    for metric, own in zip(metrics, found, strict=True):
        if metric in REGION_METRICS:
            assert shares is not None and regions is not None
            covered = shares.cumsum(1) if sums is None else sums[2]
            own[:] = _aupro(negatives, fp, shares, covered, limit if metric == "aupro" else STRICT) / regions
            continue
        for part in parts_of(len(fp)):
            own[part] = _curve(metric, negatives[part], positives[part], fp[part], tp[part], shares is None)
    return found


@lru_cache(maxsize=64)
def parts_of(count: int) -> tuple[slice, ...]:
    """Of so many resamples some at a time: what they need meanwhile stays in the cache, and asks for no new pages."""
    number = -(-count // ROWS)
    return tuple(slice(count * i // number, count * (i + 1) // number) for i in range(number))


def _curve(
    metric: str, negatives: np.ndarray, positives: np.ndarray, fp: np.ndarray, tp: np.ndarray, ties: bool
) -> np.ndarray:
    """``(b,)`` AUROC, F1-max or AP of ``(b, T)`` masses and their sums. ``ties``: of single scores, not histograms."""
    whole = tp[:, -1]
    if metric == "auroc":
        area = np.einsum("bt,bt->b", negatives, tp - positives / 2)
        return np.asarray(area / (fp[:, -1].astype(np.float64) * whole))
    if metric == "f1_max":
        return np.asarray((2 * tp / (whole[:, None] + tp + fp)).max(1))
    hits, every = tp, tp + fp
    if not ties:  # a tie counts at its end; a bin of a histogram at its middle
        hits, every = tp - positives / 2, every - (positives + negatives) / 2
    precision = np.divide(hits, every, out=np.zeros_like(tp), where=every > 0)
    return np.asarray(np.einsum("bt,bt->b", positives, precision) / whole)


def _aupro(negatives: np.ndarray, fp: np.ndarray, shares: np.ndarray, covered: np.ndarray, limit: float) -> np.ndarray:
    """``(b,)`` area under summed coverage over false-positive rate, from both curves and their steps, ``(b, T)``."""
    parts = parts_of(len(fp))
    before = [(fp[part] - negatives[part]) / fp[part, -1:] for part in parts]
    used = 1 + max(int(np.flatnonzero((own < limit).any(0))[-1]) for own in before)  # no resample is within it behind
    area = np.empty(len(fp), np.result_type(fp, shares))
    for part, own in zip(parts, before, strict=True):
        across = negatives[part, :used] / fp[part, -1:]
        width = np.clip(limit - own[:, :used], 0, across)
        share = np.divide(width, across, out=np.zeros_like(width), where=across > 0)
        up = shares[part, :used]
        area[part] = np.einsum("bt,bt->b", width, covered[part, :used] - up + share * up / 2)
    return area / limit


def _exact(scores: np.ndarray, labels: np.ndarray, metric: str) -> float | None:
    scores, labels = checked(scores, labels, metric)
    if labels.all() or not labels.any():
        return None
    order, ends = thresholds(scores)
    negatives, positives = (steps(side[None, order].astype(np.float64), ends) for side in (~labels, labels))
    return float(values(negatives, positives, (metric,))[0, 0])
