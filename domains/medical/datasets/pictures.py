"""A folder of medical pictures with labels only in, its records out. Opens no picture.

None of these sets says which pictures are of one patient, so none has groups, and a patient may lie on both sides of a
split: leakage cannot be excluded, as ``datasets check`` tells.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from domains.medical.datasets.listing import folders, listed
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

_LABEL = "hemorrhage"
_SPLIT = {"good": False, "defect": True}  # folders of a re-release in train and test


@register("dataset", "medical/yes_no")
def yes_no(root: Path, split: str = "test", category: str = "brain") -> Iterator[Record]:
    """Medical pictures with a label only: a finding or none (BrainMRI, Br35H).

    Layout: ``yes/*`` and ``no/*``, PNG, JPEG, BMP or TIFF, where every split is all of it; or, as AdaCLIP ships them,
    ``{train,test}/{good,defect}/*``. No masks, no patients: leakage cannot be excluded.

    Args:
        root: the folder.
        split: "train" or "test" of the second layout; the first has none.
        category: what the pictures show.
    """
    if any((root / name).is_dir() for name in ("yes", "no")):
        for name in ("no", "yes"):
            for path in listed(root / name):
                yield Record(path, name == "yes", category)
    else:
        yield from _good_defect(root / split, category)


@register("dataset", "medical/head_ct")
def head_ct(root: Path, split: str = "test") -> Iterator[Record]:
    """HeadCT: slices of computed tomography, half of them with a hemorrhage.

    Layout: ``labels.csv``, with the columns id and hemorrhage (a space stands before the second in the release), and
    ``head_ct/head_ct/<id>.png``, ``head_ct/<id>.png`` or ``<id>.png``, where every split is all of it; or, as AdaCLIP
    ships it, ``{train,test}/{good,defect}/*``. No masks, no patients: leakage cannot be excluded.

    Args:
        root: the folder.
        split: "train" or "test" of the second layout; the first has none.

    Raises:
        UserError: ``labels.csv`` lacks a column, or a line of it cannot be read; a picture it names is not there.
    """
    table = root / "labels.csv"
    if not table.is_file():
        yield from _good_defect(root / split, "brain", _LABEL)
        return
    place = next((p for p in (root / "head_ct/head_ct", root / "head_ct") if listed(p)), root)
    files = {path.stem.lstrip("0"): path for path in listed(place)}
    for number, (name, anomalous) in enumerate(_labels(table), 2):
        if name.lstrip("0") not in files:
            raise UserError(f"{table}, line {number}: names picture {name!r}, which is not in {place}.")
        yield Record(files[name.lstrip("0")], anomalous, "brain", defect=_LABEL if anomalous else "")


@register("dataset", "medical/covid")
def covid(root: Path, split: str = "test", findings: list[str] | None = None) -> Iterator[Record]:
    """Chest radiographs of COVID-19 and other findings, beside normal ones.

    Layout: ``NORMAL/*`` (in any case) and ``<finding>/*``, or ``<folder>/images/*``; below ``train`` and ``test`` where
    the root has such folders, else every split is all of it. Masks in the COVID-19 Radiography Database
    (``<folder>/masks``) mark the lungs, not what is anomalous, so they are not read. No patients.

    Args:
        root: the folder.
        split: "train" or "test", where there are such folders.
        findings: read only these folders beside the normal one; null reads all.

    Raises:
        UserError: no normal folder, or a finding that is not there.
    """
    base = root / split if any((root / name).is_dir() for name in ("train", "test")) else root
    places = {place.name: place for place in folders(base) if listed(place / "images") or listed(place)}
    normal = [name for name in places if name.lower() == "normal"]
    if places and len(normal) != 1:
        raise UserError(f"{base}: {len(normal)} folders called NORMAL; one must hold the normal pictures.")
    known = [name for name in places if name not in normal]
    for name in findings or known:
        if name not in known:
            raise UserError(f"{base}: {unknown('finding', name, known)}")
    for name in [*normal, *(findings or known)]:
        for path in listed(places[name] / "images") or listed(places[name]):
            yield Record(path, name not in normal, "chest", defect="" if name in normal else name)


def _good_defect(place: Path, category: str, defect: str = "") -> Iterator[Record]:
    """Records of ``good`` and ``defect`` in a folder."""
    for name, anomalous in _SPLIT.items():
        for path in listed(place / name):
            yield Record(path, anomalous, category, defect=defect if anomalous else "")


def _labels(table: Path) -> Iterator[tuple[str, bool]]:
    """Name and label of each line of ``labels.csv``."""
    try:
        lines = list(csv.reader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table}: cannot be read ({error}).") from None
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    if "id" not in header or _LABEL not in header:
        raise UserError(f"{table}: has the columns {header}; it needs id and {_LABEL}.")
    name, label = header.index("id"), header.index(_LABEL)
    for number, cells in enumerate(lines[1:], 2):
        values = [cell.strip() for cell in cells]
        if len(values) <= max(name, label) or values[label] not in ("0", "1"):
            raise UserError(f"{table}, line {number}: expected an id and 0 or 1, found {','.join(cells)!r}.")
        yield values[name].removesuffix(".png"), values[label] == "1"
