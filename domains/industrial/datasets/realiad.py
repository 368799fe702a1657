"""The folder of Real-IAD, whose splits lie in JSON files -> records. Opens no picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domains.industrial.datasets.listing import folders
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

_PICTURES = "realiad_"
KINDS = {
    "AK": "pit", "BX": "deformation", "CH": "abrasion", "HS": "scratch", "PS": "damage", "QS": "missing parts",
    "YW": "foreign objects", "ZW": "contamination",
}  # fmt: skip


@register("dataset", "industrial/realiad")
def realiad(
    root: Path,
    split: str = "test",
    lists: str = "realiad_jsons",
    size: int | None = None,
    categories: list[str] | None = None,
) -> Iterator[Record]:
    """Real-IAD: thirty products, each sample seen by five cameras, with masks. A sample is the group.

    Layout: ``realiad_{256,512,1024}/<category>/{OK,NG/<code>}/S<NNNN>/*.jpg``, masks in the same folder, and
    ``<lists>/<category>.json`` with ``meta`` (``prefix``, ``normal_class``), ``train`` and ``test``: lists of
    ``image_path``, ``mask_path`` and ``anomaly_class``. A view that does not show its sample's defect is normal.

    Args:
        root: the folder of these.
        split: "test", or "train" (normal pictures only, but for the lists fuiad).
        lists: "realiad_jsons" for all five views, "realiad_jsons_sv" for one, "realiad_jsons_fuiad_0.4" and so on.
        size: 256, 512 or 1024; null takes the one that is there.
        categories: read only these; null reads all.

    Raises:
        UserError: no such pictures, lists or category, or an entry that is wrong, which is named.
    """
    pictures = _pictures(root, size)
    place = next((p for p in (root / lists, root / "realiad_jsons" / lists) if any(p.glob("*.json"))), None)
    if place is None:
        raise UserError(f"{root / lists}: no lists of Real-IAD. Set root to the folder that holds it, or choose lists.")
    present = {path.stem: path for path in sorted(place.glob("*.json"))}
    for category in categories or ():
        if category not in present:
            raise UserError(f"{place}: {unknown('category', category, sorted(present))}")
    for category in categories or present:
        yield from _listed(present[category], pictures, split)


def _pictures(root: Path, size: int | None) -> Path:
    """The folder of pictures of a size."""
    there = {p.name.removeprefix(_PICTURES): p for p in folders(root) if p.name.removeprefix(_PICTURES).isdigit()}
    wanted = [str(size)] if size is not None else list(there)
    if len(wanted) == 1 and wanted[0] in there:
        return there[wanted[0]]
    sizes = ", ".join(sorted(there, key=int)) or "none"
    what = f"no pictures of size {size}" if size is not None else "not one size of pictures"
    raise UserError(f"{root}: {what}; folders realiad_<size> there are: {sizes}. Set size, or root to where they lie.")


def _listed(table: Path, pictures: Path, split: str) -> Iterator[Record]:
    """Records of a split of one category."""
    try:
        held = json.loads(table.read_text(encoding="utf-8"))
        prefix, normal = str(held["meta"]["prefix"]), held["meta"]["normal_class"]
        entries = list(held.get(split, []))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{table}: no list of Real-IAD ({type(error).__name__}: {error}). Fetch it again.") from None
    for number, entry in enumerate(entries):
        yield _record(entry, f"{table}: entry {number} of {split}", pictures / prefix, normal, table.stem)


def _record(entry: Any, place: str, base: Path, normal: str, category: str) -> Record:
    """The record of one entry."""
    match entry:
        case {"image_path": str(image), "anomaly_class": str(kind), **other}:
            path, anomalous, mask = base / image, kind != normal, other.get("mask_path")
            truth = (base / str(mask) if mask else None) if anomalous else path
            group = f"{category}/{Path(image).parent.as_posix()}"
            return Record(path, anomalous, category, group, truth, KINDS.get(kind, kind) if anomalous else "")
    raise UserError(f"{place} needs the texts image_path and anomaly_class, found {entry!r}.")
