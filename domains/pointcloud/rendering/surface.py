"""The nearest point of every pixel in; the front surface that a camera sees out: its depth, and who measures it.

Points have no size, so gaps between them must be closed before anything can be hidden behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.rendering.projection import EMPTY, FAR, Projection, Raster
from domains.pointcloud.rendering.sliding import close, highest, mean

SPECK = 0.7  # share of near pixels around a far one that makes it a speck of the surface behind


@dataclass(frozen=True, slots=True)
class Surface:
    """What a camera sees in a window of the picture.

    Attributes:
        rows, columns: of the window.
        depth: ``(h, w)`` float32, ``FAR`` where nothing is seen.
        point: ``(h, w)`` int64, the point that a pixel measures; -1 in gaps and where nothing is seen.
    """

    rows: slice
    columns: slice
    depth: Tensor
    point: Tensor

    @property
    def mask(self) -> Tensor:
        """``(h, w)`` bool, the pixels of the object."""
        return self.depth < FAR / 2

    def whole(self, image: Tensor, side: int, empty: float) -> Tensor:
        """``(..., side, side)``: an image of the window in its place, ``empty`` around it."""
        picture = torch.full((*image.shape[:-2], side, side), empty, dtype=image.dtype, device=image.device)
        picture[..., self.rows, self.columns] = image
        return picture


def front(seen: Projection, raster: Raster) -> Surface:
    """The surface nearest to a camera."""
    rows, columns = (_span((seen.nearest < EMPTY).any(axis), raster.side) for axis in (1, 0))
    nearest = seen.nearest[rows, columns]
    hit = nearest < EMPTY
    depth = torch.where(hit, (nearest >> 32).int().view(torch.float32), FAR)
    point = torch.where(hit, nearest & 0xFFFFFFFF, -1)
    radius, tolerance = raster.radius, raster.tolerance
    if radius == 0:
        return Surface(rows, columns, depth, point)
    closed = close(depth, radius, FAR)
    measured = (depth <= closed + tolerance) & (closed < FAR / 2)
    depth = torch.where(measured, depth, closed)
    closed = close(depth, radius + 2, FAR)  # specks of a rear surface, left by gaps wider than the radius
    far = depth > closed + tolerance
    speck = far & (closed < FAR / 2) & (mean((~far).float(), radius + 1) > SPECK)
    return Surface(rows, columns, torch.where(speck, closed, depth), torch.where(measured & ~speck, point, -1))


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
    filled = filled.view(-1, width)
    inner = slice(reach, -reach)
    return torch.where(surface.mask, filled[inner, inner], highest(filled, 1)[inner, inner])


def _span(used: Tensor, side: int) -> slice:
    """From the first to the last True, two more at each end."""
    where = torch.nonzero(used)
    return slice(max(int(where[0]) - 2, 0), min(int(where[-1]) + 3, side))


def _disc(radius: int) -> list[tuple[int, int]]:
    """Row and column steps within ``radius``, nearest first."""
    span = range(-radius, radius + 1)
    steps = [(dy, dx) for dy in span for dx in span if 0 < dy * dy + dx * dx <= radius * radius]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))
