"""A folder of scans in, its records out: one a scan, or one a slice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.medical.datasets.listing import finding_of
from domains.medical.datasets.slices import as_asked, check_stride, is_scan, patient, slices_of
from framework.errors import TruthError
from framework.registry import register
from framework.types import Record

_GOLD = "GOLD_STANDARD*.nii.gz"


@register("dataset", "medical/nifti")
def nifti(root: Path, split: str = "test", category: str = "scan", stride: int = 1) -> Iterator[Record]:
    """NIfTI volumes, one sample a scan, with a mask for each scan that has a finding.

    Layout: ``<split>/good/<patient>_<scan>.nii[.gz]`` (``good`` in any case) and
    ``<split>/<finding>/<patient>_<scan>.nii[.gz]``, with the mask of a finding in ``<split>/masks/<finding>/`` under
    the same name. Without any ``masks`` folder the set has labels only.

    The patient, which is the group, is that of BIDS, BraTS, IXI, ADNI and OASIS where a name is as theirs, else the
    name up to its last ``_``, or all of it where there is none. Opens no file: a scan whose mask is missing still names
    it, so that it cannot be read without.

    Args:
        root: the folder.
        split: "train", "test" or any other folder in it.
        category: what the scans show; metrics are given per category.
        stride: every how manieth scan is taken.
    """
    check_stride(stride)
    folder = root / split
    masked = (folder / "masks").is_dir()
    scans = sorted(p for p in folder.glob("*/*") if p.parent.name != "masks" and is_scan(p))
    for path in scans[::stride]:
        finding = finding_of(path.parent.name)
        truth = None
        if masked:
            truth = folder / "masks" / finding / path.name if finding else path
        yield Record(path, bool(finding), category, group=patient(path), truth_path=truth, defect=finding)


@register("dataset", "medical/nifti_slices")
def nifti_slices(
    root: Path, split: str = "test", category: str = "scan", stride: int = 1, axis: str = "axial", empty: bool = False
) -> Iterator[Record]:
    """NIfTI volumes, one sample a slice, anomalous where the mask of the scan has a voxel in that slice.

    Layout: as ``medical/nifti``; masks are needed.

    Unlike other datasets this one opens files: the masks, for the labels, and the scans, coarsely, to leave out
    slices that show nothing, which would be counted as easy normals. That costs what decompressing them costs,
    about 0.1 s for a brain scan of 1 mm; ``empty`` saves the half of it. A scan that cannot be cut into labelled slices
    is one record, the whole scan, and whoever reads that is told why.

    Args:
        root: the folder.
        split: "train", "test" or any other folder in it.
        category: what the scans show; metrics are given per category.
        stride: every how manieth slice is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing; no voxel of a scan is read then.

    Raises:
        TruthError: there is no folder of masks.
    """
    for record in nifti(root, split, category):
        if record.truth_path is None:
            raise TruthError(f"{record.path}: slices need masks, but there is no {root / split / 'masks'}.")
        yield from slices_of(record, axis, stride, empty)


@register("dataset", "medical/open_ms")
def open_ms(
    root: Path, split: str = "test", slices: bool = True, stride: int = 1, axis: str = "axial", empty: bool = False
) -> Iterator[Record]:
    """Multiple sclerosis lesions in FLAIR scans (3D MR image database of MS patients, registered to MNI space).

    Layout: ``patient<number>/FLAIR*.nii.gz`` and ``patient<number>/GOLD_STANDARD*.nii.gz``, at any depth. The release
    has no split, so every split is all of it.

    Opens scans and masks as ``medical/nifti_slices`` does, unless ``slices`` is false.

    Args:
        root: the folder.
        split: not used.
        slices: one sample a slice; else one a scan, and then all are anomalous.
        stride: every how manieth slice, or scan, is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        TruthError: a scan has several masks.
    """
    scans = []
    for path in sorted(root.glob("**/patient*/FLAIR*.nii.gz")):
        masks = sorted(path.parent.glob(_GOLD))
        if len(masks) > 1:
            raise TruthError(f"{path.parent}: {len(masks)} files {_GOLD}; one must hold the mask.")
        truth = masks[0] if masks else path.parent / _GOLD  # which is no file, as reading says
        scans.append(Record(path, True, "brain", group=path.parent.name, truth_path=truth, defect="lesion"))
    yield from as_asked(scans, slices, stride, axis, empty)
