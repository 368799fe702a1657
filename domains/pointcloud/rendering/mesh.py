"""A mesh in the unit sphere in; views, the vertex that every pixel shows, and where every vertex is visible, out.

Exact, by ray casting on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.geometry import corner_normals, vertex_normals
from domains.pointcloud.library import open3d
from domains.pointcloud.rendering.cameras import focal_px
from domains.pointcloud.rendering.drawing import Drawn, joined
from domains.pointcloud.rendering.shading import paint
from domains.pointcloud.rendering.sliding import highest
from domains.pointcloud.rendering.styles import Picture

RAYS = 2  # per side of a pixel; the picture is their mean, the owner is the vertex nearest to one of them
SMOOTH = 0.02  # range of depths around a pixel within which its surface is one
BESIDE = 0.1  # how far behind all of them a vertex cannot be visible any more
FAR = 1e6  # depth of the background
SKIN = 1e-4  # how near a vertex its own faces may lie


@torch.no_grad()
def draw(
    points: np.ndarray,
    faces: np.ndarray,
    cameras: np.ndarray,
    size: int,
    pictures: tuple[Picture, ...] = (("shaded",),),
    normals: np.ndarray | None = None,
    colours: np.ndarray | None = None,
) -> Drawn:
    """Draw a mesh from every camera; arguments as ``drawing.draw`` takes them.

    A pixel belongs to the vertex, of the triangle it shows, that is nearest to the place it shows.
    """
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(points.astype(np.float32)), o3d.core.Tensor(faces.astype(np.uint32)))
    corners = corner_normals(points, faces) if normals is None else normals[faces]
    normals = vertex_normals(points, faces) if normals is None else normals
    side = size * RAYS
    lens = np.array([[focal_px(side), 0, side / 2], [0, focal_px(side), side / 2], [0, 0, 1]])
    views = np.empty((len(cameras), len(pictures), 3, size, size), np.uint8)
    owner = np.empty((len(cameras), size, size), np.int32)
    place, facing = np.empty((len(cameras), len(points)), np.int32), np.empty((len(cameras), len(points)), np.float16)
    for i, pose in enumerate(cameras):
        rays = scene.create_rays_pinhole(o3d.core.Tensor(lens), o3d.core.Tensor(pose), side, side)
        hits = {name: value.numpy() for name, value in scene.cast_rays(rays).items()}
        depth = hits["t_hit"]  # the rays' third component is 1, so this is the depth along the axis
        hit = np.isfinite(depth)
        face, weights = hits["primitive_ids"][hit].astype(np.int64), _weights(hits["primitive_uvs"][hit])
        turned = _mixed(weights, corners, face) @ pose[:3, :3].T.astype(np.float32)
        tint = None if colours is None else torch.from_numpy(_mixed(weights, colours[faces] / np.float32(255), face))
        views[i] = _pictures(torch.from_numpy(turned), torch.from_numpy(depth), torch.from_numpy(hit), tint, pictures)
        owner[i] = _owner(hit, faces[face, weights.argmax(1)], size)
        place[i], facing[i] = _visible(scene, points, normals, pose, depth, size)
    return joined(views, owner, place, facing)


def _visible(
    scene: Any, points: np.ndarray, normals: np.ndarray, pose: np.ndarray, depth: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where vertices are visible ``(N,)`` int32, -1 where hidden, and how much they face the camera ``(N,)`` float16.

    The depths around a vertex decide where they are those of one surface, else a ray from the vertex to the camera:
    beside an edge, and where a wall is thin.

    Args:
        scene: of the mesh.
        points: ``(N, 3)``.
        normals: ``(N, 3)``.
        pose: ``(4, 4)``, world to camera.
        depth: ``(S * RAYS, S * RAYS)`` float32, infinite for background.
        size: S.
    """
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    spot = seen[:, :2] / seen[:, 2:] * focal_px(size) + size / 2
    column, row = spot.T.astype(np.int32)
    fine = (spot[:, 1] * RAYS).astype(np.int64), (spot[:, 0] * RAYS).astype(np.int64)
    image = torch.from_numpy(np.minimum(depth, FAR))
    furthest = highest(image, 1, FAR).numpy()[fine]
    nearest = -highest(-image, 1, -FAR).numpy()[fine]
    z = seen[:, 2]
    span = furthest - nearest
    shown = (span < SMOOTH) & (z <= furthest + span / 2 + SKIN)
    doubtful = np.flatnonzero(~shown & (z <= furthest + BESIDE))
    toward = -pose[:3, :3].T @ pose[:3, 3] - points
    distance = np.linalg.norm(toward, axis=1, keepdims=True)
    toward /= distance
    if len(doubtful):
        rays = np.concatenate([points[doubtful], toward[doubtful]], 1).astype(np.float32)
        shown[doubtful] = ~scene.test_occlusions(open3d().core.Tensor(rays), tnear=SKIN).numpy()
    facing = np.abs((toward * normals).sum(1)).clip(0, 1)
    return np.where(shown, row * size + column, -1), facing.astype(np.float16)


def _weights(uv: np.ndarray) -> np.ndarray:
    """``(R, 3)`` barycentric weights of the corners of the triangles that R rays meet."""
    return np.stack([1 - uv[:, 0] - uv[:, 1], uv[:, 0], uv[:, 1]], 1)


def _mixed(weights: np.ndarray, corners: np.ndarray, face: np.ndarray) -> np.ndarray:
    """``(R, 3)`` float32: what the corners ``(F, 3, 3)`` of the triangles carry, at the places that R rays meet."""
    return np.einsum("rk,rkc->rc", weights, corners[face])


def _owner(hit: np.ndarray, vertex: np.ndarray, size: int) -> np.ndarray:
    """``(S, S)`` int32: of the rays of a pixel the first that hits names the vertex, if half of them hit.

    Args:
        hit: ``(S * RAYS, S * RAYS)`` bool.
        vertex: ``(R,)`` of the rays that hit.
        size: S.
    """
    nearest = np.full(hit.shape, -1, np.int32)
    nearest[hit] = vertex
    rays = nearest.reshape(size, RAYS, size, RAYS).transpose(0, 2, 1, 3).reshape(size, size, RAYS * RAYS)
    first = np.take_along_axis(rays, (rays >= 0).argmax(-1)[..., None], -1)[..., 0]
    return np.where((rays >= 0).sum(-1) * 2 >= RAYS * RAYS, first, -1).astype(np.int32)


def _pictures(
    normals: Tensor, depth: Tensor, hit: Tensor, tint: Tensor | None, pictures: tuple[Picture, ...]
) -> np.ndarray:
    """``(K, 3, S, S)`` uint8: painted rays averaged over each pixel, white where they hit nothing."""
    facing = F.normalize(normals, dim=1).T * torch.where(normals[:, 2] > 0, -1.0, 1.0)  # (3, R); both sides look alike
    images = torch.ones(len(pictures), 3, *hit.shape)
    for image, picture in zip(images, pictures, strict=True):
        colour = paint(picture, facing[:, None], depth[hit][None], None if tint is None else tint.T[:, None])[:, 0]
        image[:, hit] = colour.expand(3, -1)
    return (F.avg_pool2d(images, RAYS) * 255 + 0.5).byte().numpy()
