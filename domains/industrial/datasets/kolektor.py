"""The folders of KolektorSDD and KolektorSDD2 -> records, labelled by their masks, which are opened."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from domains.industrial.datasets.listing import folders
from domains.industrial.images import list_images, read_mask
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

FOLDS = ("split.pyb", "KolektorSDD-training-splits/split.pyb")


@register("dataset", "industrial/ksdd")
def ksdd(root: Path, split: str = "test", cut: str = "whole", fold: int | None = None) -> Iterator[Record]:
    """KolektorSDD: commutators, eight pictures each, with masks. A commutator is the group.

    Layout: ``kos<NN>/Part<N>.jpg`` and ``kos<NN>/Part<N>_label.bmp``, which is empty for a normal picture; for the
    published folds ``split.pyb`` beside them, or in ``KolektorSDD-training-splits``. One split, test, without a fold.

    Args:
        root: the folder of the commutators.
        split: "test"; with a fold also "train", which has both classes.
        cut: "whole" pictures, or "thirds" of their height, each with a label of its own, as InCTRL and AdaCLIP cut.
        fold: 0, 1 or 2 of the published folds, which part commutators; null takes all of them as "test".

    Raises:
        UserError: an unknown choice, or a fold without a readable ``split.pyb``.
        TruthError: a picture has no mask.
    """
    if cut not in ("whole", "thirds"):
        raise UserError(unknown("value of cut", cut, ["whole", "thirds"]))
    named = _fold(root, fold, split) if fold is not None else None
    if split not in (("train", "test") if named is not None else ("test",)):
        return
    for place in folders(root):
        if place.name in named if named is not None else place.name.startswith("kos"):
            for path in list_images(place):
                if path.suffix.lower() == ".jpg":
                    yield from _parts(path, cut)


@register("dataset", "industrial/ksdd2")
def ksdd2(root: Path, split: str = "test") -> Iterator[Record]:
    """KolektorSDD2: surfaces of one product, with masks.

    Layout: ``{train,test}/<NNNNN>.png`` and ``<NNNNN>_GT.png``, which is empty for a normal picture. Files of any
    other name, such as the two copies of 10301 that the release holds, are left out.

    Args:
        root: the folder of train and test.
        split: "test" or "train"; both have both classes.

    Raises:
        TruthError: a picture has no mask.
    """
    place = root / split
    for path in list_images(place) if place.is_dir() else ():
        if path.stem.isdigit():
            truth = path.with_name(f"{path.stem}_GT{path.suffix}")
            anomalous = bool(read_mask(truth).any())
            yield Record(path, anomalous, "surface", truth_path=truth, defect="defect" if anomalous else "")


def _parts(path: Path, cut: str) -> Iterator[Record]:
    """One record of a picture, or one of each third of its height."""
    truth = path.with_name(f"{path.stem}_label.bmp")
    mask = read_mask(truth)  # (H, W)
    height, width = mask.shape
    edges = [0, height // 3, height * 2 // 3, height] if cut == "thirds" else [0, height]
    for number, (top, bottom) in enumerate(pairwise(edges)):
        anomalous = bool(np.any(mask[top:bottom]))
        part: dict[str, Any] = {"frame": number, "box": (0, top, width, bottom)} if cut == "thirds" else {}
        defect = "defect" if anomalous else ""
        yield Record(path, anomalous, "commutator", path.parent.name, truth, defect, **part)


class _Plain(pickle.Unpickler):
    """Reads lists and texts alone: a pickle that names anything to run is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and is to hold lists of names alone")


def _fold(root: Path, fold: int, split: str) -> set[str]:
    """The commutators of a published fold: ``split.pyb`` holds lists of training and of test folds, and all names."""
    table = next((root / name for name in FOLDS if (root / name).is_file()), root / FOLDS[0])
    try:
        train, test, _ = _Plain(io.BytesIO(table.read_bytes())).load()
        folds = {"train": train, "test": test}.get(split, [])
        if folds and fold not in range(len(folds)):
            raise UserError(f"option fold: {table} has the folds 0 to {len(folds) - 1}, not {fold}.")
        return {str(name) for name in folds[fold]} if folds else set()
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise UserError(
            f"{table}: no published folds ({error}). Fetch KolektorSDD-training-splits, or leave fold out and take a "
            "share of the groups."
        ) from None
