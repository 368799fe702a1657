"""A picture file -> 8-bit RGB, a mask, or its size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from framework.errors import TruthError, UnreadableError
from framework.pictures import FORMATS, quickly

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)
"""What Pillow's decoders raise on broken files; the last four come from its TIFF directory parser."""


def list_images(folder: Path) -> list[Path]:
    """Picture files directly in ``folder``, sorted; no dot-files, which file managers leave behind."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(found)


def read_rgb(path: Path, bits: int = 16) -> np.ndarray:
    """``(H, W, 3)`` uint8 of any picture, in the orientation it is stored in.

    As published (Pillow's ``convert("RGB")``): grey is repeated, a palette looked up, alpha dropped, EXIF rotation
    ignored (masks are drawn on stored pixels), the first of several frames taken. One difference: Pillow clips 16-bit
    grey at 255, so that nearly all of it turns white; here its upper 8 of ``bits`` bits are kept, which is what
    Pillow does with 16-bit colour.

    Args:
        path: the file.
        bits: how many bits a 16-bit grey file uses: 12 for a 12-bit camera.

    Raises:
        UnreadableError: no picture, a broken one, one too large, or grey values of no known range.
    """
    image = _open(path)
    if isinstance(image, np.ndarray):
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    if image.mode == "F":
        raise UnreadableError(f"{path}: floating-point grey has no fixed range. Save it with 8 or 16 bits.")
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() >= 2**bits:
            raise UnreadableError(
                f"{path}: grey values {grey.min()} to {grey.max()} do not fit {bits} bits. "
                "Set the reader's bits (at most 16) or save the file with 8 bits."
            )
        return np.repeat((grey >> (bits - 8)).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_mask(path: Path) -> np.ndarray:
    """``(H, W)`` bool of a mask file: True wherever a colour channel is not zero; alpha does not count.

    In a JPEG mask True starts at half the range, for its small values are compression noise.

    Raises:
        TruthError: no such file.
        UnreadableError: no picture, or a broken one.
    """
    if not path.is_file():
        raise TruthError(f"{path}: the mask is missing. Restore it, or take its image out of the set.")
    image = _open(path)
    if isinstance(image, np.ndarray):
        values, lossy = image, False
    else:
        grey = image.mode in ("F", "L") or image.mode.startswith("I")
        values, lossy = np.asarray(image if grey else image.convert("RGB")), image.format == "JPEG"
    marked = values > 127 if lossy else values != 0
    return marked if marked.ndim == 2 else marked[..., 0] | marked[..., 1] | marked[..., 2]


def size_of(path: Path) -> tuple[int, int]:
    """Height and width in pixels as the header says; decodes nothing. Raises UnreadableError as ``read_rgb``."""
    with _described(path), Image.open(path, formats=FORMATS) as image:
        return image.height, image.width


def _open(path: Path) -> Image.Image | np.ndarray:
    """A decoded picture, or its pixels where ``quickly`` has them, or one line that says why there is none."""
    with _described(path), Image.open(path, formats=FORMATS) as image:
        pixels = quickly(image)
        if pixels is not None:
            return pixels
        image.load()
        return image


@contextmanager
def _described(path: Path) -> Iterator[None]:
    """What Pillow raises of a picture as one line that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file.") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableError(f"{path}: more than {limit:,} pixels. Cut the picture into smaller ones.") from None
    except _BROKEN as error:
        reason = "empty file" if path.stat().st_size == 0 else " ".join(str(error).replace(str(path), "it").split())
        raise UnreadableError(f"{path}: no readable picture ({reason}). Replace the file or take it out.") from None
