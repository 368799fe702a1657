"""A scan as it was cut: 16-bit codes of its slices in the order they are shown in, and what turns them into grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from domains.medical import intensity, slicing
from domains.medical.geometry import Geometry
from domains.medical.intensity import Half, Histogram, Scale
from domains.medical.space import Space

SCHEMA = 3  # raised where the same options would give other codes


@dataclass(frozen=True, slots=True)
class Cutting:
    """How the voxels of a file become slices; what each option means is said where ``Medical`` lists it.

    ``whole``: the slices are views of one volume; else each is a sample, and they are the file's own: neither cropped
    nor resampled in the direction they follow one another in.
    """

    axis: str
    upright: bool
    crop: bool
    spacing: tuple[float, float, float] | None
    channel: int | None
    reader: str
    nan: str
    whole: bool = True

    @property
    def axes(self) -> tuple[str, ...]:
        """The directions that slices are cut in."""
        return tuple(slicing.AXES)[::-1] if self.axis == "all" else (self.axis,)

    @property
    def kept(self) -> str:
        """The direction whose slices lie whole in memory."""
        return self.axes[0]


@dataclass(frozen=True, slots=True)
class Look:
    """How codes become grey: windows, or percentiles where there is none; one table a colour where there are three."""

    windows: tuple[tuple[float, float], ...]
    percentiles: tuple[float, float]
    foreground: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan ready to be shown; read only.

    Attributes:
        geometry: of the file.
        cutting: how its slices were cut.
        space: between its voxels and the volume they were cut from.
        scale: of the codes.
        codes: ``(D, H, W)`` uint16, slices along ``cutting.kept``.
        histogram: of all of them.
        nan: how many values were NaN or infinite, and are 0.
        beyond: how many lay beyond what the codes can tell, and are the nearest that they can.
        check: called with the indices of slices that are about to be used; raises where they are damaged.
        tables: those made before.
    """

    geometry: Geometry
    cutting: Cutting
    space: Space
    scale: Scale
    codes: np.ndarray
    histogram: Histogram
    nan: int
    beyond: int = 0
    check: Callable[[Sequence[int]], None] = lambda _: None
    tables: dict[Look, np.ndarray] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and could still be read: a line each, with the path."""
        path, notes = self.geometry.path, list(self.geometry.warnings)
        if self.beyond and isinstance(self.scale, Half):
            low, high = self.scale.ends
            notes.append(
                f"{path}: {self.beyond} of {math.prod(self.geometry.shape)} values are cut to {low:.3g} to {high:.3g}: "
                "they lie millions of times farther out than the others."
            )
        if len(self.histogram.values) == 1:
            notes.append(f"{path}: one value everywhere, so nothing can stand out.")
        return tuple(notes)

    def planes(self, axis: str) -> np.ndarray:
        """``(D, H, W)`` uint16, codes of the slices along an axis."""
        if axis == self.cutting.kept:
            return self.codes
        upright = self.cutting.upright
        return slicing.cut(slicing.stack(self.codes, self.cutting.kept, upright), axis, upright)

    def table(self, look: Look) -> np.ndarray:
        """``(1 or 3, 65536)`` uint8: the grey of each code."""
        if look not in self.tables:
            windows = look.windows or (self.histogram.ends(look.percentiles, look.foreground),)
            self.tables[look] = np.stack([intensity.table(window, self.scale) for window in windows])
        return self.tables[look]

    def grey(self, axis: str, indices: Sequence[int], look: Look, out: np.ndarray) -> None:
        """Fill ``(V, 1 or 3, H, W)`` uint8 with some slices; all colours of one table where there is one."""
        self.check(indices if axis == self.cutting.kept else range(len(self.codes)))
        planes = self.planes(axis)
        for room, index in zip(out, indices, strict=True):
            codes = np.ascontiguousarray(planes[index])
            for channel, table in zip(room, self.table(look), strict=True):
                np.take(table, codes, out=channel, mode="clip")  # "raise" would copy

    def shown(self, axis: str, look: Look) -> np.ndarray:
        """Indices of the slices that show something, growing; see ``slicing.showing``."""
        self.check(range(len(self.codes)))
        visible: np.ndarray = np.any(self.table(look) >= slicing.VISIBLE, 0)
        if axis == self.cutting.kept:
            share = np.array([np.count_nonzero(visible[plane]) / plane.size for plane in self.codes])
        else:
            share = self._seen(visible, axis)
        return slicing.showing(share)

    def _seen(self, visible: np.ndarray, axis: str) -> np.ndarray:
        """``(D,)`` share of visible pixels of the slices along an axis that is not the one kept."""
        upright, kept = self.cutting.upright, self.cutting.kept
        total: np.ndarray = np.zeros(self.planes(axis).shape[0])
        for plane in self.codes:
            marked = visible[plane][None]
            along = slicing.cut(slicing.stack(marked, kept, upright), axis, upright)  # (D, H, W), one row or column
            total += np.count_nonzero(along, axis=(1, 2))
        return total / (self.codes.size / len(total))
