"""The grid of an organised scan in; which of its points belong to the object, and not to what it lies on, out.

As published for MVTec 3D-AD (Horwitz and Hoshen 2023): a plane through the border of the scan is taken away, and then
what is not connected to the object. There the plane is 4 and 5 mm thick, which is another share of every object, and
clusters are found among points in space, which takes seconds. Here all lengths are shares of the scan's extent, so
that its unit does not matter, the plane is as thick as its own noise, and parts are connected on the grid.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BORDER = 10  # pixels at most, and a twentieth of a side
INLIER = 0.01  # of the extent: how far off the plane its points may lie while it is searched for
TRIALS, PROBES = 256, 2048  # of the search
NOISE = 5.0  # robust standard deviations: what lies closer to the plane is the plane
THIN, THICK = 0.004, 0.02  # of the extent: bounds of that distance
FLAT = 0.5  # share of the border that must lie on the plane, or it is no ground
PART = 0.1  # of the largest part: what is smaller is not the object
LEAST = 1e-3  # share of the scan that an object takes up at least


def remove(xyz: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, str]:
    """Find the object.

    Args:
        xyz: ``(H, W, 3)`` float.
        valid: ``(H, W)`` bool, where a point was measured.

    Returns:
        ``(H, W)`` bool, the valid pixels that show the object, and why nothing was taken away, "" where it was or where
        the border of the scan is empty already.
    """
    band = valid & _border(valid.shape)
    if band.sum() < _border(valid.shape).sum() / 20:
        return valid, ""
    extent = _extent(xyz[valid])
    normal, offset = _plane(xyz[band].astype(np.float64), INLIER * extent)
    off = np.abs(xyz[band] @ normal - offset)
    flat = off < INLIER * extent
    if flat.mean() < FLAT:
        return valid, "no plane runs through its border"
    thickness = np.clip(NOISE * 1.4826 * np.median(off[flat]), THIN * extent, THICK * extent)
    height = np.where(valid[..., None], xyz, 0).astype(np.float64) @ normal - offset
    above, below = valid & (height > thickness), valid & (height < -thickness)
    kept = _parts(above if above.sum() >= below.sum() else below)  # what lies on the ground is on one side of it
    if kept.sum() < LEAST * valid.sum():
        return valid, "nothing is left without its ground"
    return kept, ""


def _border(shape: tuple[int, ...]) -> np.ndarray:
    """``(H, W)`` bool, the outermost pixels."""
    border = np.ones(shape, bool)
    depth = max(1, min(BORDER, min(shape) // 20))
    border[depth:-depth, depth:-depth] = False
    return border


def _extent(points: np.ndarray) -> float:
    """The longest side of the box around nearly all of ``(N, 3)`` points: a stray one may lie anywhere."""
    low, high = np.percentile(points[:: max(1, len(points) // 10_000)], [1, 99], axis=0)
    return float((high - low).max())


def _plane(points: np.ndarray, limit: float) -> tuple[np.ndarray, float]:
    """Unit normal ``(3,)`` and offset of the plane that most of ``(N, 3)`` points lie on; the same for the same points.

    Random sample consensus over ``TRIALS`` planes through three points each, then least squares over what lies on it.
    """
    probes = points[:: max(1, len(points) // PROBES)]
    corners = probes[np.random.default_rng(0).integers(0, len(probes), (TRIALS, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    offsets = (normals * corners[:, 0]).sum(1)
    agree = (np.abs(probes @ normals.T - offsets) < limit) & (np.linalg.norm(normals, axis=1) > 0.5)
    best = int(agree.sum(0).argmax())
    normal, offset = normals[best], float(offsets[best])
    for _ in range(3):
        near = points[np.abs(points @ normal - offset) < limit]
        if len(near) < 3:
            break
        middle = near.mean(0)
        normal = np.linalg.eigh((near - middle).T @ (near - middle))[1][:, 0]
        offset = float(middle @ normal)
    return normal, offset


def _parts(shown: np.ndarray) -> np.ndarray:
    """``(H, W)`` bool: the largest connected part of ``shown`` and what is not much smaller, such as a broken half."""
    labels, count = ndimage.label(ndimage.binary_closing(shown, iterations=2) | shown)
    if count == 0:
        return shown
    sizes = np.bincount(labels[shown], minlength=count + 1)
    return shown & (sizes >= PART * sizes.max())[labels]
