"""A 2D medical picture in (PNG, JPEG, DICOM, 8 or 16 bit) its values or a mask out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from domains.medical import dicom, slicing, volumes
from framework.errors import TruthError, UnreadableError
from framework.pictures import FORMATS, quickly
from framework.types import Record, Sample

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_LOSSY = (".jpg", ".jpeg")
_HALF = 127


def read(
    record: Record,
    windows: Sequence[tuple[float, float]],
    percentiles: Sequence[float],
    foreground: bool,
    nan: str,
) -> Sample:
    """One view of a 2D file; of one of more than 8 bit the other options, those of ``Medical``, make grey or colours.

    Raises:
        UnreadableError: as ``load``; values that are not finite, unless these are read as 0.
        TruthError: as ``load_mask``.
    """
    picture = load(record.path)  # (H, W, 3) uint8 or (H, W, 1) float32
    height, width = picture.shape[:2]
    if picture.dtype != np.uint8:
        picture = volumes.finite(picture, record.path, nan)
        grey = [slicing.to_grey(picture, window, percentiles, foreground) for window in windows or (None,)]
        picture = np.ascontiguousarray(np.broadcast_to(np.concatenate(grey, -1), (height, width, 3)))
    truth = None
    if record.truth_path == record.path:
        truth = np.zeros(height * width, np.bool_)
    elif record.truth_path is not None:
        truth = load_mask(record.truth_path, height, width).ravel()
    return Sample(record, picture.transpose(2, 0, 1)[None], truth=truth)  # colours side by side, to cut crops


def load(path: Path) -> np.ndarray:
    """``(H, W, C)``: 8-bit pictures of any mode as RGB uint8, C = 3; 16-bit and float ones as they are, float32, C = 1.

    Grey DICOM pictures are float32 whatever their depth.

    What is transparent becomes black, the background of medical pictures.

    Raises:
        UnreadableError: the file is missing, truncated or no picture.
    """
    if dicom.is_dicom(path):
        return dicom.picture(path)
    return _values(_open(path))


def _values(picture: Image.Image | np.ndarray) -> np.ndarray:
    """What ``load`` makes of a picture."""
    if isinstance(picture, np.ndarray):
        return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    if picture.mode.startswith(("I", "F")):
        return np.asarray(picture, np.float32)[..., None]
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    return np.asarray(picture.convert("RGB"))


def load_mask(path: Path, height: int, width: int) -> np.ndarray:
    """``(H, W)`` bool, true where any channel but alpha is above 0, in a JPEG above half of white.

    Of a palette the number of the colour counts, as segmentations are stored, not the colour.

    JPEG, which Kvasir-SEG and TN3K store masks in, spreads faint values around every edge.

    Raises:
        TruthError: the mask is missing, unreadable or of another size than its picture.
    """
    try:
        picture = _open(path)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    if not isinstance(picture, np.ndarray) and picture.mode == "P":
        return _fitting(np.asarray(np.asarray(picture) > 0), path, height, width)
    marked = _values(picture) > (_HALF if path.suffix.lower() in _LOSSY else 0)  # (H, W, 3), or 1 where it is deep
    return _fitting(reduce(np.logical_or, np.moveaxis(marked, -1, 0)), path, height, width)


def _fitting(mask: np.ndarray, path: Path, height: int, width: int) -> np.ndarray:
    """The mask, where it is as large as its picture."""
    if mask.shape != (height, width):
        raise TruthError(f"mask {path}: {mask.shape[1]} x {mask.shape[0]} pixels, its picture {width} x {height}.")
    return mask


def _open(path: Path) -> Image.Image | np.ndarray:
    """The decoded picture, or its pixels where ``quickly`` has them. Raises UnreadableError."""
    if not path.is_file():
        raise UnreadableError(f"{path}: no such file.")
    try:
        with Image.open(path, formats=FORMATS) as picture:
            pixels = None if "transparency" in picture.info else quickly(picture)
            if pixels is not None:
                return pixels
            picture.load()
            return picture
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableError(f"{path}: more than {limit:,} pixels. Cut the picture into smaller ones.") from None
    except UnidentifiedImageError as error:
        raise UnreadableError(f"{path}: not a readable picture ({error}).") from None
    except (OSError, SyntaxError, ValueError) as error:  # PIL raises SyntaxError for a broken PNG chunk
        raise UnreadableError(f"{path}: truncated or corrupt ({error}).") from None
