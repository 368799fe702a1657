"""Rows and gallery items in; one self-contained page of HTML, which loads nothing from anywhere, out."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from framework.leaderboard.matrix import Matrix, matrices, newest, reached
from framework.leaderboard.render import words
from framework.leaderboard.rows import ALL, ANSWERS, LEVELS, METRICS, NOTHING, Row

FIRST = 6  # gallery items of a domain that show before "show more"
LIMIT = 2000  # rows a page lists; of more it lists the means over categories
_FOLDER = Path(__file__).parent
_MEDIA = {b"\x89PNG": "png", b"RIFF": "webp", b"\xff\xd8\xff": "jpeg"}  # by how the file begins
_RUN = (  # what the page says once per run
    *("run", "date", "commit", "dirty", "config", "seed", "experiment", "model", "backbone", "weights"),
    *("trained_on", "hardware", "packages"),
)


def page(rows: Sequence[Row], gallery: Sequence[dict[str, Any]], title: str, notes: Sequence[str]) -> str:
    """The leaderboard as a page: matrices as heat maps, gallery, rows, runs. Without scripts it shows everything.

    Args:
        rows: of any runs.
        gallery: dicts with tested_on, trained_on, domain, id, category, label, defect, score, wrongness, title, view,
            overlay, truth; the pictures as PNG, WebP or JPEG bytes, title and truth may be None.
        title: headline.
        notes: sentences under it, the first set larger.

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
    environment.globals.update(
        words=words, picture=_picture, sentence=_sentence, own_and_other=_own_and_other, breakable=_breakable
    )
    listed = [row for row in rows if len(rows) <= LIMIT or row.category == ALL]
    current = set(newest(rows))
    shown = matrices(rows, legacy=True)
    return environment.get_template("page.html.j2").render(
        title=title,
        notes=notes,
        matrices=shown,
        levels=[level for level in LEVELS if any(m.level == level for m in shown)],
        metrics=[metric for metric in (*METRICS, *ANSWERS) if any(m.metric == metric for m in shown)],
        gradient=", ".join(f"#{step}" for step in words.VIRIDIS),
        domains=_by_domain(gallery),
        first=FIRST,
        rows=[(row, row in current) for row in listed],
        reached=reached(rows),
        left_out=len(rows) - len(listed),
        choices={
            name: sorted({getattr(row, name) for row in listed}) for name in ("trained_on", "tested_on", "category")
        },
        runs=_runs(rows),
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
    )


def _by_domain(gallery: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Items of each domain, the most wrong first."""
    for item in gallery:
        if not math.isfinite(item["wrongness"]):
            raise ValueError(f"{item['id']}: wrongness is {item['wrongness']}")
    ordered = sorted(gallery, key=lambda item: (item["domain"], -item["wrongness"], item["id"], item["trained_on"]))
    return [(domain, list(items)) for domain, items in groupby(ordered, key=lambda item: item["domain"])]


def _runs(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Provenance of each run once, the newest first."""
    runs: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row.date, reverse=True):
        if row.run not in runs:
            runs[row.run] = {name: getattr(row, name) for name in _RUN}
    return list(runs.values())


def _own_and_other(matrix: Matrix) -> tuple[float, float] | None:
    """Means over the diagonal and over what was trained elsewhere, of lines without a gap.

    None where either is missing, or where such lines leave a test set without its diagonal.
    """
    whole = [t for t in matrix.trained if all((t, tested) in matrix.cells for tested in matrix.tested)]
    cells = [c for (t, _), c in matrix.cells.items() if t in whole and c.rows[0].trained_on != NOTHING]
    own, other = [c.value for c in cells if c.diagonal], [c.value for c in cells if not c.diagonal]
    known = {tested for (t, tested), c in matrix.cells.items() if t in whole and c.diagonal}
    if not own or not other or known != set(matrix.tested):
        return None
    return math.fsum(own) / len(own), math.fsum(other) / len(other)


def _sentence(item: dict[str, Any]) -> str:
    """For example "Normal, scored 0.91" or "Anomalous (scratch), scored 0.12"."""
    defect = f" ({item['defect']})" if item["defect"] else ""
    return f"{'Anomalous' if item['label'] else 'Normal'}{defect}, scored {item['score']:.2f}"


def _breakable(name: str) -> Markup:
    """A name, escaped, that may run over lines after an underscore, slash or hyphen."""
    return Markup(re.sub(r"([_/-])", r"\1<wbr>", str(escape(name)).replace(" · ", "&nbsp;· ")))


def _picture(data: bytes) -> str:
    """A picture as an address that holds it."""
    for start, kind in _MEDIA.items():
        if data.startswith(start):
            return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    raise ValueError(f"picture begins with {data[:4]!r}, which is neither PNG, WebP nor JPEG")
