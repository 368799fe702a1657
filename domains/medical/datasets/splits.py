"""The root of a medical set in; its splits and their records out, so that a patient in several is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domains.medical.datasets.bmad import SPLITS, bmad
from domains.medical.datasets.dicom import dicom_tree
from domains.medical.datasets.folders import scans_in
from domains.medical.datasets.listing import folders
from domains.medical.datasets.own_pictures import findings
from domains.medical.datasets.volumes import nifti
from domains.medical.pictures import SUFFIXES
from framework.registry import register
from framework.types import Record

Splits = dict[str, Iterator[Record]]


@register("splits", "medical/nifti")
@register("splits", "medical/nifti_slices")
def by_folder(root: Path, **options: Any) -> Splits:
    """Every folder of the root is a split; whole scans, for slices have their patients."""
    return {place.name: nifti(root, place.name) for place in folders(root)}


@register("splits", "medical/dicom")
def of_dicom(root: Path, patient: str = "id", **options: Any) -> Splits:
    """Every folder of the root is a split; whole series."""
    return {place.name: dicom_tree(root, place.name, patient=patient) for place in folders(root)}


@register("splits", "medical/pictures")
def of_pictures(root: Path, **options: Any) -> Splits:
    """Every folder of the root is a split."""
    return {place.name: findings(root, place.name) for place in folders(root)}


@register("splits", "medical/bmad")
def of_bmad(root: Path) -> Splits:
    """All three."""
    return {split: bmad(root, split) for split in SPLITS}


@register("splits", "medical/folder")
def of_folder(root: Path, masks: str = "masks", **options: Any) -> Splits:
    """Train and test, where there are such folders."""
    return {name: scans_in(root, name, "", masks, ()) for name in ("train", "test") if (root / name).is_dir()}


@register("splits", "medical/yes_no")
@register("splits", "medical/head_ct")
@register("splits", "medical/covid")
def of_labels(root: Path, **options: Any) -> Splits:
    """Train and test, where there are such folders of pictures."""
    return {name: _pictures(root / name) for name in ("train", "test") if (root / name).is_dir()}


def _pictures(place: Path) -> Iterator[Record]:
    """Pictures at any depth, as they are for telling that there are some."""
    return (Record(p, False, "") for p in place.rglob("*") if p.name.lower().endswith(SUFFIXES))
