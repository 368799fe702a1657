"""A body that is a mesh, a kind of defect and a seed in; the spoiled mesh with a label per vertex, or its twin, out."""

from __future__ import annotations

import numpy as np

from domains.pointcloud.library import open3d
from domains.pointcloud.making import tessellate
from domains.pointcloud.making.body import Body, inside
from domains.pointcloud.making.making import SCAN, SPOIL, Wish, place, settled, thinned
from domains.pointcloud.making.shapes import Mesh
from domains.pointcloud.making.spoiling import Ball

EDGE_PITCH = 0.7  # no edge need be shorter where the defect lies


def mesh(body: Body, wish: Wish, count: int, spoiled: bool) -> tuple[Mesh, np.ndarray]:
    """A mesh in the units of the file, and ``(N,)`` bool, its spoiled vertices.

    Twins have the same vertices and faces, halved where the defect lies, but for what it moves, takes away or adds.

    Args:
        body: of a mesh.
        wish: what is made.
        count: points of a scan of it, whose pitch is meant by an amplitude in pitches.
        spoiled: False for the healthy twin.

    Raises:
        NoPlaceError: the defect finds no place on this body.
    """
    assert body.mesh is not None
    drawn = thinned(body.skin, min(count, len(body.skin)), wish.stream(SCAN))
    defect, _ = place(body, wish, drawn, drawn.pitch, wish.stream(SPOIL))
    edge = max(EDGE_PITCH * drawn.pitch, defect.detail)
    spots = (defect.centre[None], defect.reach) if defect.spots is None else (defect.spots, defect.near)
    vertices, faces = tessellate.refine(body.mesh, *spots, edge)
    labels = np.zeros(len(vertices), bool)
    if spoiled:
        normals = tessellate.outward((vertices, faces))
        if defect.ball is not None:
            kept = defect.apply(vertices, normals)[1]
            vertices, faces, normals = _cut(vertices, faces, normals, kept, defect.ball)
        vertices, labels = settled(vertices, defect.apply(vertices, normals)[0], drawn.pitch)
        if defect.ball is not None and defect.ball.exposes:
            vertices, faces, labels = _walled(vertices, faces, labels, body, defect.ball, edge)
    return (vertices * body.radius + body.centre, faces), labels


def _cut(
    vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, kept: np.ndarray, ball: Ball
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without the faces in the ball; what is left of faces that cross its surface ends there."""
    faces = faces[kept[faces].any(1)]
    edge = np.zeros(len(vertices), bool)
    edge[faces] = True
    edge &= ~kept
    offset = vertices[edge] - ball.centre
    vertices = vertices.copy()
    vertices[edge] = ball.centre + ball.radius * offset / np.linalg.norm(offset, axis=1, keepdims=True)
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3), normals[used]


def _walled(
    vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray, body: Body, ball: Ball, edge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """With the part of the ball's surface that lies within the body; its border lies on the body's surface."""
    assert body.mesh is not None
    wall, cap = tessellate.icosphere(ball.centre, ball.radius, edge)
    within = inside(body.scene, wall)
    cap = cap[within[cap].any(1)]
    used, cap = np.unique(cap, return_inverse=True)
    wall, within = wall[used], within[used]
    if (~within).any():
        tensor = open3d().core.Tensor(wall[~within].astype(np.float32))
        wall[~within] = body.scene.compute_closest_points(tensor)["points"].numpy()
    return (
        np.concatenate([vertices, wall]),
        np.concatenate([faces, cap.reshape(-1, 3) + len(vertices)]),
        np.concatenate([labels, np.ones(len(wall), bool)]),
    )
