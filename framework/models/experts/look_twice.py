"""Features of N crops -> one anomaly logit per view, one map and four tokens per crop, one summary per view."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.types import Features, Verdict

SHARPNESS = 100.0  # fixed scale of the cosines; the paper's temperature, whose value it does not give
POOL = 2  # quadrants per side: four tokens per crop
SMALLEST = 1e-6  # a vector shorter than this has no direction


class LookTwice(nn.Module):
    """Look back at the whole view, describe its class, and match every patch against "normal" and "anomalous".

    Steps, with v the final map, m the suspicion map and P adaptive 2 x 2 average pooling:

    1. class descriptor of a view: v of its base crop, summed over patches with learned weights, through two layers;
    2. per level, a normal and an anomalous direction from a learned embedding and the descriptor;
    3. m: mean over levels of softmax(100 cosine) of a patch with the two directions, the anomalous share;
    4. queries of a crop: P(v m) / P(m), one per quadrant;
    5. its tokens: one attention head from the queries to the patches, with v itself as values;
    6. summary of a view: mean of all its tokens with weights P(m) s, s the mean of the crop's m; two layers on it
       give the logit.

    The 32 parameters have the names and shapes of the published expert (width 1152, 729 patches, 4 levels, 512
    everywhere else), and the numbers are those of its code (Anomaly-OneVision, ``anomaly_expert.py``). Where the
    paper (arXiv 2502.07601) differs the code is followed, because the weights are its weights: the paper has step 1
    per level and sign, names the anomalous direction after the positive embedding (here it comes from
    ``negative_embedding``), gives no value for the 100, has queries P(v m), weights P(m), and a full Q-Former.

    It computes in float32, or float64 where the parameters are float64, under autocast too. Products of
    probabilities stay logarithms until they are softmax weights, and a vector without direction matches neither
    side, so logits and gradients are finite where the published code gives NaN: half precision, confident normals,
    a dead token, an empty quadrant.

    Args:
        width: channels of the features, C.
        patches: patches of a crop, P.
        levels: levels of the backbone, L.
        embedding: size in which patches and descriptors are compared.
        descriptor: size of the class descriptor.
        attention: size of queries and keys.
        hidden: size between the two layers of the final predictor.
    """

    def __init__(
        self,
        width: int,
        patches: int,
        levels: int,
        embedding: int = 512,
        descriptor: int = 512,
        attention: int = 512,
        hidden: int = 512,
    ) -> None:
        super().__init__()
        self.width, self.patches, self.levels = width, patches, levels
        self.positive_embedding = nn.Parameter(torch.randn(1, embedding))
        self.negative_embedding = nn.Parameter(torch.randn(1, embedding))
        self.pooling_layer = nn.Sequential(nn.Linear(patches, 1))
        self.class_predictor = nn.Sequential(nn.Linear(width, descriptor), nn.GELU(), nn.Linear(descriptor, descriptor))
        self.siglip_adaptors = nn.ModuleList(nn.Linear(width, embedding) for _ in range(levels))
        self.prompt_adaptors = nn.ModuleList(nn.Linear(embedding + descriptor, embedding) for _ in range(levels))
        self.final_predictor = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 1))
        self.q_former = nn.ModuleDict(
            {"query_proj": nn.Linear(width, attention), "key_proj": nn.Linear(width, attention)}
        )

    def forward(self, features: Features, crops: list[int]) -> Verdict:
        """Judge M views from the features of their N crops.

        Args:
            features: L levels and a final map, each ``(N, P, C)`` of any float dtype.
            crops: crops of each view, all >= 1; sums to N. The first crop of a view is its base crop.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)`` in [0, 1], tokens ``(N, 4, C)`` in the order top left, top
            right, bottom left, bottom right, and summary ``(M, C)``; float32, or float64 with float64 parameters.

        Raises:
            ValueError: features or crops do not have the sizes this expert was made for.
        """
        self._check(features, crops)
        final = features.final
        dtype = torch.promote_types(self.positive_embedding.dtype, torch.float32)
        with torch.autocast(final.device.type, enabled=False):
            final = final.to(dtype)
            sizes = torch.tensor(crops, device=final.device)
            view = torch.repeat_interleave(sizes, output_size=len(final))  # (N,) view that a crop belongs to
            base = final[sizes.cumsum(0) - sizes]  # (M, P, C)
            margins = self._margins(features.levels, self._directions(base), view)  # (L, N, P)
            log_maps = F.logsigmoid(margins).logsumexp(0)  # (N, P), log m up to a constant that cancels
            tokens, log_weights = self._select(final, log_maps, features.grid)
            summary = _weighted_mean(tokens, log_weights, view, len(crops))  # (M, C)
            logits = _mlp(self.final_predictor, summary).squeeze(-1)  # (M,)
            maps = margins.sigmoid().mean(0).unflatten(1, features.grid)  # a mean of sigmoids: never above 1
        return Verdict(logits, maps, tokens, summary)

    def _check(self, features: Features, crops: list[int]) -> None:
        wanted = (sum(crops), self.patches, self.width)
        shapes = [tuple(level.shape) for level in [*features.levels, features.final]]
        if shapes != [wanted] * (self.levels + 1):
            raise ValueError(f"expert takes {self.levels} levels and a final map of {wanted}, got {shapes}")
        if math.prod(features.grid) != self.patches or min(crops, default=0) < 1:
            raise ValueError(f"expert of {self.patches} patches got grid {features.grid} and crops {crops}")

    def _directions(self, base: Tensor) -> Tensor:
        """Steps 1 and 2: ``(M, P, C)`` base crops -> ``(L, M, E)`` anomalous minus normal unit descriptors."""
        descriptor = _mlp(self.class_predictor, _linear(self.pooling_layer[0], base.mT).squeeze(-1))  # (M, D)
        signs = torch.cat([self.positive_embedding, self.negative_embedding]).to(base.dtype)  # (2, E)
        pair = (signs[:, None].expand(-1, len(base), -1), descriptor.expand(2, -1, -1))  # the embedding comes first
        prompts = torch.cat(pair, dim=-1)  # (2, M, E + D)
        units = torch.stack([_unit(_linear(adaptor, prompts)) for adaptor in self.prompt_adaptors])  # (L, 2, M, E)
        return units[:, 1] - units[:, 0]  # the anomalous one is made from negative_embedding

    def _margins(self, levels: list[Tensor], directions: Tensor, view: Tensor) -> Tensor:
        """Step 3: ``(L, N, P)`` logit of a patch being anomalous; the softmax over two is a sigmoid of this.

        A patch whose vector is shorter than ``SMALLEST`` gets 0 (undecided) and no gradient.
        """
        margins = []
        for adaptor, level, direction in zip(self.siglip_adaptors, levels, directions, strict=True):
            patch = level.to(directions.dtype)  # (N, P, C)
            weight, bias = (adaptor.get_parameter(name).to(patch.dtype) for name in ("weight", "bias"))
            dot = patch @ (direction @ weight)[view][..., None] + (direction @ bias)[view][:, None, None]  # (N, P, 1)
            square = _square_length(patch, weight, bias)  # (N, P)
            cosine = dot.squeeze(-1) / square.clamp_min(SMALLEST**2).sqrt()  # difference of two cosines
            cosine = cosine.clamp(-2, 2)  # rounding of a near-dead patch could carry it further; NaN stays NaN
            margins.append(SHARPNESS * torch.where(square < SMALLEST**2, 0, cosine))
        return torch.stack(margins)

    def _select(self, final: Tensor, log_maps: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Steps 4 to 6: ``(N, 4, C)`` selected tokens, ``(N, 4)`` log-weights of them in their view.

        ``P(v m) / P(m)`` is a mean of v with weights softmax(log m) inside a quadrant, so nothing is divided by a
        significance that has underflown.
        """
        inside = _quadrants(grid).to(final.device)  # (4, P)
        log_inside = log_maps[:, None].masked_fill(~inside, -torch.inf)  # (N, 4, P)
        queries = _linear(self.q_former["query_proj"], log_inside.softmax(-1) @ final)  # (N, 4, A)
        # Folding the key projection into four queries saves projecting P keys. The bias shifts all keys of a query
        # alike and cancels in the softmax; it stays in the graph so that every parameter has a gradient.
        key = self.q_former["key_proj"]
        folded = queries @ key.get_parameter("weight").to(final.dtype)  # (N, 4, C)
        shift = queries @ key.get_parameter("bias").to(final.dtype)  # (N, 4)
        attention = ((folded @ final.mT + shift[..., None]) / math.sqrt(queries.shape[-1])).softmax(-1)  # (N, 4, P)
        # log P(m) s with sums for means: quadrants all have one size and crops too, so the factor cancels in the view.
        return attention @ final, log_inside.logsumexp(-1) + log_maps.logsumexp(-1, keepdim=True)


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """The linear layer in the dtype of ``x``, whatever the dtype its parameters are kept in."""
    return F.linear(x, layer.get_parameter("weight").to(x.dtype), layer.get_parameter("bias").to(x.dtype))


