"""The files of VisA-D&R -> items: one yes-or-no question a picture, or a few about an anomaly with a history.

Source: Anomaly-OneVision, ``test_detection.py`` and ``test_reasoning.py``; Xu et al., CVPR 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.data.questions.items import Item
from framework.data.questions.reading import check_pictures, numbered, read_json, read_list, texts, value
from framework.data.questions.words import yes_or_no
from framework.errors import UserError

PROMPT = yes_or_no("pixel", several=False)
"""The published question of detection; the picture stands in front of it."""
NORMAL, ANOMALOUS, CLASSES = 761, 1000, 10  # of the published VisA/test_data.json
SKIPPED = ("pcb2", "pcb4")  # the published run leaves out reasoning pictures with these in their path
NAME = "visa_dr"


def detection(path: Path, images: Path) -> list[Item]:
    """One item a picture of ``VisA/test_data.json``: a list of ``{"image": "VisA/<class>/...", "anomaly": bool}``.

    Args:
        path: the file.
        images: the folder that its picture paths start from.

    Raises:
        UserError: a missing file or picture, or an entry that is not as above, which is named.
        UnreadableError: the file is not JSON.
    """
    entries = read_list(path)
    found = []
    for name, (place, entry) in zip(_names(entries), entries, strict=True):
        image, anomaly = value(entry, "image", str, place), value(entry, "anomaly", bool, place)
        answer = "Yes" if anomaly else "No"
        category = _category(image, place)
        found.append(Item(name, (images / image,), (PROMPT,), (answer,), category, anomaly, "detection", NAME))
    check_pictures(found, path, images)
    return found


def difference(items: Sequence[Item]) -> str:
    """How the items of ``detection`` differ from the published set, in one line; "" where the counts agree."""
    anomalous = sum(item.label is True for item in items)
    found = (len(items) - anomalous, anomalous, len({item.category for item in items}))
    if found == (NORMAL, ANOMALOUS, CLASSES):
        return ""
    return (
        f"{found[0]} normal and {found[1]} anomalous pictures of {found[2]} classes; the published set has "
        f"{NORMAL}, {ANOMALOUS} and {CLASSES}, so numbers do not compare with the paper's."
    )


def reasoning(path: Path, images: Path, references: Path | None = None, skip: tuple[str, ...] = SKIPPED) -> list[Item]:
    """One item an entry of ``VisA/visa_dr.json``: a list of ``{"image": ..., "questions": [...]}``, all anomalous.

    The published answers have not been seen by us. They are taken from "answers" of an entry, or from a second file.
    "responses" of an entry are not: the published run writes a model's own answers there.

    Args:
        path: the file.
        images: the folder that its picture paths start from.
        references: a JSON file with right answers, an object ``{<image>: [...]}`` or a list of ``{"image": ...,
            "answers" or "responses": [...]}``. A picture it does not name has no reference.
        skip: leaves out pictures with one of these in their path, as published; () keeps all.

    Raises:
        UserError: a missing file or picture, an entry that is not as above, which is named, answers that are not as
            many as the questions, or a file of references that names none of the pictures.
        UnreadableError: a file is not JSON.
    """
    entries = read_list(path)
    names = _names(entries)
    answers = {} if references is None else _answers(references)
    if references is not None and not answers.keys() & set(names):
        raise UserError(f"{references}: has answers for none of the pictures in {path}. Name the file of the same set.")
    found = []
    for name, (place, entry) in zip(names, entries, strict=True):
        image, questions = value(entry, "image", str, place), texts(entry, "questions", place)
        category = _category(image, place)
        if any(word in image for word in skip):
            continue
        known = texts(entry, "answers", place) if "answers" in entry else ("",) * len(questions)
        where, known = answers.get(image, (place, known))
        if len(known) != len(questions):
            raise UserError(f"{where}: {len(known)} answers for the {len(questions)} questions about {image}.")
        found.append(Item(name, (images / image,), questions, known, category, True, "reasoning", NAME))
    check_pictures(found, path, images)
    return found


def _names(entries: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return numbered([value(entry, "image", str, place) for place, entry in entries])


def _category(image: str, place: str) -> str:
    """The class, the second part of a picture's path."""
    parts = image.split("/")
    if len(parts) < 3:
        raise UserError(f'{place}: expected a picture path "VisA/<class>/...", found {image!r}.')
    return parts[1]


def _answers(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Where the answers to a picture's questions stand, and the answers, by picture."""
    content = read_json(path)
    if isinstance(content, dict):
        return {image: (f"{path}, {image!r}", texts(content, image, f"{path}, {image!r}")) for image in content}
    found = {}
    for place, entry in read_list(path):
        key = "answers" if "answers" in entry else "responses"
        found[value(entry, "image", str, place)] = (place, texts(entry, key, place))
    return found
