"""Batches of scores and truth -> AUROC, AP, F1-max and AUPRO per group, from a state of constant size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from framework.metrics import axis, state, window
from framework.metrics.axis import BINS, Scale, Scores
from framework.metrics.curves import REGION, Curves, curves
from framework.metrics.regions import COARSE, where

CHUNK = 1 << 16  # elements at a time on a CPU, so that what lies between steps stays in its cache
CHUNK_ANY = 1 << 20  # here a step has a part that does not depend on how many they are
CHUNK_GPU = 1 << 22


class AnomalyCurves(Metric):
    """Counts scores in bins. Integers only, so any order, batch size or number of ranks gives the same bits.

    The bins are fixed, or with "any" those of ``window``. There the same bits need that scores do not leave [0, 1]
    after beginning inside it, which only moves the bins' edges: a value stays within its error.

    Args:
        groups: names of what is measured apart (categories). State: 2 or 3 MiB a group at the default bins.
        scores: what scores are, "probability", "logit" or, where nothing is known of them, "any": numbers of any
            range, infinities too. They are never squashed or rescaled.
        bins: of the histograms, a power of two of at least 1024.
        regions: also keep what AUPRO needs.
        fpr_limit: highest false-positive rate of AUPRO, in (0, 1].
    """

    full_state_update = True  # parts of different ranges are not merged by a plain sum
    hist: Tensor
    """``(groups, 2 or 3, bins)`` int64: normal, anomalous, and fixed-point shares of regions (``curves.REGION``).

    With "any" there are ``window.SLOTS`` more bins.
    """
    seen: Tensor
    """``(groups, 7)`` float64: least (negated) and highest score, and with "any" the rest of ``window.look``."""

    def __init__(
        self,
        groups: Sequence[str],
        scores: Scores = "probability",
        bins: int = BINS,
        regions: bool = False,
        fpr_limit: float = 0.3,
    ) -> None:
        super().__init__()
        if bins < 1024 or bins & (bins - 1) or not 0 < fpr_limit <= 1:
            raise ValueError(f"bins must be a power of two >= 1024, fpr_limit in (0, 1]; got {bins}, {fpr_limit}")
        self.groups, self.scores, self.bins = list(groups), scores, bins
        self.regions, self.fpr_limit = regions, fpr_limit
        wide = bins + window.SLOTS if scores == "any" else bins
        empty = torch.zeros(len(self.groups), 3 if regions else 2, wide, dtype=torch.int64)
        self.add_state("hist", empty, dist_reduce_fx="sum")
        nothing = torch.tensor(window.EMPTY, dtype=torch.float64).repeat(len(self.groups), 1)
        self.add_state("seen", nothing, dist_reduce_fx="max")

    def update(self, scores: Tensor, targets: Tensor, regions: Tensor | None = None, group: int = 0) -> None:
        """Add the elements of one sample, or of several whose regions do not share numbers.

        Args:
            scores: ``(E,)`` floating point, counted as float32: probabilities in [0, 1], or logits.
            targets: ``(E,)`` bool or 0/1, which elements are anomalous.
            regions: ``(E,)`` integer, the region (1, 2, ...) of an anomalous element, ignored for normal ones; or
                ``(P,)``, of the anomalous ones alone in their order. Ignored unless built with ``regions=True``.
            group: position in ``groups``.

        Raises:
            ValueError: lengths differ, a score is NaN or out of range, or an anomalous element has no region.
        """
        device = self.hist.device  # counts are made where they are kept, whatever the scores come from
        scores, targets = (part.detach().reshape(-1).to(device) for part in (scores, targets))
        regions = None if regions is None else regions.to(device)
        places = where(targets)
        lengths = (scores.numel(), len(places))
        if scores.shape != targets.shape or (regions is not None and regions.numel() not in lengths):
            shapes = [tuple(t.shape) for t in (scores, targets, regions) if t is not None]
            raise ValueError(f"scores, targets and regions must be of one length, got {shapes}")
        if not scores.numel():
            return
        shares = shares_of(places, regions) if self.regions else None
        count, keys = self._prepared(scores, group)
        hist = self.hist[group]
        one = torch.ones((), dtype=torch.int64, device=scores.device)
        count(hist[0], scores)
        if len(places):  # few, as a rule: count them again, and not as normal
            found = keys(scores.index_select(0, places).float())
            hist[0].index_add_(0, found, one.expand(len(places)), alpha=-1)
            hist[1].index_add_(0, found, one.expand(len(places)))
            if shares is not None:
                hist[2].index_add_(0, found, shares)

    def compute(self) -> dict[str, Curves]:
        """Curves of each group, over all ranks."""
        hists, seen = self.hist.cpu(), self.seen.tolist()
        return {name: self._curves(h, span) for name, h, span in zip(self.groups, hists, seen, strict=True)}

    def pooled(self) -> Curves:
        """Curves of all groups thrown together, over all ranks: every rank must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            return self._curves(*self._joined())

    def edges(self, group: int | None = None, bins: int = COARSE) -> np.ndarray:
        """Where ``regions.coarse`` should part scores of unknown range, over all ranks: every rank must call it.

        Half of the bins hold like parts of the anomalous elements, half of the normal ones; so intervals are as good
        whatever the scores. All samples whose histograms are to be added need the same edges.

        Args:
            group: position in ``groups``; None for all of them together.
            bins: of the coarse histograms.

        Returns:
            ``(bins - 1,)`` float64, ascending; some may be equal.

        Raises:
            ValueError: scores are not of unknown range.
        """
        if self.scores != "any":
            raise ValueError(f"scores are {self.scores}: coarse histograms of these need no edges")
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            hist, seen = self._joined() if group is None else (self.hist[group].cpu(), self.seen[group].tolist())
        position, low, *_ = window.places(window.axis_of(seen, self.bins), self.bins)
        counts = hist.numpy()[:2, position].astype(np.float64)  # (2, K)
        parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        below = parts.sum(0).cumsum()
        wanted = np.arange(1, bins) / bins * below[-1]
        return low[np.minimum(np.searchsorted(below, wanted) + 1, len(low) - 1)]

    def _joined(self) -> tuple[Tensor, list[float]]:
        """Counts of all groups together, and what was seen."""
        seen = self.seen.cpu()
        if self.scores != "any":
            return self.hist.sum(0).cpu(), seen.amax(0).tolist()
        old = [window.axis_of(row, self.bins) for row in seen.tolist()]
        together = window.agreed(seen.amax(0).tolist(), self.hist, old, self.bins)
        new = window.axis_of(together, self.bins)
        parts = [window.moved(h, o, new, self.bins) for h, o in zip(self.hist.cpu(), old, strict=True)]
        return torch.stack(parts).sum(0), together

    def _prepared(
        self, scores: Tensor, group: int
    ) -> tuple[Callable[[Tensor, Tensor], None], Callable[[Tensor], Tensor]]:
        """Check scores and note their range; what counts scores of the group in a row, and what gives their bins."""
        if self.scores != "any":
            low, high = axis.check(scores, self.scores)
            state.own(self)
            self.seen[group, : window.INNER_LOW] = torch.maximum(
                self.seen[group, : window.INNER_LOW], self.seen.new_tensor([-low, high])
            )
            keys = partial(axis.keys, kind=self.scores, bins=self.bins, zeros=low < axis.TINY)
            return partial(_count, keys=keys), keys
        old = self.seen[group].tolist()
        seen, ends = window.look(scores, old)
        state.own(self)
        before = window.axis_of(old, self.bins)
        seen = window.agreed(seen, self.hist[group][None], [before], self.bins)
        after = window.axis_of(seen, self.bins)
        if after != before:
            self.hist[group] = window.moved(self.hist[group], before, after, self.bins)
        if seen != old:
            self.seen[group] = self.seen.new_tensor(seen)
        fixed: dict[str, Any] = {"axis": after, "bins": self.bins}
        return partial(_count_parts, ends=ends, **fixed), partial(window.counted, **fixed)

    def _curves(self, hist: Tensor, seen: list[float]) -> Curves:
        span = -seen[window.LOW], seen[window.HIGH]
        if self.scores != "any":
            return curves(hist.numpy(), axis.scale(self.scores, self.bins), self.fpr_limit, span)
        position, low, top, single = window.places(window.axis_of(seen, self.bins), self.bins)
        counts = hist.numpy()[:, position]
        if counts[:, np.isinf(low)].any():
            span = -np.inf, np.inf
        return curves(counts, Scale(low, top, single), self.fpr_limit, span)

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        group = process_group or self.process_group
        state.own(self)
        old = self.seen.tolist()
        dist.all_reduce(self.seen, dist.ReduceOp.MAX, group=group)
        if self.scores == "any":
            axes = [window.axis_of(row, self.bins) for row in old]
            rows = self.seen.tolist()
            floors = [window.agreed(r, h[None], [o], self.bins) for r, h, o in zip(rows, self.hist, axes, strict=True)]
            self.seen = self.seen.new_tensor(floors)
            dist.all_reduce(self.seen, dist.ReduceOp.MAX, group=group)
            for number, (row, own) in enumerate(zip(self.seen.tolist(), axes, strict=True)):
                agreed = window.axis_of(row, self.bins)
                self.hist[number] = window.moved(self.hist[number], own, agreed, self.bins)
        dist.all_reduce(self.hist, group=group)


