"""The root of a folder of anybody's volumes in, its records out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from domains.medical.datasets.listing import stem
from domains.medical.datasets.slices import as_asked, by_mask, is_scan, patient
from framework.errors import TruthError
from framework.registry import register
from framework.types import Record

TAILS = ("_mask", "_seg", "_label")  # of a mask beside its scan
_IMAGES = ("images", "scans", "volumes")  # of a folder that stands beside that of the masks


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

    Layout: ``**/<scan>.nii[.gz]``, and masks in ``masks/`` under the same path (with or without the ``images`` that
    stands beside it), or ``<scan>_{mask,seg,label}.nii[.gz]`` beside the scan. Below ``train`` and ``test`` where the
    root has such folders, else every split is all of it. ``medical/nifti`` takes labels from the names of folders.

    The patient is the first folder that a scan lies in, or where all lie in one its name up to its last ``_``. Opens
    the masks, for a scan is anomalous where one of its voxels is.

    Args:
        root: the folder.
        split: "train", "test" or any other folder, where there are such.
        category: what the scans show; metrics are given per category.
        masks: name of the folder of masks.
        anomalous: which values of a mask are; null takes all above 0.
        channel: of files that hold several volumes, the one to take; the reader must be told the same.
        slices: one sample a slice, as ``medical/nifti_slices`` makes them, which opens the scans too.
        stride: every how manieth scan, or slice, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        TruthError: a scan has two masks.
    """
    scans = scans_in(root, split, category, masks, tuple(anomalous or ()))
    labelled = scans if slices else (by_mask(scan, channel) for scan in scans)
    yield from as_asked(labelled, slices, stride, axis, empty, channel)


def scans_in(root: Path, split: str, category: str, masks: str, marks: tuple[int, ...]) -> Iterator[Record]:
    """Records of whole scans, anomalous where there is a mask; opens no file."""
    base = root / split if any((root / name).is_dir() for name in (split, "train", "test")) else root
    files = sorted(p for p in base.rglob("*.nii*") if is_scan(p))
    truths = _masks(base, files, masks)
    for path in sorted(set(files) - set(truths.values())):
        inside = path.relative_to(base).parts
        if inside[0] == masks:
            continue  # a mask of no scan
        place = [part for part in inside[:-1] if part not in _IMAGES]
        truth, defect = truths.get(path, path), "lesion" if path in truths else ""
        yield Record(path, bool(defect), category, place[0] if place else patient(path), truth, defect, marks=marks)


def _masks(base: Path, files: list[Path], masks: str) -> dict[Path, Path]:
    """The mask of each scan that has one."""
    named: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in files:
        named[path.parent.relative_to(base), stem(path)].append(path)
    found = {}
    for path in files:
        parent, name = path.parent.relative_to(base), stem(path)
        if parent.parts[:1] == (masks,):
            continue
        bare = Path(*(part for part in parent.parts if part not in _IMAGES))
        places = dict.fromkeys(
            [(masks / parent, name), (masks / bare, name), *((parent, name + tail) for tail in TAILS)]
        )
        fitting = [mask for place in places for mask in named.get(place, ())]
        if len(fitting) > 1:
            raise TruthError(f"{path}: several masks: {', '.join(str(m) for m in fitting)}. Keep one.")
        if fitting:
            found[path] = fitting[0]
    return found
