"""What is asked about one sample: its pictures, the questions in order, and the answers that are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Item:
    """One conversation to hold with a model. Opens no picture.

    Attributes:
        id: names the item; no other item of its set has it.
        images: the pictures, in the order in which the model sees them.
        questions: asked one after the other, with the model's own answers as history. A question may hold one
            ``<image>`` a picture, where the picture stands in the text; where the first question holds none, whoever
            asks puts all pictures in front of it.
        references: one text a question, the right answer, "" where none is known.
        category: class of object, organ or scene; metrics are also given per category.
        label: whether the sample is anomalous, for sets that measure detection or that know it; None elsewhere.
        subtask: what the question tests, in the words of its set.
        dataset: the set the pictures are from.
        options: letter and text of each choice of a multiple-choice question; the reference is then a letter.
    """

    id: str
    images: tuple[Path, ...]
    questions: tuple[str, ...]
    references: tuple[str, ...]
    category: str
    label: bool | None
    subtask: str = ""
    dataset: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Fail here rather than after hours of generation."""
        if not self.images or not self.questions or len(self.questions) != len(self.references):
            raise ValueError(
                f"{self.id}: an item has pictures, and questions with one reference each; got {len(self.images)} "
                f"pictures, {len(self.questions)} questions, {len(self.references)} references"
            )
