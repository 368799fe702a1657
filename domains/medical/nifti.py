"""A NIfTI file in, its geometry and its voxels as they are stored out; a map out again, slab by slab."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from domains.medical.geometry import BROKEN, Geometry, check_shape, first_line, shear, usable
from framework.errors import UnreadableError

_CHUNK = 1 << 20  # bytes
_BEYOND = 1 << 28  # bytes that may follow the voxels: nobody reads them
_COMPRESSION = 4  # of gzip: float maps shrink hardly more above it and cost three times as long
_APART = 1e-3  # mm that sform and qform may differ by, and cosine that voxel axes may be off right angles
_SLAB = 8  # planes of a map that are written at a time
_TEXTS = ("descrip", "db_name", "aux_file", "intent_name", "data_type")  # where software puts names and dates


def open_file(path: Path) -> Any:
    """The nibabel image of a NIfTI file, voxels not read. Raises UnreadableError."""
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


def read(path: Path, channel: int | None = None) -> Geometry:
    """Read and check the header; see ``geometry.read``."""
    header = open_file(path).header
    stored = tuple(int(n) for n in header.get_data_shape())
    if header.get_data_dtype().kind not in "iuf":
        raise UnreadableError(f"{path}: voxels are {header.get_data_dtype()}; only plain grey values can be read.")
    chosen = check_shape(path, stored, channel)
    affine, source, notes = _placed(path, header)
    if shear(affine) > _APART:
        notes.append("its voxel axes are not at right angles; slices are shown as they are stored.")
    unit = header.get_xyzt_units()[0]
    if unit in ("meter", "micron"):
        notes.append(f"its lengths are in {unit}s by its header, and are taken for millimetres, as nibabel does.")
    return Geometry(path, stored, affine, source, tuple(f"{path}: {note}" for note in notes), channel=chosen)


def _placed(path: Path, header: Any) -> tuple[np.ndarray, str, list[str]]:
    """The affine that counts, where it is from, and what is odd about it. Raises UnreadableError."""
    forms = {"sform": header.get_sform, "qform": header.get_qform}
    found = {name: _form(forms[name]) for name in forms if int(header[f"{name}_code"]) > 0}
    good = {name: affine for name, affine in found.items() if affine is not None and usable(affine)}
    if not found:
        affine = np.asarray(header.get_base_affine(), np.float64)
        if usable(affine):
            return (
                affine,
                "pixdim",
                ["has neither sform nor qform; the place of its voxels is made up from their size."],
            )
    if not good:
        shown = {name: None if affine is None else affine[:3].tolist() for name, affine in found.items()}
        raise UnreadableError(f"{path}: its affine maps no volume ({shown or 'pixdim'}); repair its sform or qform.")
    if len(good) < len(found):
        (bad,) = set(found) - set(good)
        (source,) = good
        return good[source], source, [f"its {bad} maps no volume; the {source} is taken."]
    source = "sform" if "sform" in good else "qform"
    gap = float(np.abs(good["sform"] - good["qform"]).max()) if len(good) == 2 else 0
    notes = [f"its sform and qform differ by {gap:.3g}; the sform is taken."] if gap > _APART else []
    return good[source], source, notes


def _form(get: Any) -> np.ndarray | None:
    """An affine of the header, or None where its numbers make none."""
    try:
        return np.asarray(get(), np.float64)
    except (ValueError, np.linalg.LinAlgError):  # a quaternion longer than 1
        return None


def stored(scan: Geometry) -> tuple[np.ndarray, float, float]:
    """Voxels as the file stores them, with the slope and the offset that make them values.

    Read once and to the end of the file, where the check sum of a compressed one is: nibabel stops before and takes
    damage for voxels.

    Returns:
        ``(I, J, K)``, column by column in memory as in the file, of the file's type in the order of bytes of this
        machine; slope; offset. A slope of 1 and an offset of 0 change nothing.

    Raises:
        UnreadableError: truncated or corrupt data.
    """
    image = open_file(scan.path)
    kind, proxy = image.get_data_dtype(), image.dataobj
    size = math.prod(scan.shape) * kind.itemsize
    voxels = _unpacked(scan.path, image, int(proxy.offset) + scan.channel * size, size)
    laid = voxels.view(kind).reshape(scan.shape, order="F")
    if not kind.isnative:
        laid = laid.byteswap(inplace=True).view(kind.newbyteorder("="))
    return laid, float(proxy.slope), float(proxy.inter)


def check_whole(scan: Geometry) -> None:
    """Raise UnreadableError unless the file is whole to its end and, where it is compressed, its check sum right."""
    _unpacked(scan.path, open_file(scan.path), 0, 0)


def _unpacked(path: Path, image: Any, start: int, size: int) -> np.ndarray:
    """``size`` bytes from ``start`` on, uint8, of the unpacked file. Raises UnreadableError."""
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            return _fill(file, start, size, _expected(image))
    except BROKEN as error:
        raise UnreadableError(f"{path}: truncated or corrupt ({first_line(error)}).") from None


def _expected(image: Any) -> int:
    """Bytes that the file unpacks to, by its header."""
    return int(image.dataobj.offset) + math.prod(image.shape) * image.get_data_dtype().itemsize


def _fill(file: Any, start: int, size: int, expected: int) -> np.ndarray:
    """``size`` bytes from ``start`` on, uint8, of a file that is read to its end. Raises as reading does."""
    out, count = np.empty(size, np.uint8), 0
    with memoryview(out.data) as room:
        while count < start and (part := file.read(min(_CHUNK, start - count))):
            count += len(part)
        while start <= count < start + size and (n := file.readinto(room[count - start :][:_CHUNK])):
            count += n
        while count <= expected + _BEYOND and (part := file.read(_CHUNK)):
            count += len(part)
    if not expected <= count <= expected + _BEYOND:
        less = "less" if count < expected else "far more"
        raise ValueError(f"it unpacks to {less} than the {expected:,} bytes that its header says")
    return out


def header_for(scan: Geometry) -> Any:
    """Header of a float32 map that lies on a scan voxel on voxel: its shape, affine, codes and units, and no text.

    Of a file in another format than NIfTI it is a new one. What may hold a name or a date, texts and extensions, is
    left out.
    """
    import nibabel

    if scan.affine_source == "dicom":
        header = nibabel.Nifti1Header()
        header.set_data_shape(scan.shape)
        header.set_xyzt_units("mm")
    else:
        header = open_file(scan.path).header.copy()
        header.extensions.clear()
        header = header.as_byteswapped("<")
        header.set_data_shape(scan.shape if scan.several else scan.stored)
    for name in set(_TEXTS) & set(header.keys()):  # NIfTI-2 has fewer
        header[name] = b""
    header["intent_code"] = 0
    header.set_data_dtype(np.float32)  # the scan's own type, often uint8, would round scores to 0 and 1
    header.set_slope_inter(1, 0)
    header["descrip"], header["cal_min"], header["cal_max"] = b"anomaly score in [0, 1]", 0, 1
    if scan.affine_source == "dicom":
        header.set_qform(scan.affine, 1, strip_shears=True)
        header.set_sform(scan.affine, 1)
    elif scan.affine_source == "qform" and int(header["sform_code"]):  # which maps no volume
        header.set_sform(scan.affine, int(header["qform_code"]))
    header["vox_offset"] = header["sizeof_hdr"] + 4
    return header


def packed(scores: np.ndarray, scan: Geometry) -> Iterator[bytes]:
    """Scores ``(I, J, K)`` float32 -> a ``.nii.gz`` file, part by part: never is all of it in memory twice."""
    squeeze = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: as gzip, without name or time
    yield squeeze.compress(header_for(scan).binaryblock + bytes(4))  # 4 bytes: no extensions
    for k in range(0, scores.shape[2], _SLAB):
        yield squeeze.compress(np.asarray(scores[:, :, k : k + _SLAB], "<f4").tobytes("F"))
    yield squeeze.flush()
