"""Questions about samples -> answers, batched, resumable, shared among any number of processes; a line a sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from framework.errors import UnreadableError, UserError
from framework.files import make_folder, write_whole
from framework.models.onevision.chat import IMAGE
from framework.progress import say, track
from framework.tasks.asking import Asker, Seen


@dataclass(frozen=True, slots=True)
class Quiz:
    """Questions about one sample, asked in order with the model's own answers as history.

    Attributes:
        id: of the sample, unique in its list.
        questions: one or more. Pictures stand in front of the first where it holds no ``<image>``.
    """

    id: str
    questions: tuple[str, ...]


class Source(Protocol):
    """A list of samples to be asked about."""

    quizzes: Sequence[Quiz]
    chosen: bool
    """Whether the model is shown only the most suspicious views; else all."""

    def views(self, position: int) -> Sequence[np.ndarray]:
        """Views of one, each ``(3, H, W)`` uint8. Raises UnreadableError."""
        ...


def answer(
    asker: Callable[[], Asker],
    source: Source,
    folder: Path,
    name: str,
    key: str,
    batch_size: int,
    max_new_tokens: int,
    rank: int = 0,
    ranks: int = 1,
) -> list[dict[str, Any]]:
    """Answer this process's share of what is not answered yet.

    Each process appends to a file of its own, a line a sample once it is answered, so that a kill loses one batch,
    and any number of processes may go on from what any number left.

    Args:
        asker: makes the model; not called where nothing is left to ask.
        source: the samples.
        folder: of answers.
        name: of the list, begins the file names.
        key: what the answers follow from (model, questions, options); lines of another key are not taken.
        batch_size: samples asked at once.
        max_new_tokens: longest answer.
        rank: of this process.
        ranks: how many there are.

    Returns:
        All lines there are now, of all processes, in the order of the list: ``id``, ``position``, ``answers``,
        ``logit``; or ``error`` where the sample could not be read.
    """
    make_folder(folder)
    done = collect(folder, name, key)
    left = [i for i in range(len(source.quizzes)) if i not in done and i % ranks == rank]
    if done:
        say(f"{name}: {len(done)} of {len(source.quizzes)} answered before")
    if left:
        path = folder / f"{name}-{rank}of{ranks}.jsonl"
        _mend(path)
        model = asker()
        with path.open("a", encoding="utf-8") as f:
            for part in track(_parts(left, batch_size), -(-len(left) // batch_size), f"asking about {name}"):
                for line in _ask(model, source, part, max_new_tokens):
                    f.write(json.dumps({"key": key, **line}) + "\n")
                f.flush()
    return list(collect(folder, name, key).values())


def collect(folder: Path, name: str, key: str) -> dict[int, dict[str, Any]]:
    """Lines of all processes by position, whole ones of this key only, in the order of the list."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"{name}-*of*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # cut off by a kill
                continue
            if isinstance(line, dict) and line.get("key") == key:
                found[line["position"]] = line
    return dict(sorted(found.items()))


def _ask(model: Asker, source: Source, positions: list[int], max_new_tokens: int) -> Iterator[dict[str, Any]]:
    """Lines of a batch: every sample seen once, then question after question."""
    seen: dict[int, Seen] = {}
    for i in positions:
        try:
            views = source.views(i)
            seen[i] = model.look(views, None if source.chosen else len(views))
        except UnreadableError as error:
            say(f"anomaly-ov: left out {error}")
            yield {"position": i, "id": source.quizzes[i].id, "error": str(error)}
    turns: dict[int, list[tuple[str, str | None]]] = {i: [] for i in seen}
    for step in range(max((len(source.quizzes[i].questions) for i in seen), default=0)):
        now = [i for i in seen if len(source.quizzes[i].questions) > step]
        for i in now:
            question = source.quizzes[i].questions[step]
            first = step == 0 and IMAGE not in question
            turns[i].append((model.opening(seen[i], question) if first else question, None))
        answers = model.answer([seen[i] for i in now], [turns[i] for i in now], max_new_tokens)
        for i, text in zip(now, answers, strict=True):
            turns[i][-1] = (turns[i][-1][0], text)
    for i, found in seen.items():
        answers = [text or "" for _, text in turns[i]]
        yield {"position": i, "id": source.quizzes[i].id, "answers": answers, "logit": found.logit}


def _parts(positions: list[int], size: int) -> Iterator[list[int]]:
    for i in range(0, len(positions), size):
        yield positions[i : i + size]


def _mend(path: Path) -> None:
    """Cut off a last line that a kill left half written, or what comes next would be joined to it."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_whole(path, whole)


def complete(lines: list[dict[str, Any]], source: Source, name: str) -> bool:
    """Whether every sample has its line; else how many other processes still owe."""
    if len(lines) == len(source.quizzes):
        return True
    say(f"{name}: {len(lines)} of {len(source.quizzes)} answered; the process that answers the last writes the rows")
    return False


def refused(lines: list[dict[str, Any]], name: str) -> None:
    """Raise where no sample could be read."""
    if lines and all("error" in line for line in lines):
        raise UserError(f"{name}: no sample could be read; the first: {lines[0]['error']}")
