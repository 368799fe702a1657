"""Question sets of an experiment -> samples to be asked about, and how their answers become rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.data.decoding import pixels_of
from framework.data.questions import mmad, sdls, visa_dr
from framework.data.questions.items import Item
from framework.errors import UserError
from framework.progress import say
from framework.reasoning import QuestionConfig
from framework.registry import unknown
from framework.tasks.quiz import Quiz
from framework.types import Record

READERS: dict[str, Callable[..., list[Item]]] = {
    "visa_dr": visa_dr.detection,
    "visa_dr_reasoning": visa_dr.reasoning,
    "mmad": mmad.questions,
    "sdls": sdls.questions,
}
PATHS = ("references", "knowledge")  # options that name a file


@dataclass(frozen=True, slots=True)
class Asked:
    """A question set, one quiz an item.

    Attributes:
        name: in the experiment.
        kind: key of ``READERS``.
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

    def record(self, position: int) -> Record:
        """One item as a sample: the picture that it asks about, the last; several items may share it."""
        item = self.items[position]
        anomalous = mmad.NORMAL not in item.id if self.kind == "mmad" else bool(item.label)
        return Record(item.images[-1], anomalous, item.category, group=str(item.images[-1]))


def open_questions(name: str, config: QuestionConfig) -> Asked:
    """Read a question set.

    Raises:
        UserError: an unknown option, or as its reader.
    """
    reader = READERS[config.kind]
    known = [p for p in inspect.signature(reader).parameters if p not in ("path", "images", "root")]
    for key in config.options:
        if key not in known:
            raise UserError(unknown(f"option of questions {config.kind!r}", key, known))
    options = {k: Path(v).expanduser() if k in PATHS else v for k, v in config.options.items()}
    path, images = Path(config.path).expanduser(), Path(config.images).expanduser()
    items = reader(path, **options) if config.kind == "sdls" else reader(path, images, **options)
    if config.kind == "visa_dr" and (note := visa_dr.difference(items)):
        say(f"questions.{name}: {note}")
    return Asked(name, config.kind, items, [Quiz(item.id, item.questions) for item in items])
