"""A DICOM series or picture in, its values out, one slice after the other.

pydicom decodes them. MONAI's PydicomReader gives the same values and needs four times as long for a slice, as it writes
its voxels into JSON as well, and memory for all slices at once (``tests/benchmarks/dicom.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from domains.medical.dicom.files import broken, header, open_file, quiet
from domains.medical.dicom.headers import Header
from domains.medical.dicom.series import frames
from domains.medical.geometry import Geometry
from framework.errors import MissingPackageError, UnreadableError

_DECODERS = {  # how pixels are coded, by the beginning of the UID -> packages that decode it
    "1.2.840.10008.1.2.4.9": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.20": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.8": "pyjpegls",
    "1.2.840.10008.1.2.4": "pylibjpeg pylibjpeg-libjpeg",
}
_PALETTE = "PALETTE"


def planes(geometry: Geometry) -> Iterator[np.ndarray]:
    """Slices ``(I, J)`` float32 of a series in K order, slope and intercept or its table applied (CT: Hounsfield).

    One file is in memory at a time; one of many frames is read once, and decoded frame by frame.

    Raises:
        UnreadableError: a file is damaged or was changed, or is coded in a way that cannot be decoded.
        MissingPackageError: a package that decodes it is not installed.
    """
    opened, data = None, None
    for found, frame in frames(geometry):
        if found.shape[::-1] != geometry.shape[:2]:
            raise UnreadableError(f"{found.path}: was changed while its series was read.")
        if opened is not found:
            opened, data = found, _opened(found)
        stored = _decoded(found, data, frame)
        if stored.shape != found.shape:
            raise UnreadableError(f"{found.path}: its pixels are {stored.shape}, its header says {found.shape}.")
        yield _measured(stored, found, data, frame).T


def picture(path: Path) -> np.ndarray:
    """``(H, W, C)`` of a file of one frame: colours as RGB uint8, C = 3; grey as it was measured, float32, C = 1.

    Raises:
        UnreadableError: as ``files.header`` and ``planes``, or colours that cannot be told.
        MissingPackageError: a package that decodes it is not installed.
    """
    found = header(path)
    data = _opened(found)
    pixels = _decoded(found, data, 0)
    if pixels.ndim == 2:
        return _measured(pixels, found, data, 0)[..., None]
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype.kind != "u":
        raise UnreadableError(f"{path}: pixels {pixels.shape} of {pixels.dtype} are neither grey nor RGB.")
    bits = pixels.dtype.itemsize * 8 if found.photometric.startswith(_PALETTE) else found.bits
    return (pixels >> max(0, bits - 8)).astype(np.uint8)


def _opened(found: Header) -> Any:
    """The pydicom data set of a file, its pixels not decoded."""
    with quiet():
        try:
            data = open_file(found.path, pixels=True)
            if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                raise UnreadableError(f"{found.path}: a DICOM file without pixels; give the scan itself.")
            _check_decoder(found)
            return data
        except broken() as error:
            raise _undecoded(found, error) from None


def _decoded(found: Header, data: Any, frame: int) -> np.ndarray:
    """``(H, W)`` or in RGB ``(H, W, 3)``, as stored."""
    with quiet():
        try:
            return _array(data, found, frame)
        except broken() as error:
            raise _undecoded(found, error) from None


def _array(data: Any, found: Header, frame: int) -> np.ndarray:
    """The pixels of a frame of an open file."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    if not found.syntax:  # written by old tools without a file header: what pydicom took it for
        data.file_meta.TransferSyntaxUID = _plain_syntax(data)
    pixels = pixel_array(data, index=frame if found.frames > 1 else None)
    return np.asarray(apply_color_lut(pixels, data) if found.photometric.startswith(_PALETTE) else pixels)


def _plain_syntax(data: Any) -> str:
    """UID of an uncompressed file that does not say how it is coded."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = data.original_encoding
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _check_decoder(found: Header) -> None:
    """Raise MissingPackageError where the pixels are compressed and no package that is installed decodes them."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    if not found.syntax:
        return
    try:
        available = get_decoder(UID(found.syntax)).is_available
    except NotImplementedError:  # a video, or what is no way of coding at all
        raise UnreadableError(f"{found.path}: coded in a way that cannot be decoded; save it uncompressed.") from None
    packages = _packages(found)
    if not available and packages:
        raise MissingPackageError(f"{found.path}: its pixels are compressed; run: uv pip install {packages}")


def _undecoded(found: Header, error: BaseException) -> UnreadableError:
    """The one line for pixels that could not be decoded; what pydicom says of them may quote tags."""
    if isinstance(error, MemoryError):
        return UnreadableError(f"{found.path}: its pixels need more memory than there is.")
    packages = _packages(found)
    other = f", or in a way that these decode: uv pip install {packages}" if packages else ""
    return UnreadableError(f"{found.path}: its pixels cannot be read; they are damaged or cut off{other}.")


def _packages(found: Header) -> str:
    """What decodes the pixels of a compressed file; "" of any other."""
    return next((names for start, names in _DECODERS.items() if found.syntax.startswith(start)), "")


def _measured(stored: np.ndarray, found: Header, data: Any, frame: int) -> np.ndarray:
    """Values as they were measured, float32; of a picture that is shown inverted so that bright is bright.

    Hounsfield units stay: they do not depend on how they are shown.
    """
    values = _told(stored, found, data, frame)
    if found.inverted and found.modality != "CT":
        low, high = (-(1 << found.bits - 1), (1 << found.bits - 1) - 1) if found.signed else (0, (1 << found.bits) - 1)
        values = _told(np.array([low, high]), found, data, frame).sum() - values
    return values


def _told(stored: np.ndarray, found: Header, data: Any, frame: int) -> np.ndarray:
    """What stored numbers mean by the table of the file, or by slope and intercept; float32."""
    if found.table:
        from pydicom.pixels.processing import apply_modality_lut

        with quiet():
            try:
                return np.asarray(apply_modality_lut(stored.astype(np.int64), data), np.float32)
            except broken():
                raise UnreadableError(f"{found.path}: its table of values (ModalityLUTSequence) is damaged.") from None
    slope, intercept = (np.float32(v) for v in found.rescale[frame])
    return stored.astype(np.float32) * slope + intercept
