"""A scan's file in, its slices out: 16-bit codes in the order they are shown in, and what turns them into grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from domains.medical import intensity, slicing, space, volumes
from domains.medical.geometry import MOST_VOXELS, Geometry
from domains.medical.intensity import Histogram, Scale
from domains.medical.space import Space
from domains.medical.volumes import Stored
from framework.errors import UserError

SCHEMA = 1  # raised where the same options would give other codes
_TOGETHER = 16  # planes of a file that are turned at a time


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
        codes: ``(D, H, W)`` float16, slices along ``cutting.kept``.
        histogram: of all of them.
        nan: how many values were NaN or infinite, and are 0.
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
    check: Callable[[Sequence[int]], None] = lambda _: None
    tables: dict[Look, np.ndarray] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and could still be read: a line each, with the path."""
        if len(self.histogram.values) > 1:
            return self.geometry.warnings
        return (*self.geometry.warnings, f"{self.geometry.path}: one value everywhere, so nothing can stand out.")

    def planes(self, axis: str) -> np.ndarray:
        """``(D, H, W)`` float16, codes of the slices along an axis."""
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
            codes = np.ascontiguousarray(planes[index]).view(np.uint16)
            for channel, table in zip(room, self.table(look), strict=True):
                np.take(table, codes, out=channel, mode="clip")  # "raise" would copy

    def shown(self, axis: str, look: Look) -> np.ndarray:
        """Indices of the slices with a thousandth of their pixels visible, growing; all where none has."""
        self.check(range(len(self.codes)))
        visible: np.ndarray = np.any(self.table(look) >= slicing.VISIBLE, 0)
        if axis == self.cutting.kept:
            share = np.array([np.count_nonzero(visible[plane.view(np.uint16)]) / plane.size for plane in self.codes])
        else:
            share = self._seen(visible, axis)
        indices = np.flatnonzero(share >= slicing.SHARE)
        return indices if len(indices) else np.arange(len(share))

    def _seen(self, visible: np.ndarray, axis: str) -> np.ndarray:
        """``(D,)`` share of visible pixels of the slices along an axis that is not the one kept."""
        upright, kept = self.cutting.upright, self.cutting.kept
        total: np.ndarray = np.zeros(self.planes(axis).shape[0])
        for plane in self.codes:
            marked = visible[plane.view(np.uint16)][None]
            along = slicing.cut(slicing.stack(marked, kept, upright), axis, upright)  # (D, H, W), one row or column
            total += np.count_nonzero(along, axis=(1, 2))
        return total / (self.codes.size / len(total))


def make(scan: Geometry, cutting: Cutting) -> Scan:
    """Read a scan and cut it.

    Raises:
        UnreadableError: as ``volumes.stored``; values that are not finite, unless these are read as 0.
        UserError: a spacing that makes more cells than can be held.
    """
    found = volumes.stored(scan, cutting.reader)
    low, high, bad = _range(found)
    if bad:
        volumes.refuse_nan(scan.path, bad, found.voxels.size, cutting.nan)
    scale, room = intensity.fit(low, high), space.whole(scan, cutting.upright)
    codes = None
    if cutting.crop:
        codes = _turned(found, room, cutting, scale)
        room = _cropped(codes, room, cutting, scale)
    if cutting.spacing is not None:
        room = space.respaced(room, scan.affine, _kept(cutting, cutting.spacing))
        if math.prod(room.grid) > MOST_VOXELS:
            cells = " x ".join(map(str, room.grid))
            raise UserError(f"{scan.path}: spacing: {cutting.spacing} mm makes {cells} cells; take wider ones.")
    if room.resampled:
        codes = _resampled(found, room, cutting, scale)
    elif codes is None:
        codes = _turned(found, room, cutting, scale)
    else:
        codes = _boxed(codes, room, cutting)
    codes.setflags(write=False)
    return Scan(scan, cutting, room, scale, codes, intensity.count(codes, scale), bad)


def _kept(cutting: Cutting, spacing: tuple[float, ...]) -> list[float | None]:
    """Spacing along each volume axis; None along that of slices which are samples of their own."""
    own = None if cutting.whole else slicing.axis_number(cutting.axis)
    return [None if axis == own else length for axis, length in enumerate(spacing)]


def _range(found: Stored) -> tuple[float, float, int]:
    """Least and greatest finite value, and how many are none."""
    if found.voxels.dtype.kind in "iu":
        ends = found.values(np.array([found.voxels.min(), found.voxels.max()]))
        return float(ends.min()), float(ends.max()), 0
    low, high, bad = np.inf, -np.inf, 0
    for k in range(found.voxels.shape[2]):
        values = found.values(found.voxels[:, :, k])
        least, most = float(values.min()), float(values.max())
        if not np.isfinite(least + most):
            good = values[np.isfinite(values)]
            bad += values.size - good.size
            least, most = (float(good.min()), float(good.max())) if good.size else (low, high)
        low, high = min(low, least), max(high, most)
    return (low, high, bad) if low <= high else (0.0, 0.0, bad)