def shares_of(places: Tensor, regions: Tensor | None) -> Tensor:
    """What each of the anomalous elements at ``places`` is of its region, in fixed point: ``(P,)`` int64.

    Args:
        places: ``(P,)`` int64.
        regions: as in ``AnomalyCurves.update``, which raises what this raises.
    """
    if regions is None:
        if len(places):
            raise ValueError(f"{len(places)} anomalous elements came without their regions")
        return places
    numbers = regions.reshape(-1)
    if len(numbers) != len(places):
        numbers = numbers.index_select(0, places)
    if len(numbers) and int(numbers.min()) <= 0:
        raise ValueError(f"{int((numbers <= 0).sum())} anomalous elements belong to no region")
    areas = torch.bincount(numbers, minlength=1)
    return (REGION // areas.clamp(min=1)).index_select(0, numbers)


def _count(row: Tensor, scores: Tensor, keys: Callable[[Tensor], Tensor]) -> None:
    """Count scores of a fixed axis in a row of a histogram."""
    one = torch.ones((), dtype=torch.int64, device=scores.device)
    for part in scores.split(CHUNK_GPU if scores.is_cuda else CHUNK):
        row.index_add_(0, keys(part.float()), one.expand(len(part)))


def _count_parts(row: Tensor, scores: Tensor, **fixed: Any) -> None:
    """The same of scores of any range."""
    for part in scores.split(CHUNK_GPU if scores.is_cuda else CHUNK_ANY):
        window.count(row, part, **fixed)
