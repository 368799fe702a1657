"""Crops -> logits and maps by two learned texts, "object" and "damaged object", whatever the object: AnomalyCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.backbones.base import Backbone
from framework.models.experts.joint_space import bases, check, margin, project, tokens
from framework.types import Batch, Verdict

TEXTS = ("object.", "damaged object.")  # what follows the learned tokens, normal first
LOCAL = 4.0  # weight of the local losses in the published training
BETAS = (0.5, 0.999)  # of Adam there
SMOOTH = 1e-5  # of the focal loss there
STD = 0.02  # of freshly drawn tokens


class AnomalyCLIP(nn.Module):
    """Object-agnostic prompt learning (Zhou et al., ICLR 2024, arXiv 2310.18961), as the published code has it.

    Steps (zqhang/AnomalyCLIP, ``prompt_ensemble.py``, ``AnomalyCLIP_lib/AnomalyCLIP.py``, ``train.py``):

    1. texts: ``length`` learned tokens, then "object." or "damaged object."; before block i + 1 of the text tower the
       tokens 1 to ``tokens`` are replaced by learned ones, for i below ``depth`` - 1, the same for both texts;
    2. score: softmax of the two cosines of the class token with them / 0.07. The class token is projected without
       ``ln_post``, as published;
    3. maps: over the last ``second_path`` blocks a second path sums attention of values with values (DPAM), read from
       what the first path holds, and no MLP; at each level ``ln_post`` and projection, then 2 for each patch; the map
       is the mean over levels.

    Only the tokens are trained, by ``losses``. Parameters are named as in the published files, which therefore
    load (``model.expert.weights``: checkpoints/9_12_4_multiscale/epoch_15.pth of that repository, MIT). Other than
    published: places are resampled to another image size by open_clip (bicubic; there bilinear), and no Gaussian is
    laid over maps here (there sigma 4 at 518 px).

    Published with ViT-L-14-336 of OpenAI (MIT licence) at 518 px and levels 5, 11, 17, 23 (0-based). Needs
    ``text: true`` of the backbone, whose ``blocks`` are the levels.

    Args:
        backbone: with its text tower.
        length: learned tokens in front of a text.
        depth: blocks of the text tower that read learned tokens, the first included.
        tokens: learned tokens before each block from the second on.
        second_path: last blocks of the image tower that the second path runs over; None: 19 of 24, or in proportion.
        temperature: of the softmax.

    Raises:
        UserError: a backbone without text tower, or sizes that do not fit it.
    """

    computed = ("compound_prompt_projections.", "token_prefix_", "token_suffix_", "tokenized_prompts_")
    """Of a published file: layers that no code calls, and texts that the towers give."""

    def __init__(
        self, backbone: Backbone, length: int, depth: int, tokens: int, second_path: int | None, temperature: float
    ) -> None:
        super().__init__()
        check("anomalyclip", backbone)
        tower: Any = backbone.tower
        blocks = len(tower.transformer.resblocks)
        last = blocks - blocks * 5 // 24 if second_path is None else second_path
        _check(backbone, length, depth, tokens, last, temperature)
        self.backbone, self.temperature, self.first = backbone, temperature, blocks - last
        words: Any = backbone.words
        ids = words.tokens([" ".join(["X"] * length + [text]) for text in TEXTS])  # (2, T)
        if (ids[:, 1 : 1 + length] != ids[:, 1:2]).any() or (ids[:, 1 + length] == ids[:, 1]).any():
            raise UserError(f"{words.where}: expert 'anomalyclip' cannot tell the places of tokens in its texts.")
        self.register_buffer("_ids", ids, persistent=False)
        shape = (1, 1, length, words.width)  # objects, texts of a sign, tokens, channels: one and one, as published
        self.ctx_pos = nn.Parameter(torch.randn(shape) * STD)
        self.ctx_neg = nn.Parameter(torch.randn(shape) * STD)
        deep = (nn.Parameter(torch.randn(tokens, words.width) * STD) for _ in range(depth - 1))
        self.compound_prompts_text = nn.ParameterList(deep)

    def forward(self, pixels: Tensor, crops: list[int]) -> Verdict:
        """Judge M views from their N crops.

        Args:
            pixels: ``(N, 3, S, S)`` uint8.
            crops: crops of each view; sums to N. The first crop of a view is its base crop, which gives its score.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)`` in [0, 1], and as tokens ``(N, 1, D)`` and summary ``(M, D)``
            the embeddings of crops and base crops; float32.
        """
        whole, patches = self._pictures(pixels)
        pair, base = self.pair(), bases(crops, pixels.device)
        logits = margin(whole[base], pair, self.temperature)
        maps = margin(patches, pair, self.temperature).sigmoid().mean(0)  # (N, P): a mean of sigmoids is never above 1
        return Verdict(logits, maps.unflatten(1, self.backbone.grid), whole[:, None], whole[base])

    def losses(self, pixels: Tensor, batch: Batch) -> Tensor:
        """``(M,)``, the published loss of each view: cross-entropy of its score plus 4 times the local losses.

        These are, at the size of the crops and summed over levels: focal loss (gamma 2), dice of the anomalous share
        with the mask, and dice of the normal share with the rest; here the mean over the crops of a view. A view whose
        mask nobody knows has none of them.

        Args:
            pixels: ``(N, 3, S, S)`` uint8.
            batch: with targets and with masks of all crops, ``(N, S, S)``, below 0 where nobody knows.
        """
        assert batch.masks is not None
        whole, patches = self._pictures(pixels)
        pair, sizes = self.pair(), torch.tensor(batch.crops, device=pixels.device)
        logits = margin(whole[bases(batch.crops, pixels.device)], pair, self.temperature)
        shares = margin(patches, pair, self.temperature).sigmoid().unflatten(2, self.backbone.grid)  # (L, N, r, c)
        shares = F.interpolate(shares, batch.masks.shape[1:], mode="bilinear")
        known = (batch.masks >= 0).flatten(1).all(1)  # (N,)
        local = torch.stack([_local(level, (batch.masks > 0).float()) for level in shares]).sum(0) * known  # (N,)
        view = torch.repeat_interleave(sizes, output_size=len(pixels))
        mean = local.new_zeros(len(sizes)).index_add(0, view, local) / sizes
        return F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none") + LOCAL * mean

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """Adam as published, at one rate to the end."""
        return torch.optim.Adam((p for p in self.parameters() if p.requires_grad), lr=lr, betas=BETAS)

    def pair(self) -> Tensor:
        """``(2, D)``, the two texts, normal first, with gradients to the learned tokens."""
        words: Any = self.backbone.words
        plain = words.embed(self._ids)  # (2, T, W)
        own = torch.cat([self.ctx_pos[0], self.ctx_neg[0]])  # (2, length, W)
        embedded = torch.cat([plain[:, :1], own, plain[:, 1 + own.shape[1] :]], dim=1)
        return words.encode_embedded(embedded, self._ids, list(self.compound_prompts_text))

    @torch.no_grad()
    def _pictures(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens ``(N, D)``, and patches of each level ``(L, N, P, D)``, in the space of texts."""
        tower: Any = self.backbone.tower
        with torch.autocast(pixels.device.type, enabled=False):
            levels, last = two_paths(tower, tokens(self.backbone, pixels), self.backbone.blocks, self.first)
            return (last[:, 0] @ tower.proj).float(), torch.stack([project(tower, level[:, 1:]) for level in levels])


