"""Points and normals in the unit sphere in; views, and the point that every pixel shows, out.

The picture is made at 1.6 pixels per sampling pitch at most and then enlarged, so that no splat size is set by hand
and cost is bounded. Walls closer together than two pitches plus two pixels are not told apart.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.cameras import DISTANCE, focal_px
from domains.pointcloud.shading import STYLES
from domains.pointcloud.surface import Raster, front, owners, smooth

PX_PER_PITCH = 1.6
SMALLEST = 32  # pixels a side


@torch.no_grad()
def render(
    points: np.ndarray, normals: np.ndarray, pitch: float, cameras: np.ndarray, size: int, style: str = "shaded"
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a cloud from every camera. The same input gives the same bits.

    Args:
        points: ``(N, 3)`` in the unit sphere.
        normals: ``(N, 3)`` float32 of either sign.
        pitch: sampling pitch of the points.
        cameras: ``(V, 4, 4)`` float64, world to camera.
        size: side of a view, S pixels.
        style: a name of ``shading.STYLES``.

    Returns:
        views ``(V, 3, S, S)`` uint8 on white, and owner ``(V, S, S)`` int32, the point a pixel shows or -1: a pixel
        between the samples belongs to the nearest measured pixel of the same surface.
    """
    views = np.empty((len(cameras), 3, size, size), np.uint8)
    owner = np.empty((len(cameras), size, size), np.int32)
    place, facing = torch.from_numpy(points.astype(np.float32)), torch.from_numpy(normals)
    raster = Raster(side(size, pitch), pitch)
    for i, pose in enumerate(torch.from_numpy(cameras.astype(np.float32))):
        surface = front(place, pose, raster)
        layers = outlined(STYLES[style](*smooth(surface, facing @ pose[:3, :3].T, raster)), surface.mask)
        whole = torch.zeros(len(layers), raster.side, raster.side)
        shows = torch.full((raster.side, raster.side), -1)
        rows, columns = (slice(a, a + n) for a, n in zip((surface.top, surface.left), surface.mask.shape, strict=True))
        whole[:, rows, columns], shows[rows, columns] = layers, owners(surface, raster)
        picture, mask, shows = enlarge(whole, shows, size)
        views[i] = (picture * 255 + 0.5).byte().numpy()
        owner[i] = torch.where(mask, shows, -1).numpy()
    return views, owner


def side(size: int, pitch: float) -> int:
    """Pixels a side of the picture before it is enlarged to ``size``: a multiple of 8, or ``size`` itself."""
    pitch_px = pitch * focal_px(size) / DISTANCE
    if pitch_px <= PX_PER_PITCH:
        return size
    return min(size, max(SMALLEST, round(size * PX_PER_PITCH / pitch_px / 8) * 8))


def outlined(colour: Tensor, mask: Tensor) -> Tensor:
    """What may be enlarged without a stair or a dark rim.

    Args:
        colour: ``(K, h, w)``, K 1 or 3, in [0, 1].
        mask: ``(h, w)`` bool.

    Returns:
        ``(K + 2, h, w)``: colour continued one pixel beyond the mask, where it is known, share of the mask around.
    """
    inside = mask.float()[None]
    around = F.avg_pool2d(torch.cat([colour * inside, inside]), 3, 1, 1)
    share = around[-1:]
    continued = torch.where(mask, colour, around[:-1] / share.clamp_min(1e-6))
    return torch.cat([continued, (share > 0).float(), share])


def enlarge(layers: Tensor, shows: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """To the size of the view, with a silhouette as sharp as the view's own pixels.

    Args:
        layers: ``(K + 2, s, s)`` of ``outlined``, zero where nothing is seen.
        shows: ``(s, s)`` int64.
        size: side of the view, S >= s.

    Returns:
        ``(K, S, S)`` picture on white, ``(S, S)`` bool mask, ``(S, S)`` int64.
    """
    gain = size / shows.shape[-1]
    if gain > 1:
        layers = F.interpolate(layers[None], (size, size), mode="bilinear", align_corners=False)[0]
        shows = F.interpolate(shows[None, None].double(), (size, size), mode="nearest-exact")[0, 0].long()
    colour, known, share = layers[:-2], layers[-2], layers[-1]
    alpha = ((share - 0.5) * 2 * gain + 0.5).clamp_(0, 1)  # 0 where the share is 0, whatever the gain: pure white
    return (colour / known.clamp_min(1e-3) - 1).mul_(alpha).add_(1).clamp_(0, 1), share > 0.5, shows
