"""A NIfTI file in, its voxels in RAS order out; an array in RAS order in, a NIfTI file in the scan's geometry out."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np

from domains.medical import geometry
from domains.medical.geometry import BROKEN, Geometry
from framework.errors import TruthError, UnreadableError
from framework.files import write_whole

IMPORTS = ("nibabel", "monai.data.meta_tensor", "monai.transforms.io.array", "monai.transforms.spatial.array")
_CHUNK = 1 << 20  # bytes
_BEYOND = 1 << 28  # bytes that may follow the voxels: nobody reads them
_COMPRESSION = 4  # of gzip: float maps shrink hardly more above it and cost three times as long


def load(scan: Geometry, nan: str = "error") -> np.ndarray:
    """Voxels of a scan, ``(X, Y, Z)`` float32 in RAS order with scale and offset applied, through MONAI's reader.

    Args:
        scan: what ``geometry.read`` returned.
        nan: "error" refuses NaN and infinite voxels, "zero" makes them 0.

    Raises:
        UnreadableError: truncated or corrupt data, or voxels that are not finite.
    """
    import torch
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms.io.array import LoadImage
    from monai.transforms.spatial.array import Orientation

    try:
        _check_sum(scan)
        voxels = LoadImage(reader="NibabelReader", image_only=True)(scan.path)
    except (RuntimeError, *BROKEN) as error:
        raise _corrupt(scan.path, error.__cause__ or error) from None  # MONAI wraps the reader's own error
    tensor = MetaTensor(voxels.as_tensor().reshape(1, *scan.shape), affine=torch.from_numpy(scan.affine))
    oriented = Orientation(axcodes="RAS", labels=None)(tensor)  # labels=None: codes mean RAS+, no warning
    return finite(np.asarray(oriented.numpy()[0], np.float32), scan.path, nan)


def peek(scan: Geometry) -> np.ndarray:
    """What ``load`` returns before it looks for NaN, through nibabel alone: listing slices must not load torch."""
    try:
        _check_sum(scan)
        voxels = np.asarray(geometry.open_file(scan.path).dataobj, np.float32)
    except BROKEN as error:
        raise _corrupt(scan.path, error) from None
    return geometry.to_ras(voxels.reshape(scan.shape), scan.affine)


def finite(values: np.ndarray, path: Path, nan: str) -> np.ndarray:
    """The values of a file where all are finite; else UnreadableError, or with ``nan`` "zero" 0 in place of them."""
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
        mask = geometry.read(path)
        geometry.check_grid(mask, scan)
        voxels = peek(mask)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    if not np.isfinite(voxels).all():
        raise TruthError(f"mask {path}: has NaN or infinite voxels; a mask is 0 where normal and 1 where anomalous.")
    return voxels > 0


def save(volume: np.ndarray, scan: Geometry, path: Path) -> Path:
    """Write ``(X, Y, Z)`` float32 in RAS order as a NIfTI file that lies on the scan, voxel on voxel.

    Shape, affine, sform and qform codes and units are those of the scan's file; the type is float32, whatever the
    scan's was; header extensions, which may hold patient data, are left out. Whole or not there. Returns ``path``,
    which should end in ``.nii.gz``.
    """
    import nibabel

    source = geometry.open_file(scan.path)
    header = source.header.copy()
    header.set_data_dtype(np.float32)  # the scan's own type, often uint8, would round scores to 0 and 1
    header.extensions.clear()
    header["descrip"], header["cal_min"], header["cal_max"] = b"anomaly score in [0, 1]", 0, 1
    voxels = geometry.from_ras(volume, scan.affine).astype(np.float32).reshape(scan.stored)
    kind = nibabel.Nifti2Image if isinstance(source, nibabel.Nifti2Image) else nibabel.Nifti1Image
    return write_whole(path, gzip.compress(kind(voxels, source.affine, header).to_bytes(), _COMPRESSION, mtime=0))  # type: ignore[no-untyped-call]


def create(volume: np.ndarray, affine: np.ndarray, path: Path) -> Path:
    """Write ``(X, Y, Z)`` in RAS order as a new NIfTI file in the axis order of ``affine``; returns ``path``."""
    import nibabel

    image = nibabel.Nifti1Image(geometry.from_ras(volume, affine), affine)
    image.header.set_xyzt_units("mm")
    return write_whole(path, gzip.compress(image.to_bytes(), _COMPRESSION, mtime=0))


def _check_sum(scan: Geometry) -> None:
    """Read a compressed file to its end, where its check sum is: nibabel stops before and takes damage for voxels.

    Raises:
        ValueError: it unpacks to less than its header says, or to so much more that its end is not worth waiting for.
    """
    if not scan.path.name.lower().endswith(".gz"):
        return
    image = geometry.open_file(scan.path)
    wanted = int(image.dataobj.offset) + math.prod(scan.stored) * image.get_data_dtype().itemsize
    count = 0
    with gzip.open(scan.path) as file:
        while count <= wanted + _BEYOND and (part := file.read(_CHUNK)):
            count += len(part)
    if not wanted <= count <= wanted + _BEYOND:
        less = "less" if count < wanted else "far more"
        raise ValueError(f"it unpacks to {less} than the {wanted:,} bytes that its header says")


def _corrupt(path: Path, cause: BaseException) -> UnreadableError:
    """The one line for a file whose header is whole and whose voxels are not."""
    return UnreadableError(f"{path}: truncated or corrupt ({geometry.first_line(cause)}).")
