"""Normals, depth and mask of a view in; a picture out. Both back ends shade here, so clouds and meshes look alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from domains.pointcloud.cameras import DISTANCE

ALBEDO, AMBIENT, HEAD, KEY = 0.8, 0.18, 0.45, 0.42
LIGHT = (-0.4504, -0.6006, -0.6606)  # unit vector to the key light: left of, above and behind the camera


def shaded(normals: Tensor, depth: Tensor) -> Tensor:
    """Lambert's law with a head light and a key light. ``(3, h, w)`` unit normals; ``(1, h, w)`` grey in [0, 1]."""
    head = (-normals[2]).clamp(0, 1)
    key = torch.einsum("chw,c->hw", normals, normals.new_tensor(LIGHT)).clamp(0, 1)
    return (ALBEDO * (AMBIENT + HEAD * head + KEY * key))[None]


def coded_normals(normals: Tensor, depth: Tensor) -> Tensor:
    """``(3, h, w)``: red right, green up, blue to the camera."""
    return (normals * normals.new_tensor([1.0, -1.0, -1.0])[:, None, None] + 1) / 2


def coded_depth(normals: Tensor, depth: Tensor) -> Tensor:
    """``(1, h, w)`` from dark, the nearest point of the unit sphere, to light, its furthest; equal in every view."""
    return (0.1 + 0.75 * (depth - (DISTANCE - 1)) / 2).clamp(0, 1)[None]


STYLES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "shaded": shaded,
    "normals": coded_normals,
    "depth": coded_depth,
}
