"""Batches of scores and truth -> AUROC, AP, F1-max and AUPRO per group, from a state of constant size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from framework.metrics import axis, state
from framework.metrics.axis import BINS, Kind
from framework.metrics.curves import REGION, Curves, curves
from framework.metrics.regions import where

CHUNK = 1 << 16  # elements at a time on a CPU, so that what lies between steps stays in its cache
CHUNK_GPU = 1 << 22


class AnomalyCurves(Metric):
    """Counts scores in fixed bins. Integers only, so any order, batch size or number of ranks gives the same bits.

    Args:
        groups: names of what is measured apart (categories). State: 2 or 3 MiB a group at the default bins.
        scores: what scores are, "probability" or "logit". They are never squashed or rescaled.
        bins: of the histograms, a power of two of at least 1024.
        regions: also keep what AUPRO needs.
        fpr_limit: highest false-positive rate of AUPRO, in (0, 1].
    """

    full_state_update = False
    hist: Tensor
    """``(groups, 2 or 3, bins)`` int64: normal, anomalous, and fixed-point shares of regions (``curves.REGION``)."""

    def __init__(
        self,
        groups: Sequence[str],
        scores: Kind = "probability",
        bins: int = BINS,
        regions: bool = False,
        fpr_limit: float = 0.3,
    ) -> None:
        super().__init__()
        if bins < 1024 or bins & (bins - 1) or not 0 < fpr_limit <= 1:
            raise ValueError(f"bins must be a power of two >= 1024, fpr_limit in (0, 1]; got {bins}, {fpr_limit}")
        self.groups, self.scores, self.bins = list(groups), scores, bins
        self.regions, self.fpr_limit = regions, fpr_limit
        empty = torch.zeros(len(self.groups), 3 if regions else 2, bins, dtype=torch.int64)
        self.add_state("hist", empty, dist_reduce_fx="sum")

    def update(self, scores: Tensor, targets: Tensor, regions: Tensor | None = None, group: int = 0) -> None:
        """Add the elements of one sample, or of several whose regions do not share numbers.

        Args:
            scores: ``(E,)`` floating point, counted as float32: probabilities in [0, 1], or logits.
            targets: ``(E,)`` bool or 0/1, which elements are anomalous.
            regions: ``(E,)`` integer, the region (1, 2, ...) of an anomalous element; ignored for normal ones, and
                ignored altogether unless the metric was built with ``regions=True``.
            group: position in ``groups``.

        Raises:
            ValueError: lengths differ, a score is NaN or out of range, or an anomalous element has no region.
        """
        scores, targets = scores.detach().reshape(-1), targets.reshape(-1)
        if scores.shape != targets.shape or (regions is not None and regions.numel() != scores.numel()):
            shapes = [tuple(t.shape) for t in (scores, targets, regions) if t is not None]
            raise ValueError(f"scores, targets and regions must be of one length, got {shapes}")
        if not scores.numel():
            return
        zeros = axis.check(scores, self.scores)
        places = where(targets)
        shares = self._shares(places, regions) if self.regions else None
        state.own(self)
        hist, step = self.hist[group], CHUNK_GPU if scores.is_cuda else CHUNK
        one = torch.ones((), dtype=torch.int64, device=scores.device)
        for part in scores.split(step):
            found = axis.keys(part.float(), self.scores, self.bins, zeros)
            hist[0].index_add_(0, found, one.expand(len(part)))
        if len(places):  # few, as a rule: count them again, and not as normal
            found = axis.keys(scores.index_select(0, places).float(), self.scores, self.bins, zeros)
            hist[0].index_add_(0, found, one.expand(len(places)), alpha=-1)
            hist[1].index_add_(0, found, one.expand(len(places)))
            if shares is not None:
                hist[2].index_add_(0, found, shares)

    def compute(self) -> dict[str, Curves]:
        """Curves of each group, over all ranks."""
        hists = self.hist.cpu().numpy()
        return {name: curves(h, self.scores, self.fpr_limit) for name, h in zip(self.groups, hists, strict=True)}

    def pooled(self) -> Curves:
        """Curves of all groups thrown together, over all ranks: every rank must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            return curves(self.hist.sum(0).cpu().numpy(), self.scores, self.fpr_limit)

    def _shares(self, places: Tensor, regions: Tensor | None) -> Tensor:
        """What each of the anomalous elements at ``places`` is of its region, in fixed point: ``(P,)`` int64."""
        if regions is None:
            if len(places):
                raise ValueError(f"{len(places)} anomalous elements came without their regions")
            return places
        numbers = regions.reshape(-1).index_select(0, places)
        if len(numbers) and int(numbers.min()) <= 0:
            raise ValueError(f"{int((numbers <= 0).sum())} anomalous elements belong to no region")
        areas = torch.bincount(numbers, minlength=1)
        return (REGION // areas.clamp(min=1)).index_select(0, numbers)

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        state.add_ranks(self, process_group)
