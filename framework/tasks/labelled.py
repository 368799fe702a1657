"""A labelled set of any domain -> samples to be asked about, each one question."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framework.data.index import Index
from framework.data.questions.words import yes_or_no
from framework.errors import UserError
from framework.tasks.quiz import Quiz
from framework.types import Record


class Labelled:
    """Every sample of a labelled set, asked one question.

    Args:
        index: the set.
        question: "" for the published one, in the words of the domain.
        shown: most views of a sample that the model sees.

    Raises:
        UserError: a file that the index names is not there.
    """

    chosen = True

    def __init__(self, index: Index, question: str, shown: int) -> None:
        self.index, self.name = index, index.name
        self._captions: dict[int, tuple[str, ...]] = {}
        for record in index.records:
            if not record.path.is_file():
                raise UserError(f"{index.name}: no file {record.path}, which its index names.")
        element = index.reader.element
        asked = question or yes_or_no(element, several=element != "pixel" and shown > 1)
        root = Path(index.config.root).expanduser()
        names = [Path(record.id) for record in index.records]
        self.quizzes = [Quiz(str(n.relative_to(root) if n.is_relative_to(root) else n), (asked,)) for n in names]

    def record(self, position: int) -> Record:
        """One sample: where it lies and what is known of it."""
        return self.index.records[position]

    def views(self, position: int) -> Sequence[np.ndarray]:
        """Views of one sample, without its truth, of which answers need no more than the label."""
        record = dataclasses.replace(self.index.records[position], truth_path=None)
        sample = self.index.reader.read(record)
        self._captions[position] = sample.captions
        return list(sample.views)

    def captions(self, position: int) -> Sequence[str]:
        """What each view of a sample that was read shows; none where the domain does not say."""
        return self._captions.get(position, ())
