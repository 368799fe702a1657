"""Sets whose labels lie in a table beside the pictures -> records: VisA as released, SDLS. Opens no picture."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.errors import UnreadableError, UserError
from framework.registry import register, unknown
from framework.types import Record

COLUMNS = ("object", "split", "label", "image", "mask")  # of VisA's tables
LABELS = {"normal": False, "anomaly": True}


@register("dataset", "industrial/visa")
def visa(root: Path, split: str = "test") -> Iterator[Record]:
    """VisA as released, with masks.

    Layout: ``split_csv/1cls.csv`` with the columns object, split, label (normal or anomaly), image and mask; paths in
    it start from root: ``<object>/Data/Images/{Normal,Anomaly}/*.JPG``, ``<object>/Data/Masks/Anomaly/*.png``.

    Args:
        root: the folder of the objects and of ``split_csv``.
        split: "test", or "train" (normal pictures only).

    Raises:
        UserError: the table is missing or wrong in a line, which is named.
    """
    table = root / "split_csv" / "1cls.csv"
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table}: cannot be read ({error}). Set root to the folder that holds split_csv.") from None
    if not lines or tuple(lines[0].split(",")) != COLUMNS:
        raise UserError(f"{table}, line 1: expected the columns {','.join(COLUMNS)}.")
    for number, line in enumerate(lines[1:], 2):
        cells = line.strip().split(",")
        if not line.strip():
            continue
        if len(cells) != len(COLUMNS) or not all(cells[:4]) or LABELS.get(cells[2]) != bool(cells[4]):
            raise UserError(
                f"{table}, line {number}: expected an object, a split, normal or anomaly, an image, and for an anomaly "
                f"a mask; found {line.strip()!r}."
            )
        name, part, label, image, mask = cells
        if part == split:
            yield Record(root / image, LABELS[label], name, truth_path=root / (mask or image))


@register("dataset", "industrial/sdls")
def sdls(root: Path, split: str = "test", check: str | None = None) -> Iterator[Record]:
    """SDLS AbnormalDetect: a robot's laboratory, each picture judged by one check or several. Labels only.

    Layout: ``data/annotation/records_<arm>_final.json`` and ``data/image/*.jpg``. The category is the arm with the
    camera. One split: test.

    One record a picture: who sees the picture alone cannot know which check is meant. A picture that is normal under
    one check and anomalous under another has no label of its own, so it is left out, unless ``check`` names the one.

    Args:
        root: the folder that holds ``data``.
        split: only "test" has samples.
        check: judge by this one only, step and phase as in ``step14_pre``; None takes all.

    Raises:
        UserError: no such files, an unknown check, or a record without what is needed, which is named.
        UnreadableError: a file is not JSON.
    """
    if split != "test":
        return
    folder = root / "data" / "annotation"
    files = sorted(folder.glob("records_*.json"))
    if not files:
        raise UserError(f"{folder}: no records_*.json. Set root to the folder that holds data/annotation.")
    known: set[str] = set()
    judged: dict[str, list[tuple[str, bool, str]]] = defaultdict(list)
    for file in files:
        arm = file.stem.removeprefix("records_").removesuffix("_final")
        for image, name, anomalous, kind in _checks(file):
            known.add(name)
            if check in (None, name):
                judged[image].append((arm, anomalous, kind))
    if check is not None and check not in known:
        raise UserError(f"{folder}: {unknown('check', check, sorted(known))}")
    for image, found in judged.items():
        arms, labels, kinds = zip(*found, strict=True)
        if len(set(labels)) == 1:
            yield Record(root / image, labels[0], arms[0], defect=", ".join(sorted({k for k in kinds if k})))


def _checks(path: Path) -> Iterator[tuple[str, str, bool, str]]:
    """Picture, check, label and kind of anomaly ("" for none) of each record."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:  # of JSON and of UTF-8
        raise UnreadableError(f"{path}: not JSON ({error}). Fetch the file again.") from None
    if not isinstance(records, list):
        raise UserError(f"{path}: expected a list of records.")
    for number, record in enumerate(records, 1):
        yield _check(record, f"{path}, record {number}")


def _check(record: Any, place: str) -> tuple[str, str, bool, str]:
    match record:
        case {"Image_Id": str(image), "step": str(step), "phase": str(phase), "Anomaly_Label": bool(anomalous)}:
            kind = record.get("Anomaly_Type")
            return image, f"{step}_{phase}", anomalous, str(kind) if anomalous and kind else ""
    raise UserError(f"{place}: needs the texts Image_Id, step and phase, and Anomaly_Label, true or false.")
