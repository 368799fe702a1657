"""Points in; their place in the unit sphere, sampling, normals of faces and nearest shown neighbours out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from framework.errors import UserError

GRID_SPREAD, GRID_COVER = 1.3, 1.1
RANDOM_SPREAD, RANDOM_COVER = 2.0, 1.7  # more hides cracks, less shows the rear through the gaps
CREASE_COS = math.cos(math.radians(20))  # a corner whose mean normal bends further from its face is shaded flat


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a cloud was measured.

    Attributes:
        pitch: distance of neighbouring samples, 1 / sqrt(points per area).
        spread: how much further than usual the loneliest points are from their nearest neighbour: the 95 % quantile of
            that distance over its median; 1.1 on a scanner's grid, 2.2 where places were drawn at random.
    """

    pitch: float
    spread: float

    @property
    def cover(self) -> float:
        """Closing radius in pitches: gaps of a grid are small, and closing further would fill cracks."""
        share = (self.spread - GRID_SPREAD) / (RANDOM_SPREAD - GRID_SPREAD)
        return GRID_COVER + (RANDOM_COVER - GRID_COVER) * min(max(share, 0.0), 1.0)


def to_unit_sphere(points: np.ndarray) -> np.ndarray:
    """``(N, 3)`` float64: the middle of the bounding box at the origin, the furthest point at distance 1.

    Raises:
        UserError: all points lie in one place.
    """
    centred = points.astype(np.float64)
    centred -= (centred.min(0) + centred.max(0)) / 2
    reach = np.linalg.norm(centred, axis=1).max()
    if not reach > 0:
        raise UserError(f"all {len(points)} points lie in one place; there is nothing to draw.")
    return centred / reach


def pitch(points: np.ndarray) -> float:
    """Distance of neighbouring samples in the units of ``points (N, 3)``."""
    return sampling(points).pitch


def sampling(points: np.ndarray) -> Sampling:
    """How ``points (N, 3)`` were measured, by 1024 of them. Pitch 0 where they lie in one place.

    The fourth neighbour of a point lies on a disc that holds four: pitch = d4 sqrt(pi / 4), median.
    """
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    probes = points[:: max(1, len(points) // 1024)]
    rank = min(4, len(points) - 1)
    distances = tree.query(probes, rank + 1)[0].reshape(len(probes), -1)
    nearest, fourth = (distances[:, k][distances[:, k] > 0] for k in (min(1, rank), rank))
    if not len(fourth):
        return Sampling(0.0, 1.0)
    step = float(np.median(fourth)) * math.sqrt(math.pi / rank)
    spread = float(np.quantile(nearest, 0.95) / np.median(nearest)) if len(nearest) else 1.0
    return Sampling(step, spread)


def face_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(F, 3)`` normals with the length of twice the face's area."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(N, 3)`` float32 unit normals of the vertices, zero for one without faces.

    The mean over the faces of a vertex, weighted by their angle there, so that the way a plane was cut into triangles
    does not show.
    """
    flat = unit(face_normals(points, faces))
    corners = points[faces]  # (F, 3, 3)
    ahead, behind = unit(np.roll(corners, -1, 1) - corners), unit(np.roll(corners, 1, 1) - corners)
    angle = np.arccos(np.clip((ahead * behind).sum(-1), -1, 1))  # (F, 3)
    sums = [np.bincount(faces.ravel(), (angle * flat[:, None, axis]).ravel(), len(points)) for axis in range(3)]
    return unit(np.stack(sums, 1)).astype(np.float32)


def corner_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """``(F, 3, 3)`` float32 unit normals of the corners: smooth over round surfaces, sharp at edges.

    A corner takes the normal of its vertex unless that bends away from its own face.
    """
    flat = unit(face_normals(points, faces))
    mean = vertex_normals(points, faces)[faces]
    bends = (mean * flat[:, None]).sum(-1, keepdims=True) < CREASE_COS
    return np.where(bends, flat[:, None], mean).astype(np.float32)


def stand_in(points: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """For every point the nearest that some view shows: itself where it is shown.

    Args:
        points: ``(N, 3)``.
        shown: ``(N,)`` bool.

    Returns:
        ``(N,)`` int64.
    """
    nearest = np.arange(len(points))
    if shown.any() and not shown.all():
        ids = np.flatnonzero(shown)
        nearest[~shown] = ids[cKDTree(points[ids]).query(points[~shown])[1]]
    return nearest


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length one along the last axis; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
