"""Question sets of an experiment -> samples to be asked about, and how their answers become rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.data.decoding import pixels_of
from framework.data.questions import mmad
from framework.data.questions.items import Item
from framework.data.questions.opening import open_items
from framework.reasoning import QuestionConfig
from framework.tasks.quiz import Quiz
from framework.types import Record


@dataclass(frozen=True, slots=True)
class Asked:
    """A question set, one quiz an item.

    Attributes:
        name: in the experiment.
        kind: key of ``opening.READERS``.
        items: the questions.
        quizzes: the same, as they are asked.
    """

    name: str
    kind: str
    items: Sequence[Item]
    quizzes: Sequence[Quiz]
    chosen: bool = False

    def views(self, position: int) -> Sequence[np.ndarray]:
        """Pictures of one item, each ``(3, H, W)`` uint8."""
        return [pixels_of(path) for path in self.items[position].images]

    def captions(self, position: int) -> Sequence[str]:
        """None: the question says what the pictures are."""
        return ()

    def record(self, position: int) -> Record:
        """One item as a sample: the picture that it asks about, the last; several items may share it."""
        item = self.items[position]
        anomalous = mmad.NORMAL not in item.id if self.kind == "mmad" else bool(item.label)
        return Record(item.images[-1], anomalous, item.category, group=str(item.images[-1]))


def open_questions(name: str, config: QuestionConfig) -> Asked:
    """Read a question set; raises as ``open_items``."""
    items = open_items(name, config)
    return Asked(name, config.kind, items, [Quiz(item.id, item.questions) for item in items])
