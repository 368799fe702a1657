"""Points in; their place in the unit sphere, sampling pitch, normals and nearest shown neighbours out."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from domains.pointcloud.library import open3d

NEIGHBOURS = 12  # of a normal
DENSE = 60_000  # from here on normals come from a thinned cloud: twice as fast and less noisy
THINNED = 50_000
CREASE_COS = math.cos(math.radians(20))  # a corner whose mean normal bends further from its face is shaded flat


def to_unit_sphere(points: np.ndarray) -> np.ndarray:
    """``(N, 3)`` float64: the middle of the bounding box at the origin, the furthest point at distance 1."""
    centred = points.astype(np.float64)
    centred -= (centred.min(0) + centred.max(0)) / 2
    return centred / np.linalg.norm(centred, axis=1).max()


def pitch(points: np.ndarray) -> float:
    """Distance of neighbouring samples, 1 / sqrt(points per area), in the units of ``points (N, 3)``.

    The fourth neighbour of a point lies on a disc that holds four: pitch = d4 sqrt(pi / 4), median of 1024 points.
    """
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    probes = points[:: max(1, len(points) // 1024)]
    distances = tree.query(probes, 5)[0]
    fourth = distances[:, 4][distances[:, 4] > 0]
    return float(np.median(fourth)) * math.sqrt(math.pi / 4) if len(fourth) else 0.0


def estimate_normals(points: np.ndarray, pitch: float) -> np.ndarray:
    """``(N, 3)`` float32 unit normals of unknown sign, from the nearest ``NEIGHBOURS`` points.

    Args:
        points: ``(N, 3)`` float64.
        pitch: their sampling pitch.
    """
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    nearest = None
    if len(points) > DENSE and pitch > 0:
        cloud = cloud.voxel_down_sample(pitch * math.sqrt(len(points) / THINNED))
        nearest = cKDTree(np.asarray(cloud.points), balanced_tree=False).query(points)[1]
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(NEIGHBOURS))
    normals = np.asarray(cloud.normals, np.float32)
    return normals if nearest is None else normals[nearest]


def face_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(F, 3)`` normals with the length of twice the face's area."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def corner_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(F, 3, 3)`` float32 unit normals of the corners: smooth over round surfaces, sharp at edges.

    A corner takes the mean over its vertex's faces, weighted by their angle there so that the way a plane was cut into
    triangles does not show, unless that bends away from its own face.
    """
    flat = _unit(face_normals(points, faces))
    corners = points[faces]  # (F, 3, 3)
    ahead, behind = _unit(np.roll(corners, -1, 1) - corners), _unit(np.roll(corners, 1, 1) - corners)
    angle = np.arccos(np.clip((ahead * behind).sum(-1), -1, 1))  # (F, 3)
    sums = [np.bincount(faces.ravel(), (angle * flat[:, None, axis]).ravel(), len(points)) for axis in range(3)]
    mean = _unit(np.stack(sums, 1))[faces]
    bends = (mean * flat[:, None]).sum(-1, keepdims=True) < CREASE_COS
    return np.where(bends, flat[:, None], mean).astype(np.float32)


def stand_in(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For every point the nearest that some view shows: itself where it is shown.

    Args:
        points: ``(N, 3)``.
        owner: any shape, integers: the point a pixel shows, -1 for none.

    Returns:
        ``(N,)`` int64.
    """
    shown = np.zeros(len(points), bool)
    shown[owner[owner >= 0]] = True
    nearest = np.arange(len(points))
    if shown.any() and not shown.all():
        ids = np.flatnonzero(shown)
        nearest[~shown] = ids[cKDTree(points[ids], balanced_tree=False).query(points[~shown])[1]]
    return nearest


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Of length one along the last axis; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
