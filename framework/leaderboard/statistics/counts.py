"""What is counted of single samples and scans in; F1 at a given threshold, Dice and sensitivity of resamples out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framework.leaderboard.statistics.draws import Values

DICE = ("dice_best", "dice_fixed")
LIMIT = 1.0  # false positives a scan at the operating point
FLAGGED = 0.01  # at most this share of the normal voxels may be flagged


def f1_values(flagged: np.ndarray, labels: np.ndarray) -> Values:
    """What ``resampled`` asks for, ``(1, 1 + resamples)``, of ``(n,)`` bool: what a threshold flags, and labels."""
    kinds = (flagged & labels, flagged & ~labels, ~flagged & labels)

    def found(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        sums = np.stack([np.bincount(owner, kind[rows], drawn.shape[1]) for kind in kinds], 1)  # (G, 3)
        return f1_of(drawn @ sums)[None]

    return found


def f1_of(counts: np.ndarray) -> np.ndarray:
    """``(b, 3)`` true positives, false positives, false negatives -> ``(b,)``."""
    hits, alarms, misses = counts.T
    return np.asarray(2 * hits / np.maximum(2 * hits + alarms + misses, 1e-12))


def dice_values(hists: np.ndarray, metrics: Sequence[str]) -> Values:
    """What ``resampled`` asks for, ``(M, 1 + resamples)``, of ``(n, 2 or 3, K)`` histograms of scans with lesions.

    The best threshold is looked for among the K edges, and anew in each resample; the fixed one is the middle edge.
    """
    each = dice(hists[:, :2].astype(np.float64))  # (n, K)

    def found(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        means = drawn @ _sums(each[rows], owner) / (drawn @ np.bincount(owner))[:, None]
        return np.stack([means.max(1) if m == "dice_best" else means[:, means.shape[1] // 2] for m in metrics])

    return found


def sensitivity_values(hists: np.ndarray, limit: float = LIMIT) -> Values:
    """What ``resampled`` asks for, ``(1, 1 + resamples)``, of ``(n, 3, K)`` of ``detections.found_coarse``.

    The operating point is looked for among the edges of the bins, and anew in each resample.
    """

    def found(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        sums = _sums(hists[rows].astype(np.float64), owner)  # (G, 3, K)
        mixed = (drawn @ sums.reshape(len(sums), -1)).reshape(len(drawn), *sums.shape[1:])
        return operating_points(mixed, drawn @ np.bincount(owner), limit)[0][None]

    return found


def dice(hists: np.ndarray) -> np.ndarray:
    """Dice at the lower edge of each bin: ``(..., 2, K)`` counts, ascending in score -> ``(..., K)`` float64.

    NaN where nothing is anomalous and nothing flagged.
    """
    flagged = hists[..., ::-1].cumsum(-1)[..., ::-1]
    normal, hit = flagged[..., 0, :], flagged[..., 1, :]
    whole = normal + hit + hit[..., :1]
    return np.divide(2 * hit, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def operating_points(hist: np.ndarray, scans: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest threshold that keeps to both limits, as it finds most.

    A threshold qualifies if it leaves at most ``limit`` false positives a scan on average, and flags at most
    ``FLAGGED`` of all normal voxels. The second is what gives the first its meaning: the lower a threshold, the more
    blobs run together, until one blob fills each scan, holds all lesions and is no false positive. False positives
    rise and fall along the thresholds, and any that qualifies counts. A score of 0 is never flagged.

    Args:
        hist: ``(B, 3, K)`` as ``Detections.hist``; bin 0 is below all thresholds.
        scans: ``(B,)``, how many.
        limit: false positives a scan.

    Returns:
        ``(B,)`` float64 sensitivity, NaN without lesions, and ``(B,)`` int64, the bin of the highest threshold that
        reaches it; K, above all scores, where none finds a lesion.
    """
    normal, blobs, lesions = np.moveaxis(hist[..., ::-1].cumsum(-1), 1, 0)  # (B, K), highest threshold first
    fits = (blobs <= limit * scans[:, None]) & (normal <= FLAGGED * normal[:, -1:])
    hits = np.where(fits, lesions, 0)[:, :-1]
    best = hits.max(1)
    bins = np.where(best > 0, hist.shape[2] - 1 - hits.argmax(1), hist.shape[2])
    return np.divide(best, lesions[:, -1], out=np.full(len(best), np.nan), where=lesions[:, -1] > 0), bins


def _sums(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """``(n, ...)`` of scans and ``(n,)`` positions of their groups -> ``(G, ...)``, summed over each group's scans."""
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner)
    return np.add.reduceat(values[order], counts.cumsum() - counts, dtype=np.float64)
