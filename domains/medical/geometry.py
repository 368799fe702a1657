"""A scan's file in, where its voxels lie in the patient out; and arrays between the file's axis order and RAS."""

from __future__ import annotations

import importlib.util
import logging
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framework.errors import MissingPackageError, TruthError, UnreadableError

MOST_VOXELS = 1 << 31  # 8 GB as they are read
SUFFIXES = (".nii", ".nii.gz")
BROKEN = (OSError, EOFError, ValueError, MemoryError, zlib.error)  # what a damaged file makes a reader raise
TOLERANCE_MM = 1e-3  # masks are often saved by another tool, which rounds
_LEAST = 1e-9  # mm^3 a voxel, below which an affine maps no volume


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a scan lays its voxels in the patient, from headers alone; the same for every kind of file.

    Attributes:
        path: the file; of a DICOM series the one that the record names.
        stored: shape as the header states it, 2 to 4 numbers.
        affine: ``(4, 4)`` float64, voxel index in file order -> millimetres in RAS+ world space.
        affine_source: where that is from: "sform", "qform", "pixdim" (the voxel sizes; nobody knows where the patient
            lies) or "dicom".
        warnings: what is odd and could still be read: a line each, with the path.
        files: of a DICOM series, in the order of its slices; else empty.
        channel: which of ``stored[3]`` volumes is read.
    """

    path: Path
    stored: tuple[int, ...]
    affine: np.ndarray
    affine_source: str = "sform"
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    channel: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(I, J, K)`` in file order: a 2D picture has K = 1, a fourth axis is dropped."""
        i, j, k = (*self.stored, 1)[:3]
        return i, j, k

    @property
    def several(self) -> bool:
        """Whether the file holds more volumes than the one that is read."""
        return len(self.stored) == 4 and self.stored[3] > 1

    @property
    def ras_shape(self) -> tuple[int, int, int]:
        """``(X, Y, Z)``, the shape after ``to_ras``."""
        x, y, z = (self.shape[axis] for axis in ras_axes(self.affine)[0])
        return x, y, z

    @property
    def ras_affine(self) -> np.ndarray:
        """``(4, 4)``, voxel index after ``to_ras`` -> millimetres in RAS+ world space."""
        order, flips = ras_axes(self.affine)
        matrix = self.affine[:, [*order, 3]].copy()
        for axis, flip in enumerate(flips):
            if flip:
                matrix[:, 3] += matrix[:, axis] * (self.ras_shape[axis] - 1)
                matrix[:, axis] *= -1
        return matrix


def require_packages() -> None:
    """Raise MissingPackageError with the line to run without MONAI or nibabel; silence what they log of every file."""
    for package in ("nibabel", "monai"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(f"scans need the package {package}; run: uv pip install -e '.[medical]'")
    logging.getLogger("monai").setLevel(logging.ERROR)  # an optional DICOM decoder is missed at every LoadImage
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # header repairs it makes while it loads


def is_nifti(path: Path) -> bool:
    """Whether the name ends like that of a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def read(path: Path, channel: int | None = None) -> Geometry:
    """Read and check the headers of a scan; opens no voxel.

    Args:
        path: a NIfTI file, or any file of a DICOM series.
        channel: which volume of a file that holds several; None refuses such a file.

    Raises:
        UnreadableError: the file is missing, empty or no scan, is not one 3D grey volume, or has no usable affine.
        MissingPackageError: nibabel, MONAI or pydicom is not installed.
    """
    from domains.medical import nifti

    require_packages()
    if not is_nifti(path):
        from domains.medical import dicom

        if dicom.is_dicom(path):
            return dicom.read(path)
    return nifti.read(path, channel)


def check_shape(path: Path, stored: tuple[int, ...], channel: int | None) -> int:
    """The channel to read of a file of this shape. Raises UnreadableError where it is not one grey volume."""
    if len(stored) == 4 and stored[3] > 1 and channel is None:
        raise UnreadableError(
            f"{path}: 4 dimensions {stored}; a scan has 3. Say which of the {stored[3]} volumes is meant "
            "(reader: channel=0), or save one as a file of its own (nibabel.four_to_three splits it)."
        )
    if not 2 <= len(stored) <= 4 or min(stored) < 1:
        raise UnreadableError(f"{path}: shape {stored} is not a volume of three dimensions.")
    if math.prod(stored) > MOST_VOXELS:
        raise UnreadableError(
            f"{path}: its header says {' x '.join(map(str, stored))} voxels, more than {MOST_VOXELS:,}. It is damaged, "
            "or cut the scan into parts."
        )
    several = stored[3] if len(stored) == 4 else 1
    if several == 1:
        return 0
    if not 0 <= (channel or 0) < several:
        raise UnreadableError(f"{path}: no channel {channel}; the file has {several}, counted from 0.")
    return channel or 0


def usable(affine: np.ndarray) -> bool:
    """Whether a ``(4, 4)`` affine maps a volume: finite, and no axis without length."""
    return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) >= _LEAST)


def shear(affine: np.ndarray) -> float:
    """Cosine of the angle between the two voxel axes that are farthest from right angles; 0 for a plain scan."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def check_grid(mask: Geometry, scan: Geometry) -> None:
    """Raise TruthError unless the voxels of both files lie at the same places, within 1e-3 mm.

    Their axes may follow one another in another order or run the other way, as those of a mask that was drawn on a
    NIfTI copy of a DICOM series.
    """
    alike = mask.ras_shape == scan.ras_shape
    if mask.shape != scan.shape and not alike:
        raise TruthError(f"mask {mask.path}: shape {mask.shape}, but {scan.path} has {scan.shape}; resample the mask.")
    one, other = (mask.ras_affine, scan.ras_affine) if alike else (mask.affine, scan.affine)
    gap = float(np.abs(one - other).max())
    if gap > TOLERANCE_MM:
        raise TruthError(
            f"mask {mask.path}: affine {mask.affine[:3].round(4).tolist()} differs by {gap:.3g} from "
            f"{scan.affine[:3].round(4).tolist()} of {scan.path}; resample the mask onto the scan."
        )


def ras_axes(affine: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each of right, front and up the file axis that runs nearest to it, and whether it runs the other way."""
    from nibabel.orientations import io_orientation

    found = io_orientation(affine)  # for each file axis: the RAS axis, and 1 or -1
    order = np.argsort(found[:, 0])
    x, y, z = (int(axis) for axis in order)
    a, b, c = (bool(found[axis, 1] < 0) for axis in order)
    return (x, y, z), (a, b, c)


def to_ras(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """``(I, J, K)`` in the order of a file with this ``(4, 4)`` affine -> ``(X, Y, Z)``: right, front and top grow.

    A view of the same memory.
    """
    order, flips = ras_axes(affine)
    return volume.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def from_ras(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The inverse of ``to_ras``. Both only swap and flip axes, so no voxel changes."""
    order, flips = ras_axes(affine)
    return volume[tuple(slice(None, None, -1 if flip else 1) for flip in flips)].transpose(np.argsort(order))


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name where it has none."""
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
