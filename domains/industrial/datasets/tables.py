"""Lists that other people and tools make of any pictures, CSV and ``meta.json`` -> records. Opens no picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from domains.industrial.images import SUFFIXES
from framework import meta_lists
from framework.errors import UserError
from framework.registry import register
from framework.types import Record

COLUMNS = ("path", "label", "mask", "category", "group", "split", "defect")
WORDS = {
    **dict.fromkeys(("0", "normal", "good", "ok", "false"), False),
    **dict.fromkeys(("1", "anomalous", "anomaly", "abnormal", "bad", "defect", "ng", "true"), True),
}


@register("dataset", "industrial/meta_json")
def meta_json(root: Path, split: str = "test") -> Iterator[Record]:
    """Sets as AdaCLIP and AnomalyCLIP list them, with masks or without.

    Layout: ``meta.json``, ``{"<split>": {"<class>": [{"img_path", "mask_path", "cls_name", "specie_name", "anomaly"},
    ...]}}``, with paths below the root. Lines that name no picture are left out.

    Args:
        root: the folder of ``meta.json``.
        split: "train", "test" or any other that it lists, in any case.

    Raises:
        UserError: there is no ``meta.json``, or it holds something else.
    """
    yield from meta_lists.records(root, split, SUFFIXES)


@register("dataset", "industrial/csv")
def table(root: Path, split: str = "test", table: str = "labels.csv") -> Iterator[Record]:
    """Your own pictures, listed in a table, with masks or without.

    Layout: ``labels.csv`` with a header: the columns path and label, and where you like mask, category, group, split
    and defect, in any order. Paths start from the root. A label is 0, normal, good or ok, or 1, anomalous, anomaly, bad
    or defect. A normal picture needs no mask: where its category has masks, none of its pixels is anomalous. Without a
    column split all lines are the split "test".

    Args:
        root: the folder of the table.
        split: a value of the column split.
        table: name of the file, below the root.

    Raises:
        UserError: the table cannot be read, lacks a column, or is wrong in a line, which is named.
    """
    path = root / table
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}). Set root to its folder, and table to its name.") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    extra = [name for name in header if name not in COLUMNS]
    if extra or not {"path", "label"} <= set(header) or len(set(header)) < len(header):
        raise UserError(
            f"{path}, line 1: the columns are {','.join(header) or 'none'}. Needed are path and label, besides these "
            f"there may be {', '.join(COLUMNS[2:])}, each once."
        )
    rows = [_row(header, cells, f"{path}, line {n}") for n, cells in enumerate(lines[1:], 2) if any(cells)]
    if "split" in header:
        rows = [row for row in rows if row["split"] == split]
    elif split != "test":
        return
    masked = {row["category"] for row in rows if row["mask"]}
    for row in rows:
        yield _record(root, row, row["category"] in masked)


def _row(header: list[str], cells: list[str], place: str) -> dict[str, str]:
    """The cells of a line by their column, "" for those that it lacks."""
    if len(cells) != len(header):
        raise UserError(f"{place}: {len(cells)} cells, the header has {len(header)}: {','.join(cells)!r}.")
    row = dict.fromkeys(COLUMNS, "") | {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    row["label"] = row["label"].lower()
    if not row["path"] or row["label"] not in WORDS:
        raise UserError(f"{place}: needs a path and a label, one of {', '.join(WORDS)}; found {','.join(cells)!r}.")
    if row["mask"] and not WORDS[row["label"]] and row["mask"] != row["path"]:
        raise UserError(f"{place}: a normal picture has no mask, found {row['mask']!r}.")
    return row


def _record(root: Path, row: dict[str, str], masked: bool) -> Record:
    """The record of one line; ``masked`` says whether its category has masks."""
    path, anomalous = root / row["path"], WORDS[row["label"]]
    truth = (root / row["mask"] if row["mask"] else None) if anomalous else (path if masked else None)
    category = row["category"] or root.resolve().name
    defect = row["defect"] if anomalous else ""
    return Record(path, anomalous, category, row["group"], truth, defect)
