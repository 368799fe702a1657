"""Metrics by their plain definitions, and pictures with defects, for the tests of metrics."""

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from framework.metrics import axis


def pictures(seed, count=3, side=20):
    """``(count, side, side)`` bool truth with round defects of several sizes (the first picture has none) and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((count, side, side), bool)
    for picture in truth[1:]:
        for _ in range(rng.integers(1, 4)):
            cy, cx, radius = rng.integers(0, side), rng.integers(0, side), rng.uniform(0.5, 4)
            picture |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    return truth, rng.normal(size=truth.shape) + 1.5 * truth


def f1_max(truth, scores):
    precision, recall, _ = precision_recall_curve(truth, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-30)).max())


def aupro(regions, scores, limit=0.3):
    """Threshold at every score, share of each region above it, trapezoids up to the limit."""
    background = scores[regions == 0]
    areas = [scores[regions == r] for r in np.unique(regions) if r]
    fpr, coverage = [0.0], [0.0]
    for t in np.unique(scores)[::-1]:
        fpr.append(float((background >= t).mean()))
        coverage.append(float(np.mean([(a >= t).mean() for a in areas])))
    fpr, coverage = np.array(fpr), np.array(coverage)
    inside = fpr < limit
    last = int(inside.sum())  # the first point at or beyond the limit
    slope = (coverage[last] - coverage[last - 1]) / (fpr[last] - fpr[last - 1])
    end = coverage[last - 1] + slope * (limit - fpr[last - 1])
    return float(np.trapezoid([*coverage[inside], end], [*fpr[inside], limit]) / limit)


def all_four(truth, scores, regions):
    """``{name: value}`` of float32 scores, flat arrays."""
    return {
        "auroc": float(roc_auc_score(truth, scores)),
        "ap": float(average_precision_score(truth, scores)),
        "f1_max": f1_max(truth, scores),
        "aupro": aupro(regions, scores),
        "aupro_05": aupro(regions, scores, 0.05),
    }


def lone_blobs(scores, marked):
    """Bin of each distinct score above 0 -> how many 26-connected blobs of bins at or above it hold nothing marked."""
    keys = axis.keys(torch.from_numpy(scores.ravel()), "probability").numpy().reshape(scores.shape)
    found = {}
    for key in np.unique(keys[keys > 0]):
        blobs, count = ndimage.label(keys >= key, np.ones((3, 3, 3)))
        found[key] = count - len(np.unique(blobs[marked & (blobs > 0)]))
    return found
