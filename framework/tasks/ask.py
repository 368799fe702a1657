"""A file of any domain and a question -> an answer, a score and a map beside; or a talk about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framework import registry
from framework.errors import UserError
from framework.files import make_folder
from framework.pictures import write_map
from framework.tasks.asking import Asker, Seen
from framework.types import Domain, Record, Sample

MAX_NEW_TOKENS = 256


class Subject:
    """One file, read and encoded.

    Args:
        asker: the model.
        path: of the file.
        reader: options of its domain's reader.
        domain: name of its domain, "" to tell by the ending.

    Raises:
        UserError: no domain reads it, or it cannot be read.
    """

    def __init__(self, asker: Asker, path: Path, reader: dict[str, Any] | None = None, domain: str = "") -> None:
        if not path.is_file():
            raise UserError(f"{path}: no such file.")
        self.path, self.asker = path, asker
        self.domain = domain or registry.domain_of(path)
        registry.load_domain(self.domain)
        self.reader: Domain = registry.build("domain", self.domain, **(reader or {}))
        self.sample: Sample = self.reader.read(Record(path, anomalous=False, category=path.parent.name))
        self.seen: Seen = asker.look(list(self.sample.views))
        self.turns: list[tuple[str, str | None]] = []

    def ask(
        self, question: str, max_new_tokens: int = MAX_NEW_TOKENS, stream: Callable[[str], None] | None = None
    ) -> str:
        """The answer to the next question; what was said before is remembered, the pictures are not encoded again.

        Raises:
            UserError: the talk no longer fits into the model's context, or the question holds a control token.
        """
        asked = question if self.turns else self.asker.opening(self.seen, question)
        turns = [*self.turns, (asked, None)]
        (answer,) = self.asker.answer([self.seen], [turns], max_new_tokens, stream)
        self.turns.append((asked, answer))
        return answer

    def save(self, out: Path) -> dict[str, Any]:
        """Write a map of each view that the model was shown, ``<name>_view<number>.png``, and tell what is known."""
        make_folder(out)
        maps = []
        for i in self.seen.shown:
            stem = out / f"{self.path.name.split('.')[0]}_view{i}"
            maps.append(write_map(self.sample.views[i], self.seen.maps[i].cpu().numpy().astype(np.float64), stem))
        return {
            "file": str(self.path),
            "domain": self.domain,
            "score": self.seen.score,
            "adverb": self.seen.adverb,
            "views": len(self.sample.views),
            "shown": self.seen.shown,
            "maps": [str(m["map"]) for m in maps],
        }


def ask(
    checkpoint: Path,
    path: Path,
    question: str,
    out: Path,
    as_json: bool,
    options: dict[str, Any],
    reader: dict[str, Any] | None = None,
) -> None:
    """Answer one question, or talk until the user has had enough.

    Args:
        checkpoint: model folder or tuned checkpoint.
        path: of the file.
        question: "" talks.
        out: folder for the maps.
        as_json: one JSON object on standard output; else the answer streams.
        options: of ``Asker``.
        reader: options of the domain's reader.

    Raises:
        UserError: as ``Asker`` and ``Subject``.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    registry.domain_of(path)
    asker = Asker(checkpoint, **options)
    subject = Subject(asker, path, reader)
    told = subject.save(out)
    if as_json:
        if not question:
            raise UserError("--json answers a question: give one.")
        print(json.dumps(told | {"question": question, "answer": subject.ask(question)}))
        return
    print(f"score {told['score']:.3f}, {told['adverb']} suspicious; maps: {', '.join(told['maps'])}")
    for text in [question] if question else _lines():
        subject.ask(text, stream=_show)
        print()


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _lines() -> Iterator[str]:
    """What the user types, until an empty line or the end."""
    while True:
        if sys.stdin.isatty():
            print("> ", end="", flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line
