"""A picture file -> its size; its pixels within the published limit of 1024 a side, exact, or fast and near to that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from framework.data.crops import LONGEST, capped
from framework.errors import UnreadableError
from framework.pictures import FORMATS

MODES = ("exact", "fast")
SPARE = 3  # pixels a side that "fast" keeps for each pixel of the result, before the bicubic resize
HALF = 1.9  # as SPARE, where a JPEG is only halved: 12 megapixels are about 4000 pixels a side
BROKEN = (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError)  # of Pillow


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


def pixels_of(path: Path, mode: str = "exact") -> np.ndarray:
    """RGB of a picture file, resized to the published limit where it is larger: nothing that ``crops.cut`` would miss.

    Args:
        path: the file.
        mode: "exact": what ``crops.cut`` makes of the whole picture, bit for bit. "fast": pictures far above the limit
            are first reduced by a whole factor, a JPEG while it is decoded. Of a photograph 99.9 % of the values stay
            within 2 of 255; those at hard edges may not (``tests/benchmarks/crops.py``).

    Returns:
        ``(3, h, w)`` uint8, a view of pixels that lie side by side; h and w are ``crops.capped(*size_of(path))``.

    Raises:
        UnreadableError: it is damaged or of another kind.
        ValueError: an unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = np.asarray(_limited(image, mode == "fast"))  # (h, w, 3)
    except BROKEN as error:
        raise _unreadable(path, error) from None
    return pixels.transpose(2, 0, 1)


def _limited(image: Image.Image, fast: bool) -> Image.Image:
    height, width = capped(image.height, image.width)
    if (width, height) == image.size:
        return image.convert("RGB")
    if not fast:
        return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    spare = SPARE if max(image.size) >= 2 * SPARE * LONGEST else HALF
    drafted = image.draft(None, (round(spare * width), round(spare * height)))  # None: no JPEG, or too small a one
    box = drafted[1] if drafted else None  # an odd side is no whole number of reduced pixels
    return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=SPARE)


def _unreadable(path: Path, error: BaseException) -> UnreadableError:
    why = str(error).partition("\n")[0][:80] or type(error).__name__
    return UnreadableError(f"{path}: not a picture that can be read ({why}).")
