"""A picture file -> its size; its pixels within the published limit of 1024 a side, exact, or a draft near to that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from framework.data.crops import LONGEST, capped, opened, resized
from framework.errors import UnreadableError
from framework.pictures import BROKEN, FORMATS

SPARE = 3  # pixels a side that a draft keeps for each pixel of the result, before the bicubic resize
HALF = 1.9  # as SPARE, where a JPEG is only halved: 12 megapixels are about 4000 pixels a side


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a picture as stored, from its header.

    Raises:
        UnreadableError: no picture that Pillow knows.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except BROKEN as error:
        raise _unreadable(path, error) from None


def pixels_of(path: Path, draft: bool = False) -> np.ndarray:
    """RGB of a picture file, resized to the published limit where it is larger: nothing that ``crops.cut`` would miss.

    Args:
        path: the file.
        draft: whether to reduce a JPEG far above the limit by a whole factor while it is decoded, and to resize in the
            fast way of ``crops.resized``, instead of what ``crops.cut`` makes of the whole picture, bit for bit. Of a
            JPEG so reduced 99.9 % of a photograph's values stay within 2 of 255 and those at hard edges do not
            (``tests/benchmarks/crops.py``); of all other pictures every value does. Cut fast after that, one
            value in two billion was 3 off, on repeated black and white tiles.

    Returns:
        ``(3, h, w)`` uint8, a view of pixels that lie side by side; h and w are ``crops.capped(*size_of(path))``.

    Raises:
        UnreadableError: it is damaged or of another kind.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = np.asarray(_limited(image, draft))  # (h, w, 3)
    except BROKEN as error:
        raise _unreadable(path, error) from None
    return pixels.transpose(2, 0, 1)


def _limited(image: Image.Image, draft: bool) -> Image.Image | Tensor:
    height, width = capped(image.height, image.width)
    if not draft or (width, height) == image.size:
        return resized(_rgb(image), (height, width))
    spare = SPARE if max(image.size) >= 2 * SPARE * LONGEST else HALF
    drafted = image.draft(None, (round(spare * width), round(spare * height)))  # None: no JPEG, or too small a one
    if drafted and drafted[1][2:] != image.size:  # an odd side is no whole number of reduced pixels
        return _rgb(image).resize((width, height), Image.Resampling.BICUBIC, drafted[1])
    return resized(opened(np.asarray(_rgb(image)), fast=True), (height, width))


def _rgb(image: Image.Image) -> Image.Image:
    """The picture in colour; itself where it has three, which spares a copy."""
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _unreadable(path: Path, error: BaseException) -> UnreadableError:
    why = str(error).partition("\n")[0][:80] or type(error).__name__
    return UnreadableError(f"{path}: not a picture that can be read ({why}).")
