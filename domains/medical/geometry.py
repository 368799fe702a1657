"""A NIfTI header in, where its voxels lie in the patient out; and arrays between the file's axis order and RAS."""

from __future__ import annotations

import importlib.util
import logging
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import MissingPackageError, TruthError, UnreadableError

MOST_VOXELS = 1 << 31  # 8 GB as they are read
SUFFIXES = (".nii", ".nii.gz")
BROKEN = (OSError, EOFError, ValueError, MemoryError, zlib.error)  # what a damaged file makes a reader raise
_TOLERANCE_MM = 1e-3  # masks are often saved by another tool, which rounds


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a file lays its voxels in the patient, from its header alone.

    Attributes:
        path: the file.
        stored: shape as the header states it, 2 to 4 numbers.
        affine: ``(4, 4)`` float64, voxel index in file order -> millimetres in RAS+ world space.
    """

    path: Path
    stored: tuple[int, ...]
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(I, J, K)`` in file order: a 2D picture has K = 1, a fourth axis of length 1 is dropped."""
        i, j, k = (*self.stored, 1)[:3]
        return i, j, k

    @property
    def ras_shape(self) -> tuple[int, int, int]:
        """``(X, Y, Z)``, the shape after ``to_ras``."""
        from nibabel.orientations import io_orientation

        order = np.argsort(io_orientation(self.affine)[:, 0])  # file axis that runs right, front, up
        x, y, z = (self.shape[axis] for axis in order)
        return x, y, z


def require_packages() -> None:
    """Raise MissingPackageError with the line to run without MONAI or nibabel; silence what they log of every file."""
    for package in ("nibabel", "monai"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(f"scans need the package {package}; run: uv pip install -e '.[medical]'")
    logging.getLogger("monai").setLevel(logging.ERROR)  # an optional DICOM decoder is missed at every LoadImage
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # header repairs it makes while it loads


def read(path: Path) -> Geometry:
    """Read and check the header of a NIfTI file; opens no voxel.

    Raises:
        UnreadableError: the file is missing, empty or no NIfTI, is not one 3D grey volume, or has no usable affine.
        MissingPackageError: nibabel or MONAI is not installed.
    """
    header = open_file(path)
    stored = tuple(int(n) for n in header.shape)
    if header.get_data_dtype().kind not in "iuf":
        raise UnreadableError(f"{path}: voxels are {header.get_data_dtype()}; only plain grey values can be read.")
    if len(stored) == 4 and stored[3] > 1:
        raise UnreadableError(
            f"{path}: 4 dimensions {stored}; a scan has 3. Save one time point or channel as a file of its own "
            "(nibabel.four_to_three splits it)."
        )
    if not 2 <= len(stored) <= 4 or 0 in stored:
        raise UnreadableError(f"{path}: shape {stored} is not a volume of three dimensions.")
    if math.prod(stored) > MOST_VOXELS:
        raise UnreadableError(
            f"{path}: its header says {' x '.join(map(str, stored))} voxels, more than {MOST_VOXELS:,}. It is damaged, "
            "or cut the scan into parts."
        )
    affine = np.asarray(header.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableError(f"{path}: its affine {affine[:3].tolist()} maps no volume; repair its sform or qform.")
    return Geometry(path, stored, affine)


def check_grid(mask: Geometry, scan: Geometry) -> None:
    """Raise TruthError unless both files have one shape and, within 1e-3 mm, one affine."""
    if mask.shape != scan.shape:
        raise TruthError(f"mask {mask.path}: shape {mask.shape}, but {scan.path} has {scan.shape}; resample the mask.")
    gap = float(np.abs(mask.affine - scan.affine).max())
    if gap > _TOLERANCE_MM:
        raise TruthError(
            f"mask {mask.path}: affine {mask.affine[:3].round(4).tolist()} differs by {gap:.3g} from "
            f"{scan.affine[:3].round(4).tolist()} of {scan.path}; resample the mask onto the scan."
        )


def to_ras(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """``(I, J, K)`` in the order of a file with this ``(4, 4)`` affine -> ``(X, Y, Z)``: right, front and top grow."""
    from nibabel import orientations

    return orientations.apply_orientation(volume, orientations.io_orientation(affine))


def from_ras(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The inverse of ``to_ras``. Both only swap and flip axes, so no voxel changes."""
    from nibabel import orientations

    ras = orientations.axcodes2ornt(("R", "A", "S"))
    back = orientations.ornt_transform(ras, orientations.io_orientation(affine))
    return orientations.apply_orientation(volume, back)


def open_file(path: Path) -> Any:
    """The nibabel image of a NIfTI file, voxels not read. Raises UnreadableError."""
    require_packages()
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise UnreadableError(f"{path}: no such file.")
    if not path.stat().st_size:
        raise UnreadableError(f"{path}: the file is empty.")
    try:
        image = nibabel.load(path)
    except (ImageFileError, HeaderDataError, *BROKEN) as error:
        raise UnreadableError(f"{path}: not a readable NIfTI file ({first_line(error)}).") from None
    if not isinstance(image, nibabel.Nifti1Image):
        raise UnreadableError(f"{path}: a {type(image).__name__}, but scans are read from NIfTI files.")
    return image


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name where it has none."""
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
