"""A scan's file in, its slices out, as 16-bit codes: turned, cropped, resampled, a part at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from domains.medical import intensity, slicing, space, volumes
from domains.medical.geometry import MOST_VOXELS, Geometry
from domains.medical.intensity import Scale
from domains.medical.scans import Cutting, Scan
from domains.medical.space import Space
from domains.medical.volumes import Stored
from framework.errors import UserError

_TOGETHER = 16  # planes of a file that are turned at a time


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
