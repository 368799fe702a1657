"""A scan's file in, its slices out, as 16-bit codes: turned, cropped, resampled, a part at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domains.medical import intensity, slicing, space, volumes
from domains.medical.geometry import MOST_VOXELS, Geometry
from domains.medical.intensity import Half, Scale, Whole
from domains.medical.scans import Cutting, Scan
from domains.medical.space import Space
from domains.medical.volumes import Stored
from framework.errors import UserError

_TOGETHER = 16  # planes of a file that are turned at a time
_SAMPLED = 50_000  # voxels that tell where most values lie
_MOST = (0.5, 99.5)  # percentiles of these
_EXACT = 1 << 53  # float64 has all whole numbers below it


@dataclass(frozen=True, slots=True)
class Extent:
    """What the values of a file span.

    Attributes:
        low: the least, where those that are NaN or infinite count as 0.
        high: the greatest.
        bad: how many are NaN or infinite.
        whole: the scale that keeps them as they are, where they are whole numbers close together.
    """

    low: float
    high: float
    bad: int
    whole: Whole | None


def make(scan: Geometry, cutting: Cutting) -> Scan:
    """Read a scan and cut it.

    Raises:
        UnreadableError: as ``volumes.stored``; values that are not finite, unless these are read as 0.
        UserError: a spacing that makes more cells than can be held.
    """
    found = volumes.stored(scan, cutting.reader)
    extent = _extent(found)
    if extent.bad:
        volumes.refuse_nan(scan.path, extent.bad, found.voxels.size, cutting.nan)
    scale, room, codes = extent.whole or _fitted(found, extent), space.whole(scan, cutting.upright), None
    if cutting.crop:
        codes = _turned(found, room, cutting, _encoder(found, extent, scale))
        room = _cropped(codes, room, cutting, scale)
    if cutting.spacing is not None:
        room = space.respaced(room, scan.affine, _kept(cutting, cutting.spacing))
        if math.prod(room.grid) > MOST_VOXELS:
            cells = " x ".join(map(str, room.grid))
            raise UserError(f"{scan.path}: spacing: {cutting.spacing} mm makes {cells} cells; take wider ones.")
    if room.resampled:
        scale = _fitted(found, extent)
        codes = _resampled(found, room, cutting, scale, _values(found, extent, scale))
    elif codes is None:
        codes = _turned(found, room, cutting, _encoder(found, extent, scale))
    else:
        codes = _boxed(codes, room, cutting)
    codes.setflags(write=False)
    beyond = 0 if isinstance(scale, Whole) or _reached(extent, scale) else _beyond(found, scale)
    return Scan(scan, cutting, room, scale, codes, intensity.count(codes, scale), extent.bad, beyond)


def _kept(cutting: Cutting, spacing: tuple[float, ...]) -> list[float | None]:
    """Spacing along each volume axis; None along that of slices which are samples of their own."""
    own = None if cutting.whole else slicing.axis_number(cutting.axis)
    return [None if axis == own else length for axis, length in enumerate(spacing)]


def _extent(found: Stored) -> Extent:
    """What the values of a file span."""
    if found.voxels.dtype.kind in "iu":
        first, last = int(found.voxels.min()), int(found.voxels.max())
        ends = found.values(np.array([first, last]))
        return Extent(float(ends.min()), float(ends.max()), 0, _whole(first, last, found.slope, found.offset))
    low, high, bad, whole = np.inf, -np.inf, 0, True
    for k in range(found.voxels.shape[2]):
        values = found.values(found.voxels[:, :, k])
        least, most = float(values.min()), float(values.max())
        if not np.isfinite(least + most):
            good = np.isfinite(values)
            bad += values.size - int(good.sum())
            values = np.where(good, values, np.float32(0))
            least, most = float(values.min()), float(values.max())
        low, high = min(low, least), max(high, most)
        whole = whole and high - low < intensity.LEVELS and bool((values == np.rint(values)).all())
    return Extent(low, high, bad, _whole(int(low), int(high)) if whole else None)


def _whole(first: int, last: int, slope: float = 1.0, offset: float = 0.0) -> Whole | None:
    """The scale of whole numbers, where 16 bits tell them apart and float64 has them."""
    if last - first < intensity.LEVELS and max(abs(first), abs(last)) < _EXACT:
        return Whole(first, slope, offset)
    return None


def _fitted(found: Stored, extent: Extent) -> Half:
    """The scale of any values, finest where most of those in front of the background lie."""
    step = max(1, found.voxels.size // _SAMPLED) | 1  # odd: columns are rarely of odd length
    sample = _finite(found.values(found.voxels.ravel("K")[::step]))
    return intensity.fit(extent.low, extent.high, intensity.tally(sample).ends(_MOST, foreground=True))


def _reached(extent: Extent, scale: Half) -> bool:
    """Whether a scale can tell all values."""
    return scale.ends[0] <= extent.low and extent.high <= scale.ends[1]


def _beyond(found: Stored, scale: Half) -> int:
    """How many voxels have a value that a scale cannot tell."""
    low, high = scale.ends
    planes = (_finite(found.values(found.voxels[:, :, k])) for k in range(found.voxels.shape[2]))
    return sum(int(np.count_nonzero((values < low) | (values > high))) for values in planes)


def _finite(values: np.ndarray) -> np.ndarray:
    """0 in place of what is no number; infinities too."""
    return np.where(np.isfinite(values), values, np.float32(0))


def _values(found: Stored, extent: Extent, scale: Scale) -> Callable[[np.ndarray], np.ndarray]:
    """What makes float32 values of voxels, all finite and such as a scale can tell."""
    if isinstance(scale, Whole) or _reached(extent, scale):
        return lambda voxels: _finite(found.values(voxels))
    low, high = (np.float32(end) for end in scale.ends)
    return lambda voxels: np.clip(_finite(found.values(voxels)), low, high)


def _encoder(found: Stored, extent: Extent, scale: Scale) -> Callable[[np.ndarray], np.ndarray]:
    """What makes codes of voxels."""
    if isinstance(scale, Whole) and found.voxels.dtype.kind in "iu":
        return scale.encode
    values = _values(found, extent, scale)
    return lambda voxels: scale.encode(values(voxels))


def _turned(found: Stored, room: Space, cutting: Cutting, encode: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``(D, H, W)`` uint16, all slices at the file's own spacing."""
    shape = slicing.cut(room.volume(found.voxels), cutting.kept, cutting.upright).shape
    codes = np.empty(shape, np.uint16)
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
    marked = np.stack([visible[plane] for plane in codes])
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


def _resampled(
    found: Stored, room: Space, cutting: Cutting, scale: Half, values: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """``(D, H, W)`` uint16: slices at another spacing, linear, one axis after the other, slice by slice.

    Voxel axes are kept, so this is what MONAI's Spacing gives, in a tenth of its memory.
    """
    number, upright = slicing.axis_number(cutting.kept), cutting.upright
    down, across = (n for n in (2, 1, 0) if n != number)
    ways = [room.forth(number), room.forth(down, upright), room.forth(across, upright)]
    planes = slicing.cut(room.volume(found.voxels), cutting.kept, upright)  # (D, H, W) as stored
    codes = np.empty(tuple(len(way.share) for way in ways), np.uint16)
    near: dict[int, np.ndarray] = {}
    for out, low, high, share in zip(codes, ways[0].low.tolist(), ways[0].high.tolist(), ways[0].share, strict=True):
        for k in (low, high):
            if k not in near:
                plane = values(np.ascontiguousarray(planes[k]))
                near[k] = ways[2].along(ways[1].along(plane, 0), 1)
        near = {k: near[k] for k in (low, high)}
        out[...] = scale.encode(near[low] + share * (near[high] - near[low]))
    return codes
