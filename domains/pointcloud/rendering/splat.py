"""A cloud in the unit sphere in; views, the point that every pixel shows, and where every point is visible, out.

The picture is made at 1.6 pixels per sampling pitch at most and then enlarged, so that no splat size is set by hand
and cost is bounded. Walls closer together than two pitches plus two pixels are not told apart.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from domains.pointcloud.geometry import Sampling
from domains.pointcloud.rendering import walls
from domains.pointcloud.rendering.cameras import DISTANCE, focal_px
from domains.pointcloud.rendering.drawing import Drawn, joined
from domains.pointcloud.rendering.enlarging import enlarge, outlined, repeated
from domains.pointcloud.rendering.projection import FAR, Cloud, Raster, project, turned, visible
from domains.pointcloud.rendering.shading import paint
from domains.pointcloud.rendering.smoothing import smooth
from domains.pointcloud.rendering.styles import Picture
from domains.pointcloud.rendering.surface import Surface, front, owners

PX_PER_PITCH = 1.6
SMALLEST = 32  # pixels a side
CPU = torch.device("cpu")


@torch.no_grad()
def draw(
    points: np.ndarray,
    normals: np.ndarray,
    sampling: Sampling,
    cameras: np.ndarray,
    size: int,
    pictures: tuple[Picture, ...] = (("shaded",),),
    colours: np.ndarray | None = None,
    device: torch.device = CPU,
) -> Drawn:
    """Draw a cloud from every camera; arguments as ``drawing.draw`` takes them, normals needed.

    A pixel between the samples belongs to the nearest measured pixel of the same surface.
    """
    raster = Raster(side(size, sampling.pitch), size, sampling.pitch, sampling.cover)
    told = walls.warning(points, normals, sampling, raster.tolerance)
    cloud = Cloud.of(points, normals, device)
    tint = None if colours is None else torch.from_numpy(colours).to(device)
    views = np.empty((len(cameras), len(pictures), 3, size, size), np.uint8)
    owner = np.empty((len(cameras), size, size), np.int32)
    place, facing = np.empty((len(cameras), len(points)), np.int32), np.empty((len(cameras), len(points)), np.float16)
    for i, pose in enumerate(torch.from_numpy(cameras.astype(np.float32)).to(device)):
        views[i], owner[i], place[i], facing[i] = (image.cpu() for image in _view(cloud, pose, raster, pictures, tint))
    return joined(views, owner, place, facing, told)


def _view(
    cloud: Cloud, pose: Tensor, raster: Raster, pictures: tuple[Picture, ...], tint: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of one camera pictures, owners, places and cosines as ``Drawn`` has them."""
    seen = project(cloud, pose, raster)
    surface = front(seen, raster)
    drawn, shows = _picture(surface, cloud.normals, pose, raster, pictures, tint)
    return drawn, shows, *visible(cloud, pose, seen, surface.whole(surface.depth, raster.side, FAR), raster)


def _picture(
    surface: Surface, normals: Tensor, pose: Tensor, raster: Raster, pictures: tuple[Picture, ...], tint: Tensor | None
) -> tuple[Tensor, Tensor]:
    """``(K, 3, S, S)`` uint8 and the owners ``(S, S)`` int32 of a view, from normals ``(3, N)`` and tint ``(N, 3)``."""
    shows = owners(surface, raster)
    seen = turned(pose[:3, :3], normals.index_select(1, shows.flatten().clamp_min(0)))
    facing, depth = smooth(surface, seen.view(3, *shows.shape), raster)
    colour = None if tint is None else tint[shows.clamp_min(0)].permute(2, 0, 1) / 255
    drawn = torch.empty((len(pictures), 3, raster.size, raster.size), dtype=torch.uint8, device=normals.device)
    for k, picture in enumerate(pictures):
        layers = outlined(paint(picture, facing, depth, colour), surface.mask)
        layers, mask = enlarge(surface.whole(layers, raster.side, 0), raster.size)
        drawn[k] = layers.mul_(255).add_(0.5).byte()
    shows = repeated(surface.whole(shows.int(), raster.side, -1), raster.size)
    return drawn, torch.where(mask, shows, -1)


def side(size: int, pitch: float) -> int:
    """Pixels a side of the picture before it is enlarged to ``size``: a multiple of 8, or ``size`` itself."""
    pitch_px = pitch * focal_px(size) / DISTANCE
    if pitch_px <= PX_PER_PITCH:
        return size
    return min(size, max(SMALLEST, round(size * PX_PER_PITCH / pitch_px / 8) * 8))
