"""Yes/no answers -> the interval of their accuracy and its like, whole groups resampled. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framework.leaderboard.statistics import Interval, Labels, group_interval

METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")


def answer_interval(
    labels: Sequence[bool],
    answers: Sequence[bool | None],
    groups: Labels,
    categories: Labels | None,
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """Interval of a metric of ``framework.metrics.text.detection``, or of its mean over categories.

    Args:
        labels: whether each sample is anomalous.
        answers: whether each is called so; None, no answer, counts as wrong.
        groups: of each sample.
        categories: of each sample; None for all in one pot.
        metric: one of ``METRICS``.
        resamples: how many.
        seed: equal seeds give equal intervals.

    Returns:
        None where a class of a category lives in no stratum of two groups or more, or no category has both classes.
    """
    truth = np.asarray(labels, bool)
    right = np.array([a is not None and bool(a) == label for a, label in zip(answers, truth, strict=True)])
    kinds = np.stack([truth & right, ~truth & ~right, truth & ~right, ~truth & right], 1).astype(np.float64)

    def values(rows: np.ndarray, owner: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        held = np.stack([np.bincount(owner, kind, drawn.shape[1]) for kind in kinds[rows].T], 1)  # (G, 4)
        tp, fp, fn, tn = (drawn @ held).T  # (b,)
        recall, rejection, precision = _share(tp, tp + fn), _share(tn, tn + fp), _share(tp, tp + fp)
        return {
            "accuracy": (tp + tn) / (tp + fp + fn + tn),
            "balanced_accuracy": (recall + rejection) / 2,
            "precision": precision,
            "recall": recall,
            "f1": _share(2 * tp, 2 * tp + fp + fn),
        }[metric]

    return group_interval(groups, categories, np.stack([~truth, truth], 1), values, resamples, seed, 0.95)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
