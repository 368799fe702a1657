"""DICOM files as scanners write them, of any size and fault."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

STORAGE = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "enhanced": "1.2.840.10008.5.1.4.1.1.2.1",
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
LITTLE = "1.2.840.10008.1.2.1"
INSTANCES = itertools.count(10**9)  # of one length, so files of one shape have one size


def dataset(pixels: np.ndarray, kind: str = "CT", series: str = "1.2.3", syntax: str = LITTLE, **tags: Any) -> Any:
    """A pydicom data set of ``(rows, columns[, 3])`` or ``(frames, rows, columns)`` integers; ``tags`` are added."""
    from pydicom.dataset import Dataset, FileMetaDataset

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = STORAGE[kind]
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"1.2.{next(INSTANCES)}"
    made.file_meta.TransferSyntaxUID = syntax
    made.SeriesInstanceUID, made.Modality, made.PatientID = series, "CT" if kind == "enhanced" else kind, "patient"
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.ndim == 3 and not colour:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def place(made: Any, position: Any, orientation: Any = AXIAL, spacing: Any = (0.7, 0.8)) -> Any:
    """Say where a slice lies."""
    made.ImagePositionPatient = [round(float(v), 8) for v in position]  # 16 characters are most
    made.ImageOrientationPatient = [round(float(v), 8) for v in orientation]
    made.PixelSpacing = list(spacing)
    return made


def table(first: int, entries: Any) -> Any:
    """A ModalityLUTSequence that says what stored numbers from ``first`` on mean; ``entries`` fit into 16 bits."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, 16])
    item.add_new("LUTData", "OW", np.asarray(entries, np.uint16).tobytes())
    return Sequence([item])


def save(made: Any, path: Path) -> Path:
    """Write a data set; ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, voxels: np.ndarray, step: Any = (0.0, 0.0, 1.25), **given: Any) -> list[Path]:
    """Write ``(K, rows, columns)`` slice by slice under shuffled names; the paths in slice order.

    Args:
        folder: to write to.
        voxels: integers as they are stored.
        step: mm from one slice to the next, LPS.
        given: ``orientation`` and ``spacing`` of ``place``, ``name`` of the files ("{}.dcm"), else of ``dataset``.
    """
    there = {key: given.pop(key) for key in ("orientation", "spacing") if key in given}
    name, tags = given.pop("name", "{}.dcm"), {"RescaleSlope": 2, "RescaleIntercept": -1000} | given
    paths, names = [], 31 if len(voxels) <= 31 else 1009  # a prime, so that no name comes twice
    for k, plane in enumerate(voxels):
        made = place(
            dataset(plane, InstanceNumber=k + 1, **tags), np.array([-20, 30, 40]) + k * np.array(step), **there
        )
        paths.append(save(made, folder / name.format(f"{k * 7 % names:02d}")))
    return paths


def frames(path: Path, voxels: np.ndarray, heights: Any, **tags: Any) -> Path:
    """Write ``(frames, rows, columns)`` as one enhanced file whose frames lie at ``heights`` mm."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def item(**values: Any) -> Any:
        found = Dataset()
        for key, value in values.items():
            setattr(found, key, value)
        return found

    made = dataset(voxels, "enhanced", **tags)
    made.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PixelMeasuresSequence=Sequence([item(PixelSpacing=[0.7, 0.8], SliceThickness=2)]),
                PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=list(AXIAL))]),
                PixelValueTransformationSequence=Sequence([item(RescaleSlope=2, RescaleIntercept=-1000)]),
            )
        ]
    )
    made.PerFrameFunctionalGroupsSequence = Sequence(
        [item(PlanePositionSequence=Sequence([item(ImagePositionPatient=[-20, 30, z])])) for z in heights]
    )
    return save(made, path)
