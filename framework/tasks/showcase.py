"""A tuned model and sets -> a page of a few answers with the map beside, right or wrong; it loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from framework.colours import overlay
from framework.data.index import Index
from framework.data.questions.words import what_and_where, yes_or_no
from framework.files import write_whole
from framework.metrics.text.answers import anchored
from framework.progress import track
from framework.tasks.asking import Asker
from framework.tasks.seeing import Seen
from framework.types import Record

STYLE = Path(__file__).parents[1] / "leaderboard" / "render" / "page.css"
SIDE = 240  # pixels of a picture on the page
LONGEST = 48  # tokens of an answer


def showcase(asker: Asker, sets: Sequence[Index], count: int, out: Path, title: str, notes: Sequence[str]) -> int:
    """Ask whether and what about a few samples of each set; write the page.

    Args:
        asker: the model.
        sets: labelled sets.
        count: samples of each, half of them anomalous, spread over the set.
        out: the page.
        title: headline.
        notes: sentences under it, the first set larger.

    Returns:
        How many yes-or-no answers were right.

    Raises:
        UserError: a sample cannot be read, or ``out`` cannot be written.
    """
    chosen = [(index, record) for index in sets for record in pick(index.records, count)]
    items = [_item(asker, index, record) for index, record in track(chosen, len(chosen), "answers to show")]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup(STYLE.read_text(encoding="utf-8"))
    text = environment.get_template("showcase.html.j2").render(title=title, notes=notes, items=items, style=style)
    write_whole(out, text.encode())
    return sum(item["right"] for item in items)


def pick(records: Sequence[Record], count: int) -> list[Record]:
    """``count`` records, half of them anomalous where there are as many, each half spread evenly; in their order."""
    halves = [[r for r in records if r.anomalous == kind] for kind in (True, False)]
    taken = {half[i * len(half) // (count // 2)].id for half in halves for i in range(min(count // 2, len(half)))}
    return [record for record in records if record.id in taken]


def _item(asker: Asker, index: Index, record: Record) -> dict[str, Any]:
    """What the page shows of one sample."""
    sample = index.reader.read(record)
    seen = asker.look(list(sample.views))
    element, several = index.reader.element, len(seen.shown) > 1
    questions = [yes_or_no(element, several), what_and_where(element, several)]
    answers = [asker.answer([seen], [[(asker.opening(seen, q, sample.captions), None)]], LONGEST)[0] for q in questions]
    view = seen.shown[int(seen.logits[seen.shown].argmax())]
    picture = sample.views[view].transpose(1, 2, 0)
    return {
        "name": record.path.name,
        "category": record.category,
        "set": index.name,
        "label": record.anomalous,
        "defect": record.defect,
        "said": list(zip(questions, answers, strict=True)),
        "right": anchored(answers[0]) is record.anomalous,
        "score": seen.score,
        "adverb": seen.adverb,
        "view": _address(picture),
        "overlay": _address(overlay(picture, _scores(seen, view))),
    }


def _scores(seen: Seen, view: int) -> np.ndarray:
    return seen.maps[view].cpu().numpy().astype(np.float64)


def _address(picture: np.ndarray) -> str:
    """A picture as an address that holds it."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
