"""Answers to MMAD's multiple-choice questions -> accuracy of its seven subtasks and their mean, strict or as published.

Source: ``caculate_accuracy_mmad`` in evaluation/examples/helper/summary.py of MMAD. Accuracy of a subtask is the mean
over datasets of each dataset's accuracy, in Anomaly Detection of the mean of its accuracies on normal and on anomalous
pictures. The published scorer removes an item without a letter from the list that it walks, so that item leaves the
denominator and the item after it, whatever it says, is never looked at. With 10 % of such items it reports 75 where
counting them as wrong gives 68.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DETECTION = "Anomaly Detection"
SUBTASKS = (
    DETECTION,
    "Defect Classification",
    "Defect Localization",
    "Defect Description",
    "Defect Analysis",
    "Object Classification",
    "Object Analysis",
)
RENAMED = {"Object Structure": "Object Analysis", "Object Details": "Object Analysis"}  # types of question in mmad.json
LETTERS = ("A", "B", "C", "D", "E")


@dataclass(frozen=True, slots=True)
class Item:
    """One question, answered.

    Attributes:
        subtask: one of ``SUBTASKS``, or a name of ``RENAMED``.
        dataset: where its picture is from.
        correct: the right letter.
        answered: the letter given, None without one.
        anomalous: whether the picture shows a defect; needed in Anomaly Detection.
    """

    subtask: str
    dataset: str
    correct: str
    answered: str | None
    anomalous: bool | None = None

    def __post_init__(self) -> None:
        if self.kind not in SUBTASKS or self.correct not in LETTERS:
            raise ValueError(f"not a subtask and a letter A to E of MMAD: {self.subtask!r}, {self.correct!r}")
        if self.kind == DETECTION and self.anomalous is None:
            raise ValueError(f"an item of {DETECTION} must say whether its picture is anomalous")

    @property
    def kind(self) -> str:
        """The subtask it counts for."""
        return RENAMED.get(self.subtask, self.subtask)

    @property
    def right(self) -> bool:
        """Whether the letter given is the right one."""
        return self.answered == self.correct


@dataclass(frozen=True, slots=True)
class Subtask:
    """One subtask.

    Attributes:
        count: its items.
        counted: items in its denominators; fewer than ``count`` in legacy scoring only.
        coverage: share of items that give a letter.
        accuracy: in [0, 1]; None where no dataset gives it a meaning.
    """

    count: int
    counted: int
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All subtasks that occur, in the order of ``SUBTASKS``, and the unweighted mean of their accuracies.

    ``average`` is None where one of the seven has no accuracy; in legacy scoring it is the mean of those that occur.
    """

    subtasks: dict[str, Subtask]
    average: float | None


def score(items: Sequence[Item], legacy: bool = False) -> Summary:
    """Accuracy of each subtask and of all.

    Strict: an item without a letter is wrong, a dataset without a subtask (in Anomaly Detection, without both kinds of
    picture) is not in that subtask's mean. Legacy, to compare with published numbers: items are lost as described
    above, and what a dataset lacks counts as 0.

    Args:
        items: in the order of the file of answers, which legacy scoring depends on.
        legacy: score as published.
    """
    counted = list(_walked(items)) if legacy else items
    datasets = sorted({item.dataset for item in items})
    found = {}
    for kind in SUBTASKS:
        asked = [item for item in items if item.kind == kind]
        kept = [item for item in counted if item.kind == kind]
        if asked:
            values = [_accuracy(kind, [i for i in kept if i.dataset == d], legacy) for d in datasets]
            known = [v for v in values if v is not None]
            coverage = sum(_lettered(item) for item in asked) / len(asked)
            found[kind] = Subtask(len(asked), len(kept), coverage, float(np.mean(known)) if known else None)
    accuracies = [s.accuracy for s in found.values() if s.accuracy is not None]
    whole = bool(accuracies) if legacy else len(accuracies) == len(SUBTASKS)
    return Summary(found, float(np.mean(accuracies)) if whole else None)


def _walked(items: Sequence[Item]) -> Iterator[Item]:
    """The items that the published loop counts: it drops one without a letter and steps over the next."""
    place = 0
    while place < len(items):
        if _lettered(items[place]):
            yield items[place]
            place += 1
        else:
            place += 2


def _lettered(item: Item) -> bool:
    return item.answered in LETTERS


def _accuracy(kind: str, items: list[Item], legacy: bool) -> float | None:
    """Of one subtask in one dataset; None, or 0 in legacy scoring, for what has no items."""
    parts = [items]
    if kind == DETECTION:
        parts = [[i for i in items if not i.anomalous], [i for i in items if i.anomalous]]
    if not legacy and not all(parts):
        return None
    return float(np.mean([np.mean([i.right for i in part]) if part else 0.0 for part in parts]))
