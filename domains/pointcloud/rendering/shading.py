"""Normals, depth and colours of a view in; a picture out. All back ends shade here, so clouds and meshes look alike."""

from __future__ import annotations

import torch
from torch import Tensor

from domains.pointcloud.rendering.cameras import DISTANCE
from domains.pointcloud.rendering.styles import Picture

ALBEDO, AMBIENT, HEAD, KEY = 0.8, 0.18, 0.45, 0.42
LIGHT = (-0.4504, -0.6006, -0.6606)  # unit vector to the key light: left of, above and behind the camera


def paint(picture: Picture, normals: Tensor, depth: Tensor, colours: Tensor | None = None) -> Tensor:
    """One picture of a camera.

    Args:
        picture: of ``styles.parse``.
        normals: ``(3, h, w)`` unit, in camera axes, facing the camera.
        depth: ``(h, w)`` in the units of the unit sphere.
        colours: ``(3, h, w)`` in [0, 1], needed for "rgb".

    Returns:
        ``(K, h, w)`` in [0, 1], K 1 or 3.
    """
    return torch.cat([_channel(name, normals, depth, colours) for name in picture])


def _channel(style: str, normals: Tensor, depth: Tensor, colours: Tensor | None) -> Tensor:
    """``(1 or 3, h, w)`` of one style."""
    if style == "shaded":
        return shaded(normals)
    if style == "depth":
        return coded_depth(depth)
    if style == "facing":
        return (-normals[2:]).clamp(0, 1)
    if style == "normals":
        return coded_normals(normals)
    if colours is None:
        raise ValueError("style rgb without colours")
    return colours


def shaded(normals: Tensor) -> Tensor:
    """Lambert's law with a head light and a key light. ``(3, h, w)`` unit normals; ``(1, h, w)`` grey in [0, 1]."""
    head = (-normals[2]).clamp(0, 1)
    key = normals[0] * LIGHT[0] + normals[1] * LIGHT[1] + normals[2] * LIGHT[2]
    return (ALBEDO * (AMBIENT + HEAD * head + KEY * key.clamp(0, 1)))[None]


def coded_normals(normals: Tensor) -> Tensor:
    """``(3, h, w)``: red right, green up, blue to the camera."""
    return torch.stack([normals[0] + 1, 1 - normals[1], 1 - normals[2]]) / 2


def coded_depth(depth: Tensor) -> Tensor:
    """``(1, h, w)`` from dark, the nearest point of the unit sphere, to light, its furthest; equal in every view."""
    return (0.1 + 0.75 * (depth - (DISTANCE - 1)) / 2).clamp(0, 1)[None]
