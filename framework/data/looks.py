"""Picture files -> what each looks like, in 32 x 32 greys; two lots of these -> which show the same picture. No torch.

A picture that was stored again (another format, quality or size, a little brighter) is another file, but looks alike.
Two looks are the same where two tests agree:

- **Code.** The lowest 16 x 16 coefficients of the DCT-II of a look without the mean, each a bit: above their median
  or not (Zauner 2010, "pHash", of 255 bits for 63). Codes differ in at most ``BITS`` of them. Fast, but a code knows
  only the coarse: a bench with and without the screw on it has one code.
- **Peak.** Fitted to the other by gain and offset, no cell differs by more than ``PEAK`` standard deviations of it.

Both limits are measured: ``tests/benchmarks/leaks.py``. Not found are pictures that were cropped, turned, mirrored or
changed in one place by hand, nor some that are all blur. A cloud has no look, nor has a volume, a slice of one or a
part of a picture. Nor has a picture without structure, as all of these look alike, or one that cannot
be opened.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from scipy.fft import dctn

from framework.pictures import BROKEN, FORMATS
from framework.types import Record

SIDE = 32  # cells of a look, a side
CELLS = SIDE * SIDE
LOW = 16  # coefficients of a code, a side
BITS, PEAK = 28, 0.32  # how far looks of one picture may differ: bits of the code, standard deviations in a cell
STRUCTURE = 3.0  # greys: a standard deviation below this is a plain surface
AT_ONCE, SECOND = 1 << 22, 1 << 12  # pairs that are compared at a time: their codes, and their looks


def looks(records: Sequence[Record]) -> np.ndarray:
    """The look of each sample.

    Returns:
        ``(n, CELLS)`` uint8 in the order of ``records``, greys of 0 to 255; all 0 where a sample has no look.
    """
    files = list(dict.fromkeys(r.path for r in records if _whole(r)))
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 2)) as pool:
        known = dict(zip(files, pool.map(look, files), strict=True))
    found = np.zeros((len(records), CELLS), np.uint8)
    for i, record in enumerate(records):
        if _whole(record):
            found[i] = known[record.path]
    return found


def near(known: Sequence[str], records: Sequence[Record]) -> list[bool]:
    """For each record, whether its picture looks like one of the ``known``, ``packed``; none is read where none is."""
    others = np.concatenate([unpacked(text) for text in known if text] or [np.zeros((0, CELLS), np.uint8)])
    found = {i for i, _ in copies(looks(records), others)} if len(others) else set()
    return [i in found for i in range(len(records))]


def look(path: Path) -> np.ndarray:
    """That of one file, ``(CELLS,)`` uint8; a process reads a file once, unless it changes."""
    try:
        told = path.stat()
    except OSError:
        return np.zeros(CELLS, np.uint8)
    return _look(path, told.st_mtime_ns, told.st_size)


def look_of(file: Path | BinaryIO) -> np.ndarray:
    """``(CELLS,)`` uint8, the picture in grey, resized to 32 x 32 by a triangle filter; all 0 where it has no look.

    Pixels of more than 8 bits are spread from the least to the most of the picture; of a JPEG the nearest of its
    reduced sizes is decoded.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            image.draft("L", (8 * SIDE, 8 * SIDE))
            grey = _grey(image)
    except BROKEN:
        return np.zeros(CELLS, np.uint8)
    found = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.uint8).ravel()
    return found if found.std() >= STRUCTURE else np.zeros(CELLS, np.uint8)


def copies(mine: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """Which of mine show the same picture as which of the others.

    Args:
        mine: ``(n, CELLS)`` uint8.
        others: ``(m, CELLS)`` uint8.

    Returns:
        Pairs (position in mine, position in others), sorted.
    """
    here, there = np.flatnonzero(mine.any(1)), np.flatnonzero(others.any(1))
    if not len(here) or not len(there):
        return []
    first, second = codes(mine[here]), codes(others[there])
    step, found = max(1, AT_ONCE // len(there)), []
    for start in range(0, len(here), step):
        # signs that agree minus signs that differ: the width of a code less twice the distance
        rows, columns = np.nonzero(first[start : start + step] @ second.T >= first.shape[1] - 2 * BITS)
        for part in range(0, len(rows), SECOND):
            left, right = here[rows[part : part + SECOND] + start], there[columns[part : part + SECOND]]
            same = peaks(mine[left], others[right]) <= PEAK
            found += list(zip(left[same].tolist(), right[same].tolist(), strict=True))
    return found


def codes(found: np.ndarray) -> np.ndarray:
    """``(n, 255)`` float32 of -1 and 1 from ``(n, CELLS)`` looks: so that a product counts, in BLAS, what agrees."""
    waves = dctn(found.reshape(-1, SIDE, SIDE).astype(np.float32), axes=(1, 2), norm="ortho")
    low = waves[:, :LOW, :LOW].reshape(len(found), -1)[:, 1:]
    return np.where(low > np.median(low, 1, keepdims=True), np.float32(1), np.float32(-1))


def peaks(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``(k,)``: the largest difference of a cell of two looks ``(k, CELLS)``, the second fitted to the first.

    In standard deviations of the first; the larger of both ways round.
    """
    a, b = (x - x.mean(1, keepdims=True) for x in (mine.astype(np.float32), others.astype(np.float32)))
    product = (a * b).sum(1)
    return np.maximum(_peak(a, b, product), _peak(b, a, product))


def packed(found: np.ndarray) -> str:
    """Looks as text that a checkpoint can hold; those that are none are left out."""
    return base64.b85encode(np.unique(found[found.any(1)], axis=0).tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """``(n, CELLS)`` uint8 of ``packed``; of "" none."""
    return np.frombuffer(base64.b85decode(text), np.uint8).reshape(-1, CELLS)


def _whole(record: Record) -> bool:
    """Whether the sample is its whole file."""
    return record.frame is None and record.box is None


@lru_cache(maxsize=1 << 16)  # 80 MB at most
def _look(path: Path, _changed: int, _size: int) -> np.ndarray:
    return look_of(path)


def _peak(a: np.ndarray, b: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Of looks without their means, of which ``product`` is the inner one."""
    fitted = (product / (b * b).sum(1))[:, None] * b
    return np.abs(a - fitted).max(1) / a.std(1)


def _grey(image: Image.Image) -> Image.Image:
    """The picture in 8-bit grey; where it has more bits, of which Pillow would keep the lowest, spread."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("L")
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    spread = float(np.ptp(values)) or 1.0
    return Image.fromarray(((values - values.min()) * (255 / spread)).astype(np.uint8))
