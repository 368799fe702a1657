"""Crops and the names of what they show -> logits, and maps from windows of patches, by texts alone: WinCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.backbones.base import Backbone
from framework.models.experts.joint_space import TEMPERATURE, bases, check, margin, project, tokens
from framework.models.experts.prompts import ensemble, words
from framework.types import Verdict

AT_ONCE = 1024  # windows in a pass of the tower


class WinCLIP(nn.Module):
    """Zero-shot WinCLIP: nothing is trained, two averages of sentences are compared with a picture and its windows.

    Steps (Jeong et al., CVPR 2023, arXiv 2303.14814; no code of the authors is public, so where the paper leaves a
    choice it is that of anomalib's ``winclip`` and of zqhang/Accurate-WinCLIP-pytorch):

    1. texts: the mean of the embeddings of all normal sentences about a category, and of all anomalous ones, each
       embedding as the tower gives it (sentences: ``prompts``);
    2. score of a picture: softmax of its two cosines / 0.07, the anomalous share;
    3. windows of ``scale x scale`` patches, every place: class token and the patches of a window, with the places
       they have in the picture, through the whole tower; each window's score as in 2;
    4. map of a scale: at each patch the harmonic mean of the scores of all windows that hold it;
    5. map: harmonic mean over the scales and the score of the picture.

    ``1 / p = 1 + exp(-x)`` for a share p with logit x, so harmonic means never divide by a share that underflowed.
    A view's score is that of its base crop; each crop gets a map.

    Published with ViT-B-16-plus-240 of LAION-400M at 240 px (weights of mlfoundations/open_clip, MIT licence) and
    scales 2 and 3. Needs ``text: true`` of the backbone.

    Args:
        backbone: with its text tower.
        names: what a category is called in sentences, where its own name does not do.
        scales: sides of the windows in patches.
        temperature: of the softmax.

    Raises:
        UserError: a backbone without text tower, or scales that do not fit its patches.
    """

    def __init__(
        self,
        backbone: Backbone,
        names: dict[str, str] | None = None,
        scales: Sequence[int] = (2, 3),
        temperature: float = TEMPERATURE,
    ) -> None:
        super().__init__()
        check("winclip", backbone)
        if len(set(scales)) < len(scales) or any(not 1 < scale <= min(backbone.grid) for scale in scales):
            raise UserError(
                f"expert 'winclip': scales={list(scales)} must be different sides of windows in patches, 2 to "
                f"{min(backbone.grid)}, as the backbone has {backbone.grid[0]} x {backbone.grid[1]}."
            )
        if not isinstance(names or {}, dict) or not all(isinstance(text, str) for text in (names or {}).values()):
            raise UserError(
                f"expert 'winclip': names={names} must give categories their words, such as {{pcb1: board}}."
            )
        if temperature <= 0:
            raise UserError(f"expert 'winclip': temperature={temperature} must be above 0.")
        self.backbone, self.names, self.temperature = backbone, dict(names or {}), temperature
        self.scales = sorted(scales)
        self._pairs: dict[str, Tensor] = {}  # what a thing is called -> (2, D)

    @torch.no_grad()
    def forward(self, pixels: Tensor, crops: list[int], categories: Sequence[str] = ()) -> Verdict:
        """Judge M views from their N crops.

        Args:
            pixels: ``(N, 3, S, S)`` uint8.
            crops: crops of each view; sums to N. The first crop of a view is its base crop.
            categories: of each view; none: all are "object".

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)`` in [0, 1], and as tokens ``(N, 1, D)`` and summary ``(M, D)``
            the embeddings of crops and base crops; float32.
        """
        things = [words(category, self.names) for category in categories or [""] * len(crops)]
        pairs = torch.stack([self._pair(thing) for thing, own in zip(things, crops, strict=True) for _ in range(own)])
        with torch.autocast(pixels.device.type, enabled=False):
            found = tokens(self.backbone, pixels)  # (N, 1 + P, C)
            whole = self._through(found)  # (N, D)
            logits = margin(whole, pairs, self.temperature)  # (N,)
            over = [(-logits).exp()[:, None, None].expand(-1, *self.backbone.grid)]  # 1 / p - 1
            over += [self._odds(found, pairs, scale) for scale in self.scales]
            maps = 1 / (1 + torch.stack(over).mean(0))  # (N, rows, columns)
        base = bases(crops, pixels.device)
        return Verdict(logits[base], maps, whole[:, None], whole[base])

    def _pair(self, thing: str) -> Tensor:
        """``(2, D)``, the mean of normal and of anomalous sentences about a thing, encoded once."""
        if thing not in self._pairs:
            self._pairs[thing] = torch.stack([self.backbone.words.encode(part).mean(0) for part in ensemble(thing)])
        return self._pairs[thing].to(next(self.backbone.parameters()).device)

    def _through(self, found: Tensor) -> Tensor:
        """Tokens ``(n, T, C)``, the first that of the class, through the tower: ``(n, D)``."""
        tower: Any = self.backbone.tower
        return project(tower, tower.transformer(found)[:, 0])

    def _odds(self, found: Tensor, pairs: Tensor, scale: int) -> Tensor:
        """``(N, rows, columns)``: at each patch the mean of ``1 / p - 1`` of the windows of one size that hold it."""
        inside = windows(self.backbone.grid, scale).to(found.device)  # (n, scale * scale)
        rows = F.pad(inside + 1, (1, 0))  # the class token goes before
        parts = rows.split(max(1, AT_ONCE // len(found)))
        seen = [self._through(found[:, part].flatten(0, 1)).unflatten(0, (len(found), -1)) for part in parts]
        odds = (-margin(torch.cat(seen, dim=1), pairs, self.temperature)).exp()  # (N, n)
        return spread(odds, self.backbone.grid, scale)


def windows(grid: tuple[int, int], scale: int) -> Tensor:
    """``(n, scale * scale)`` int64, the patches of every window, windows and patches row by row."""
    numbers = torch.arange(grid[0] * grid[1]).reshape(grid)
    return numbers.unfold(0, scale, 1).unfold(1, scale, 1).reshape(-1, scale * scale)


def spread(values: Tensor, grid: tuple[int, int], scale: int) -> Tensor:
    """``(N, n)`` of windows -> ``(N, rows, columns)``, at each patch the mean over the windows that hold it."""
    laid = values[:, None].expand(-1, scale * scale, -1)
    total, count = (F.fold(x, grid, scale)[:, 0] for x in (laid, torch.ones_like(laid[:1])))
    return total / count
