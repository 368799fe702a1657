"""One view -> square crops (base crop, then AnyRes tiles), and the maps of these crops -> one map of the view."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

MODES = ("base", "anyres", "square")
FAST = "-fast"  # ends the name of a mode whose crops are within 2 of 255 of the exact ones
GREY = 127  # published: what pads a view to a square
LONGEST = 1024  # published: a longer side is first resized to this many pixels
AT_ONCE = defaultdict(lambda: 32, cpu=8)  # crops in a pass of a backbone, by device: more leave the caches of a CPU
CANVAS = 6  # candidate canvases have 1 to 6 tiles a side


class _Layout(NamedTuple):
    """Where a view lies on its canvas; pixels, each pair is (height, width)."""

    capped: tuple[int, int]  # the view after the longest side was limited
    tiles: tuple[int, int]  # rows and columns of tiles
    inner: tuple[int, int]  # the view on the canvas
    start: tuple[int, int]  # its top left corner there; the rest is black


def cut(view: np.ndarray, size: int, mode: str, canvas: int = CANVAS) -> np.ndarray:
    """Crops of one view, bit for bit as published (LLaVA-NeXT's anyres with PIL's bicubic resize), or fast and near.

    Args:
        view: ``(3, H, W)`` uint8 RGB; quickest where its pixels lie side by side in memory, as Pillow lays them.
        size: side of a crop in pixels, S.
        mode: "base": the whole view squashed to a square. "anyres": that first, then row by row the tiles of the
            view enlarged or reduced, aspect kept, to the canvas that shows most of it, centred on black. "square": the
            whole view, aspect kept, centred on grey: what a picture is in a turn that shows several. With "-fast"
            after it: the same, no value farther than 2 of 255 from the exact.
        canvas: most tiles a side of "anyres".

    Returns:
        ``(K, 3, S, S)`` uint8; K is ``count(H, W, size, mode)``. The first crop of "anyres" is that of "base".

    Raises:
        ValueError: the view is not uint8 (3, H, W), or the mode is unknown.

    Source: Anomaly-OneVision ``test_detection.py`` (1024 px) and LLaVA-NeXT ``mm_utils.process_anyres_image``.
    One difference: a side that the limit of 1024 px would truncate to 0 stays 1 px, where the published code fails.
    """
    if view.ndim != 3 or view.shape[0] != 3 or view.dtype != np.uint8 or not view.size:
        raise ValueError(f"a view must be uint8 (3, H, W), got {view.dtype} {view.shape}")
    layout = _layout(view.shape[1], view.shape[2], size, mode, canvas)
    kind, fast = mode.removesuffix(FAST), mode.endswith(FAST)
    pixels = view.transpose(1, 2, 0)  # (H, W, 3)
    if pixels.shape[:2] != layout.capped:  # exact in any case: two fast ones in a row can be 3 off, if rarely
        pixels = np.asarray(resized(opened(pixels, fast=False), layout.capped))
    picture = opened(_squared(pixels) if kind == "square" else pixels, fast)
    crops = np.zeros((1 + math.prod(layout.tiles) if kind == "anyres" else 1, 3, size, size), np.uint8)
    crops[0] = np.asarray(resized(picture, (size, size))).transpose(2, 0, 1)
    if kind == "anyres":
        _lay(np.asarray(resized(picture, layout.inner)).transpose(2, 0, 1), layout, crops[1:])
    return crops


def opened(pixels: np.ndarray, fast: bool) -> Image.Image | Tensor:
    """What ``resized`` takes: pixels ``(h, w, 3)`` uint8 as a picture of PIL, or for the fast way as a tensor."""
    pixels = np.ascontiguousarray(pixels)
    if not fast:
        return Image.fromarray(pixels)
    with warnings.catch_warnings():  # what Pillow hands out cannot be written to; nobody will
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def resized(picture: Image.Image | Tensor, shape: tuple[int, int]) -> Image.Image | Tensor:
    """A picture, bicubic with a filter as wide as it is reduced, to (height, width) pixels; its kind stays.

    Both ways resize rows, round to 8 bits, then resize columns, as Pillow did until version 12; from 13 it begins with
    the columns where they shrink more, which is up to 29 of 255 away. The two differ in how finely weights are
    rounded: 22 bits in PIL, at least 14 in torch. So a value differs where it lies within 0.05 of a half, by 1 in each
    pass, and an error of 1 from the rows grows less than 1.3-fold in the columns: 2 in all.
    """
    if isinstance(picture, Tensor):
        if picture.shape[:2] == shape:
            return picture
        return interpolate(picture[None].movedim(3, 1), shape, mode="bicubic", antialias=True)[0].movedim(0, 2)
    for size in ((shape[1], picture.height), (shape[1], shape[0])):
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
    return picture


def count(height: int, width: int, size: int, mode: str, canvas: int = CANVAS) -> int:
    """How many crops ``cut`` makes of a view of ``height`` x ``width`` pixels, without its pixels."""
    tiles = _layout(height, width, size, mode, canvas).tiles
    return 1 + math.prod(tiles) if mode.removesuffix(FAST) == "anyres" else 1


def capped(height: int, width: int) -> tuple[int, int]:
    """Height and width after the published limit of 1024 pixels on the longest side."""
    longest = max(height, width)
    if longest <= LONGEST:
        return height, width
    return max(1, LONGEST * height // longest), max(1, LONGEST * width // longest)


def tiles(height: int, width: int, size: int, canvas: int = CANVAS) -> tuple[int, int]:
    """Rows and columns of tiles that "anyres" cuts a view of ``height`` x ``width`` pixels into."""
    return _layout(height, width, size, "anyres", canvas).tiles


def merge(maps: Tensor, height: int, width: int, size: int, mode: str, canvas: int = CANVAS) -> Tensor:
    """One map of the view from the maps of its crops, in the order of ``cut``.

    Tile maps are put back on the canvas, the black border is left out (cells whose centre lies in it), and the rest
    is resized to the view, bilinearly between cell centres; so is the map of the base crop. Every view pixel lies in
    the base crop and in one tile: where there are tiles, the result is the mean of the two, half context and half
    detail (our choice; the published code never merges maps).

    Args:
        maps: ``(K, r, c)`` float, one map per crop. A cell is ``size // r`` pixels high, so that 27 cells of 14
            pixels cover 378 of 384 pixels, as the backbone saw them.
        height: of the view in pixels, before any resize.
        width: of the view in pixels.
        size: side of a crop in pixels.
        mode: as in ``cut``. The map of a "square" is cut out of its grey border.
        canvas: as in ``cut``.

    Returns:
        ``(height, width)`` float32 within the range of ``maps``, on their device.

    Raises:
        ValueError: ``maps`` has another number of crops than the view.
    """
    layout = _layout(height, width, size, mode, canvas)
    expected = count(height, width, size, mode, canvas)
    if maps.ndim != 3 or len(maps) != expected:
        raise ValueError(f"{expected} crop maps make a view of {height} x {width}, got shape {tuple(maps.shape)}")
    maps = maps.float()
    kind = mode.removesuffix(FAST)
    whole = layout if kind == "square" else _Layout(layout.capped, (1, 1), (size, size), (0, 0))
    out = _stretch(maps[0], maps.shape[1:], (height, width), size, whole)
    if kind == "anyres":
        tiled = maps[1:].unflatten(0, layout.tiles).swapaxes(1, 2).flatten(2).flatten(0, 1)  # (rows * r, columns * c)
        out = (out + _stretch(tiled, maps.shape[1:], (height, width), size, layout)) / 2
    return out


def _layout(height: int, width: int, size: int, mode: str, canvas: int) -> _Layout:
    kind = mode.removesuffix(FAST)
    if kind not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, or that and {FAST}, got {mode!r}")
    height, width = capped(height, width)
    tiles = (1, 1) if kind == "square" else _canvas(height, width, size, canvas)
    high, wide = tiles[0] * size, tiles[1] * size
    if wide / width < high / height:
        inner = (min(math.ceil(height * (wide / width)), high), wide)
    else:
        inner = (high, min(math.ceil(width * (high / height)), wide))
    return _Layout((height, width), tiles, inner, ((high - inner[0]) // 2, (wide - inner[1]) // 2))


def _canvas(height: int, width: int, size: int, most_tiles: int) -> tuple[int, int]:
    """Rows and columns of tiles that keep most pixels of the view; of equal ones those that waste least canvas."""
    best, most, least = (1, 1), 0, math.inf
    for columns in range(1, most_tiles + 1):
        for rows in range(1, most_tiles + 1):
            scale = min(columns * size / width, rows * size / height)
            kept = min(int(width * scale) * int(height * scale), width * height)
            wasted = rows * columns * size * size - kept
            if kept > most or (kept == most and wasted < least):
                best, most, least = (rows, columns), kept, wasted
    return best


def _squared(pixels: np.ndarray) -> np.ndarray:
    """``(h, w, 3)`` in the middle of a grey square."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    canvas = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _lay(view: np.ndarray, layout: _Layout, tiles: np.ndarray) -> None:
    """Write a view ``(3, h, w)`` on its canvas, ``(rows * columns, 3, S, S)``."""
    size, columns = tiles.shape[-1], layout.tiles[1]
    for number, tile in enumerate(tiles):
        top = number // columns * size - layout.start[0]  # of the tile, in pixels of the view; negative above it
        left = number % columns * size - layout.start[1]
        part = view[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
        tile[:, max(-top, 0) :, max(-left, 0) :][:, : part.shape[1], : part.shape[2]] = part


def _stretch(canvas: Tensor, cells: torch.Size, out: tuple[int, int], size: int, layout: _Layout) -> Tensor:
    """Resize what shows the view on a canvas of tiles of ``cells``, to ``out`` pixels.

    Lerp keeps the range of its inputs, and no product of matrices is left to autocast or TF32.
    """
    for side in (0, 1):
        lower, upper, share = _neighbours(
            out[side], cells[side], size, layout.tiles[side], layout.start[side], layout.inner[side]
        )
        before, after = (canvas.index_select(side, torch.from_numpy(at).to(canvas.device)) for at in (lower, upper))
        share = share[:, None] if side == 0 else share
        canvas = torch.lerp(before, after, torch.from_numpy(share).to(canvas))
    return canvas


def _neighbours(
    out: int, cells: int, size: int, tiles: int, start: int, inner: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along one side, for each of ``out`` pixels: the cells on its two sides, and the share of the second."""
    patch = size // cells
    centres = (np.arange(tiles)[:, None] * size + (np.arange(cells) + 0.5) * patch).ravel()  # canvas pixels
    shown = np.flatnonzero((centres >= start) & (centres < start + inner))
    if not len(shown):  # a strip thinner than a cell
        shown = np.array([np.abs(centres - (start + inner / 2)).argmin()])
    position = start + (np.arange(out) + 0.5) * inner / out  # canvas pixels, centre of each output pixel
    between = np.interp(position, centres[shown], np.arange(len(shown)))  # beyond the ends: the end
    lower = between.astype(int)
    return shown[lower], shown[np.minimum(lower + 1, len(shown) - 1)], between - lower