def two_paths(tower: Any, found: Tensor, wanted: Sequence[int], first: int) -> tuple[list[Tensor], Tensor]:
    """Tokens ``(N, T, C)`` through the tower -> those of the second path after ``wanted`` blocks, and all of the first.

    The second path leaves the first before block ``first``; before that both are one.
    """
    levels, local = [], found
    for number, block in enumerate(tower.transformer.resblocks):
        if number >= first:
            local = local + block.ls_1(values_with_values(block.attn, block.ln_1(found)))
        found = block(found)
        if number < first:
            local = found
        if number in wanted:
            levels.append(local)
    return levels, found


def values_with_values(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """Self-attention ``(N, T, C)`` -> ``(N, T, C)`` whose queries and keys are its values."""
    weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    values = F.linear(x, weight, bias).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)  # (N, heads, T, c)
    return attention.out_proj(F.scaled_dot_product_attention(values, values, values).transpose(1, 2).flatten(2))


def _local(share: Tensor, mask: Tensor) -> Tensor:
    """``(N,)``: focal and both dice losses of each map, of anomalous shares ``(N, S, S)`` and masks in {0, 1}."""
    sure = mask.clamp(SMOOTH, 1 - SMOOTH)
    truth = sure * share + (1 - sure) * (1 - share) + SMOOTH  # share of the true side
    focal = -((1 - truth) ** 2 * truth.log()).flatten(1).mean(1)
    return focal + _dice(share, mask) + _dice(1 - share, 1 - mask)


def _dice(share: Tensor, mask: Tensor) -> Tensor:
    both, each = (share * mask).flatten(1).sum(1), (share + mask).flatten(1).sum(1)
    return 1 - (2 * both + 1) / (each + 1)


def _check(backbone: Backbone, length: int, depth: int, tokens: int, second_path: int, temperature: float) -> None:
    """Refuse sizes that do not fit the towers."""
    words: Any = backbone.words
    tower: Any = backbone.tower
    blocks = len(tower.transformer.resblocks)
    for name, value, low, high, of in (
        ("length", length, 1, words.context - 5, f"its text tower reads {words.context} tokens"),
        ("depth", depth, 1, words.blocks, f"its text tower has {words.blocks} blocks"),
        ("tokens", tokens, 1, length, f"length is {length}"),
        ("second_path", second_path, 1, blocks, f"its image tower has {blocks} blocks"),
    ):
        if not low <= value <= high:
            raise UserError(f"expert 'anomalyclip': {name}={value} must be {low} to {high}; {of}.")
    if temperature <= 0:
        raise UserError(f"expert 'anomalyclip': temperature={temperature} must be above 0.")
