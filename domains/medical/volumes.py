"""A scan's file in, its voxels out; an array in RAS order in, a NIfTI file in a scan's geometry out."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.medical import geometry, nifti, readers
from domains.medical.geometry import Geometry
from framework.errors import TruthError, UnreadableError
from framework.files import write_parts, write_whole

_COMPRESSION = 4  # of gzip


@dataclass(frozen=True, slots=True)
class Stored:
    """Voxels as a file has them; values are made of a part at a time, because all may take four times the memory.

    Attributes:
        voxels: ``(I, J, K)`` of any type.
        slope: a value is ``slope * voxel + offset``.
        offset: in the units of the values.
    """

    voxels: np.ndarray
    slope: float = 1.0
    offset: float = 0.0

    def values(self, part: np.ndarray) -> np.ndarray:
        """Float32 values of some of the voxels, of their shape. Sums are float64, as those of nibabel."""
        if self.slope == 1 and self.offset == 0:
            return part.astype(np.float32)
        return (part.astype(np.float64) * self.slope + self.offset).astype(np.float32)


def is_volume(path: Path) -> bool:
    """Whether a file is a NIfTI file, or DICOM with a place in the patient; anything else is taken for a 2D picture."""
    from domains.medical import dicom

    return geometry.is_nifti(path) or (dicom.is_dicom(path) and not dicom.is_picture(path))


def stored(scan: Geometry, reader: str = "auto") -> Stored:
    """Voxels of a scan.

    Args:
        scan: what ``geometry.read`` returned.
        reader: "auto": a NIfTI file is unpacked once and its check sum is seen to, a DICOM series is read slice by
            slice; the values are those of MONAI's readers. Another: through that reader of MONAI, see ``readers.py``.

    Raises:
        UnreadableError: truncated or corrupt data, or a reader that places the voxels elsewhere.
        MissingPackageError: the reader's package is not installed.
        UserError: the reader reads no such files.
    """
    if reader != "auto":
        return Stored(readers.through_monai(scan, reader))
    if scan.affine_source != "dicom":
        return Stored(*nifti.stored(scan))
    from domains.medical import dicom

    voxels = np.empty(scan.shape, np.float32, order="F")
    for k, plane in enumerate(dicom.planes(scan)):
        voxels[:, :, k] = plane
    return Stored(voxels)


def load(scan: Geometry, nan: str = "error") -> np.ndarray:
    """Voxels of a scan, ``(X, Y, Z)`` float32 in RAS order with scale and offset applied.

    Args:
        scan: what ``geometry.read`` returned.
        nan: "error" refuses NaN and infinite voxels, "zero" makes them 0.

    Raises:
        UnreadableError: truncated or corrupt data, or voxels that are not finite.
    """
    return finite(peek(scan), scan.path, nan)


def peek(scan: Geometry) -> np.ndarray:
    """What ``load`` returns before it looks for NaN."""
    found = stored(scan)
    return geometry.to_ras(found.values(found.voxels), scan.affine)


def finite(values: np.ndarray, path: Path, nan: str) -> np.ndarray:
    """The values of a file where all are finite; else UnreadableError, or with ``nan`` "zero" 0 in place of them."""
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        refuse_nan(path, bad, values.size, nan)
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) if bad else values


def refuse_nan(path: Path, bad: int, of: int, nan: str) -> None:
    """Raise UnreadableError where ``nan`` is "error"."""
    if nan == "error":
        raise UnreadableError(f"{path}: {bad} of {of} values are NaN or infinite; set nan: zero to read them as 0.")


def load_mask(path: Path, scan: Geometry, marks: tuple[int, ...] = ()) -> np.ndarray:
    """Truth of a scan: ``(X, Y, Z)`` bool in RAS order, true where a mask rounds to above 0, or to one of ``marks``.

    Masks are often stored as floating point numbers, and resampled ones have residues near 0, so values are rounded.

    Raises:
        TruthError: the mask is missing, unreadable, not finite, or not on the voxel grid of the scan.
    """
    try:
        grid = geometry.read(path)
        geometry.check_grid(grid, scan)
        mask = stored(grid)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    marked = np.empty(grid.shape, np.bool_)
    for k in range(grid.shape[2]):  # plane by plane, for values take four bytes
        values = mask.values(mask.voxels[:, :, k])
        if not np.isfinite(values).all():
            raise TruthError(
                f"mask {path}: has NaN or infinite voxels; a mask is 0 where normal and 1 where anomalous."
            )
        marked[:, :, k] = np.isin(np.rint(values), marks) if marks else values > 0.5  # where rint is above 0
    same = grid.shape == scan.shape and float(np.abs(grid.affine - scan.affine).max()) <= geometry.TOLERANCE_MM
    return geometry.to_ras(marked, scan.affine if same else grid.affine)  # at 45 degrees rounding would turn the mask


def mask_values(path: Path) -> set[int]:
    """The values that a mask has, rounded as ``load_mask`` rounds them. Raises UnreadableError."""
    mask = stored(geometry.read(path))
    found: set[int] = set()
    for k in range(mask.voxels.shape[2]):
        values = mask.values(mask.voxels[:, :, k])
        found |= set(np.unique(np.rint(values[np.isfinite(values)])).astype(int).tolist())
    return found


def save(volume: np.ndarray, scan: Geometry, path: Path) -> Path:
    """As ``write``, of ``(X, Y, Z)`` in RAS order."""
    return write(geometry.from_ras(volume, scan.affine), scan, path)


def write(scores: np.ndarray, scan: Geometry, path: Path) -> Path:
    """Write ``(I, J, K)`` in the file's order as a NIfTI file that lies on the scan, voxel on voxel.

    Shape, affine, sform and qform codes and units are those of the scan's file; the type is float32, whatever the
    scan's was; texts and header extensions, which may hold patient data, are left out. Whole or not there. Returns
    ``path``, which should end in ``.nii.gz``.
    """
    return write_parts(path, nifti.packed(scores, scan))


def create(volume: np.ndarray, affine: np.ndarray, path: Path) -> Path:
    """Write ``(X, Y, Z)`` in RAS order as a new NIfTI file in the axis order of ``affine``; returns ``path``."""
    import nibabel

    image = nibabel.Nifti1Image(geometry.from_ras(volume, affine), affine)
    image.header.set_xyzt_units("mm")
    return write_whole(path, gzip.compress(image.to_bytes(), _COMPRESSION, mtime=0))
