"""A histogram of scores -> AUROC, AP, F1-max and AUPRO, each with a bound on what the bins can have cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from framework.metrics.axis import Scale
from framework.metrics.lineage import aupro_lineage

REGION = 1 << 40  # one region in fixed point: its elements share it, so sums are exact for up to 2^23 regions
STRICT = 0.05  # the other limit of AUPRO


@dataclass(slots=True)
class Curves:
    """Metrics of one group. None: without meaning, as a class is missing or, for AUPRO, there are no regions.

    The exact value, that of the float32 scores themselves, lies within ``value - error`` and ``value + error``.

    Attributes:
        negatives: normal elements.
        positives: anomalous elements.
        regions: connected anomalous regions, 0 where they were not asked for.
        auroc: area under the ROC curve, ties count half.
        ap: average precision, the sum of (recall step) * precision, as scikit-learn.
        f1_max: best F1 over all thresholds, of all elements together: the micro average of the best Dice. The mean over
            scans is ``dice.Dice``.
        f1_threshold: the score at and above which that F1 calls an element anomalous; of logits their probability.
        aupro: area under the mean region coverage against the false-positive rate, up to the limit, over the limit.
        aupro_05: the same up to a false-positive rate of 0.05.
        aupro_lineage: AUPRO as most papers print it, see ``lineage``.
        auroc_error: half-width.
        ap_error: half-width.
        f1_max_error: half-width; the exact value is never below ``f1_max``.
        aupro_error: half-width; so are those of the other two.
    """

    negatives: int
    positives: int
    regions: int
    auroc: float | None = None
    ap: float | None = None
    f1_max: float | None = None
    f1_threshold: float | None = None
    aupro: float | None = None
    aupro_05: float | None = None
    aupro_lineage: float | None = None
    auroc_error: float | None = None
    ap_error: float | None = None
    f1_max_error: float | None = None
    aupro_error: float | None = None
    aupro_05_error: float | None = None
    aupro_lineage_error: float | None = None


def curves(
    hist: np.ndarray, scale: Scale, fpr_limit: float = 0.3, span: tuple[float, float] = (-np.inf, np.inf)
) -> Curves:
    """Metrics of a histogram. Elements of one bin tie, as they would if scores were rounded to bins.

    Args:
        hist: ``(2 or 3, bins)`` int64, ascending in score: normal elements, anomalous elements and, third, the sum of
            ``REGION`` // area of its region over the anomalous elements.
        scale: the axis of the bins.
        fpr_limit: highest false-positive rate of AUPRO, in (0, 1].
        span: least and highest score, which ``aupro_lineage`` needs.

    Raises:
        ValueError: more regions than fit the fixed point.
    """
    weights = hist[2] if len(hist) == 3 else np.zeros(1, np.int64)
    if weights.min() < 0 or weights.sum() < 0:
        raise ValueError(f"more than {(1 << 63) // REGION} anomalous regions in one group")
    regions = -int(-weights.sum() // REGION)  # what flooring cost is less than one region
    found = Curves(int(hist[0].sum()), int(hist[1].sum()), regions)
    if not found.negatives or not found.positives:
        return found
    used = np.flatnonzero(hist[:2].any(0))[::-1]  # highest scores first
    mixed = ~scale.single[used]  # bins whose inner order is lost
    n, p = hist[:2, used].astype(np.float64)
    fp, tp = n.cumsum(), p.cumsum()
    found.auroc = float(n @ (tp - p / 2) / (fp[-1] * tp[-1]))
    found.auroc_error = float((n * p)[mixed].sum() / 2 / (fp[-1] * tp[-1]))
    found.ap, found.ap_error = _average_precision(n, p, fp, tp, mixed)
    found.f1_max, found.f1_max_error, best = _f1_max(n, p, fp, tp, mixed)
    found.f1_threshold = scale.threshold(int(used[best]))
    if regions:
        coverage = weights[used].cumsum() / (regions * REGION)
        found.aupro, found.aupro_error = _aupro(fp / fp[-1], coverage, mixed, fpr_limit)
        found.aupro_05, found.aupro_05_error = _aupro(fp / fp[-1], coverage, mixed, STRICT)
        flooring = found.positives / (regions * REGION)
        found.aupro_error, found.aupro_05_error = found.aupro_error + flooring, found.aupro_05_error + flooring
        covered = weights[used[::-1]] / (regions * REGION)
        printed = aupro_lineage(n[::-1], covered, scale.low[used[::-1]], scale.top[used[::-1]], span)
        if printed:
            found.aupro_lineage, found.aupro_lineage_error = printed[0], printed[1] + flooring
    return found


def _average_precision(
    n: np.ndarray, p: np.ndarray, fp: np.ndarray, tp: np.ndarray, mixed: np.ndarray
) -> tuple[float, float]:
    """Value and half-width from ``(K,)`` counts, highest bin first.

    Upper bound: the anomalous elements of a mixed bin tie with one another above its normal ones. Lower bound: they
    follow its normal ones, one by one; then precision t / (t + fp) is concave in t, so a chord lies below it.
    """
    after = tp / (tp + fp)
    value = p @ after
    above = p * tp / np.maximum(tp + fp - n, 1)
    before = np.divide(tp - p, tp - p + fp, out=np.ones_like(tp), where=tp - p + fp > 0)
    below = p * before + (p + 1) / 2 * (after - before)
    high = (above - p * after)[mixed].sum()
    low = (p * after - below)[mixed & (p > 0)].sum()
    return float(value / tp[-1]), float(max(high, low) / tp[-1])


def _f1_max(
    n: np.ndarray, p: np.ndarray, fp: np.ndarray, tp: np.ndarray, mixed: np.ndarray
) -> tuple[float, float, int]:
    """Value, gap to the upper bound, and which bin is the last one above the threshold."""
    f1 = 2 * tp / (tp[-1] + tp + fp)
    best = int(f1.argmax())
    upper = 2 * tp / (tp[-1] + tp + fp - np.where(mixed & (p > 0), n, 0))
    return float(f1[best]), float(upper.max() - f1[best]), best


def _aupro(fpr: np.ndarray, coverage: np.ndarray, mixed: np.ndarray, limit: float) -> tuple[float, float]:
    """Area up to ``limit`` over ``limit``, linear between bins and to the limit as in MVTec's evaluation code.

    Inside a mixed bin the exact curve is anywhere in the box that its two ends span, as it never falls.
    """
    across, up = np.diff(fpr, prepend=0.0), np.diff(coverage, prepend=0.0)
    width = np.clip(limit - (fpr - across), 0, across)
    share = np.divide(width, across, out=np.zeros_like(width), where=across > 0)
    area = width * (coverage - up + share * up / 2)
    error = (width * up * (1 - share / 2))[mixed]
    return float(area.sum() / limit), float(error.sum() / limit)
