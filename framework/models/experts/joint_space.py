"""A backbone with a text tower -> pictures and patches in the space of texts, and how much nearer to one text."""

from __future__ import annotations

from typing import Any

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.backbones.base import Backbone

TEMPERATURE = 0.07  # that CLIP began its training with; WinCLIP and AnomalyCLIP keep it


def check(expert: str, backbone: Backbone) -> None:
    """Whether an expert can read this backbone as CLIP does.

    Raises:
        UserError: no text tower, or an image tower that pools otherwise than CLIP's.
    """
    if getattr(backbone, "words", None) is None:
        raise UserError(
            f"expert {expert!r} compares with texts, and backbone {backbone.name!r} was loaded without a text tower. "
            "Write model.backbone: {name: open_clip, options: {weights: ..., text: true}}."
        )
    tower: Any = backbone.tower
    plain = isinstance(tower, VisionTransformer) and tower.attn_pool is None and tower.pool_type == "tok"
    if not plain or tower.final_ln_after_pool or not isinstance(tower.transformer.resblocks[0], ResidualAttentionBlock):
        raise UserError(
            f"expert {expert!r}: the image tower of {backbone.architecture} does not pool as CLIP's; take a model such "
            "as ViT-B-16-plus-240 or ViT-L-14-336."
        )


def tokens(backbone: Backbone, pixels: Tensor) -> Tensor:
    """Crops ``(N, 3, S, S)`` uint8 -> ``(N, 1 + P, C)``, class token and patches before the first block, with places.

    ``VisionTransformer`` of open_clip up to its transformer; ``ln_pre`` looks at one token at a time.
    """
    tower: Any = backbone.tower
    patches = tower.conv1(backbone.scale(pixels)).flatten(2).mT  # (N, P, C)
    found = torch.cat([tower.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
    return tower.ln_pre(found + tower.positional_embedding)


def project(tower: nn.Module, found: Tensor) -> Tensor:
    """Tokens ``(..., C)`` after the last block -> ``(..., D)`` float32 in the space of texts."""
    normed = tower.get_submodule("ln_post")(found)
    return (normed @ tower.get_parameter("proj")).float()


def margin(pictures: Tensor, pair: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """How much nearer to the anomalous text: the logit whose sigmoid is the softmax share of the second of two texts.

    Args:
        pictures: ``(N, ..., D)``, of any length.
        pair: ``(2, D)``, normal and anomalous, of any length; or ``(N, 2, D)``, one pair for each.
        temperature: what the difference of the two cosines is divided by.

    Returns:
        ``(N, ...)`` within 2 / temperature of 0.
    """
    units = F.normalize(pair, dim=-1)
    direction = units[..., 1, :] - units[..., 0, :]  # (D,) or (N, D)
    if direction.ndim == 2:
        direction = direction.reshape(len(direction), *[1] * (pictures.ndim - 2), -1)
    return (F.normalize(pictures, dim=-1) * direction).sum(-1) / temperature


def bases(crops: list[int], device: torch.device) -> Tensor:
    """``(M,)`` int64, where among N crops the base crop of each view lies."""
    sizes = torch.tensor(crops, device=device)
    return sizes.cumsum(0) - sizes
