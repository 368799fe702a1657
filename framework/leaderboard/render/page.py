"""Rows, gallery items, run records and paired tests in; one self-contained page, which loads nothing, out."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from framework.leaderboard.comparison import Comparison
from framework.leaderboard.matrix import matrices
from framework.leaderboard.means import all_sets, means
from framework.leaderboard.render import words
from framework.leaderboard.render.contents import contents, own_and_other, places
from framework.leaderboard.rows import ANSWERS, LEVELS, METRICS, Row

_FOLDER = Path(__file__).parent
_STYLES = ("page.css", "board.css", "cell.css", "rows.css")
_SCRIPTS = ("unpack", "make", "data", "state", "matrix", "pictures", "provenance", "cell", "versus", "rows", "start")
_MEDIA = {b"\x89PNG": "png", b"RIFF": "webp", b"\xff\xd8\xff": "jpeg"}  # by how the file begins
_TOLD = ("run", "tested_on", "trained_on", "domain", "id", "category", "label", "defect", "score", "title")
_PICTURES = ("view", "overlay", "truth")


def page(
    rows: Sequence[Row],
    gallery: Sequence[Mapping[str, Any]],
    title: str,
    notes: Sequence[str],
    records: Mapping[str, Mapping[str, Any]] | None = None,
    found: Sequence[Comparison] = (),
) -> str:
    """The leaderboard as a page: matrices, cells with all that is known of them, methods side by side, rows, runs.

    Without scripts it shows the first matrix; everything else is drawn from packed columns when it is asked for.

    Args:
        rows: of any runs.
        gallery: dicts with run, tested_on, trained_on, domain, id, category, label, defect, score, wrongness, title,
            view, overlay, truth; the pictures as PNG, WebP or JPEG bytes, title and truth may be None.
        title: headline.
        notes: sentences under it, the first set larger.
        records: by run, what ``run.json`` says; the page shows command and settings.
        found: paired tests of lines of the matrices.

    Returns:
        HTML, escaped whatever the names hold.

    Raises:
        UserError: rows that cannot be compared.
        ValueError: a picture in another format, or a wrongness that is not finite.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, own_and_other=own_and_other, all_sets=all_sets, breakable=_breakable)
    shown = matrices(rows, legacy=True)
    items, pictures = _gallery(gallery)
    return environment.get_template("page.html.j2").render(
        title=title,
        notes=notes,
        matrices=shown,
        first=shown[0] if shown else None,
        places=places(shown[0], found) if shown else {},
        averages=means(shown[0]) if shown else {},
        legend=words.legend(rows),
        levels=[level for level in LEVELS if any(m.level == level for m in shown)],
        metrics=[metric for metric in (*METRICS, *ANSWERS) if any(m.metric == metric for m in shown)],
        domains=sorted({row.domain for row in rows}),
        recipes=sorted({row.recipe for row in rows} - {""}),
        tests=len(found),
        gradient=", ".join(f"#{step}" for step in words.VIRIDIS),
        packed=Markup(contents(rows, shown, found, items, records or {})),  # holds no "<"
        pictures=pictures,
        style=_joined(_STYLES),
        script=_joined([f"script/{name}.js" for name in _SCRIPTS]),
    )


def _gallery(gallery: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """What is told of each item, by domain and the most wrong first, and the pictures, each once, as addresses."""
    for item in gallery:
        if not math.isfinite(item["wrongness"]):
            raise ValueError(f"{item['id']}: wrongness is {item['wrongness']}")
    ordered = sorted(gallery, key=lambda item: (item["domain"], -item["wrongness"], item["id"], item["trained_on"]))
    numbers: dict[bytes, int] = {}
    items = []
    for item in ordered:
        told = {name: item[name] for name in _TOLD}
        for name in _PICTURES:
            told[name] = None if item[name] is None else numbers.setdefault(item[name], len(numbers))
        items.append(told)
    return items, [_picture(data) for data in numbers]


def _joined(names: Sequence[str]) -> Markup:
    """Our own files, one after the other, without indents, blank lines and lines of comments."""
    lines = (line.strip() for name in names for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines())
    return Markup("\n".join(line for line in lines if line and not line.startswith("//")))


def _breakable(name: str) -> Markup:
    """A name, escaped, that may run over lines after an underscore, slash or hyphen."""
    return Markup(re.sub(r"([_/-])", r"\1<wbr>", str(escape(name)).replace(" · ", "&nbsp;· ")))


def _picture(data: bytes) -> str:
    """A picture as an address that holds it."""
    for start, kind in _MEDIA.items():
        if data.startswith(start):
            return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    raise ValueError(f"picture begins with {data[:4]!r}, which is neither PNG, WebP nor JPEG")
