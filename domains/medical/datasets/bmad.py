"""The root of BMAD, or of one of its six sets, in; its records out. Opens no picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from domains.medical.datasets.listing import folders, listed, paired
from framework.errors import TruthError, UserError
from framework.registry import register
from framework.types import Record

SPLITS = ("train", "valid", "test")
MASKED = ("brain", "liver", "resc")  # the others have labels only
NAMES = {  # of the folders that are about, without "_AD"
    "brain": ("brain", "brainmri", "brats2021_slice", "brats2021"),
    "liver": ("liver", "liverct", "hist_diy"),
    "resc": ("resc", "retina_resc"),
    "oct2017": ("oct2017", "oct17", "retina_oct2017"),
    "chest": ("chest", "chestxray", "chest-rsna"),
    "histopathology": ("histopathology", "his", "camelyon16_256"),
}
_MASKS = ("anomaly_mask", "label")
_SLICE = re.compile(r"(.+)_(\d+)")  # <patient or volume>_<slice>
_KERMANY = re.compile(r"[A-Z]+-(\d+)-\d+")  # <disease>-<patient>-<number>, the names of OCT2017


@register("dataset", "medical/bmad")
def bmad(root: Path, split: str = "test") -> Iterator[Record]:
    """BMAD: slices and pictures of brain, liver, retina (RESC, OCT2017), chest and tissue, with masks of three of them.

    Layout: ``<set>/{train,valid,test}/{good,Ungood}/img/*.png`` or without ``img``, masks under the same name in
    ``Ungood/anomaly_mask/`` or ``Ungood/label/``. The root is the folder of the sets or one of them; a set is known by
    its folder (``Brain_AD``, ``BraTS2021_slice``, ``hist_DIY``, ``Retina_RESC_AD``, ``camelyon16_256``, ...).

    The organ is the category. Files of brain, liver and RESC are named ``<patient>_<slice>``: the patient is the group.
    OCT2017 names the patient too. Of chest and tissue nobody knows the patient, so that pictures of one may lie in
    several splits.

    Args:
        root: the folder.
        split: "train" (normal pictures only), "valid" or "test".

    Raises:
        UserError: another split, or two folders of one set.
        TruthError: two folders of masks, or two masks for one picture.
    """
    if split not in SPLITS:
        raise UserError(f"split: {split!r} is none of BMAD's: {', '.join(SPLITS)}.")
    one = any((root / name).is_dir() for name in SPLITS)
    seen: dict[str, Path] = {}
    for place in [root.resolve()] if one else folders(root):
        organ = _organ(place.name)
        if organ in seen:
            raise UserError(f"{place}: a second copy of {organ} beside {seen[organ].name}; take one of them away.")
        seen[organ] = place
        yield from _set(root if one else place, organ, split)


def _organ(folder: str) -> str:
    """The organ that a folder's name is known for, or the name."""
    name = folder.lower().removesuffix("_ad")
    return next((organ for organ, names in NAMES.items() if name in names), folder)


def _set(place: Path, organ: str, split: str) -> Iterator[Record]:
    """The records of one set."""
    labels = [label for label in folders(place / split) if label.name not in _MASKS]
    masks = {label: _masks(label) for label in labels if label.name.lower() != "good"}
    masked = any(masks.values())
    for label in labels:
        anomalous = label in masks
        found = listed(label / "img") or listed(label)
        truths = {path: path for path in found} if masked else {}
        if anomalous and masked:
            truths = paired(found, masks[label] or label / _MASKS[0])
        for path in found:
            group, nth = _patient(organ, path.stem)
            yield Record(path, anomalous, organ, group, truths.get(path), label.name if anomalous else "", nth=nth)


def _masks(label: Path) -> Path | None:
    """The folder of the masks beside the pictures of a label, or None."""
    found = [label / name for name in _MASKS if (label / name).is_dir()]
    if len(found) > 1:
        raise TruthError(f"{label}: has both {_MASKS[0]} and {_MASKS[1]}; keep the folder that holds the masks.")
    return found[0] if found else None


def _patient(organ: str, stem: str) -> tuple[str, int | None]:
    """Group of a picture and its place among the slices of it, by its name; "" and None where that does not tell."""
    if organ in ("chest", "histopathology"):
        return "", None
    if organ == "oct2017":
        match = _KERMANY.fullmatch(stem)
        return (f"{organ}/{match[1]}" if match else ""), None
    match = _SLICE.fullmatch(stem)
    return (f"{organ}/{match[1]}", int(match[2])) if match else ("", None)
