"""A front surface and what its points carry in; the same for every pixel, gaps filled and noise calmed, out."""

from __future__ import annotations

import torch
from torch import Tensor

from domains.pointcloud.rendering.projection import Raster
from domains.pointcloud.rendering.surface import Surface

BETWEEN = 1e-3  # weight of a pixel that no point measures
SIDES = 0.7  # weight of the pixel on either side, 1 for the middle: a tent


def smooth(surface: Surface, normals: Tensor, raster: Raster) -> tuple[Tensor, Tensor]:
    """A-trous steps of a 3 x 3 tent over pixels of similar depth: near, further, and near again to even out its grid.

    Args:
        surface: ``(h, w)``.
        normals: ``(3, h, w)`` in camera axes, of either sign, of the points that own the pixels.
        raster: sizes.

    Returns:
        ``(3, h, w)`` unit normals that face the camera, and ``(h, w)`` depth.
    """
    facing = torch.where(normals[2:] > 0, -normals, normals)
    if raster.radius == 0:
        return facing, surface.depth
    gate = 3 * raster.pitch + 3 * raster.pixel
    weight = torch.where(surface.point >= 0, 1.0, BETWEEN) * surface.mask
    layers, depth = torch.cat([facing, surface.depth[None], torch.ones_like(facing[:1])]) * weight, surface.depth
    for step in (1, 2, 1) if raster.radius > 1 else (1,):
        for axis in (-2, -1):
            layers = _blur(layers, depth, step, gate * step, axis)
        layers = layers / layers[4].clamp_min(1e-12)
        depth = torch.where(surface.mask, layers[3], depth)
    length2 = layers[0] ** 2 + layers[1] ** 2 + layers[2] ** 2
    return layers[:3] * length2.clamp_min(1e-12).rsqrt_(), depth


def _blur(layers: Tensor, depth: Tensor, step: int, gate: float, axis: int) -> Tensor:
    """Sums of ``layers (K, h, w)`` over a pixel and the two ``step`` away along ``axis``, of depth within ``gate``."""
    length = depth.shape[axis] - step
    total = layers.clone()
    if length > 0:
        near, here = layers.narrow(axis, step, length), layers.narrow(axis, 0, length)
        weight = (depth.narrow(axis, step, length) - depth.narrow(axis, 0, length)).abs_().lt_(gate).mul_(SIDES)
        total.narrow(axis, 0, length).addcmul_(near, weight)
        total.narrow(axis, step, length).addcmul_(here, weight)
    return total
