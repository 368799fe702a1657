"""An open DICOM file in, the few numbers of its header that are needed out; none of them says whose picture it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import UnreadableError

TAGS = (
    "SOPClassUID", "SeriesInstanceUID", "PatientID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelSpacing",
    "ImagerPixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "RescaleSlope",
    "RescaleIntercept", "ModalityLUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_NO_PICTURE = {  # objects with pixels that show no patient, or not what was measured
    "SEG": "a segmentation, which is a mask",
    "RTDOSE": "a dose of radiotherapy",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What of one file is needed to place and decode its pixels.

    Attributes:
        path: the file.
        series: a hash of the UID of its series; "" where it has none.
        patient: a hash of the patient's number, 12 hex digits; "" where it has none.
        modality: such as "CT".
        shape: rows and columns.
        frames: how many.
        colours: samples a pixel.
        photometric: how they are meant, such as "MONOCHROME2".
        bits: that hold a sample.
        signed: whether samples may be negative.
        spacing: ``(frames or 1, 2)`` mm between rows and between columns; None where unknown.
        thickness: of the slice in mm; 0 where unknown.
        positions: ``(frames, 3)`` mm, LPS, centre of the first pixel; None where unknown.
        orientations: ``(frames, 6)``, direction of rows and of columns, LPS; None where unknown.
        rescale: ``(frames, 2)``, slope and intercept.
        table: whether a table of the file (ModalityLUTSequence) says what its numbers mean, in place of these.
        syntax: UID of how the pixels are coded.
    """

    path: Path
    series: str
    patient: str
    modality: str
    shape: tuple[int, int]
    frames: int
    colours: int
    photometric: str
    bits: int
    signed: bool
    spacing: np.ndarray | None
    thickness: float
    positions: np.ndarray | None
    orientations: np.ndarray | None
    rescale: np.ndarray
    table: bool
    syntax: str

    @property
    def placed(self) -> bool:
        """Whether it is known where the pixels lie in the patient."""
        return self.positions is not None and self.orientations is not None and self.spacing is not None

    @property
    def inverted(self) -> bool:
        """Whether high values are shown dark."""
        return self.photometric == "MONOCHROME1"


def parse(path: Path, found: Any) -> Header | str:
    """The header of an open file; of one that holds no picture, what it is in words.

    Raises what pydicom raises, or ValueError, where a tag is damaged; UnreadableError where a file that is meant to
    hold a picture says no size.
    """
    modality = _word(found.get("Modality"))
    if modality in _NO_PICTURE:
        return f"{_NO_PICTURE[modality]}, and no picture; give the scan itself."
    if not found.get("Rows") or not found.get("Columns"):
        if _meant_for_a_picture(found):
            raise UnreadableError(f"{path}: the size of its picture is missing; the file is cut off or damaged.")
        return "a DICOM file without a picture (a report, a plan or an index); give the scan itself."
    frames = int(found.get("NumberOfFrames") or 1)
    if frames < 1:
        raise ValueError
    groups = _groups(found, frames)
    spacing = _numbers(found, groups, "PixelMeasuresSequence", "PixelSpacing", 2, len(groups) or 1)
    if spacing is None:
        spacing = _numbers(found, [], "", "ImagerPixelSpacing", 2)  # of an X-ray, at its detector
    thickness = _numbers(found, groups[:1], "PixelMeasuresSequence", "SliceThickness", 1)
    syntax = getattr(getattr(found, "file_meta", None), "TransferSyntaxUID", "")
    return Header(
        path,
        _pseudonym(found.get("SeriesInstanceUID")),
        _pseudonym(found.get("PatientID")),
        modality,
        (int(found.Rows), int(found.Columns)),
        frames,
        int(found.get("SamplesPerPixel") or 1),
        _word(found.get("PhotometricInterpretation")),
        int(found.get("BitsStored") or found.get("BitsAllocated") or 0),
        bool(found.get("PixelRepresentation")),
        spacing,
        0.0 if thickness is None else float(thickness[0, 0]),
        _numbers(found, groups, "PlanePositionSequence", "ImagePositionPatient", 3, frames),
        _numbers(found, groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6, frames),
        _rescale(found, groups, frames),
        bool(found.get("ModalityLUTSequence")),
        str(syntax),
    )


def _meant_for_a_picture(found: Any) -> bool:
    """Whether the class of a file, which stands in its first lines, is one of images."""
    uid = getattr(getattr(found, "file_meta", None), "MediaStorageSOPClassUID", None) or found.get("SOPClassUID")
    return "Image Storage" in getattr(uid, "name", "")


def _groups(found: Any, frames: int) -> list[list[Any]]:
    """Of each frame of an enhanced file the items that describe it, its own before the shared one; else empty."""
    own, shared = found.get("PerFrameFunctionalGroupsSequence"), found.get("SharedFunctionalGroupsSequence")
    if own is None:
        return []
    if len(own) != frames:
        raise ValueError
    return [[item, *(shared or ())] for item in own]


def _numbers(
    found: Any, groups: list[list[Any]], sequence: str, name: str, count: int, rows: int = 1
) -> np.ndarray | None:
    """``(rows, count)`` float64, a tag as the frames have it or else the file; None where a frame has none.

    A file that has one for several frames has none for each of them.
    """
    if not groups:
        value = found.get(name)
        given = [value] if rows == 1 else []
    else:
        given = [
            next((v for item in items if (v := _nested(item, sequence, name)) is not None), None) for items in groups
        ]
    if not given or any(v is None or v == "" for v in given):
        return None
    array = np.array([np.atleast_1d(np.asarray(v, np.float64)) for v in given])
    if array.shape != (rows, count) or not np.isfinite(array).all():
        raise ValueError
    return array


def _nested(item: Any, sequence: str, name: str) -> Any:
    """A tag of the one item of a sequence, or None."""
    inner = item.get(sequence)
    return inner[0].get(name) if inner else None


def _rescale(found: Any, groups: list[list[Any]], frames: int) -> np.ndarray:
    """``(frames, 2)`` slope and intercept, 1 and 0 where none is given."""
    columns = []
    for name, plain in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        told = [any(_nested(i, "PixelValueTransformationSequence", name) is not None for i in g) for g in groups]
        if any(told) and not all(told):
            raise ValueError  # of the others nobody knows what their numbers mean
        values = _numbers(found, groups, "PixelValueTransformationSequence", name, 1, frames)
        if values is None:
            values = np.full((frames, 1), float(plain if found.get(name) in (None, "") else found.get(name)))
        columns.append(values)
    return np.concatenate(columns, 1)


def _pseudonym(value: Any) -> str:
    """The first 12 hex digits of the sha256 of an identifier; "" of none."""
    text = str(value or "").strip()
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""


def _word(value: Any) -> str:
    """A tag that is one word of the standard; anything else, which may be a person's text, is no word."""
    text = str(value or "").strip()
    return text if text.translate({ord(c): "" for c in "_ "}).isalnum() and text.isupper() and len(text) <= 16 else ""
