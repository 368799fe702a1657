"""Normal training patches, kept as they are -> how far each patch of a view lies from the nearest of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.experts.choice import Choice
from framework.models.experts.coreset import coreset, nearest
from framework.types import Features, Verdict

MIB = 2**20
ASKED = 1000  # patches of the bank that the scale is measured with
FAR = 0.99  # share of normal patches whose distance lies below the scale
LEAST = 1e-9  # distance whose logarithm is taken
SMALLEST = 1e-3  # scale: where training views are copies of each other, maps would be 0 or 1


class NearestNormal(nn.Module):
    """A patch is as suspicious as it is far from every patch of the normal training views.

    The vector of a patch is its unit vectors of all levels (or that of the final map) end to end, scaled to length 1,
    so that the distance d = 1 - cosine is the mean over the levels of theirs. A view's score is the mean of its highest
    distances. Distances are no probabilities: maps are d / (d + s) and the logit of a view is log(d / s), whose sigmoid
    is the same map of its score. It rises strictly, does not saturate (d is 2 at most), and keeps the order that
    float32 can tell. s is the distance below which 99 % of the normal patches lie from those of other normal views: 0.5
    means "farther than nearly every normal patch", from source data alone.

    Source: the memory bank and its greedy coreset, Roth et al., CVPR 2022, arXiv 2106.08265 (PatchCore, sections 3.1 to
    3.3); cosine distance on frozen transformer patches and the mean of the highest 1 % as score, Damm et al., WACV
    2025, arXiv 2405.14529 (AnomalyDINO). We neither pool neighbourhoods nor reweight the score by density
    (PatchCore), nor rotate or mask (AnomalyDINO).

    Args:
        width: channels of the features, C.
        patches: patches of a crop, P.
        levels: levels of the backbone, L.
        features: "levels" or "final".
        keep: share of the bank that the coreset keeps, in (0, 1].
        top: share of a view's patches whose mean distance is its score, in (0, 1], at least of one patch.
        limit_mib: most that the bank may take; of more patches a random choice is kept, the same for every seed.

    Raises:
        UserError: an option out of range.
    """

    grows = ("bank",)
    bank: Tensor
    scale: Tensor

    def __init__(
        self, width: int, patches: int, levels: int, features: str, keep: float, top: float, limit_mib: int
    ) -> None:
        super().__init__()
        if not 0 < keep <= 1 or not 0 < top <= 1:
            raise UserError(f"model.expert.options: keep and top lie in (0, 1], not {keep:g} and {top:g}.")
        self.width, self.features, self.keep, self.top = width, features, keep, top
        size = width * (levels if features == "levels" else 1)
        self.most = max(1, limit_mib * MIB // (4 * size))  # patches
        self.register_buffer("bank", torch.zeros(0, size))
        self.register_buffer("scale", torch.ones(()))
        self._begin()

    def forward(self, features: Features, crops: list[int]) -> Verdict:
        """Judge M views from the features of their N crops.

        Args:
            features: levels and a final map, each ``(N, P, C)``.
            crops: crops of each of M views; sums to N.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)`` in [0, 1), tokens ``(N, 0, C)``, summary ``(M, C)``.

        Raises:
            UserError: it was never fitted, or on nothing.
        """
        if not len(self.bank):
            raise UserError("nearest_normal remembers no normal patch, so it cannot score. Train it on normal samples.")
        found = self._vectors(features)  # (N, P, D)
        far = nearest(found.flatten(0, 1), self.bank.float()).view(found.shape[:2])  # (N, P)
        scores = torch.stack([self._score(part.flatten()) for part in far.split(crops)])
        scale = self.scale.float()
        logits = scores.clamp_min(LEAST).log() - scale.log()
        maps = (far / (far + scale)).unflatten(1, features.grid)
        summary = torch.stack([part.mean((0, 1)) for part in features.final.float().split(crops)])
        return Verdict(logits, maps, found.new_zeros(len(found), 0, self.width), summary)

    def observe(self, features: Features, crops: list[int], targets: Tensor) -> None:
        """Keep the patches of normal views: those whose target is 0. See ``traits.Once``."""
        found = self._vectors(features)
        for part, target in zip(found.split(crops), targets.tolist(), strict=True):
            if target == 0:
                own = part.flatten(0, 1)  # (n, D)
                self._kept.add(own, torch.full((len(own),), self._views))
                self._views += 1

    def settle(self) -> None:
        """Make the bank and the scale.

        Raises:
            UserError: no view was normal.
        """
        if not len(self._kept):
            raise UserError("nearest_normal needs normal samples, and the train sets have none. Add some.")
        bank, views = (kept.to(self.scale.device) for kept in self._kept.taken())
        self.scale = _scale(bank, views)
        self.bank = bank if self.keep == 1 else bank[coreset(bank, max(1, round(self.keep * len(bank))))]
        self._begin()

    def _begin(self) -> None:
        self._kept = Choice(self.most)
        self._views = 0  # seen so far: the number of a view is the mark of its patches

    def _vectors(self, features: Features) -> Tensor:
        """``(N, P, D)`` float32 of unit length."""
        chosen = features.levels if self.features == "levels" else [features.final]
        return torch.cat([F.normalize(level.float(), dim=-1) for level in chosen], -1) / math.sqrt(len(chosen))

    def _score(self, far: Tensor) -> Tensor:
        return far.topk(math.ceil(self.top * len(far))).values.mean()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take a bank of any length."""
        found = state_dict.get(f"{prefix}bank")
        if found is not None and found.shape[1:] == self.bank.shape[1:]:
            self.bank = self.bank.new_zeros(found.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _scale(bank: Tensor, views: Tensor) -> Tensor:
    """Distance below which 99 % of normal patches lie from those of other normal views; 1 where there is one view.

    Args:
        bank: ``(n, D)`` of unit length.
        views: ``(n,)``, the view that each is of.
    """
    asked = torch.linspace(0, len(bank) - 1, min(ASKED, len(bank)), dtype=torch.float64).long().to(bank.device)
    far = nearest(bank[asked], bank, (views[asked], views))
    far = far[far.isfinite()]
    if not len(far):
        return bank.new_ones(())
    return torch.quantile(far, FAR).clamp_min(SMALLEST)
