"""The root of a folder of anybody's volumes in, its records out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from domains.medical.datasets.listing import stem
from domains.medical.datasets.slices import as_asked, by_mask, is_scan, patient
from domains.medical.patients import patients
from framework.errors import TruthError, UserError
from framework.registry import register
from framework.types import Record

MASKS = ("masks", "labels", "segmentations")  # folders
_IMAGES = ("images", "scans", "volumes")  # folders that stand beside those of masks
_TAIL = re.compile(r"(.+)[-_](?:mask|seg|segmentation|labels?|lesion)", re.IGNORECASE)  # of a mask beside its scan
_SAYS = re.compile(r"(?<![a-z])(?:masks?|segs?|segmentations?|labels?)(?![a-z])", re.IGNORECASE)
_NO_PATIENTS = re.compile(  # names of folders that say what is found, or where it was taken
    r"good|healthy|normals?|controls?|hc|no|negative|benign|yes|positive|malignant|cancer|carcinoma|bad|defects?|abnormal"
    r"|anomal(?:y|ies|ous)|lesions?|tumou?rs?|diseased?|sick|pathologic(?:al)?|patho|ungood|cases?|patients?"
    r"|(?:site|cent(?:re|er)|hospital|clinic|scanner|vendor|cohort|batch|fold|part)(?:[-_ ]?(?:\d+|[a-z]))?",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # where a word begins in brainMask

Key = tuple[tuple[str, ...], str]  # folders without those of images or masks, and a name: of a scan and its mask


@register("dataset", "medical/folder")
def folder(
    root: Path,
    split: str = "test",
    category: str = "scan",
    masks: str = "masks",
    anomalous: list[int] | None = None,
    channel: int | None = None,
    slices: bool = False,
    stride: int = 1,
    axis: str = "axial",
    empty: bool = False,
) -> Iterator[Record]:
    """Any NIfTI volumes, in any folders, labelled by their masks; a scan without a mask counts as healthy.

    Layout: ``**/<scan>.nii[.gz]``, and masks in ``masks/``, ``labels/`` or ``segmentations/`` under the same path (with
    or without the ``images`` that stands beside it), or beside the scan, ``<scan>_mask.nii[.gz]`` or ``-mask``, as well
    as ``seg``, ``segmentation``, ``label``, ``labels``, ``lesion``; all in any case. Below ``train`` and ``test`` where
    the root has such folders, else every split is all of it. ``medical/nifti`` takes labels from the names of folders.

    The patient is the first folder that not all scans lie in, of those that hold images or masks none. Folders that are
    called as a label (``good``, ``healthy``, ``tumour``) or a site (``centre2``) are no patients: those in them are,
    with their name before (``site1/p1``). Where there are no two such, a scan's name says it as ``patients`` reads
    names. Opens the masks, for a scan is anomalous where a voxel is.

    Args:
        root: the folder.
        split: "train", "test" or any other folder, where there are such.
        category: what the scans show; metrics are given per category.
        masks: name of the folder of masks; any other than "masks" is the only one that counts.
        anomalous: which values of a mask are; null takes all above 0.
        channel: of files that hold several volumes, the one to take; the reader must be told the same.
        slices: one sample a slice, as ``medical/nifti_slices`` makes them, which opens the scans too.
        stride: every how manieth scan, or slice, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        TruthError: a scan has two masks.
        UserError: the name of a file, or of its folder, says that it is a mask, but there is no scan to it.
    """
    scans = scans_in(root, split, category, masks, tuple(anomalous or ()))
    labelled = scans if slices else (by_mask(scan, channel) for scan in scans)
    yield from as_asked(labelled, slices, stride, axis, empty, channel)


def scans_in(root: Path, split: str, category: str, masks: str, marks: tuple[int, ...]) -> Iterator[Record]:
    """Records of whole scans, anomalous where there is a mask; opens no file."""
    parts = [root / name for name in dict.fromkeys((split, "train", "test")) if (root / name).is_dir()]
    base = root / split if parts else root
    scans, truths = _paired(base, masks)
    places = [_key(b, p, masks)[0] for b in parts or [base] for p in _files(b, masks)]
    depth = _differing(places)
    deep = _beyond(places, depth)
    there = [p for b in parts or [base] for p in _files(b, masks) if not _is_mask(b, p, masks)]  # of all splits
    named = dict(zip(there, patients(there), strict=True)) if deep > depth else {}
    for path in scans:
        place, name = _key(base, path, masks)
        inside = place[depth : deep + 1] if 0 <= deep < len(place) else ()
        group = "/".join(inside) or named.get(path) or patient(path)
        found = truths.get((place, name), [])
        if len(found) > 1:
            raise TruthError(f"{path}: several masks: {', '.join(str(m) for m in found)}. Keep one.")
        truth, defect = (found[0], "lesion") if found else (path, "")
        yield Record(path, bool(defect), category, group, truth, defect, marks=marks)


def _files(base: Path, masks: str) -> list[Path]:
    """The volumes, without those in folders of masks that are not meant."""
    files = sorted(p for p in base.rglob("*.nii*") if is_scan(p)) if base.is_dir() else []
    other = set(MASKS) - set(_folders(masks))
    return [p for p in files if not other & {part.lower() for part in p.relative_to(base).parts[:-1]}]


def _paired(base: Path, masks: str) -> tuple[list[Path], dict[Key, list[Path]]]:
    """The scans, and the masks of each by its key. Raises UserError for a mask of no scan."""
    scans, truths = [], defaultdict(list)
    files = _files(base, masks)
    for path in files:
        if _is_mask(base, path, masks):
            truths[_key(base, path, masks)].append(path)
        else:
            scans.append(path)
    keys = {_key(base, path, masks) for path in scans}
    lost = [path for key, found in truths.items() if key not in keys for path in found]
    lost += [path for path in scans if _SAYS.search(_HUMP.sub(" ", str(path.relative_to(base))))]
    if lost:
        raise UserError(
            f"{lost[0]}: its name or folder says that it is a mask, but it is that of no scan"
            f"{f' (and so {len(lost) - 1} more)' if len(lost) > 1 else ''}; give it the scan's name in masks/, or the "
            "scan's and _mask beside it, or rename or remove it."
        )
    return scans, truths


def _is_mask(base: Path, path: Path, masks: str) -> bool:
    """Whether the name of a file or of its folders says that it is a mask."""
    inside = path.relative_to(base).parts[:-1]
    return any(part.lower() in _folders(masks) for part in inside) or bool(_TAIL.fullmatch(stem(path)))


def _key(base: Path, path: Path, masks: str) -> Key:
    """What a scan and its mask have in common."""
    between = path.relative_to(base).parts[:-1]
    inside = [part.lower() in _folders(masks) for part in between]
    place = tuple(p for p, is_mask in zip(between, inside, strict=True) if not is_mask and p.lower() not in _IMAGES)
    tail = _TAIL.fullmatch(stem(path))
    return place, tail[1] if tail else stem(path)


def _folders(masks: str) -> tuple[str, ...]:
    """Names of folders of masks, lower case."""
    return MASKS if masks.lower() in MASKS[:1] else (masks.lower(),)


def _differing(places: list[tuple[str, ...]]) -> int:
    """Which folder, counted from the first, is the first that not all lie in; -1 where there are no two such."""
    depth = 0
    while places and all(len(p) > depth for p in places) and len({p[depth] for p in places}) == 1:
        depth += 1
    return depth if len({p[depth] for p in places if len(p) > depth}) > 1 else -1


def _beyond(places: list[tuple[str, ...]], depth: int) -> int:
    """Which folder, from ``depth`` on, is the first whose names are not all those of labels and sites."""
    while depth >= 0 and (found := {p[depth] for p in places if len(p) > depth}):
        if not all(_NO_PATIENTS.fullmatch(name) for name in found):
            break
        depth += 1
    return depth
