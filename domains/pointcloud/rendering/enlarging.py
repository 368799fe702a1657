"""A small picture and its mask in; a picture of the view's size on white, with a sharp silhouette, out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from domains.pointcloud.rendering.sliding import highest, mean


def outlined(colour: Tensor, mask: Tensor) -> Tensor:
    """What may be enlarged without a stair or a dark rim.

    Args:
        colour: ``(K, h, w)``, K 1 or 3, in [0, 1].
        mask: ``(h, w)`` bool.

    Returns:
        ``(K + 2, h, w)``: colour continued one pixel beyond the mask, where it is known, share of the mask around,
        1 where the mask is too thin to have an inside.
    """
    inside = mask.float()[None]
    around = mean(torch.cat([colour * inside, inside]), 1)
    share = around[-1:]
    continued = torch.where(mask, colour, around[:-1] / share.clamp_min(1e-6))
    thin = mask & (highest((share[0] > 0.5).float(), 1) <= 0)  # wires and lone points have no inside
    return torch.cat([continued, (share > 0).float(), torch.where(thin, 1.0, share)])


def enlarge(layers: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """To the size of the view, with a silhouette as sharp as the view's own pixels.

    Args:
        layers: ``(K + 2, s, s)`` of ``outlined``, zero where nothing is seen.
        size: side of the view, S >= s.

    Returns:
        ``(K, S, S)`` picture on white in [0, 1], and its ``(S, S)`` bool mask.
    """
    gain = size / layers.shape[-1]
    if gain > 1:
        layers = F.interpolate(layers[None], (size, size), mode="bilinear", align_corners=False)[0]
    colour, known, share = layers[:-2], layers[-2], layers[-1]
    alpha = ((share - 0.5) * 2 * gain + 0.5).clamp_(0, 1)  # 0 where the share is 0, whatever the gain: pure white
    return (colour / known.clamp_min(1e-3) - 1).mul_(alpha).add_(1).clamp_(0, 1), share > 0.5


def repeated(image: Tensor, size: int) -> Tensor:
    """``(S, S)``: the nearest pixel of ``image (s, s)``, such as numbers that cannot be mixed."""
    side = len(image)
    if side == size:
        return image
    nearest = ((torch.arange(size, device=image.device) + 0.5) * side / size).long()
    return image[nearest[:, None], nearest]
