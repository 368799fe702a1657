"""Points and a camera in; the front surface that the camera sees out: depth, smooth normals, owner of every pixel.

Points have no size, so gaps between them must be closed before anything can be hidden behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.cameras import DISTANCE, focal_px

COVER = 2.0  # closing radius in pitches
SPECK = 0.7  # share of near pixels around a far one that makes it a speck of the surface behind
NEAR, SPAN = DISTANCE - 1.05, 2.1  # depths of the unit sphere
DEPTH_BITS = 30
EMPTY = 1 << 62  # 2 ** 63 - 1 does not survive the way through a double
FAR = 1e9  # depth of the background


@dataclass(frozen=True, slots=True)
class Raster:
    """Sizes shared by the views of one cloud.

    Attributes:
        side: of the picture, pixels.
        pitch: distance of neighbouring samples, world units.
    """

    side: int
    pitch: float

    @property
    def pixel(self) -> float:
        """Size of a pixel at the origin, world units."""
        return DISTANCE / focal_px(self.side)

    @property
    def radius(self) -> int:
        """Closing radius, pixels."""
        return int(COVER * self.pitch / self.pixel + 0.5)

    @property
    def tolerance(self) -> float:
        """How far behind the closed front surface a point still belongs to it, world units."""
        return 2 * self.pitch + 2 * self.pixel


@dataclass(frozen=True, slots=True)
class Surface:
    """What a camera sees in a window of the picture.

    Attributes:
        top, left: first row and column of the window.
        depth: ``(h, w)`` float32, ``FAR`` where nothing is seen.
        point: ``(h, w)`` int64, the point that a pixel measures; -1 in gaps and where nothing is seen.
    """

    top: int
    left: int
    depth: Tensor
    point: Tensor

    @property
    def mask(self) -> Tensor:
        """``(h, w)`` bool, the pixels of the object."""
        return self.depth < FAR / 2


def front(points: Tensor, pose: Tensor, raster: Raster) -> Surface:
    """The surface nearest to a camera.

    Args:
        points: ``(N, 3)`` float32 in the unit sphere.
        pose: ``(4, 4)`` float32, world to camera.
        raster: sizes.
    """
    top, left, depth, point = _zbuffer(torch.addmm(pose[:3, 3], points, pose[:3, :3].T), raster)
    radius, tolerance = raster.radius, raster.tolerance
    if radius == 0:
        return Surface(top, left, depth, point)
    closed = _close(depth, radius)
    measured = (depth <= closed + tolerance) & (closed < FAR / 2)
    depth = torch.where(measured, depth, closed)
    closed = _close(depth, radius + 2)  # specks of a rear surface, left by gaps wider than the radius
    near = (depth <= closed + tolerance).float()
    speck = (depth > closed + tolerance) & (closed < FAR / 2) & (_mean(near, radius + 1) > SPECK)
    depth = torch.where(speck, closed, depth)
    return Surface(top, left, depth, torch.where(measured & ~speck, point, -1))


def smooth(surface: Surface, normals: Tensor, raster: Raster) -> tuple[Tensor, Tensor]:
    """Fill gaps and calm noise: two a-trous steps of a 3 x 3 tent over pixels of similar depth.

    Args:
        surface: ``(h, w)``.
        normals: ``(N, 3)`` in camera axes, of either sign.
        raster: sizes.

    Returns:
        ``(3, h, w)`` unit normals that face the camera, and ``(h, w)`` depth.
    """
    facing = normals[surface.point.clamp_min(0)].permute(2, 0, 1)  # (3, h, w)
    facing = facing * torch.where(facing[2:] > 0, -1.0, 1.0)
    if raster.radius == 0:
        return facing, surface.depth
    gate = 3 * raster.pitch + 3 * raster.pixel
    weight = (surface.point >= 0).float()[None]
    layers, depth = torch.cat([facing * weight, surface.depth * weight, weight]), surface.depth  # (5, h, w)
    for step in (1, 2) if raster.radius > 1 else (1,):
        sums = _atrous(layers, depth, step, gate * step)
        layers = torch.cat([sums[:4] / sums[4:].clamp_min(1e-6), (sums[4:] > 0).float()])
        depth = torch.where((sums[4] > 0) & surface.mask, layers[3], depth)
    unit = F.normalize(layers[:3], dim=0, eps=1e-6)
    unit[2] -= (unit == 0).all(0).float()  # a gap with no normal near it faces the camera
    return unit, depth


def owners(surface: Surface, raster: Raster) -> Tensor:
    """The point of the nearest measured pixel, first of the same surface, for every pixel of the object and one beyond.

    Returns:
        ``(h, w)`` int64, -1 elsewhere.
    """
    reach = raster.radius + 1
    point = F.pad(surface.point, (reach,) * 4, value=-1)
    depth = F.pad(surface.depth, (reach,) * 4, value=FAR).flatten()
    todo = torch.nonzero((F.pad(surface.mask, (reach,) * 4) & (point < 0)).flatten())[:, 0]
    width, measured, filled = point.shape[1], point.flatten(), point.flatten().clone()
    for limit in (3 * raster.pitch + 3 * raster.pixel, float("inf")):
        for dy, dx in _disc(reach):
            if not len(todo):
                break
            other = todo + (dy * width + dx)
            found = (measured[other] >= 0) & ((depth[other] - depth[todo]).abs() < limit)
            filled[todo[found]] = measured[other[found]]
            todo = todo[~found]
    inside = filled.view(-1, width)[reach:-reach, reach:-reach]
    beyond = F.max_pool2d(inside[None].double(), 3, 1, 1)[0].long()  # a double holds every index
    return torch.where(surface.mask, inside, beyond)


def _zbuffer(seen: Tensor, raster: Raster) -> tuple[int, int, Tensor, Tensor]:
    """Nearest depth and its point for each pixel of the smallest window that holds ``seen (N, 3)``, camera axes.

    One ``amin`` over keys of 30 bits of depth and 32 of index gives both, and the same on every run.
    """
    scale = focal_px(raster.side) / seen[:, 2]
    column, row = ((seen[:, axis] * scale + raster.side / 2).long() for axis in (0, 1))
    left, top = max(int(column.min()) - 2, 0), max(int(row.min()) - 2, 0)
    width = min(int(column.max()) + 3, raster.side) - left
    height = min(int(row.max()) + 3, raster.side) - top
    key = ((seen[:, 2] - NEAR) * (2**DEPTH_BITS / SPAN)).long() << 32 | torch.arange(len(seen))
    keys = torch.full((height * width,), EMPTY).scatter_reduce_(0, (row - top) * width + column - left, key, "amin")
    depth = torch.where(keys < EMPTY, (keys >> 32).float() * (SPAN / 2**DEPTH_BITS) + NEAR, FAR)
    point = torch.where(keys < EMPTY, keys & 0xFFFFFFFF, -1)
    return top, left, depth.view(height, width), point.view(height, width)


def _close(depth: Tensor, radius: int) -> Tensor:
    """Grey-scale closing by a square: gaps up to 2 radius wide get the depth of the surface around them."""
    padded = F.pad(depth[None], (radius,) * 4, value=FAR)  # without it objects at the border grow wings
    opened = _max(_max(-padded, radius).neg_(), radius)
    return opened[0, radius:-radius, radius:-radius]


def _max(image: Tensor, radius: int) -> Tensor:
    """Maximum over a square window, ``(1, h, w)``."""
    rows = F.max_pool2d(image, (1, 2 * radius + 1), 1, (0, radius))
    return F.max_pool2d(rows, (2 * radius + 1, 1), 1, (radius, 0))


def _mean(image: Tensor, radius: int) -> Tensor:
    """Mean over a square window, ``(h, w)``."""
    rows = F.avg_pool2d(image[None], (1, 2 * radius + 1), 1, (0, radius))
    return F.avg_pool2d(rows, (2 * radius + 1, 1), 1, (radius, 0))[0]


def _atrous(layers: Tensor, depth: Tensor, step: int, gate: float) -> Tensor:
    """Weighted sums of ``layers (K, h, w)`` over the 3 x 3 pixels ``step`` apart whose depth is within ``gate``."""
    height, width = depth.shape
    spread = F.pad(layers, (step,) * 4)
    around = F.pad(depth, (step,) * 4, value=2 * FAR)
    sums = torch.zeros_like(layers)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, columns = (
                slice(step + dy * step, step + dy * step + height),
                slice(step + dx * step, step + dx * step + width),
            )
            near = (around[rows, columns] - depth).abs_().lt_(gate).mul_((1.0, 0.75, 0.5)[abs(dy) + abs(dx)])
            sums.addcmul_(spread[:, rows, columns], near)
    return sums


def _disc(radius: int) -> list[tuple[int, int]]:
    """Row and column steps within ``radius``, nearest first."""
    span = range(-radius, radius + 1)
    steps = [(dy, dx) for dy in span for dx in span if 0 < dy * dy + dx * dx <= radius * radius]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))
