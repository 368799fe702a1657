"""Published instruction data and a folder of pictures -> checked conversations. Opens no picture, loads no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.data.instruct import sources
from framework.errors import UserError
from framework.registry import unknown

IMAGE = "<image>"  # where a picture stands in a question
_ROLES = {
    "human": 0,
    "user": 0,
    "gpt": 1,
    "assistant": 1,
}  # place in a pair of turns; the published ones are human, gpt


@dataclass(frozen=True, slots=True)
class Conversation:
    """Questions and answers about one picture or several.

    Attributes:
        id: as the file has it, else the origin.
        images: paths of the pictures, in the order of their placeholders.
        turns: (question, answer) pairs; the questions hold one ``<image>`` for each picture.
        anomaly: whether the pictures show an anomaly, where the file says so.
        origin: file and number of the entry, for messages.
        sample: the file that the pictures are views of, where the entry's metadata names one.
    """

    id: str
    images: tuple[Path, ...]
    turns: tuple[tuple[str, str], ...]
    anomaly: bool | None
    origin: str
    sample: tuple[Path, ...] = ()


def load(path: Path, images: Path, seed: int = 0) -> list[Conversation]:
    """Read and check conversations, all before any training.

    An entry is ``{"id"?, "image": path or list of paths, "conversations": [{"from": "human" or "gpt", "value": text},
    ...], "metadata": {"anomaly": bool}?}``. Placeholders are treated as in the published training code (LLaVA-NeXT,
    ``preprocess_multimodal``): the only one of a question goes to its front, several in one question stay where they
    are. One difference: pictures without any placeholder, which that code would not show to the model, go first.

    Args:
        path: a published ``.yaml`` list, or one ``.json`` or ``.jsonl`` file; see ``sources.read``.
        images: folder that the paths of pictures start from; they may be absolute or leave it.
        seed: of the ``random`` sampling strategy.

    Raises:
        UserError: as ``sources.read``; an entry that cannot be trained on; pictures that are missing.
        UnreadableError: a file that is not YAML or JSON.
    """
    entries = sources.read(path.expanduser(), seed)
    bare = [place for place, entry in entries if isinstance(entry, dict) and not entry.get("image")]
    if bare:
        raise UserError(
            f"{bare[0]}: no image; {len(bare)} of {len(entries)} entries have none. "
            "Every conversation is about a picture: take them out."
        )
    root = images.expanduser()
    found = [_conversation(place, entry, root) for place, entry in entries]
    _check_pictures(found)
    return found


def _conversation(place: str, entry: Any, root: Path) -> Conversation:
    """One entry, checked but for whether its pictures are there."""
    if not isinstance(entry, dict):
        raise UserError(f"{place}: expected an object with image and conversations, found {type(entry).__name__}.")
    names = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    if not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{place}: image is a path or a list of paths, not {entry['image']!r}.")
    texts = _texts(place, entry.get("conversations"))
    questions = _placed(place, texts[::2], len(names))
    metadata = entry.get("metadata")
    anomaly = metadata.get("anomaly") if isinstance(metadata, dict) else None
    if not isinstance(anomaly, bool | None):
        raise UserError(f"{place}: anomaly in metadata is true or false, not {anomaly!r}.")
    turns = tuple(zip(questions, texts[1::2], strict=True))
    name = place if entry.get("id") is None else str(entry["id"])
    sample = metadata.get("sample") if isinstance(metadata, dict) else None
    whole = (Path(sample.partition("#")[0]),) if isinstance(sample, str) and sample else ()
    return Conversation(name, tuple(root / name for name in names), turns, anomaly, place, whole)


def _texts(place: str, turns: Any) -> list[str]:
    """Question, answer, question, ..., as many answers as questions."""
    if not isinstance(turns, list) or not turns:
        raise UserError(f"{place}: no conversations; expected a list of turns, human and gpt.")
    texts = []
    for number, turn in enumerate(turns):
        here = f"{place}, turn {number + 1}"
        role, text = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        if not isinstance(role, str) or not isinstance(text, str):
            raise UserError(f'{here}: expected {{"from": "human" or "gpt", "value": a text}}.')
        if role == "system":  # published code drops it without a word
            raise UserError(f"{here}: the system text is fixed. Move this one into the first question, or take it out.")
        if role not in _ROLES:
            raise UserError(f"{here}: {unknown('role', role, list(_ROLES))}")
        if _ROLES[role] != number % 2:
            raise UserError(f"{here}: {role} speaks out of turn. Turns alternate, human first, gpt second.")
        if not text.strip():
            raise UserError(f"{here}: the {'answer' if number % 2 else 'question'} is empty.")
        if number % 2 and IMAGE in text:
            raise UserError(f"{here}: an answer holds {IMAGE}; pictures stand in questions only.")
        texts.append(text)
    if len(texts) % 2:
        raise UserError(f"{place}: {len(texts)} turns, so the last question has no answer.")
    return texts


def _placed(place: str, questions: list[str], pictures: int) -> list[str]:
    """The questions with one placeholder for each picture."""
    count = sum(question.count(IMAGE) for question in questions)
    if count not in (0, pictures):
        raise UserError(f"{place}: {count} {IMAGE} for {pictures} image{'s'[: pictures > 1]}; write one for each.")
    if count == 0:
        return [f"{IMAGE}\n" * pictures + questions[0], *questions[1:]]
    return [_to_front(question) if question.count(IMAGE) == 1 else question for question in questions]


def _to_front(question: str) -> str:
    if question.startswith(IMAGE):
        return question
    return f"{IMAGE}\n{question.replace(IMAGE, '').strip()}".strip()


def _check_pictures(conversations: list[Conversation]) -> None:
    """Every picture is a file: 125,000 take half a second on a local disk, more threads only make it slower."""
    origins: dict[Path, str] = {}
    for conversation in conversations:
        for image in conversation.images:
            origins.setdefault(image, conversation.origin)
    missing = [image for image in origins if not os.path.isfile(image)]
    if missing:
        raise UserError(
            f"{origins[missing[0]]}: no picture {missing[0]}; {len(missing)} of {len(origins)} pictures are missing. "
            "Paths start from the folder of images."
        )
