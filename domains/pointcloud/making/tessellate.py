"""A mesh and a place on it in; the same surface with short edges there out, with no gap and no vertex moved."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from domains.pointcloud.geometry import face_normals
from domains.pointcloud.making.shapes import Mesh

ROUNDS = 24  # each halves the edges; a stop for meshes that never get there


def refine(mesh: Mesh, spots: np.ndarray, reach: float, edge: float) -> Mesh:
    """Halve edges longer than ``edge`` of faces within ``reach`` of a spot until there are none; vertices stay first.

    Args:
        mesh: welded.
        spots: ``(K, 3)`` places.
        reach: from a spot.
        edge: longest that may be left.
    """
    vertices, faces = mesh
    tree = cKDTree(spots)
    for _ in range(ROUNDS):
        corners = vertices[faces]  # (F, 3, 3)
        long = np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=2) > edge  # (F, 3) of edges ab, bc, ca
        middle = corners.mean(1)
        size = np.linalg.norm(corners - middle[:, None], axis=2).max(1)
        todo = np.flatnonzero(long.any(1) & (tree.query(middle)[0] < reach + size))
        near = np.zeros(len(faces), bool)
        for spot in spots:
            close = _distance(corners[todo] - spot) < reach
            near[todo[close]] = True
            todo = todo[~close]
        if not near.any():
            break
        vertices, faces = _split(vertices, faces, long & near[:, None])
    return vertices, faces


def outward(mesh: Mesh) -> np.ndarray:
    """``(N, 3)`` unit normals of the vertices of a mesh that is wound outwards, weighted by area."""
    vertices, faces = mesh
    flat = face_normals(vertices, faces)
    sums = np.stack([np.bincount(faces.ravel(), np.repeat(flat[:, k], 3), len(vertices)) for k in range(3)], 1)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-30)


def icosphere(centre: np.ndarray, radius: float, edge: float) -> Mesh:
    """A ball of triangles with edges of about ``edge``, wound inwards, as the wall of what a ball has cut."""
    golden = (1 + 5**0.5) / 2
    corners = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)]
    vertices = np.array([np.roll(corner, k) for k in range(3) for corner in corners], float)
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    length = np.linalg.norm(vertices[:, None] - vertices, axis=2)
    touch = (length > 0) & (length < 1.1)
    faces = np.array([(a, b, c) for a, b, c in combinations(range(12), 3) if touch[a, b] & touch[b, c] & touch[a, c]])
    for _ in range(max(0, int(np.ceil(np.log2(1.05 * radius / edge))))):
        vertices, faces = _split(vertices, faces, np.ones(faces.shape, bool))
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    out = (face_normals(vertices, faces) * vertices[faces].mean(1)).sum(1) > 0
    return centre + radius * vertices, np.where(out[:, None], faces[:, ::-1], faces)


def _distance(corners: np.ndarray) -> np.ndarray:
    """``(F,)`` of the origin from triangles ``(F, 3, 3)``: from the plane where it is above one, else from an edge."""
    ahead = np.roll(corners, -1, 1)
    side = ahead - corners
    along = -(corners * side).sum(2) / np.maximum((side**2).sum(2), 1e-30)
    edge = np.linalg.norm(corners + along.clip(0, 1)[..., None] * side, axis=2).min(1)
    normal = np.cross(side[:, 0], side[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    turn = np.einsum("fkc,fc->fk", np.cross(corners, ahead), normal)  # of one sign where the origin lies above
    above = (turn >= 0).all(1) | (turn <= 0).all(1)
    return np.where(above, np.abs((corners[:, 0] * normal).sum(1)), edge)


def _split(vertices: np.ndarray, faces: np.ndarray, marked: np.ndarray) -> Mesh:
    """Halve the marked edges ``(F, 3)`` in every face that has them; a face becomes two, three or four."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
    key = ends[:, 0] * len(vertices) + ends[:, 1]
    edges, first, edge = np.unique(key, return_index=True, return_inverse=True)
    cut = np.zeros(len(edges), bool)
    cut[edge.ravel()[marked.ravel()]] = True
    number = np.full(len(edges), -1)
    number[cut] = len(vertices) + np.arange(cut.sum())
    middles = vertices[ends[first[cut]]].mean(1)
    middle = number[edge.ravel()].reshape(-1, 3)  # (F, 3) of edges ab, bc, ca
    count = (middle >= 0).sum(1)
    # turned so that a single halved edge is ab, and the single whole one of three is ca
    lead = np.where(count == 1, (middle >= 0).argmax(1), np.where(count == 2, ((middle < 0).argmax(1) + 1) % 3, 0))
    turn = (lead[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(faces, turn, 1).T
    ab, bc, ca = np.take_along_axis(middle, turn, 1).T
    patterns = {
        0: [(a, b, c)],
        1: [(a, ab, c), (ab, b, c)],
        2: [(ab, b, bc), (a, ab, bc), (a, bc, c)],
        3: [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)],
    }
    parts = [np.stack(corner, 1)[count == n] for n, corners in patterns.items() for corner in corners]
    return np.concatenate([vertices, middles]), np.concatenate(parts)
