"""One file of any domain and a model -> answers about it, and maps of what the model was shown on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framework.files import make_folder
from framework.lift import lift
from framework.pictures import write_map
from framework.tasks.asking import Asker
from framework.tasks.predictions import stems, tidy
from framework.tasks.seeing import Seen
from framework.types import Domain, Sample

MAX_NEW_TOKENS = 256
LINES = "answers.jsonl"  # files asked about, a line each


class Subject:
    """One file, encoded once, and what was said about it.

    Args:
        asker: the model.
        domain: name of the file's domain.
        sample: what its reader made of it.
        reader: of the domain, which saves scores in the file's own geometry; None where the file is not kept.
    """

    def __init__(self, asker: Asker, domain: str, sample: Sample, reader: Domain | None = None) -> None:
        self.asker, self.domain, self.sample, self.reader = asker, domain, sample, reader
        self.seen: Seen = asker.look(list(sample.views))
        self.turns: list[tuple[str, str | None]] = []

    def ask(
        self,
        question: str,
        max_new_tokens: int = MAX_NEW_TOKENS,
        stream: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> str:
        """The answer to the next question; what was said before is remembered, the pictures are not encoded again.

        An answer that was stopped is remembered as far as it was said.

        Raises:
            UserError: the talk no longer fits into the model's context, or the question holds a control token.
        """
        asked = question if self.turns else self.asker.opening(self.seen, question, self.sample.captions)
        (answer,) = self.asker.answer([self.seen], [[*self.turns, (asked, None)]], max_new_tokens, stream, stopped)
        self.turns.append((asked, answer))
        return answer

    def save(self, out: Path) -> dict[str, Any]:
        """Write a map of each view that the model was shown, ``<name>_view<number>.png``, and tell what is known.

        Where there are several, the maps of all are lifted to ``<name>_map``, in the file's own geometry.

        It is told to ``<out>/answers.jsonl`` too, so that another file of this name gets names of its own.

        Raises:
            UserError: a map cannot be written.
        """
        path, maps = self.sample.record.path, []
        stem = _stem(path, out)
        for i in self.seen.shown:
            scores = self.seen.maps[i].cpu().numpy().astype(np.float64)
            maps.append(write_map(self.sample.views[i], scores, out / f"{stem}_view{i}"))
        told = {
            "file": str(path),
            "domain": self.domain,
            "score": self.seen.score,
            "adverb": self.seen.adverb,
            "of": len(self.sample.views),
            "shown": self.seen.shown,
            "maps": [str(m["map"]) for m in maps],
            "views": [
                view | {"map": str(m["map"])} for view, m in zip(shown(self.seen, self.sample), maps, strict=True)
            ],
        }
        if self.reader is not None and len(self.sample.views) > 1:
            saved = self.reader.save(self.sample, elements(self.seen, self.sample), out / f"{stem}_map")
            told |= {key: str(value) if isinstance(value, Path) else value for key, value in saved.items()}
        with (out / LINES).open("a", encoding="utf-8") as f:
            f.write(json.dumps(told | {"file": str(path.resolve())}) + "\n")
        return told


def shown(seen: Seen, sample: Sample) -> list[dict[str, Any]]:
    """The views that the model was shown: ``number`` by which it names each, ``caption`` and ``score``."""
    scores, captions = seen.logits.double().sigmoid().tolist(), sample.captions or ("",) * len(seen.logits)
    return [
        {"number": number, "caption": captions[i], "score": round(scores[i], 6)}
        for number, i in enumerate(seen.shown, 1)
    ]


def elements(seen: Seen, sample: Sample) -> np.ndarray:
    """``(E,)`` float32 in [0, 1], suspicion of the sample's elements by the maps of all its views."""
    return np.asarray(lift(seen.maps, sample).cpu().numpy())


def _stem(path: Path, out: Path) -> str:
    """What the maps of a file are called in ``out``: no other file's are, of those that were asked about before."""
    make_folder(out)
    others = [line for file, line in tidy(out / LINES).items() if file != str(path.resolve())]
    return stems([path], {Path(m).name.rpartition("_view")[0] for line in others for m in line.get("maps", [])})[path]
