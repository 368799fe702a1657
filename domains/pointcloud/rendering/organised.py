"""A scan on its grid in; the triangles between neighbouring pixels, and smooth normals, out.

Neighbours on the grid are neighbours on the surface unless it jumps between them, so cracks, holes and edges stay what
they are, and no point is invented. What a jump is the scan itself says; its unit does not matter.
"""

from __future__ import annotations

import numpy as np

from domains.pointcloud.geometry import face_normals, unit

JUMP = 40.0  # pixels whose distance is that many times the usual one are no neighbours: a slope of 88.6 degrees
CALM = 2  # times that a normal takes the mean around it


def triangulate(xyz: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Two triangles in every square of four pixels, one where three are valid, none across a jump.

    A single invalid pixel between four valid ones is closed by two triangles between these.

    Args:
        xyz: ``(H, W, 3)`` in any unit.
        valid: ``(H, W)`` bool, the pixels that have a place.

    Returns:
        ``(F, 3)`` int64 numbers of pixels, row * W + column, all wound alike.
    """
    xyz = np.where(valid[..., None], xyz, 0).astype(np.float64)
    limit = jump(xyz, valid)
    number = np.arange(valid.size).reshape(valid.shape)
    before, behind = slice(None, -1), slice(1, None)
    square = [(before, before), (before, behind), (behind, behind), (behind, before)]  # a b / d c
    a, b, c, d = range(4)
    place, known, names = ([image[part] for part in square] for image in (xyz, valid, number))
    whole = known[a] & known[b] & known[c] & known[d]
    cut = np.where(whole, _apart(place[a], place[c]) <= _apart(place[b], place[d]), known[a] & known[c])  # from a to c
    faces = [
        _faces(place, known, names, corners, chosen, limit)
        for chosen, corners in ((cut, (a, d, c)), (cut, (a, c, b)), (~cut, (a, d, b)), (~cut, (b, d, c)))
    ]
    middle = slice(1, -1)
    around = [(slice(None, -2), middle), (middle, slice(None, -2)), (slice(2, None), middle), (middle, slice(2, None))]
    north, west, south, east = range(4)
    place, known, names = ([image[part] for part in around] for image in (xyz, valid, number))
    alone = ~valid[middle, middle] & known[north] & known[west] & known[south] & known[east]
    for corners in ((north, west, south), (north, south, east)):
        faces.append(_faces(place, known, names, corners, alone, limit))
    return np.concatenate(faces).astype(np.int64)


def jump(xyz: np.ndarray, valid: np.ndarray) -> float:
    """How far apart two pixels side by side may lie, in the unit of ``xyz``: ``JUMP`` times what is usual."""
    rows = _apart(xyz[1:], xyz[:-1])[valid[1:] & valid[:-1]]
    columns = _apart(xyz[:, 1:], xyz[:, :-1])[valid[:, 1:] & valid[:, :-1]]
    steps = np.concatenate([rows, columns])
    return JUMP * float(np.median(steps)) if len(steps) else 0.0


def smooth_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(N, 3)`` float32 unit normals of vertices, zero for one without faces.

    A scanner's noise is that of single pixels: the mean over a vertex's faces, then over its neighbours' normals.
    """
    normals = unit(_spread(face_normals(points, faces), faces, len(points)))
    for _ in range(CALM):
        normals = unit(_spread(normals[faces].sum(1), faces, len(points)))
    return normals.astype(np.float32)


def _spread(values: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """``(count, 3)``: to every vertex the sum of ``values (F, 3)`` of its faces."""
    return np.stack([np.bincount(faces.ravel(), np.repeat(values[:, axis], 3), count) for axis in range(3)], 1)


def _faces(
    place: list[np.ndarray],
    known: list[np.ndarray],
    names: list[np.ndarray],
    corners: tuple[int, int, int],
    chosen: np.ndarray,
    limit: float,
) -> np.ndarray:
    """``(F, 3)``: the triangles of these corners, where chosen, valid and without a jump."""
    i, j, k = corners
    where = np.flatnonzero(chosen & known[i] & known[j] & known[k])
    ends = [place[corner].reshape(-1, 3)[where] for corner in corners]
    sides = [_apart(ends[0], ends[1]), _apart(ends[1], ends[2]), _apart(ends[2], ends[0])]
    where = where[np.max(sides, 0) <= limit]
    return np.stack([names[corner].ravel()[where] for corner in corners], 1)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of places along the last axis."""
    x, y, z = (a[..., axis] - b[..., axis] for axis in range(3))
    return np.sqrt(x * x + y * y + z * z)
