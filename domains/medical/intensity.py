"""Values of a scan in, 16 bits a voxel out; these in, grey as a window or percentiles show them out, by a table.

Whole numbers that span fewer than 65,536, as nearly all scanners store them, are kept as they are. All others, and what
was resampled, are kept as float16 of ``(value - offset) / 2 ** power``, both chosen for each scan, so that 11 bits are
kept of values of any size. How they are shown can then be decided late: there are only 65,536 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVELS = 1 << 16
_REACH = 15  # float16 goes up to nearly 2 ** 16; a scan's largest value is put below 2 ** 15
_FARTHEST = 2.0**28  # times what most values span: of what lies beyond, 11 bits of these would not be left
_FLAT = 0.05  # of a volume that must have one value before that is background
_NEAR = 0.25  # of their size that values must span at least, else what they have in common is taken off
_VISIBLE = 0.1  # of the way from dark to bright: above air noise, below tissue

# Centre and width in Hounsfield units, a convention, no standard: Radiopaedia, "Windowing (CT)", in the middle of the
# range that it gives for subdural; abdomen is the soft tissue of OHIF's viewer.
WINDOWS = {
    "brain": (40, 80),
    "stroke": (40, 40),
    "subdural": (75, 215),
    "bone": (400, 1800),
    "soft": (50, 400),
    "mediastinum": (50, 350),
    "lung": (-600, 1500),
    "abdomen": (40, 400),
    "liver": (30, 150),
}


@dataclass(frozen=True, slots=True)
class Half:
    """How values become float16: ``value = code * 2 ** power + offset``.

    Attributes:
        power: of two.
        offset: in the units of the values.
    """

    power: int = 0
    offset: float = 0.0

    @property
    def ends(self) -> tuple[float, float]:
        """Values that can be told lie between these."""
        reach = 2.0 ** (self.power + _REACH)
        return self.offset - reach, self.offset + reach

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Float32, between the ends, of any shape -> uint16 of that shape, the bits of float16."""
        moved = values - np.float32(self.offset) if self.offset else values
        return (moved * np.float32(2.0**-self.power)).astype(np.float16).view(np.uint16)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The inverse: uint16 -> float64; the offset for the bits of NaN and infinities, which no voxel has."""
        said = codes.view(np.float16)
        return np.where(np.isfinite(said), said, np.float16(0)).astype(np.float64) * 2.0**self.power + self.offset


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers as they are stored, of which a code is the last 16 bits: ``value = slope * stored + offset``.

    Attributes:
        first: the least that is stored; the greatest lies less than 65,536 above it.
        slope: of the file.
        offset: of the file, in the units of the values.
    """

    first: int
    slope: float = 1.0
    offset: float = 0.0

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Whole numbers of any type and shape -> uint16 of that shape."""
        if stored.dtype.kind in "iu":
            return stored.view(np.uint16) if stored.itemsize == 2 else stored.astype(np.uint16)
        return stored.astype(np.int64).astype(np.uint16)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The inverse: uint16 -> float64 values."""
        stored = ((codes.astype(np.int64) - self.first) & (LEVELS - 1)) + self.first
        return stored * self.slope + self.offset


Scale = Half | Whole


def fit(low: float, high: float, most: tuple[float, float] | None = None) -> Half:
    """The scale for values that are not whole numbers, or too many.

    Args:
        low: of them.
        high: of them.
        most: ends of nearly all that matter, which decide where values are told most finely; None takes all.
    """
    near = most or (low, high)
    size, span = max(abs(near[0]), abs(near[1])), near[1] - near[0]
    apart = near[0] > 0 or near[1] < 0
    offset = float(np.float32((near[0] + near[1]) / 2)) if apart and span < _NEAR * size else 0.0
    reach = max(abs(low - offset), abs(high - offset))
    if span > 0:
        reach = min(reach, _FARTHEST * span)
    return Half(max(-100, math.frexp(reach)[1] - _REACH), offset) if reach else Half(0, offset)


@cache
def every() -> np.ndarray:
    """``(65536,)`` uint16, all codes."""
    return np.arange(LEVELS, dtype=np.uint16)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each value occurs in a scan.

    Attributes:
        codes: ``(n,)`` uint16, of the values.
        values: ``(n,)`` float64, growing.
        counts: ``(n,)`` int64, above 0.
    """

    codes: np.ndarray
    values: np.ndarray
    counts: np.ndarray

    def ends(self, percentiles: Sequence[float], foreground: bool) -> tuple[float, float]:
        """Two percentiles, interpolated, of all voxels or of those above background.

        Background, which is air or what replaced it, is the most frequent value, where it fills a twentieth of the
        volume and lies below the mean; a volume with neither has none.
        """
        values, counts = self.values, self.counts
        if foreground:
            most, total = int(counts.argmax()), int(counts.sum())
            mean = float(values @ counts) / total
            if counts[most] >= _FLAT * total and values[most] < mean and most + 1 < len(values):
                values, counts = values[most + 1 :], counts[most + 1 :]
        ranks = counts.cumsum()
        low, high = (_ranked(values, ranks, p / 100 * (int(ranks[-1]) - 1)) for p in percentiles)
        return low, high

    def threshold(self) -> float:
        """Above it lies what is no air: a tenth of the way from the 0.5th to the 99.5th percentile of all voxels."""
        low, high = self.ends((0.5, 99.5), foreground=False)
        return low + _VISIBLE * (high - low)


def _ranked(values: np.ndarray, ranks: np.ndarray, rank: float) -> float:
    """The value at a rank, counted from 0, between two linearly; as NumPy's percentile."""
    whole = math.floor(rank)
    first, second = values[np.searchsorted(ranks, [whole, min(whole + 1, int(ranks[-1]) - 1)], side="right")].tolist()
    return first + (second - first) * (rank - whole)


def tally(values: np.ndarray) -> Histogram:
    """Histogram of a few values themselves; it has no codes."""
    found, counts = np.unique(values.astype(np.float64), return_counts=True)
    return Histogram(np.zeros(0, np.uint16), found, counts)


def count(planes: np.ndarray, scale: Scale) -> Histogram:
    """Histogram of ``(D, H, W)`` uint16 codes."""
    counts: np.ndarray = np.zeros(LEVELS, np.int64)
    for plane in planes:
        counts += np.bincount(plane.ravel(), minlength=LEVELS)
    if isinstance(scale, Half):
        counts[0], counts[1 << 15] = counts[0] + counts[1 << 15], 0  # 0 and -0
    found = np.flatnonzero(counts).astype(np.uint16)
    values = scale.decode(found)
    order = np.argsort(values, kind="stable")
    return Histogram(found[order], values[order], counts[found[order]])


def table(window: Sequence[float], scale: Scale) -> np.ndarray:
    """``(65536,)`` uint8: the grey of each code where ``window`` low to high becomes 0 to 255; all 0 where empty."""
    low, high = float(window[0]), float(window[1])
    if high <= low:
        return np.zeros(LEVELS, np.uint8)
    with np.errstate(over="ignore"):  # of codes that do not occur
        grey = (scale.decode(every()) - low).astype(np.float32)
        grey *= np.float32(255 / (high - low))  # as slicing.to_grey
    return np.clip(np.rint(grey, out=grey), 0, 255, out=grey).astype(np.uint8)


def window_of(name: str) -> tuple[float, float]:
    """Low and high of a named window."""
    centre, width = WINDOWS[name]
    return centre - width / 2, centre + width / 2
