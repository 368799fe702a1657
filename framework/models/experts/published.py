"""The expert as the published code computes it, in the dtype of the features: for comparison with its numbers only."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from framework.models.experts.look_twice import POOL, SHARPNESS, LookTwice
from framework.types import Features, Verdict


def published(expert: LookTwice, features: Features, crops: list[int]) -> Verdict:
    """Judge M views step by step as ``anomaly_expert.py`` does, without our guards.

    In float32 this is ``LookTwice`` itself to rounding. In bfloat16, which the published evaluation runs in, it rounds
    as theirs does, and gives NaN where theirs does: norms, significances and their sums are divided by unguarded.

    Args:
        expert: its parameters are cast to the dtype of the features.
        features: L levels and a final map, ``(N, P, C)``.
        crops: crops of each view; sums to N.

    Returns:
        As ``LookTwice``: logits and maps float32, tokens and summary in the dtype of the features.
    """
    final, dtype = features.final, features.final.dtype
    weights = {name: value.to(dtype) for name, value in expert.named_parameters()}

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def mlp(name: str, x: Tensor) -> Tensor:
        return linear(f"{name}.2", F.gelu(linear(f"{name}.0", x)))

    firsts = torch.tensor(crops).cumsum(0) - torch.tensor(crops)
    base = final[firsts.to(final.device)].repeat_interleave(torch.tensor(crops, device=final.device), 0)  # (N, P, C)
    descriptor = mlp("class_predictor", linear("pooling_layer.0", base.mT).squeeze(-1))  # (N, D)
    maps = []
    for i, level in enumerate(features.levels):
        signs = [weights[name].expand(len(level), -1) for name in ("positive_embedding", "negative_embedding")]
        pair = torch.stack([linear(f"prompt_adaptors.{i}", torch.cat([s, descriptor], -1)) for s in signs], 1)
        patch = linear(f"siglip_adaptors.{i}", level)
        pair, patch = (x / x.norm(dim=-1, keepdim=True) for x in (pair, patch))  # (N, 2, E), (N, P, E)
        maps.append((SHARPNESS * patch @ pair.mT).softmax(-1)[..., 1])  # (N, P)
    suspicion = torch.stack(maps).mean(0)  # (N, P)
    tile = suspicion.mean(-1)  # (N,)
    grid = suspicion.unflatten(1, features.grid)[:, None]  # (N, 1, rows, columns)
    inside = F.adaptive_avg_pool2d(grid, POOL)  # (N, 1, 2, 2)
    picture = final.mT.unflatten(2, features.grid)  # (N, C, rows, columns)
    queries = (F.adaptive_avg_pool2d(picture * grid, POOL) / inside).flatten(2).mT  # (N, 4, C)
    scores = linear("q_former.query_proj", queries) @ linear("q_former.key_proj", final).mT
    tokens = (scores / math.sqrt(weights["q_former.query_proj.bias"].numel())).softmax(-1) @ final  # (N, 4, C)
    share = inside.flatten(1) * tile[:, None]  # (N, 4)
    parts = zip(tokens.split(crops), share.split(crops), strict=True)
    summary = torch.stack([(t * w[..., None]).sum((0, 1)) / w.sum() for t, w in parts])  # (M, C)
    logits = mlp("final_predictor", summary).squeeze(-1)
    return Verdict(logits.float(), grid[:, 0].float(), tokens, summary)
