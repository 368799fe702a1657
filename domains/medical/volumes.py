"""A NIfTI file in, its voxels in RAS order out; an array in RAS order in, a NIfTI file in the scan's geometry out."""

from __future__ import annotations

import gzip
import importlib.util
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import TruthError, UnreadableError, UserError

SUFFIXES = (".nii", ".nii.gz")
AFFINE_TOLERANCE_MM = 1e-3  # masks are often saved by another tool, which rounds
_BROKEN = (OSError, EOFError, ValueError, MemoryError, zlib.error)  # what a damaged file makes the reader raise
_COMPRESSION = 4  # of gzip: float maps shrink hardly more above it and cost three times as long


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
    """Raise UserError with the line to run where MONAI or nibabel is missing; silence what they log of every file."""
    for package in ("nibabel", "monai"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"scans need the package {package}, which is missing: uv pip install -e '.[medical]'")
    logging.getLogger("monai").setLevel(logging.ERROR)  # an optional DICOM decoder is missed at every LoadImage
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # header repairs it makes while it loads


def geometry(path: Path) -> Geometry:
    """Read and check the header of a NIfTI file; opens no voxel.

    Raises:
        UnreadableError: the file is missing, empty or no NIfTI, is not one 3D grey volume, or has no usable affine.
        UserError: nibabel is not installed.
    """
    header = _open(path)
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
    affine = np.asarray(header.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableError(f"{path}: its affine {affine[:3].tolist()} maps no volume; repair its sform or qform.")
    return Geometry(path, stored, affine)


def load(scan: Geometry, nan: str = "error") -> np.ndarray:
    """Voxels of a scan, ``(X, Y, Z)`` float32 in RAS order with scale and offset applied, through MONAI's reader.

    Args:
        scan: what ``geometry`` returned.
        nan: "error" refuses NaN and infinite voxels, "zero" makes them 0.

    Raises:
        UnreadableError: truncated or corrupt data, or voxels that are not finite.
    """
    from monai.data import MetaTensor
    from monai.transforms import LoadImage, Orientation

    try:
        voxels = LoadImage(reader="NibabelReader", image_only=True)(scan.path)
    except (RuntimeError, *_BROKEN) as error:
        raise _corrupt(scan.path, error.__cause__ or error) from None  # MONAI wraps the reader's own error
    tensor = MetaTensor(voxels.as_tensor().reshape(1, *scan.shape), affine=scan.affine)
    oriented = Orientation(axcodes="RAS", labels=None)(tensor)[0]  # labels=None: codes mean RAS+, no warning
    return finite(np.asarray(oriented.as_tensor().numpy(), np.float32), scan.path, nan)


def peek(scan: Geometry) -> np.ndarray:
    """What ``load`` returns before it looks for NaN, through nibabel alone: listing slices must not load torch."""
    try:
        voxels = np.asarray(_open(scan.path).dataobj, np.float32)
    except _BROKEN as error:
        raise _corrupt(scan.path, error) from None
    return to_ras(voxels.reshape(scan.shape), scan.affine)


def finite(values: np.ndarray, path: Path, nan: str) -> np.ndarray:
    """The values of a file where all are finite; else UnreadableError, or with ``nan`` "zero" 0 for those that are not."""
    bad = int(values.size - np.isfinite(values).sum())
    if bad and nan == "error":
        raise UnreadableError(
            f"{path}: {bad} of {values.size} values are NaN or infinite; set nan: zero to read them as 0."
        )
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) if bad else values


def load_mask(path: Path, scan: Geometry) -> np.ndarray:
    """Truth of a scan: ``(X, Y, Z)`` bool in RAS order, true where the mask is above 0.

    Raises:
        TruthError: the mask is missing, unreadable, not finite, or not on the voxel grid of the scan.
    """
    try:
        mask = geometry(path)
        check_grid(mask, scan)
        voxels = peek(mask)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    if not np.isfinite(voxels).all():
        raise TruthError(f"mask {path}: has NaN or infinite voxels; a mask is 0 where normal and 1 where anomalous.")
    return voxels > 0


def check_grid(mask: Geometry, scan: Geometry) -> None:
    """Raise TruthError unless both files have one shape and, within 1e-3 mm, one affine."""
    if mask.shape != scan.shape:
        raise TruthError(f"mask {mask.path}: shape {mask.shape}, but {scan.path} has {scan.shape}; resample the mask.")
    gap = float(np.abs(mask.affine - scan.affine).max())
    if gap > AFFINE_TOLERANCE_MM:
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


def save(volume: np.ndarray, scan: Geometry, path: Path) -> Path:
    """Write ``(X, Y, Z)`` float32 in RAS order as a NIfTI file that lies on the scan, voxel on voxel.

    Shape, affine, sform and qform codes and units are those of the scan's file; the type is float32, whatever the
    scan's was; header extensions, which may hold patient data, are left out. Whole or not there: a temporary file
    is renamed. Returns ``path``, which should end in ``.nii.gz``.
    """
    import nibabel

    source = _open(scan.path)
    header = source.header.copy()
    header.set_data_dtype(np.float32)  # the scan's own type, often uint8, would round scores to 0 and 1
    header.extensions.clear()
    header["descrip"], header["cal_min"], header["cal_max"] = b"anomaly score in [0, 1]", 0, 1
    voxels = from_ras(volume, scan.affine).astype(np.float32).reshape(scan.stored)
    kind = nibabel.Nifti2Image if isinstance(source, nibabel.Nifti2Image) else nibabel.Nifti1Image
    return write_whole(path, gzip.compress(kind(voxels, source.affine, header).to_bytes(), _COMPRESSION, mtime=0))


def create(volume: np.ndarray, affine: np.ndarray, path: Path) -> Path:
    """Write ``(X, Y, Z)`` in RAS order as a new NIfTI file of that type in the axis order of ``affine``; returns ``path``."""
    import nibabel

    image = nibabel.Nifti1Image(from_ras(volume, affine), affine)
    image.header.set_xyzt_units("mm")
    return write_whole(path, gzip.compress(image.to_bytes(), _COMPRESSION, mtime=0))


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file so that it is whole or not there, even when the program is stopped; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _open(path: Path) -> Any:
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
    except (ImageFileError, HeaderDataError, *_BROKEN) as error:
        raise UnreadableError(f"{path}: not a readable NIfTI file ({_first_line(error)}).") from None
    if not isinstance(image, nibabel.Nifti1Image):
        raise UnreadableError(f"{path}: a {type(image).__name__}, but scans are read from NIfTI files.")
    return image


def _corrupt(path: Path, cause: BaseException) -> UnreadableError:
    """The one line for a file whose header is whole and whose voxels are not."""
    return UnreadableError(f"{path}: truncated or corrupt ({_first_line(cause)}).")


def _first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