def _encoder(found: Stored, scale: Scale) -> Callable[[np.ndarray], np.ndarray]:
    """What makes codes of voxels: of small whole numbers a table."""
    kind = found.voxels.dtype
    if kind.kind in "iu" and kind.itemsize <= 2:
        unsigned = np.dtype(f"u{kind.itemsize}")
        every = np.arange(256**kind.itemsize, dtype=unsigned).view(kind)
        with np.errstate(over="ignore"):  # of values that do not occur
            table = scale.encode(found.values(every))
        return lambda voxels: table[voxels.view(unsigned)]
    return lambda voxels: scale.encode(_finite(found.values(voxels)))


def _finite(values: np.ndarray) -> np.ndarray:
    """0 in place of what is no number; infinities too."""
    return np.where(np.isfinite(values), values, np.float32(0))


def _turned(found: Stored, room: Space, cutting: Cutting, scale: Scale) -> np.ndarray:
    """``(D, H, W)`` float16, all slices at the file's own spacing."""
    encode = _encoder(found, scale)
    shape = slicing.cut(room.volume(found.voxels), cutting.kept, cutting.upright).shape
    codes = np.empty(shape, np.float16)
    volume = slicing.stack(codes, cutting.kept, cutting.upright)
    file_order = np.argsort(room.order)
    laid = volume[tuple(slice(None, None, -1 if flip else 1) for flip in room.flips)].transpose(file_order)  # (I, J, K)
    for k in range(0, laid.shape[2], _TOGETHER):
        laid[:, :, k : k + _TOGETHER] = encode(found.voxels[:, :, k : k + _TOGETHER])
    return codes


def _cropped(codes: np.ndarray, room: Space, cutting: Cutting, scale: Scale) -> Space:
    """The box around what is no air, by MONAI's CropForeground; all where nothing stands out."""
    import torch
    from monai.transforms.croppad.array import CropForeground

    limit = intensity.count(codes, scale).threshold()
    visible = scale.decode(intensity.every()) > limit
    marked = np.stack([visible[plane.view(np.uint16)] for plane in codes])
    if not marked.any():
        return room
    volume = np.ascontiguousarray(slicing.stack(marked, cutting.kept, cutting.upright))
    crop = CropForeground(select_fn=lambda image: image, margin=space.MARGIN, allow_smaller=True)
    start, stop = (np.array(end) for end in crop.compute_bounding_box(torch.from_numpy(volume)[None]))
    if not cutting.whole:
        own = slicing.axis_number(cutting.axis)
        start[own], stop[own] = 0, room.size[own]
    return space.cropped(room, start.tolist(), stop.tolist())


def _boxed(codes: np.ndarray, room: Space, cutting: Cutting) -> np.ndarray:
    """Slices of the box of a space alone, a copy."""
    volume = slicing.stack(codes, cutting.kept, cutting.upright)
    box = volume[tuple(slice(a, a + n) for a, n in zip(room.start, room.size, strict=True))]
    return np.ascontiguousarray(slicing.cut(box, cutting.kept, cutting.upright))


def _resampled(found: Stored, room: Space, cutting: Cutting, scale: Scale) -> np.ndarray:
    """``(D, H, W)`` float16: slices at another spacing, linear, one axis after the other, slice by slice.

    Voxel axes are kept, so this is what MONAI's Spacing gives, in a tenth of its memory.
    """
    number, upright = slicing.axis_number(cutting.kept), cutting.upright
    down, across = (n for n in (2, 1, 0) if n != number)
    ways = [room.forth(number), room.forth(down, upright), room.forth(across, upright)]
    planes = slicing.cut(room.volume(found.voxels), cutting.kept, upright)  # (D, H, W) as stored
    codes = np.empty(tuple(len(way.share) for way in ways), np.float16)
    near: dict[int, np.ndarray] = {}
    for out, low, high, share in zip(codes, ways[0].low.tolist(), ways[0].high.tolist(), ways[0].share, strict=True):
        for k in (low, high):
            if k not in near:
                plane = _finite(found.values(np.ascontiguousarray(planes[k])))
                near[k] = ways[2].along(ways[1].along(plane, 0), 1)
        near = {k: near[k] for k in (low, high)}
        out[...] = scale.encode(near[low] + share * (near[high] - near[low]))
    return codes
