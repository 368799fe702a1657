"""Values of a scan in, 16 bits a voxel out; these in, grey as a window or percentiles show them out, by a table.

Slices are kept as float16 of ``(value - offset) / 2 ** power``, both chosen for each scan, so that 11 bits are kept of
values of any size: whole numbers below 2,048 are exact, a CT's are to a quarter of a Hounsfield unit where the brain
lies and to two above 2,048. How they are shown can then be decided late: there are only 65,536 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVELS = 1 << 16
_FLAT = 0.05  # of a volume that must have one value before that is background
_NEAR = 0.25  # of their size that values must span at least, else what they have in common is taken off
_VISIBLE = 0.1  # of the way from dark to bright: above air noise, below tissue

WINDOWS = {  # centre and width in Hounsfield units, as radiology teaches them; convention, no standard says so
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
class Scale:
    """How values become 16 bits: ``value = code * 2 ** power + offset``.

    Attributes:
        power: of two.
        offset: in the units of the values.
    """

    power: int = 0
    offset: float = 0.0

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Float32, finite, of any shape -> float16 of that shape."""
        moved = values - np.float32(self.offset) if self.offset else values
        return (moved * np.float32(2.0**-self.power)).astype(np.float16)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The inverse: float16 -> float64."""
        return codes.astype(np.float64) * 2.0**self.power + self.offset


def fit(low: float, high: float) -> Scale:
    """The scale for values between two ends."""
    size = max(abs(low), abs(high))
    apart = low > 0 or high < 0
    offset = float(np.float32((low + high) / 2)) if apart and high - low < _NEAR * size else 0.0
    reach = max(abs(low - offset), abs(high - offset))
    return Scale(max(-100, math.frexp(reach)[1] - 15), offset) if reach else Scale(0, offset)


@cache
def every() -> np.ndarray:
    """``(65536,)`` float16, what each code says; 0 for those of NaN and infinities, which no voxel has."""
    said = np.arange(LEVELS, dtype=np.uint16).view(np.float16)
    return np.where(np.isfinite(said), said, np.float16(0))


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


def count(planes: np.ndarray, scale: Scale) -> Histogram:
    """Histogram of ``(D, H, W)`` float16 codes."""
    counts: np.ndarray = np.zeros(LEVELS, np.int64)
    for plane in planes:
        counts += np.bincount(plane.view(np.uint16).ravel(), minlength=LEVELS)
    counts[0], counts[1 << 15] = counts[0] + counts[1 << 15], 0  # 0 and -0
    found = np.flatnonzero(counts)
    found = found[np.argsort(every()[found], kind="stable")]
    return Histogram(found.astype(np.uint16), scale.decode(every()[found]), counts[found])


def table(window: Sequence[float], scale: Scale) -> np.ndarray:
    """``(65536,)`` uint8: the grey of each code where ``window`` low to high becomes 0 to 255; all 0 where empty."""
    low, high = float(window[0]), float(window[1])
    if high <= low:
        return np.zeros(LEVELS, np.uint8)
    values = scale.decode(every()).astype(np.float32)
    with np.errstate(over="ignore"):
        grey = (values - np.float32(low)) * np.float32(255 / (high - low))  # as slicing.to_grey
    return np.clip(np.rint(grey, out=grey), 0, 255, out=grey).astype(np.uint8)


def window_of(name: str) -> tuple[float, float]:
    """Low and high of a named window."""
    centre, width = WINDOWS[name]
    return centre - width / 2, centre + width / 2
