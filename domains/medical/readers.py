"""A scan's headers in, its voxels through one of MONAI's readers out: read where our headers say that they lie.

MONAI's readers are silent on much: ITK fills up what is cut off, and no reader looks at the check sum of a compressed
file. So which files are one scan, in which order, and whether they are whole is for ours to say, and a reader that
places voxels elsewhere is refused.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from domains.medical import geometry, nifti
from domains.medical.geometry import BROKEN, Geometry
from framework.errors import MissingPackageError, UnreadableError, UserError

if TYPE_CHECKING:
    from domains.medical.dicom.headers import Header

READERS = {"auto": "", "nibabel": "NibabelReader", "itk": "ITKReader", "pydicom": "PydicomReader"}  # of MONAI
_OF_NIFTI, _OF_DICOM = ("nibabel", "itk"), ("pydicom", "itk")
_APART_MM = 1e-3  # that another reader may place the voxels elsewhere
_PLANE = [0, 1, 3]  # columns of the affine of one slice: those of the step to the next one are made up


def through_monai(scan: Geometry, reader: str) -> np.ndarray:
    """``(I, J, K)`` float32, slope and offset applied, of the scan's file or of its series, slice by slice.

    Raises:
        UnreadableError: truncated or corrupt data, or a reader that places the voxels elsewhere.
        MissingPackageError: the reader's package is not installed.
        UserError: the reader reads no such files.
    """
    known, kind = (_OF_DICOM, "a DICOM series") if scan.files else (_OF_NIFTI, "a NIfTI file")
    if reader not in known:
        raise UserError(f"{scan.path}: {kind} is not read with reader: {reader}; use auto, {' or '.join(known)}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how ITK wraps its classes, while it loads them
        opened = _opened(reader)
        return _series(scan, reader, opened) if scan.files else _file(scan, reader, opened)


def _opened(reader: str) -> Any:
    """MONAI's reader, in silence. Raises MissingPackageError."""
    import monai.data.image_reader as monai_readers
    from monai.utils import module

    if reader == "itk":
        itk, there = module.optional_import("itk")
        if not there:
            raise MissingPackageError("reader: itk needs the package itk; run: uv pip install itk")
        itk.Object.SetGlobalWarningDisplay(False)  # which it prints beside Python
    return getattr(monai_readers, READERS[reader])()


def _file(scan: Geometry, reader: str, opened: Any) -> np.ndarray:
    """Of a NIfTI file."""
    nifti.check_whole(scan)
    try:
        values, known = opened.get_data(opened.read(str(scan.path)))
    except (RuntimeError, *BROKEN) as error:
        raise UnreadableError(f"{scan.path}: reader {reader} cannot read it ({_cause(error)}); use auto.") from None
    affine = np.asarray(known["affine"], np.float64)
    axes = [*range(len(affine) - 1), 3]  # of a picture ITK tells two alone
    _check_place(scan, reader, affine, scan.affine[np.ix_(axes, axes)])
    values = np.asarray(values, np.float32)
    return values[..., scan.channel].reshape(scan.shape) if values.ndim == 4 else values.reshape(scan.shape)


def _cause(error: BaseException) -> str:
    """What went wrong, without the line of ITK's source before it."""
    lines = geometry.first_line(error) if isinstance(error, MemoryError) else str(error).strip() or type(error).__name__
    return lines.splitlines()[-1].removeprefix("ITK ERROR: ").rstrip(".!")


def _series(scan: Geometry, reader: str, opened: Any) -> np.ndarray:
    """Of the files of a DICOM series, one after the other: MONAI would order them by their numbers."""
    from domains.medical import dicom

    values = np.empty(scan.shape, np.float32, order="F")
    for k, (found, _) in enumerate(dicom.frames(scan)):
        _check_slice(found, reader)
        plane, affine = _slice(found, opened, reader)
        if plane.size != scan.shape[0] * scan.shape[1]:
            raise UnreadableError(f"{found.path}: reader {reader} gives {plane.shape} voxels; use reader: auto.")
        expected = scan.affine.copy()
        expected[:, 3] += k * expected[:, 2]
        _check_place(scan, reader, affine[:, _PLANE], expected[:, _PLANE])
        values[:, :, k] = plane.reshape(scan.shape[:2])
    return values


def _check_slice(found: Header, reader: str) -> None:
    """Raise UserError for a file that MONAI's readers read otherwise than one another."""
    if found.frames > 1:
        raise UserError(
            f"{found.path}: {found.frames} frames in one file are not read with reader: {reader}; use auto."
        )
    if found.table:
        raise UserError(f"{found.path}: values by a table (ModalityLUTSequence) need reader: auto, not {reader}.")
    if found.inverted:
        raise UserError(f"{found.path}: pixels that are shown inverted are not read with reader: {reader}; use auto.")


def _slice(found: Header, opened: Any, reader: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of one file, and its affine ``(4, 4)``."""
    from domains.medical import dicom

    with dicom.quiet():
        try:
            values, known = opened.get_data(opened.read(str(found.path)))
        except dicom.broken():  # whose words may quote tags
            raise UnreadableError(
                f"{found.path}: reader {reader} cannot read its pixels: they are damaged, or coded in a way that it "
                "does not know. reader: auto tells which."
            ) from None
    return np.asarray(values, np.float32), np.asarray(known["affine"], np.float64)


def _check_place(scan: Geometry, reader: str, affine: np.ndarray, expected: np.ndarray) -> None:
    """Raise UnreadableError unless a reader places the voxels where the headers do."""
    gap = float(np.abs(affine - expected).max()) if affine.shape == expected.shape else float("inf")
    if not gap <= _APART_MM:
        raise UnreadableError(f"{scan.path}: reader {reader} places its voxels {gap:.3g} apart; use reader: auto.")
