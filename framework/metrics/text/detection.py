"""Yes/no answers and the truth, by class -> accuracy, precision, recall, F1 and coverage, macro and pooled. NumPy only.

An item without an answer counts as wrong: as a miss where it is anomalous, as a false alarm where it is normal. So an
answer left out never helps, and ``coverage`` says how many there were.

Source: calc_accuracy.py of Anomaly-OneVision takes scikit-learn's metrics of each class and their unweighted mean; a
quotient by zero is 0. So the published F1 is not the F1 of the published precision and recall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Detection:
    """Numbers of one class, of the mean over classes, or of all items at once; each in [0, 1].

    Attributes:
        count: items.
        accuracy: share of right answers.
        precision: of the items called anomalous, the share that is; 0 where none is called so.
        recall: of the anomalous items, the share called so; 0 where there is none.
        f1: harmonic mean of the two; 0 where both are.
        balanced_accuracy: mean of the accuracies on normal and on anomalous items; None where there is only one kind.
        coverage: share of items with an answer.
    """

    count: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    balanced_accuracy: float | None
    coverage: float


@dataclass(frozen=True, slots=True)
class Detections:
    """The same numbers three ways.

    Attributes:
        macro: unweighted mean over the classes, as published; a class without a balanced accuracy is not in its mean.
        pooled: all items thrown together.
        classes: each class, in the order of their names.
    """

    macro: Detection
    pooled: Detection
    classes: dict[str, Detection]


def detection(labels: Sequence[bool], answers: Sequence[bool | None], classes: Sequence[str]) -> Detections:
    """Score yes/no answers.

    Args:
        labels: whether each item is anomalous.
        answers: whether each is called anomalous, None without an answer.
        classes: of each item.

    Raises:
        ValueError: lengths differ, or there are no items.
    """
    if not len(labels) == len(answers) == len(classes) or not len(labels):
        raise ValueError(f"one label, answer and class an item, got {len(labels)}, {len(answers)}, {len(classes)}")
    truth = np.asarray(labels, bool)
    answered = np.array([a is not None for a in answers])
    right = np.array([a is not None and bool(a) == label for a, label in zip(answers, truth, strict=True)])
    names, place = np.unique(np.asarray(classes, str), return_inverse=True)
    kinds = (truth & right, ~truth & ~right, truth & ~right, ~truth & right, answered)  # tp, fp, fn, tn, answered
    counts = np.stack([np.bincount(place, kind, len(names)) for kind in kinds])  # (5, classes)
    single = {str(name): _measure(*column) for name, column in zip(names, counts.T, strict=True)}
    return Detections(_mean(list(single.values())), _measure(*counts.sum(1)), single)


def _measure(tp: float, fp: float, fn: float, tn: float, answered: float) -> Detection:
    count = tp + fp + fn + tn
    both = tp + fn > 0 and tn + fp > 0
    return Detection(
        count=int(count),
        accuracy=float((tp + tn) / count),
        precision=_share(tp, tp + fp),
        recall=_share(tp, tp + fn),
        f1=_share(2 * tp, 2 * tp + fp + fn),
        balanced_accuracy=(_share(tp, tp + fn) + _share(tn, tn + fp)) / 2 if both else None,
        coverage=float(answered / count),
    )


def _mean(classes: list[Detection]) -> Detection:
    balanced = [c.balanced_accuracy for c in classes if c.balanced_accuracy is not None]
    return Detection(
        count=sum(c.count for c in classes),
        accuracy=float(np.mean([c.accuracy for c in classes])),
        precision=float(np.mean([c.precision for c in classes])),
        recall=float(np.mean([c.recall for c in classes])),
        f1=float(np.mean([c.f1 for c in classes])),
        balanced_accuracy=float(np.mean(balanced)) if balanced else None,
        coverage=float(np.mean([c.coverage for c in classes])),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
