"""Pictures with captions -> one sheet of them in a grid, as PNG and as PDF with text that stays text."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framework import pdf
from framework.colours import on_grey
from framework.files import write_whole

WIDTH = 1600  # of a sheet in points; a point is a pixel of the PNG
MARGIN, GAP = 40, 16
INK, MUTED = (28, 31, 34), (90, 96, 103)
TITLE, TEXT = 30, 17  # sizes of letters


@dataclass(frozen=True, slots=True)
class Picture:
    """One place of a grid.

    Attributes:
        pixels: ``(H, W, 3)`` uint8; several lie one below the other, ``between`` points apart.
        caption: under it.
        bar: (length as a share of the picture's width, words) of a bar that tells sizes, or None.
        sides: what lies to the left, the right, the top and the bottom, a letter each; or none.
        ink: colour of the bar and the letters.
        between: points.
    """

    pixels: tuple[np.ndarray, ...]
    caption: str = ""
    bar: tuple[float, str] | None = None
    sides: tuple[str, ...] = ()
    ink: tuple[int, int, int] = INK
    between: float = 0


@dataclass(slots=True)
class Sheet:
    """What lies where, from the top left corner in points; ``put`` makes it longer.

    Attributes:
        height: of what there is so far.
        images: (x, y, width, height, pixels).
        texts: (x, y of the top, size, colour, words).
        boxes: (x, y, width, height, colour).
    """

    height: float = MARGIN
    images: list[tuple[float, float, float, float, np.ndarray]] = field(default_factory=list)
    texts: list[tuple[float, float, float, tuple[int, int, int], str]] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float, tuple[int, int, int]]] = field(default_factory=list)

    def write(self, text: str, size: float = TEXT, colour: tuple[int, int, int] = INK) -> None:
        """A line over the whole width, cut where it is longer."""
        self.texts.append((MARGIN, self.height, size, colour, fitted(text, size, WIDTH - 2 * MARGIN)))
        self.height += size * 1.45

    def put(self, pictures: Sequence[Picture], columns: int) -> None:
        """Pictures in rows of ``columns``, as wide as the sheet lets them."""
        width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
        for start in range(0, len(pictures), columns):
            row = pictures[start : start + columns]
            bottoms = [self._place(p, MARGIN + i * (width + GAP), width) for i, p in enumerate(row)]
            self.height = max(bottoms) + GAP

    def scale(self, low: str, high: str, width: float = 360) -> None:
        """The colours of the maps from 0 to 1, with words at both ends."""
        left = MARGIN + measured(low, TEXT) + 10
        self.texts.append((MARGIN, self.height, TEXT, MUTED, low))
        self.images.append((left, self.height + 4, width, TEXT - 3, on_grey()[None]))
        self.texts.append((left + width + 10, self.height, TEXT, MUTED, high))
        self.height += TEXT * 1.45 + GAP / 2

    def save(self, stem: Path) -> dict[str, Path]:
        """Write ``stem.png`` and ``stem.pdf``; their paths as ``picture`` and ``pdf``.

        Raises:
            UserError: a file cannot be written.
        """
        height = self.height + MARGIN - GAP
        picture = write_whole(stem.with_name(f"{stem.name}.png"), self._png(round(height)))
        content = pdf.page(WIDTH, height, self.images, self.texts, self.boxes)
        return {"picture": picture, "pdf": write_whole(stem.with_name(f"{stem.name}.pdf"), content)}

    def _place(self, picture: Picture, x: float, width: float) -> float:
        """Returns where it ends."""
        y = self.height - picture.between
        for pixels in picture.pixels:
            y += picture.between
            height = width * pixels.shape[0] / pixels.shape[1]
            self.images.append((x, y, width, height, pixels))
            self._letter(picture, x, y, width, height)
            y += height
        if picture.bar is not None:
            share, words = picture.bar
            self.boxes.append((x + 12, y - 14, share * width, 4, picture.ink))
            self.texts.append((x + 12, y - 20 - TEXT, TEXT, picture.ink, words))
        for line in wrapped(picture.caption, TEXT, width):
            self.texts.append((x, y + 3, TEXT, MUTED, line))
            y += TEXT * 1.3
        return y + 3

    def _letter(self, picture: Picture, x: float, y: float, width: float, height: float) -> None:
        """The letters of the sides of a picture that lies there."""
        middle, centre = y + height / 2 - TEXT / 2, x + width / 2 - TEXT / 3
        ends = ((x + 5, middle), (x + width - TEXT, middle), (centre, y + 2), (centre, y + height - TEXT * 1.3))
        for (left, top), letter in zip(ends, picture.sides, strict=False):
            self.texts.append((left, top, TEXT, picture.ink, letter))

    def _png(self, height: int) -> bytes:
        sheet = Image.new("RGB", (WIDTH, height), "white")
        for x, y, w, h, pixels in self.images:
            image = Image.fromarray(np.ascontiguousarray(pixels))
            image = image.resize((max(1, round(w)), max(1, round(h))), Image.Resampling.BILINEAR)
            sheet.paste(image, (round(x), round(y)))
        draw = ImageDraw.Draw(sheet)
        for x, y, w, h, colour in self.boxes:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        for x, y, size, colour, text in self.texts:
            draw.text((x, y), text, fill=colour, font=_font(size))
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def bar(unit_px: float, side: int, unit: str) -> tuple[float, str]:
    """A length of 1, 2 or 5 times a power of ten that takes about a fifth of a view, as (share of the view, words)."""
    wanted = 0.25 * side / unit_px
    power = 10.0 ** math.floor(math.log10(wanted))
    length = next(n for n in (5, 2, 1) if n * power <= wanted) * power
    return length * unit_px / side, f"{length:g} {unit}"


def measured(text: str, size: float) -> float:
    """How wide a text is, in points."""
    return float(_font(size).getlength(text))


def fitted(text: str, size: float, width: float) -> str:
    """The text, its end cut off where it is wider."""
    if measured(text, size) <= width:
        return text
    while text and measured(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, size: float, width: float) -> list[str]:
    """The text in lines, broken between words; a word that is too wide is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and measured(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(fitted(word, size, width))
    return lines


@cache
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
