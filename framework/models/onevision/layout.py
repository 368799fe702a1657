"""Size of a picture -> how many tokens it takes in the prompt. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from framework.data import crops

LOCAL = 2  # selected tokens of a crop, per side
IGNORED = -100  # label of a token that nothing is learned from
MOST_TILES = 9  # "anyres_max_9": a larger grid of image tokens is shrunk to about as many tiles


@dataclass(frozen=True, slots=True)
class Layout:
    """What one model makes of pictures.

    Attributes:
        size: side of a crop in pixels, S.
        side: patches along a side of a crop.
        prefix: tokens of the text before the anomaly tokens.
        canvas: most tiles a side; 0: a picture alone is one padded square too.
    """

    size: int
    side: int
    prefix: int
    canvas: int = crops.CANVAS

    def tokens(self, height: int, width: int, several: bool) -> int:
        """Tokens of one picture: image tokens, prefix, anomaly tokens.

        Args:
            height: of the picture in pixels.
            width: of the picture in pixels.
            several: whether its turn shows several pictures, each then one padded square.

        Source: Anomaly-OneVision ``llava_arch.py`` with spatial_unpad and anyres_max_9. Image tokens: base crop, then
        the grid of tiles without its padding and with a newline after each row. Anomaly tokens: the summary, four of
        the base crop, then four a tile in a grid with a newline after each row.
        """
        once = self.prefix + 1 + LOCAL**2
        if several or not self.canvas:
            return self.side**2 + 1 + once + 1
        rows, columns = self.grid(height, width)
        high, wide = self._image_grid(*crops.capped(height, width), rows, columns)
        return self.side**2 + high * (wide + 1) + once + LOCAL * rows * (LOCAL * columns + 1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tiles of a single picture."""
        return crops.tiles(height, width, self.size, self.canvas)

    def _image_grid(self, height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of image tokens of the tiles, unpadded and shrunk as ``pack_image_features`` does it."""
        high, wide = rows * self.side, columns * self.side
        if width / height > wide / high:
            high -= 2 * ((high - int(round(height * (wide / width), 7))) // 2)
        else:
            wide -= 2 * ((wide - int(round(width * (high / height), 7))) // 2)
        ratio = math.sqrt(high * wide / (MOST_TILES * self.side**2))
        return (int(high // ratio), int(wide // ratio)) if ratio > 1.1 else (high, wide)
