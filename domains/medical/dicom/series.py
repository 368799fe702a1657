"""DICOM headers in, which files are one series, in which order, and where its voxels lie in the patient out."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.medical.dicom.files import header, is_dicom, peek
from domains.medical.dicom.headers import Header
from domains.medical.dicom.placing import affine, check_alike, check_tags, normal, positions, spaced
from domains.medical.geometry import MOST_VOXELS, Geometry
from framework.errors import UnreadableError


@dataclass(frozen=True, slots=True)
class Series:
    """One sample of a folder: the files of a series, or a file that is one alone.

    Attributes:
        files: in the order of the slices, where they have one.
        patient: pseudonym of the patient, 12 hex digits; "" where the files name none.
        picture: whether it is one picture that lies nowhere in the patient, such as an X-ray.
    """

    files: tuple[Path, ...]
    patient: str
    picture: bool


def is_picture(path: Path) -> bool:
    """Whether a DICOM file is one picture that lies nowhere in the patient. Raises as ``files.header``."""
    found = header(path)
    return found.frames == 1 and not _of_volume(found)


def read(path: Path) -> Geometry:
    """Where the voxels of a series lie: ``path`` is any of its files, and all others of the series lie in its folder.

    A file of many frames is a series by itself.

    Raises:
        UnreadableError: a file is missing, damaged, or without the tags that place it; slices are missing, lie at one
            place, or differ in size, spacing or direction.
        MissingPackageError: pydicom is not installed.
    """
    first = header(path)
    warnings: tuple[str, ...] = ()
    if first.frames > 1 or not first.series:
        members = [first]
    else:
        members, warnings = _members(first)
    for found in members:
        check_tags(found, len(members))
    check_alike(members, path)
    rows, columns = first.shape
    order, step = spaced(members, path)
    stored = (columns, rows, len(order))
    if math.prod(stored) > MOST_VOXELS:
        raise UnreadableError(f"{path}: {' x '.join(map(str, stored))} voxels, more than {MOST_VOXELS:,}.")
    start = positions(members)[order[0]]
    files = (path,) if first.frames > 1 else tuple(members[i].path for i in order)
    return Geometry(path, stored, affine(first, start, step), "dicom", warnings, files)


def frames(geometry: Geometry) -> Iterator[tuple[Header, int]]:
    """The file and the number of the frame in it of each slice, in K order."""
    members = [header(path) for path in geometry.files]
    if len(members) == 1:
        order, _ = spaced(members, geometry.path)
        yield from ((members[0], frame) for frame in order)
    else:
        yield from ((found, 0) for found in members)


def series_in(folder: Path) -> list[Series]:
    """One entry for each series and each single picture of a folder, without the folders in it.

    A file that cannot be read is an entry by itself, so that whoever reads it is told why; one that holds no picture,
    such as a report, is none.
    """
    groups: dict[str, list[Header]] = defaultdict(list)
    found: list[Series] = []
    for path in _files(folder):
        try:
            known = peek(path)
        except UnreadableError:
            found.append(Series((path,), "", picture=False))
            continue
        if isinstance(known, Header):
            groups[known.series if known.frames == 1 and known.series else str(path)].append(known)
    for members in groups.values():
        if any(map(_of_volume, members)):
            ordered = tuple(h.path for h in _ordered(members))
            found.append(Series(ordered, members[0].patient, picture=False))
        else:
            found += [Series((h.path,), h.patient, picture=h.frames == 1) for h in members]
    return sorted(found, key=lambda series: series.files[0])


def inside(folder: Path) -> Iterator[tuple[Path, Series]]:
    """Every series in a folder and the folders in it, with the folder that it lies in; hidden ones are left out."""
    for name, folders, _ in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from ((Path(name), series) for series in series_in(Path(name)))


def samples(paths: list[Path]) -> list[Path]:
    """The same paths, but one file for each series, and for a folder a file for each sample in it.

    A folder without any stays, and so does what is no DICOM file, or none that can be read.
    """
    of: dict[Path, Path] = {}
    for folder in dict.fromkeys(path.parent for path in paths if path.is_file() and is_dicom(path)):
        of |= {file: series.files[0] for series in series_in(folder) for file in series.files}
    found: list[Path] = []
    for path in paths:
        inner = [series.files[0] for _, series in inside(path)] if path.is_dir() else []
        found += inner or [of.get(path, path)]
    return list(dict.fromkeys(found))


def _of_volume(found: Header) -> bool:
    """Whether a file says where it lies: one tag of the two is enough to expect the other."""
    return found.frames > 1 or found.positions is not None or found.orientations is not None


def _files(folder: Path) -> list[Path]:
    """The DICOM files of a folder, sorted; no hidden ones."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.is_file() and not e.name.startswith("."))
    return [path for name in names if is_dicom(path := folder / name)]


def _members(first: Header) -> tuple[list[Header], tuple[str, ...]]:
    """The files of a series, which lie in one folder, and a warning where others of it hold no picture.

    Raises:
        UnreadableError: a DICOM file of the folder cannot be read: it may be a slice of this series.
    """
    folder = first.path.parent
    members, without = [], 0
    for path in _files(folder):
        try:
            known = peek(path)
        except UnreadableError as error:
            raise UnreadableError(f"{error} It may be a slice of {first.path}: repair it, or remove it.") from None
        if isinstance(known, str):
            without += 1
        elif known.series == first.series and known.frames == 1:
            members.append(known)
    with os.scandir(folder) as entries:
        others = sum(e.is_file() and not e.name.startswith(".") for e in entries) - len(_files(folder))
    told = [f"{n} {what}" for n, what in ((others, "not DICOM"), (without, "without a picture")) if n]
    return members, (f"{first.path}: of its folder were left out: {', '.join(told)}.",) if told else ()


def _ordered(members: list[Header]) -> list[Header]:
    """Files in the order of their slices; of those that cannot be placed, by name."""
    if len(members) == 1 or not all(h.placed for h in members):
        return members
    along = positions(members) @ normal(members[0])
    return [members[i] for i in np.argsort(along, kind="stable")]
