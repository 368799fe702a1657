"""A folder with the ``meta.json`` of AdaCLIP's and AnomalyCLIP's copies of sets -> records, of any domain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.errors import UserError
from framework.types import Record

NAME = "meta.json"
_FIELDS = ("img_path", "cls_name", "anomaly")


def records(root: Path, split: str, suffixes: tuple[str, ...]) -> Iterator[Record]:
    """A record for each entry that names a picture, in the order of the classes' names.

    In a class with masks a normal picture is its own truth: none of its elements is anomalous.

    Args:
        root: the folder of ``meta.json``: ``{"<split>": {"<class>": [{"img_path", "mask_path", "cls_name",
            "specie_name", "anomaly"}, ...]}}``, with paths below the root.
        split: one that it lists, in any case, for some copies write Test and are read with test.
        suffixes: endings of pictures, lower case; entries of others, such as the list itself, are left out.

    Raises:
        UserError: there is no ``meta.json``, or it holds something else.
    """
    table = root / NAME
    try:
        splits = json.loads(table.read_text(encoding="utf-8"))
        classes = {name.lower(): found for name, found in splits.items()}.get(split.lower(), {})
        lines = [line for name in sorted(classes) for line in classes[name]]
    except (OSError, UnicodeDecodeError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{table}: cannot be read ({error}). Set root to the folder that holds it.") from None
    for number, line in enumerate(lines):
        if not _is_entry(line):
            raise UserError(f"{table}: entry {number} of {split} is not {{{', '.join(_FIELDS)}: 0 or 1}}: {line!r}.")
    lines = [line for line in lines if line["img_path"].lower().endswith(suffixes)]
    masked = {line["cls_name"] for line in lines if line.get("mask_path")}
    for line in lines:
        yield _record(root, line, line["cls_name"] in masked)


def _is_entry(line: Any) -> bool:
    """Whether this is an object with a path, a class and a label."""
    if not isinstance(line, dict) or any(key not in line for key in _FIELDS):
        return False
    return all(isinstance(line[key], str) for key in _FIELDS[:2]) and line["anomaly"] in (0, 1)


def _record(root: Path, line: dict[str, Any], masked: bool) -> Record:
    """The record of one entry; ``masked`` says whether its class has masks."""
    path, anomalous = root / line["img_path"], bool(line["anomaly"])
    truth = None
    if masked and not anomalous:
        truth = path
    elif line.get("mask_path"):
        truth = root / line["mask_path"]
    defect = str(line.get("specie_name", "")) if anomalous else ""
    return Record(path, anomalous, line["cls_name"], truth_path=truth, defect=defect)
