"""A front surface and what its points carry in; the same for every pixel, gaps filled and noise calmed, out."""

from __future__ import annotations

import torch
from torch import Tensor

from domains.pointcloud.projection import Raster
from domains.pointcloud.surface import Surface

SIDES = 0.7  # weight of the pixel on either side, 1 for the middle: a tent


def smooth(surface: Surface, normals: Tensor, raster: Raster) -> tuple[Tensor, Tensor]:
    """Two a-trous steps of a 3 x 3 tent, rows then columns, over pixels of similar depth.

    Args:
        surface: ``(h, w)``.
        normals: ``(3, h, w)`` in camera axes, of either sign, of the points that the pixels measure.
        raster: sizes.

    Returns:
        ``(3, h, w)`` unit normals that face the camera, and ``(h, w)`` depth.
    """
    facing = torch.where(normals[2:] > 0, -normals, normals)
    if raster.radius == 0:
        return facing, surface.depth
    gate = 3 * raster.pitch + 3 * raster.pixel
    weight = (surface.point >= 0).float()
    layers, depth = torch.cat([facing, surface.depth[None], torch.ones_like(facing[:1])]) * weight, surface.depth
    for step in (1, 2) if raster.radius > 1 else (1,):
        for axis in (-2, -1):
            layers = _blur(layers, depth, step, gate * step, axis)
        known = layers[4] > 0
        layers = layers / layers[4].clamp_min(1e-6)
        depth = torch.where(known & surface.mask, layers[3], depth)
    length2 = layers[0] ** 2 + layers[1] ** 2 + layers[2] ** 2
    unit = layers[:3] * length2.clamp_min(1e-12).rsqrt_()
    unit[2] -= (length2 == 0).float()  # a gap with no normal near it faces the camera
    return unit, depth


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
