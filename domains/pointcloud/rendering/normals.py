"""Points in; the direction of the surface at each of them out.

A plane is fitted to the neighbours of a point. Then every point takes, of its own plane and those of its nearest, the
one that most of its neighbours lie on, and fits it to these: at an edge those of one face, in a thin wall of one side.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

NEIGHBOURS = 24
CANDIDATES = 6  # whose planes a point tries, itself among them
ROUNDS = 2
DENSE = 60_000  # from here on normals come from a thinned cloud: faster, and less noisy
THINNED = 40_000
ON = 0.4  # a neighbour nearer to a plane than this, in pitches, lies on it, the more the nearer
THICK = 0.25  # how far from its plane a neighbour usually lies, in pitches
PART = 1 << 13  # points at a time: their neighbours stay in the cache


def estimate_normals(points: np.ndarray, pitch: float) -> np.ndarray:
    """``(N, 3)`` float32 unit normals of unknown sign.

    Args:
        points: ``(N, 3)`` float64.
        pitch: their sampling pitch.
    """
    if len(points) <= DENSE or pitch <= 0:
        return _fitted(points, pitch)
    step = pitch * math.sqrt(len(points) / THINNED)
    thin, cube = _thinned(points, step)
    return _fitted(thin, step)[cube]


def _thinned(points: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """``(M, 3)`` the mean of the points of every cube of side ``step``, and ``(N,)`` the cube that a point lies in."""
    cell = ((points - points.min(0)) / step).astype(np.int64)
    width = cell.max(0) + 1
    name = (cell[:, 0] * width[1] + cell[:, 1]) * width[2] + cell[:, 2]
    _, cube, count = np.unique(name, return_inverse=True, return_counts=True)
    return np.stack([np.bincount(cube, points[:, axis]) for axis in range(3)], 1) / count[:, None], cube


def _fitted(points: np.ndarray, pitch: float) -> np.ndarray:
    """``(N, 3)`` float32 from the nearest ``NEIGHBOURS`` points."""
    count = min(NEIGHBOURS, len(points))
    neighbours = cKDTree(points, balanced_tree=False, compact_nodes=False).query(points, count)[1].reshape(-1, count)
    place = points.astype(np.float32)
    parts = [slice(start, start + PART) for start in range(0, len(points), PART)]
    normals = np.empty((len(points), 3), np.float32)
    for part in parts:
        away = _away(place, neighbours, part)
        normals[part] = _planes(away, np.ones(away.shape[1:], np.float32)).T
    for _ in range(ROUNDS):
        normals = np.concatenate(
            [_chosen(_away(place, neighbours, p), normals[neighbours[p, :CANDIDATES]], pitch) for p in parts]
        )
    return normals


def _away(place: np.ndarray, neighbours: np.ndarray, part: slice) -> np.ndarray:
    """``(3, n, k)`` from n points to their k neighbours."""
    return np.ascontiguousarray((place[neighbours[part]] - place[part, None]).transpose(2, 0, 1))


def _chosen(away: np.ndarray, candidates: np.ndarray, pitch: float) -> np.ndarray:
    """``(n, 3)``: that of ``candidates (n, c, 3)`` which most points of ``away (3, n, k)`` lie on, fitted to them."""
    height = candidates @ away.transpose(1, 0, 2)  # (n, c, k)
    score = np.square(height * np.float32(1 / (ON * pitch + 1e-12)))
    best = np.minimum(score, 1, out=score).sum(-1).argmin(1)  # (n,)
    height = np.abs(np.take_along_axis(height, best[:, None, None], 1)[:, 0])  # (n, k)
    thick = max(THICK * pitch, 1.5 * float(np.median(height)), 1e-30)  # a noisy surface is thicker
    return _planes(away, np.exp(-0.5 * (height / thick) ** 2)).T.astype(np.float32)


def _planes(away: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``(3, n)`` unit normals of the planes through n sets of k points, ``away (3, n, k)`` with ``weight (n, k)``."""
    total = weight.sum(-1)
    mean = (away * weight).sum(-1) / total  # (3, n)
    x, y, z = away - mean[..., None]
    xx, xy, xz, yy, yz, zz = ((a * b * weight).sum(-1) for a, b in ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z)))
    return _least(*(moment.astype(np.float64) for moment in (xx, xy, xz, yy, yz, zz)))


def _least(
    xx: np.ndarray, xy: np.ndarray, xz: np.ndarray, yy: np.ndarray, yz: np.ndarray, zz: np.ndarray
) -> np.ndarray:
    """``(3, n)`` unit eigenvectors of the least eigenvalue of n symmetric matrices.

    The eigenvalue by Smith's trigonometric formula (Communications of the ACM 4, 1961), the vector as the longest cross
    product of two rows of what is left.
    """
    third = (xx + yy + zz) / 3
    a, b, c = xx - third, yy - third, zz - third
    scale = np.sqrt((a * a + b * b + c * c + 2 * (xy * xy + xz * xz + yz * yz)) / 6) + 1e-100
    half = (a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)) / (2 * scale**3)
    least = 2 * scale * np.cos(np.arccos(half.clip(-1, 1)) / 3 + 2 * np.pi / 3)
    rows = np.array([[a - least, xy, xz], [xy, b - least, yz], [xz, yz, c - least]])
    crosses = np.stack([np.cross(rows[i], rows[j], axis=0) for i, j in ((0, 1), (0, 2), (1, 2))])  # (3 pairs, 3, n)
    length = (crosses**2).sum(1)
    longest = np.take_along_axis(crosses, length.argmax(0)[None, None], 0)[0]
    size = np.sqrt(length.max(0))
    return np.where(size > 0, longest / np.maximum(size, 1e-300), np.array([[0.0], [0], [1]]))
