"""A folder of photographs -> records: one function a dataset. Opens no picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from domains.industrial.images import list_images
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

NORMAL = ("good", "normal", "ok")  # names of a folder of normal pictures in a plain set


@register("dataset", "industrial/mvtec")
def mvtec(root: Path, split: str = "test", categories: list[str] | None = None) -> Iterator[Record]:
    """MVTec AD and every set in its layout (MPDD, DTD-Synthetic), with masks.

    Layout: ``<category>/<split>/<good or defect>/*.png``, masks in
    ``<category>/ground_truth/<defect>/<stem>_mask.png``. A category without ``ground_truth`` has labels only.

    Args:
        root: the folder of the categories.
        split: "test", or "train" (normal pictures only).
        categories: read only these; None reads all.

    Raises:
        UserError: a category that is not there.
    """
    present = sorted(p.parent.name for p in root.glob(f"*/{split}") if p.is_dir())
    for category in categories or present:
        if category not in present:
            raise UserError(f"{root}: {unknown('category', category, present)}")
        masks = root / category / "ground_truth"
        for folder in sorted(p for p in (root / category / split).iterdir() if p.is_dir()):
            for path in list_images(folder):
                yield _record(path, folder.name != "good", category, masks)


@register("dataset", "industrial/elpv")
def elpv(root: Path, split: str = "test", uncertain: str = "drop") -> Iterator[Record]:
    """ELPV: solar cells seen in electroluminescence, with the probability of a defect.

    Layout: ``images/*.png`` and ``labels.csv``, which holds path, probability and kind (mono or poly) between
    blanks. No masks, one split: test.

    Args:
        root: the folder of ``labels.csv``.
        split: only "test" has samples.
        uncertain: "drop" leaves out probabilities 1/3 and 2/3 as papers do; "keep" takes a cell as defective from 1/2.

    Raises:
        UserError: an unknown choice, or ``labels.csv`` is missing or wrong in a line, which is named.
    """
    if uncertain not in ("drop", "keep"):
        raise UserError(unknown("value of uncertain", uncertain, ["drop", "keep"]))
    if split != "test":
        return
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


@register("dataset", "industrial/folder")
def folder(root: Path, split: str = "test") -> Iterator[Record]:
    """Your own pictures: a folder of normal ones beside folders of defective ones, with masks or without.

    Layout: ``{good,normal,ok}/*.png``, ``<defect>/*.png``, and where there are masks
    ``ground_truth/<defect>/<stem>_mask.png``. One split: test.

    Args:
        root: the folder of these folders; its name is the category.
        split: only "test" has samples.
    """
    if split == "test":
        for place in sorted(p for p in root.iterdir() if p.is_dir() and p.name != "ground_truth"):
            for path in list_images(place):
                yield _record(path, place.name.lower() not in NORMAL, root.resolve().name, root / "ground_truth")


def _record(path: Path, anomalous: bool, category: str, masks: Path) -> Record:
    """A record of ``<defect>/<file>``; in a set with masks a normal picture names itself as its truth."""
    defect = path.parent.name if anomalous else ""
    truth = masks / defect / f"{path.stem}_mask.png" if anomalous else path
    return Record(path, anomalous, category, truth_path=truth if masks.is_dir() else None, defect=defect)


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
