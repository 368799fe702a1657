"""A folder of medical pictures with masks in, its records out; each mask is found by its stem. Opens no picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.medical import pictures
from domains.medical.datasets.listing import folders, listed, paired
from framework import meta_lists
from framework.errors import UserError
from framework.registry import register
from framework.types import Record

_ISIC = {"train": "Training", "test": "Test"}
_TN3K = {"train": "trainval", "test": "test"}
_PAIRS = (("images", "masks"), ("image", "mask"), ("Original", "Ground Truth"))


@register("dataset", "medical/isic")
def isic(root: Path, split: str = "test") -> Iterator[Record]:
    """ISIC 2016: photographs of skin lesions; every picture is anomalous, so only pixel metrics have a meaning.

    Layout: ``ISBI2016_ISIC_Part1_{Training,Test}_Data/*.jpg`` and
    ``ISBI2016_ISIC_Part1_{Training,Test}_GroundTruth/<stem>_Segmentation.png``. No patients.

    Args:
        root: the folder.
        split: "train" or "test".
    """
    part = f"ISBI2016_ISIC_Part1_{_named(_ISIC, split)}"
    yield from _all_anomalous(root / f"{part}_Data", root / f"{part}_GroundTruth", "skin", "lesion", "_Segmentation")


@register("dataset", "medical/polyps")
def polyps(root: Path, split: str = "test") -> Iterator[Record]:
    """Polyps in colonoscopy (CVC-ClinicDB, CVC-ColonDB, CVC-300, Kvasir-SEG, Endo): every picture is anomalous.

    Layout: ``images/*`` and ``masks/*`` of the same stem and any ending, or ``image`` and ``mask``, or ``Original`` and
    ``Ground Truth``. The root is a set or a folder of sets; the folder of a set is the category. No split: every split
    is all of it. No patients, and frames of one video are alike.

    Args:
        root: the folder.
        split: not used.
    """
    one = any((root / pictures_).is_dir() for pictures_, _ in _PAIRS)
    for place in [root] if one else folders(root):
        for found, masks in _PAIRS:
            if (place / found).is_dir():
                yield from _all_anomalous(place / found, place / masks, place.resolve().name, "polyp")


@register("dataset", "medical/tn3k")
def tn3k(root: Path, split: str = "test") -> Iterator[Record]:
    """TN3K: ultrasound of the thyroid, a nodule in every picture, so only pixel metrics have a meaning.

    Layout: ``{test,trainval}-image/*.jpg`` and ``{test,trainval}-mask/*.jpg`` of the same stem. No patients.

    Args:
        root: the folder.
        split: "train" (trainval) or "test".
    """
    part = _named(_TN3K, split)
    yield from _all_anomalous(root / f"{part}-image", root / f"{part}-mask", "thyroid", "nodule")


@register("dataset", "medical/meta_json")
def meta_json(root: Path, split: str = "test") -> Iterator[Record]:
    """Medical sets as AdaCLIP and AnomalyCLIP list them, with masks or without.

    Layout: ``meta.json``, ``{"<split>": {"<class>": [{"img_path", "mask_path", "cls_name", "specie_name", "anomaly"},
    ...]}}``, with paths below the root. Lines that name no picture are left out. No patients.

    Args:
        root: the folder of ``meta.json``.
        split: "train", "test" or any other that it lists, in any case.

    Raises:
        UserError: there is no ``meta.json``, or it holds something else.
    """
    yield from meta_lists.records(root, split, pictures.SUFFIXES)


def _all_anomalous(found: Path, masks: Path, category: str, defect: str, tail: str = "") -> Iterator[Record]:
    """One record a picture, with the mask of its stem."""
    for path, truth in paired(listed(found), masks, tail).items():
        yield Record(path, True, category, truth_path=truth, defect=defect)


def _named(parts: dict[str, str], split: str) -> str:
    """What a release calls a split."""
    if split not in parts:
        raise UserError(f"split: {split!r} is neither {' nor '.join(parts)}.")
    return parts[split]