def _square_length(patch: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``(N, P)`` squared length of ``W x + b`` for the ``(N, P, C)`` vectors x.

    Of a narrow backbone, as ``x (W'W) x + 2 (W'b) x + b'b``: the vector of size E > C itself is never made.
    """
    if weight.shape[1] < weight.shape[0]:
        gram, cross = weight.mT @ weight, 2 * (bias @ weight)
        return (torch.addmm(cross, patch.flatten(0, 1), gram).view_as(patch) * patch).sum(-1) + bias @ bias
    return F.linear(patch, weight, bias).square().sum(-1)


def _mlp(layers: nn.Sequential, x: Tensor) -> Tensor:
    return _linear(layers[2], F.gelu(_linear(layers[0], x)))


def _unit(x: Tensor) -> Tensor:
    """``(..., E)`` scaled to length 1; a vector without direction stays near 0, with bounded gradient."""
    return F.normalize(x, dim=-1, eps=SMALLEST)


def _quadrants(grid: tuple[int, int]) -> Tensor:
    """``(4, P)`` bool: patches of each bin of adaptive 2 x 2 average pooling; bins overlap where a side is odd."""
    halves = []
    for side in grid:
        at = torch.arange(side)
        halves.append(torch.stack([at < (side + 1) // POOL, at >= side // POOL]))  # (2, side)
    rows, columns = halves
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(2).flatten(0, 1)


def _weighted_mean(tokens: Tensor, log_weights: Tensor, view: Tensor, views: int) -> Tensor:
    """``(N, 4, C)`` -> ``(M, C)``: softmax-weighted mean over all tokens of a view."""
    highest = log_weights.detach().amax(1)  # (N,)
    highest = highest.new_zeros(views).scatter_reduce_(0, view, highest, "amax", include_self=False)  # (M,)
    weights = (log_weights - highest[view, None]).exp()  # (N, 4), the largest of a view is 1
    total = tokens.new_zeros(views, tokens.shape[-1]).index_add_(0, view, (weights[:, None] @ tokens).squeeze(1))
    return total / tokens.new_zeros(views).index_add_(0, view, weights.sum(1))[:, None]
