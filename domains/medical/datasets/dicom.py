"""A tree of DICOM files in, its records out: one for each series or single picture, or one a slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from domains.medical.datasets.listing import finding_of
from domains.medical.datasets.slices import as_asked
from domains.medical.dicom import Series, inside
from framework.errors import TruthError, UserError
from framework.registry import register
from framework.types import Record

_PATIENTS = ("id", "folder")
_ENDINGS = (".nii.gz", ".nii", ".png")  # of masks


@register("dataset", "medical/dicom")
def dicom_tree(
    root: Path,
    split: str = "test",
    category: str = "scan",
    patient: str = "id",
    slices: bool = False,
    stride: int = 1,
    axis: str = "axial",
    empty: bool = False,
) -> Iterator[Record]:
    """DICOM series and pictures, one sample a series, with a mask for each that has a finding.

    Layout: ``<split>/good/`` (in any case) and ``<split>/<finding>/``, with folders of any depth and files of any name;
    files of one SeriesInstanceUID in one folder are a scan, a file without a place in the patient (an X-ray) or with
    many frames is one by itself. The mask of ``<split>/<finding>/<folder>`` is the NIfTI file
    ``<split>/masks/<finding>/<folder>.nii[.gz]``, or where that folder has several series
    ``.../<folder>/<first file of the series>.nii[.gz]``; of a picture it is a PNG file of such a name. Without any
    ``masks`` folder the set has labels only.

    The group is a pseudonym, the first hex digits of a hash of the PatientID; the number itself, names, dates and UIDs
    are written nowhere. Whoever has a list of numbers can try them all: it is no anonymisation. Opens the header of
    every file. What cannot be read is a record, and whoever reads that is told why.

    Args:
        root: the folder.
        split: "train", "test" or any other folder in it.
        category: what the scans show; metrics are given per category.
        patient: "id": PatientID tells patients apart, or where a file has none its folder. "folder": the folder under
            ``good`` or a finding that a file lies in, which is written into rows as it is.
        slices: one sample a slice, labelled by its mask; opens scans and masks as ``medical/nifti_slices`` does.
        stride: every how manieth series, or slice, is taken.
        axis: "axial", "coronal" or "sagittal", of the slices; the reader must be told the same.
        empty: take also slices that show nothing.

    Raises:
        TruthError: slices are asked for, and there is no folder of masks.
    """
    if patient not in _PATIENTS:
        raise UserError(f'patient: {patient!r} is neither "id" nor "folder".')
    place = root / split
    masked = (place / "masks").is_dir()
    if slices and not masked:
        raise TruthError(f"{place}: slices need masks, but there is no {place / 'masks'}.")
    records = [_record(place, folder, series, category, patient) for folder, series in _listed(place)]
    if masked:
        records = list(_with_masks(place, records))
    yield from as_asked(records, slices, stride, axis, empty)


def _record(place: Path, folder: Path, series: Series, category: str, patient: str) -> Record:
    """One series, without its mask."""
    top, *below = folder.relative_to(place).parts
    finding = finding_of(top)
    group = (series.patient if patient == "id" else "") or "".join(below[:1])
    first, *others = series.files
    return Record(first, bool(finding), category, group=group, defect=finding, beside=tuple(others))


def _with_masks(place: Path, records: list[Record]) -> Iterator[Record]:
    """The records with their masks; one whose mask is not there names the file that it should be."""
    together = Counter(record.path.parent for record in records)
    for record in records:
        folder, path = record.path.parent, record.path
        below = place / "masks" / folder.relative_to(place)
        truth = path
        if record.anomalous and together[folder] == 1 and below.parent != place / "masks":
            truth = _existing(below.parent, [f"{below.name}{ending}" for ending in _ENDINGS])
        elif record.anomalous:
            truth = _existing(below, [f"{name}{ending}" for name in (path.stem, path.name) for ending in _ENDINGS])
        yield replace(record, truth_path=truth)


def _listed(place: Path) -> Iterator[tuple[Path, Series]]:
    """The series under ``good`` and the findings, each with its folder."""
    for top in sorted(place.iterdir()) if place.is_dir() else ():
        if top.is_dir() and top.name != "masks" and not top.name.startswith("."):
            yield from inside(top)


def _existing(folder: Path, names: list[str]) -> Path:
    """The first of these files that is there, else the first."""
    return next((path for name in names if (path := folder / name).is_file()), folder / names[0])
