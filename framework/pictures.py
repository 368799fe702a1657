"""Pixels -> a PNG file, whole or not there, and back; a view and its scores -> two, to look at and to compute with."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from kornia_rs.io import decode_image_png_u8
from PIL import Image, UnidentifiedImageError

from framework.colours import overlay
from framework.files import write_whole

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # Pillow goes by content, and would hand an EPS to Ghostscript
BROKEN = (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of half the pixels that Pillow refuses
FULL = 65535  # what a score of 1 is in a file of scores


def quickly(image: Image.Image) -> np.ndarray | None:
    """The pixels of a PNG that Pillow has opened and not yet decoded, as Pillow decodes them, in a third of its time.

    Only of 8-bit colour and grey.

    Args:
        image: of ``Image.open``; where this has nothing to say, Pillow can go on with it.

    Returns:
        ``(H, W, 3)`` or, of grey, ``(H, W)`` uint8; None: let Pillow decode it, or say what is wrong with it. Colours
        that a file names as transparent are as stored.
    """
    file = getattr(image, "fp", None)
    tiles: list[Any] = getattr(image, "tile", [])  # of the formats that have some
    if file is None or image.format != "PNG" or len(tiles) != 1:
        return None
    kind = tiles[0][3]  # as stored: that of 16 bits is another
    if kind not in ("RGB", "L") or getattr(image, "is_animated", False):
        return None
    at = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(at)
    try:
        found = decode_image_png_u8(content, (image.height, image.width), "rgb" if kind == "RGB" else "mono")
    except Exception as error:  # what it raises of a damaged file is of no class of its own
        if type(error) is not Exception:
            raise
        return None
    return np.asarray(found).reshape((image.height, image.width, 3)[: 3 if kind == "RGB" else 2])


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Write ``(H, W, 3)`` uint8, ``(H, W)`` uint8 or uint16; returns ``path``.

    Raises:
        UserError: the file cannot be written.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return write_whole(path, buffer.getvalue())


def write_map(view: np.ndarray, scores: np.ndarray, stem: Path) -> dict[str, Path]:
    """Write ``stem.png``, the view under its scores, and ``stem_scores.png``, the scores alone as 16-bit grey.

    Colours stand for the same scores in every overlay, so overlays compare.

    Args:
        view: ``(3, H, W)`` uint8.
        scores: ``(H, W)`` in [0, 1]; 1 is 65535 in the file.
        stem: of both files.

    Returns:
        Their paths, as ``map`` and ``scores``.

    Raises:
        UserError: a file cannot be written.
        ValueError: ``scores`` are of another shape or range.
    """
    if scores.shape != view.shape[1:] or not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"{stem}: scores must be {view.shape[1:]} in [0, 1], got {scores.shape}")
    grey = np.rint(scores.astype(np.float64) * FULL).astype(np.uint16)
    beside = write_png(stem.with_name(f"{stem.name}_scores.png"), grey)  # first: where the map is, so are its scores
    path = write_png(stem.with_name(f"{stem.name}.png"), overlay(view.transpose(1, 2, 0), scores))
    return {"map": path, "scores": beside}
