"""A folder -> the folders, pictures and masks in it, each picture with its own masks. Opens no picture."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.industrial.images import SUFFIXES, list_images
from framework.errors import TruthError
from framework.types import Record

TOLD = 3  # names that one line lists
_TAIL = re.compile(r"_(?:mask|label|gt)(\d*)$", re.IGNORECASE)
_SEED, _SHARE = 42, 0.25  # of InCTRL's preparation of sets that ship without a split


def folders(root: Path) -> list[Path]:
    """Folders in a folder, sorted, without hidden ones; [] where it does not exist."""
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def pictures_below(root: Path) -> list[Path]:
    """Picture files at any depth below a folder, sorted; [] where it does not exist."""
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def masks_in(folder: Path) -> dict[str, list[Path]]:
    """The masks in a folder by the stem of their picture; {} where it does not exist.

    Those of ``001.png`` are ``001_mask.*``, ``001_mask1.*`` and ``001_mask2.*``, ``001_label.*``, ``001_GT.*``,
    ``001.*``, or all pictures in the folder ``001``.

    Raises:
        TruthError: a picture has two that are no parts of one, such as one with ``_mask`` and one without.
    """
    if not folder.is_dir():
        return {}
    found: dict[str, list[Path]] = {place.name: list_images(place) for place in folders(folder)}
    return {stem: masks for stem, masks in found.items() if masks} | by_stem(list_images(folder))


def by_stem(masks: Sequence[Path]) -> dict[str, list[Path]]:
    """Mask files by the stem of their picture; see ``masks_in``, which also tells what it raises."""
    found: dict[str, list[Path]] = defaultdict(list)
    for mask in masks:
        found[_TAIL.sub("", mask.stem)].append(mask)
    for stem, same in found.items():
        tails = [match[1] if (match := _TAIL.search(mask.stem)) else "" for mask in same]
        if len(same) > 1 and len(set(filter(None, tails))) < len(same):
            names = " and ".join(mask.name for mask in same)
            raise TruthError(f"{same[0].parent}: several masks of picture {stem}: {names}. Keep one of them.")
    return dict(found)


def masked(record: Record, masks: dict[str, list[Path]], missing: Path) -> Record:
    """The record with its masks; where it has none with the path that one should have, so that it is missed."""
    first, *others = masks.get(record.path.stem, [missing])
    return replace(record, truth_path=first, more_truth=tuple(others))


def labelled(
    place: Path, masks: Path | None, category: str, normal: Sequence[str], skip: Sequence[str] = ()
) -> Iterator[Record]:
    """Records of the pictures in the folders of ``place``, a folder a defect.

    Args:
        place: holds a folder of normal pictures and one for each kind of defect.
        masks: holds a folder of masks for each kind of defect; None where only labels are known.
        category: of all.
        normal: names of folders of normal pictures, lower case.
        skip: names of folders in ``place`` that hold no pictures, such as that of the masks.

    Raises:
        TruthError: as ``masks_in``.
    """
    for folder in folders(place):
        if folder.name in skip:
            continue
        anomalous = folder.name.lower() not in normal
        defect = folder.name if anomalous else ""
        known = masks_in(masks / defect) if anomalous and masks else {}
        for path in list_images(folder):
            record = Record(path, anomalous, category, truth_path=path if masks else None, defect=defect)
            if anomalous and masks:
                record = masked(record, known, masks / defect / f"{path.stem}_mask.png")
            yield record


def quarter(records: Sequence[Record], split: str) -> list[Record]:
    """The share of a set's normal samples that InCTRL puts into a split, drawn as scikit-learn does with seed 42.

    A quarter, rounded up, is tested with all anomalous samples; the rest is for training. Source: InCTRL,
    ``convert_*.py``. Theirs are drawn from the order in which the disk lists files; ours from the order given.

    Args:
        records: all of the set, normal and anomalous.
        split: "train" or "test".
    """
    normal = [r for r in records if not r.anomalous]
    order = np.random.RandomState(_SEED).permutation(len(normal))
    tested = set(order[: math.ceil(_SHARE * len(normal))].tolist())
    if split == "train":
        return [r for i, r in enumerate(normal) if i not in tested]
    kept = {id(r) for i, r in enumerate(normal) if i in tested}
    return [r for r in records if r.anomalous or id(r) in kept]


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:TOLD]) + (f" and {len(names) - TOLD} more" if len(names) > TOLD else "")
