"""Points and a camera in; the pixel and depth of every point, the nearest point of every pixel, who is visible, out.

On a CPU points go through in parts that stay in its cache, which is faster and needs little memory beside the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from domains.pointcloud.rendering.cameras import DISTANCE, focal_px

PART = 1 << 16
EMPTY = 0x7F000000 << 32  # the bits of a depth that no point has, and no point; a double holds it exactly
FAR = 1e9  # depth of the background
STEEPEST_COS = 0.12  # surfaces seen at a smaller angle get no more tolerance


@dataclass(frozen=True, slots=True)
class Raster:
    """Sizes shared by the views of one cloud.

    Attributes:
        side: of the picture that is made, pixels.
        size: of the view that it is enlarged to, pixels.
        pitch: distance of neighbouring samples, world units.
        cover: closing radius in pitches.
    """

    side: int
    size: int
    pitch: float
    cover: float

    @property
    def pixel(self) -> float:
        """Size of a pixel at the origin, world units."""
        return DISTANCE / focal_px(self.side)

    @property
    def radius(self) -> int:
        """Closing radius, pixels."""
        return int(self.cover * self.pitch / self.pixel + 0.5)

    @property
    def tolerance(self) -> float:
        """How far behind the closed front surface a point still belongs to it, world units."""
        return 2 * self.pitch + 2 * self.pixel


@dataclass(frozen=True, slots=True)
class Cloud:
    """What is the same in every view.

    Attributes:
        points, normals: ``(3, N)`` float32.
    """

    points: Tensor
    normals: Tensor

    @classmethod
    def of(cls, points: np.ndarray, normals: np.ndarray, device: torch.device) -> Cloud:
        """From ``(N, 3)`` arrays."""
        place, facing = (torch.from_numpy(a.T.astype(np.float32, order="C")).to(device) for a in (points, normals))
        return cls(place, facing)

    @property
    def parts(self) -> Iterator[slice]:
        """Of the points, one after the other."""
        count = self.points.shape[1]
        part = PART if self.points.device.type == "cpu" else count
        return (slice(start, min(start + part, count)) for start in range(0, count, part))


@dataclass(frozen=True, slots=True)
class Projection:
    """Where a camera sees the points, hidden ones too.

    Attributes:
        depth: ``(N,)`` float32.
        pixel: ``(N,)`` int32, row * side + column in the picture.
        place: ``(N,)`` int32, row * size + column in the view.
        nearest: ``(side, side)`` int64, of the nearest point of a pixel the bits of its depth, then its number;
            ``EMPTY`` where there is none.
    """

    depth: Tensor
    pixel: Tensor
    place: Tensor
    nearest: Tensor


def project(cloud: Cloud, pose: Tensor, raster: Raster) -> Projection:
    """Every point into the picture of a camera, ``pose (4, 4)`` float32, world to camera.

    Positive floats are ordered as their bits are, so one ``amin`` over keys of depth and number gives the nearest depth
    and its point, and the same on every run.
    """
    count, side, size, device = cloud.points.shape[1], raster.side, raster.size, cloud.points.device
    depth = torch.empty(count, device=device)
    pixel = torch.empty(count, dtype=torch.int32, device=device)
    place = pixel if side == size else torch.empty_like(pixel)
    nearest = torch.full((side * side,), EMPTY, device=device)
    for part in cloud.parts:
        seen = turned(pose[:3, :3], cloud.points[:, part]).add_(pose[:3, 3:])  # (3, n)
        scale = focal_px(side) / seen[2]
        column, row = (torch.addcmul(scale.new_tensor(side / 2), seen[axis], scale) for axis in (0, 1))
        torch.add(column.int(), row.int(), alpha=side, out=pixel[part])
        if side != size:
            torch.add((column * (size / side)).int(), (row * (size / side)).int(), alpha=size, out=place[part])
        depth[part] = seen[2]
        key = (seen[2].view(torch.int32).long() << 32) | torch.arange(part.start, part.stop, device=device)
        nearest.scatter_reduce_(0, pixel[part].long(), key, "amin")
    return Projection(depth, pixel, place, nearest.view(side, side))


def visible(cloud: Cloud, pose: Tensor, seen: Projection, front: Tensor, raster: Raster) -> tuple[Tensor, Tensor]:
    """Which points lie on the front surface, up to a tolerance that grows where the surface is seen at an angle.

    Args:
        cloud: N points.
        pose: ``(4, 4)`` float32, world to camera.
        seen: of ``project``.
        front: ``(side, side)`` float32, depth of the front surface, ``FAR`` where there is none.
        raster: sizes.

    Returns:
        ``(N,)`` int32, the pixel of the view, -1 for hidden points, and ``(N,)`` float16, the cosine between normal and
        direction to the camera.
    """
    eye = turned(pose[:3, :3].T, -pose[:3, 3:])  # (3, 1)
    limit = front.flatten() + raster.tolerance
    place, facing = torch.empty_like(seen.place), torch.empty_like(seen.depth, dtype=torch.float16)
    for part in cloud.parts:
        away = eye - cloud.points[:, part]  # (3, n)
        cos = (cloud.normals[:, part] * away).sum(0).abs_().mul_(away.square_().sum(0).rsqrt_())
        facing[part] = cos.clamp_(max=1)
        slope = cos.clamp_(min=STEEPEST_COS).pow_(-2).sub_(1).sqrt_()
        allowed = limit.index_select(0, seen.pixel[part]).add_(slope, alpha=raster.pixel)
        place[part] = torch.where(seen.depth[part] <= allowed, seen.place[part], -1)
    return place, facing


def turned(matrix: Tensor, rows: Tensor) -> Tensor:
    """``(K, n)``: the product of ``(K, 3)`` and ``(3, n)``, never in the short floats of a GPU's matrix units."""
    return (matrix[:, :1] * rows[0]).addcmul_(matrix[:, 1:2], rows[1]).addcmul_(matrix[:, 2:3], rows[2])
