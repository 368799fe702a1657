"""The root of a set of tumour volumes in (BraTS, Medical Segmentation Decathlon, LiTS), its records out."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from domains.medical import geometry
from domains.medical.datasets.listing import listed, paired, stem
from domains.medical.datasets.slices import as_asked, by_mask, is_scan
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

MODALITIES = {  # ends of file names, as released to 2021 and since 2023
    "flair": ("_flair", "-t2f"),
    "t1": ("_t1", "-t1n"),
    "t1ce": ("_t1ce", "-t1c"),
    "t2": ("_t2", "-t2w"),
}
_SEGMENTED = ("_seg", "-seg", "_segm")  # the last is one misnamed file of BraTS 2020
_SINCE_2023 = re.compile(r"(BraTS-\w+-\d+)-\d{3}")  # <patient>-<time point>
_SICK = re.compile(r"tumou?r|cancer|lesion|(?:o|\b)edema|infarct|ha?emorrhage|metasta|cyst", re.IGNORECASE)
_OF_NNUNET = re.compile(r"(.+)_(\d{4})")  # <scan>_<channel>
_LITS = re.compile(r"volume-(\d+)")
_UNREADABLE = (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError)  # what a bad ``dataset.json`` raises
_OF_LITS = {1: "liver", 2: "tumour"}


@register("dataset", "medical/brats")
def brats(
    root: Path,
    split: str = "test",
    modality: str = "flair",
    slices: bool = False,
    stride: int = 1,
    axis: str = "axial",
    empty: bool = False,
) -> Iterator[Record]:
    """BraTS: brain tumours in MR scans of four kinds, one scan a sample; any label of the segmentation is anomalous.

    Layout: ``<case>/<case>_{flair,t1,t1ce,t2,seg}.nii[.gz]``, or since 2023 ``<case>-{t2f,t1n,t1c,t2w,seg}.nii.gz``, at
    any depth. Only the training release has segmentations, stored as floating point numbers in some years, and every
    split is all of it. Without any segmentation the set has labels only.

    All scans are anomalous, their slices are not. The case is the patient; since 2023 its name without the time point.

    Args:
        root: the folder.
        split: not used.
        modality: "flair", "t1", "t1ce" or "t2".
        slices: one sample a slice, as ``medical/nifti_slices`` makes them, which opens scans and masks.
        stride: every how manieth scan, or slice, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        UserError: another modality.
    """
    if modality not in MODALITIES:
        raise UserError(unknown("modality", modality, list(MODALITIES)))
    beside: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in sorted(p for p in root.rglob("*.nii*") if is_scan(p) and p.is_file()):
        beside[path.parent][stem(path)] = path
    scans = [(p, name) for found in beside.values() for name, p in found.items() if _case(name, MODALITIES[modality])]
    masks = {path: _segmentation(beside[path.parent], _case(name, MODALITIES[modality])) for path, name in scans}
    masked = any(masks.values())
    records = []
    for path, name in scans:
        case = _case(name, MODALITIES[modality])
        truth = masks[path] or (path.with_name(f"{case}_seg.nii.gz") if masked else None)
        match = _SINCE_2023.fullmatch(case)
        records.append(Record(path, True, "brain", match[1] if match else case, truth, "tumour"))
    yield from as_asked(records, slices, stride, axis, empty)


@register("dataset", "medical/decathlon")
def decathlon(
    root: Path,
    split: str = "test",
    anomalous: list[int | str] | None = None,
    channel: int | None = None,
    slices: bool = False,
    stride: int = 1,
    axis: str = "axial",
    empty: bool = False,
) -> Iterator[Record]:
    """A task of the Medical Segmentation Decathlon, or a set in its layout (nnU-Net's too), one scan a sample.

    Layout: ``imagesTr/<scan>.nii[.gz]`` and ``labelsTr/`` with the same names, or ``imagesTr/<scan>_<channel>.nii.gz``;
    ``dataset.json`` with the names of the labels. ``imagesTs`` has no labels, so every split is ``imagesTr``.

    Opens the masks, for a scan is anomalous where one of its voxels is. The folder's name is the category, a scan's
    name the patient.

    Args:
        root: the folder of ``imagesTr``.
        split: not used.
        anomalous: which labels are, by value or by name; null takes those whose names say tumour, cancer, lesion
            or the like in ``dataset.json``, and where there is none all above 0.
        channel: of a scan with several, the one that counts; the reader must be told the same where a file holds them.
        slices: one sample a slice, as ``medical/nifti_slices`` makes them, which opens the scans too.
        stride: every how manieth scan, or slice, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        UserError: no label is named like an anomaly, or ``dataset.json`` cannot be read or has none of those asked for.
        TruthError: a scan has two masks.
    """
    marks = _sick(root / "dataset.json") if anomalous is None else _asked(root / "dataset.json", anomalous)
    found = listed(root / "imagesTr", geometry.SUFFIXES)
    masks = {stem(p): p for p in listed(root / "labelsTr", geometry.SUFFIXES)}
    several = {p: m for p in found if stem(p) not in masks and (m := _OF_NNUNET.fullmatch(stem(p)))}
    names = {p: several[p][1] if p in several else stem(p) for p in found}
    found = [p for p in found if p not in several or int(several[p][2]) == (channel or 0)]
    truths = paired([p for p in found if p not in several], root / "labelsTr", endings=geometry.SUFFIXES)
    truths |= {p: masks.get(names[p], root / "labelsTr" / f"{names[p]}.nii.gz") for p in found if p in several}
    inside = None if several else channel
    scans = (
        Record(path, True, root.resolve().name, names[path], truths[path], "lesion", marks=marks) for path in found
    )
    labelled = scans if slices else (by_mask(scan, inside) for scan in scans)
    yield from as_asked(labelled, slices, stride, axis, empty, inside)


@register("dataset", "medical/lits")
def lits(
    root: Path,
    split: str = "test",
    anomalous: list[int | str] | None = None,
    slices: bool = False,
    stride: int = 1,
    axis: str = "axial",
    empty: bool = False,
) -> Iterator[Record]:
    """LiTS: tumours of the liver in computed tomography, one scan a sample; the liver around them is not anomalous.

    Layout: ``volume-<n>.nii[.gz]`` and ``segmentation-<n>.nii[.gz]``, at any depth, in one folder or in several. No
    split: every split is all of it.

    Opens the masks, for some scans have no tumour.

    Args:
        root: the folder.
        split: not used.
        anomalous: which labels are, by value or by name: 1 liver, 2 tumour; null takes the tumour.
        slices: one sample a slice, as ``medical/nifti_slices`` makes them, which opens the scans too.
        stride: every how manieth scan, or slice, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        UserError: another label.
    """
    marks = _among(_OF_LITS, ["tumour"] if anomalous is None else anomalous, root)
    files = sorted(p for p in root.rglob("*.nii*") if is_scan(p))
    masks = {stem(p): p for p in files if stem(p).startswith("segmentation-")}
    numbered = sorted((int(m[1]), p) for p in files if (m := _LITS.fullmatch(stem(p))))
    scans = (
        Record(
            p, True, "liver", str(n), masks.get(f"segmentation-{n}", p.with_name(f"segmentation-{n}.nii")), "tumour",
            marks=marks,
        )
        for n, p in numbered
    )  # fmt: skip
    yield from as_asked(scans if slices else map(by_mask, scans), slices, stride, axis, empty)


def _case(name: str, ends: tuple[str, ...]) -> str:
    """The case of a scan of this name, "" where the name has none of these ends."""
    return next((name[: -len(end)] for end in ends if name.lower().endswith(end)), "")


def _segmentation(beside: dict[str, Path], case: str) -> Path | None:
    """The segmentation of a case in its folder, by its name or because there is no other."""
    named = [p for name, p in beside.items() if _case(name, _SEGMENTED) == case]
    other = [p for name, p in beside.items() if _case(name, _SEGMENTED)]
    return named[0] if named else other[0] if len(other) == 1 else None


def _sick(table: Path) -> tuple[int, ...]:
    """Values of the labels in ``dataset.json`` that are named like an anomaly; () where there is no such file."""
    if not table.is_file():
        return ()
    try:
        named = _named(table)
    except _UNREADABLE as error:
        raise UserError(f"{table}: its labels cannot be read ({error}); write them as the option anomalous.") from None
    found = tuple(sorted(value for value, name in named.items() if value and _SICK.search(name)))
    if not found:
        raise UserError(
            f"{table}: no label sounds like an anomaly ({_listing(named)}); say which are as the option anomalous."
        )
    return found


def _asked(table: Path, anomalous: list[int | str]) -> tuple[int, ...]:
    """The values that are asked for, by value or by name. Raises UserError where there is no label of one."""
    try:
        named = _named(table)
    except _UNREADABLE as error:
        values = tuple(value for value in anomalous if isinstance(value, int))
        if len(values) < len(anomalous):
            raise UserError(f"{table}: its labels cannot be read ({error}); anomalous must name values.") from None
        return values
    return _among(named, anomalous, table)


def _among(named: dict[int, str], anomalous: list[int | str], where: Path) -> tuple[int, ...]:
    """The values of labels that are asked for by value or by name. Raises UserError with those there are."""
    values = {name.lower(): value for value, name in named.items()} | {str(value): value for value in named}
    for label in anomalous:
        if str(label).lower() not in values:
            raise UserError(f"{where}: anomalous names {label}, but the labels are {_listing(named)}.")
    return tuple(values[str(label).lower()] for label in anomalous)


def _named(table: Path) -> dict[int, str]:
    """The name of each value. Raises one of ``_UNREADABLE``."""
    labels = dict(json.loads(table.read_text(encoding="utf-8"))["labels"])
    return {int(k if str(k).isdigit() else v): str(v if str(k).isdigit() else k) for k, v in labels.items()}


def _listing(named: dict[int, str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in sorted(named.items()))
