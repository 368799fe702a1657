"""A triangle mesh in the unit sphere in; views, and the vertex that every pixel shows, out: exact, by ray casting."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.cameras import focal_px
from domains.pointcloud.geometry import corner_normals
from domains.pointcloud.library import open3d
from domains.pointcloud.shading import STYLES

RAYS = 2  # per side of a pixel; the picture is their mean, the owner is the vertex nearest to one of them


@torch.no_grad()
def cast(
    points: np.ndarray, faces: np.ndarray, cameras: np.ndarray, size: int, style: str = "shaded"
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a mesh from every camera.

    Args:
        points: ``(E, 3)`` in the unit sphere.
        faces: ``(F, 3)`` int64.
        cameras: ``(V, 4, 4)`` float64, world to camera.
        size: side of a view, S pixels.
        style: a name of ``shading.STYLES``.

    Returns:
        views ``(V, 3, S, S)`` uint8 on white, and owner ``(V, S, S)`` int32: of the triangle a pixel shows, the vertex
        nearest to the place it shows; -1 for background.
    """
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    place = points.astype(np.float32)
    scene.add_triangles(o3d.core.Tensor(place), o3d.core.Tensor(faces.astype(np.uint32)))
    normals = corner_normals(points, faces)
    side = size * RAYS
    lens = np.array([[focal_px(side), 0, side / 2], [0, focal_px(side), side / 2], [0, 0, 1]])
    views = np.empty((len(cameras), 3, size, size), np.uint8)
    owner = np.empty((len(cameras), size, size), np.int32)
    for i, pose in enumerate(cameras):
        rays = scene.create_rays_pinhole(o3d.core.Tensor(lens), o3d.core.Tensor(pose), side, side)
        hits = {name: value.numpy() for name, value in scene.cast_rays(rays).items()}
        hit = np.isfinite(hits["t_hit"])  # the rays' third component is 1, so this is the depth along the axis
        face, weights = hits["primitive_ids"][hit].astype(np.int64), _weights(hits["primitive_uvs"][hit])
        facing = np.einsum("rk,rkc->rc", weights, normals[face]) @ pose[:3, :3].T.astype(np.float32)
        views[i] = _picture(torch.from_numpy(facing), torch.from_numpy(hits["t_hit"]), torch.from_numpy(hit), style)
        owner[i] = _owner(hit, faces[face, weights.argmax(1)], size)
    return views, owner


def _weights(uv: np.ndarray) -> np.ndarray:
    """``(R, 3)`` barycentric weights of the corners of the triangles that R rays meet."""
    return np.stack([1 - uv[:, 0] - uv[:, 1], uv[:, 0], uv[:, 1]], 1)


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


def _picture(normals: Tensor, depth: Tensor, hit: Tensor, style: str) -> np.ndarray:
    """``(3, S, S)`` uint8: shaded rays averaged over each pixel, white where they hit nothing."""
    facing = F.normalize(normals.T, dim=0) * torch.where(normals[:, 2] > 0, -1.0, 1.0)  # (3, R); both sides look alike
    colour = STYLES[style](facing[:, None], depth[hit][None])[:, 0]
    image = torch.ones(3, *hit.shape)
    image[:, hit] = colour.expand(3, -1)
    return (F.avg_pool2d(image[None], RAYS)[0] * 255 + 0.5).byte().numpy()
