"""The folder of ELPV, solar cells with the probability of a defect -> records. Opens no picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from domains.industrial.datasets.listing import quarter
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record


@register("dataset", "industrial/elpv")
def elpv(root: Path, split: str = "test", uncertain: str = "drop", normals: str = "all") -> Iterator[Record]:
    """ELPV: solar cells seen in electroluminescence, with the probability of a defect.

    Layout: ``images/*.png`` and ``labels.csv``, which holds path, probability and kind (mono or poly) between
    blanks. No masks, one split: test.

    Args:
        root: the folder of ``labels.csv``.
        split: only "test" has samples, with ``normals: quarter`` "train" too.
        uncertain: "drop" leaves out probabilities 1/3 and 2/3 as papers do; "keep" takes a cell as defective from 1/2.
        normals: "all" tests every normal cell; "quarter" as InCTRL a quarter of them, the rest is "train".

    Raises:
        UserError: an unknown choice, or ``labels.csv`` is missing or wrong in a line, which is named.
    """
    for name, value, known in (("uncertain", uncertain, ["drop", "keep"]), ("normals", normals, ["all", "quarter"])):
        if value not in known:
            raise UserError(unknown(f"value of {name}", value, known))
    if normals == "quarter" and split in ("train", "test"):
        yield from quarter(list(_cells(root, uncertain)), split)
    elif split == "test":
        yield from _cells(root, uncertain)


def _cells(root: Path, uncertain: str) -> Iterator[Record]:
    """A record a line of ``labels.csv``."""
    table = root / "labels.csv"
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table}: cannot be read ({error}). Set root to the folder that holds labels.csv.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, probability, kind = _cell(line, f"{table}, line {number}")
        if uncertain == "keep" or probability in (0, 1):
            yield Record(root / name, probability >= 0.5, kind, probability=probability)


def _cell(line: str, place: str) -> tuple[str, float, str]:
    """Path, probability and kind of one line of ``labels.csv``."""
    try:
        name, number, kind = line.split()
        probability = float(number)
    except ValueError:
        raise UserError(f"{place}: expected a path, a probability and a kind, found {line.strip()!r}.") from None
    if not 0 <= probability <= 1 or math.isnan(probability):
        raise UserError(f"{place}: a probability lies between 0 and 1, found {number}.")
    return name, probability, kind
