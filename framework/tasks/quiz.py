"""Questions about samples -> answers, batched, resumable, shared among any number of processes; a line a sample."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from framework.errors import UnreadableError, UserError
from framework.models.onevision.chat import IMAGE
from framework.progress import say, track
from framework.tasks.asking import EVERY, Asker
from framework.tasks.seeing import Seen


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

    name: str
    quizzes: Sequence[Quiz]
    chosen: bool
    """Whether views are of one sample: the model is shown the most suspicious, and their logits are pooled. Else it is
    shown all, of which the last is asked about and the others may be there to compare."""

    def views(self, position: int) -> Sequence[np.ndarray]:
        """Views of one, each ``(3, H, W)`` uint8. Raises UnreadableError."""
        ...

    def captions(self, position: int) -> Sequence[str]:
        """What each view of one shows, in words, once they were read; none where there is nothing to say."""
        ...


def answer(
    asker: Callable[[], Asker],
    source: Source,
    folder: Path,
    key: str,
    batch_size: int,
    max_new_tokens: int,
    rank: int = 0,
    ranks: int = 1,
) -> None:
    """Answer this process's share of what is not answered yet; what could not be read before is tried again.

    Each process appends to a file of its own, a line a sample once it is answered, so that a kill loses one batch,
    and any number of processes may go on from what any number left. ``collect`` reads them.

    Args:
        asker: makes the model; not called where nothing is left to ask.
        source: the samples.
        folder: of answers, which is there.
        key: hex digits of what the answers follow from (model, questions, options); names the files.
        batch_size: samples asked at once.
        max_new_tokens: longest answer.
        rank: of this process.
        ranks: how many there are.

    Raises:
        UserError: a question that the model cannot be asked, with the sample; another process has the same share.
    """
    done = {line["position"] for line in collect(folder, key) if "error" not in line}
    left = [i for i in range(len(source.quizzes)) if i not in done and i % ranks == rank]
    if done:
        say(f"{source.name}: {len(done)} of {len(source.quizzes)} answered before")
    if not left:
        return
    path = folder / f"{key}-{rank}of{ranks}.jsonl"
    with path.open("a", encoding="utf-8") as f:
        _alone(f, path)
        _mend(path)
        model = asker()
        for part in track(_parts(left, batch_size), -(-len(left) // batch_size), f"asking about {source.name}"):
            for line in _ask(model, source, part, max_new_tokens):
                f.write(json.dumps(line) + "\n")
            f.flush()


def collect(folder: Path, key: str) -> list[dict[str, Any]]:
    """Lines of all processes, one a sample, in the order of the list; a line that a kill cut off is none.

    Returns:
        Dicts with ``position``, ``id``, ``answers`` and ``logit``, or ``error`` where the sample could not be read.
    """
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"{key}-*of*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if "error" in found.get(line["position"], {"error": ""}):  # an answer stays, whatever else was tried
                found[line["position"]] = line
    return [line for _, line in sorted(found.items())]


def _ask(model: Asker, source: Source, positions: list[int], max_new_tokens: int) -> Iterator[dict[str, Any]]:
    """Lines of a batch: all samples seen together, then question after question."""
    unread: dict[int, str] = {}
    found = model.look_all(_readable(source, positions, unread), None if source.chosen else EVERY)
    seen: dict[int, Seen] = dict(zip([i for i in positions if i not in unread], found, strict=True))
    for i, error in unread.items():
        yield {"position": i, "id": source.quizzes[i].id, "error": error}
    turns: dict[int, list[tuple[str, str | None]]] = {i: [] for i in seen}
    for step in range(max((len(source.quizzes[i].questions) for i in seen), default=0)):
        now = [i for i in seen if len(source.quizzes[i].questions) > step]
        for i in now:
            question = source.quizzes[i].questions[step]
            first = step == 0 and IMAGE not in question
            turns[i].append((model.opening(seen[i], question, source.captions(i)) if first else question, None))
        for i in now:
            _check(model, source.quizzes[i].id, seen[i], turns[i], max_new_tokens)
        answers = model.answer([seen[i] for i in now], [turns[i] for i in now], max_new_tokens)
        for i, text in zip(now, answers, strict=True):
            turns[i][-1] = (turns[i][-1][0], text)
    for i, known in seen.items():
        answers = [text or "" for _, text in turns[i]]
        logit = known.logit if source.chosen else float(known.logits[-1])
        yield {"position": i, "id": source.quizzes[i].id, "answers": answers, "logit": logit}


def _readable(source: Source, positions: list[int], unread: dict[int, str]) -> Iterator[Sequence[np.ndarray]]:
    """Views of one sample after another, so that not all are held; one that cannot be read is told and left out.

    Args:
        source: of the samples.
        positions: of the samples.
        unread: gets the reason for each that cannot be read.
    """
    for i in positions:
        try:
            views = source.views(i)
        except UnreadableError as error:
            say(f"anomaly-ov: left out {error}")
            unread[i] = str(error)
        else:
            yield views


def _check(model: Asker, name: str, seen: Seen, turns: list[tuple[str, str | None]], max_new_tokens: int) -> None:
    """Name the sample that the model cannot be asked about, which in a batch nobody could tell."""
    try:
        model.prompt(seen, turns, max_new_tokens)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _parts(positions: list[int], size: int) -> Iterator[list[int]]:
    for i in range(0, len(positions), size):
        yield positions[i : i + size]


def _alone(f: TextIO, path: Path) -> None:
    """Keep a second process from the same share of the same questions until the file is closed."""
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{path}: another process is answering these questions. Let it end, then run again.") from None


def _mend(path: Path) -> None:
    """Cut off a last line that a kill left half written, or what comes next would be joined to it."""
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def complete(lines: list[dict[str, Any]], source: Source) -> bool:
    """Whether every sample has its line; says how many do not.

    Raises:
        UserError: every sample has, and none could be read.
    """
    count, whole = len(lines), len(source.quizzes)
    if count < whole:
        say(f"{source.name}: {count} of {whole} answered; the process that answers the last writes the rows")
        return False
    errors = [line["error"] for line in lines if "error" in line]
    if len(errors) == whole:
        raise UserError(f"{source.name}: no sample could be read; the first: {errors[0]}")
    if errors:
        say(f"{source.name}: left out {len(errors)} of {whole} samples, which could not be read")
    return True
