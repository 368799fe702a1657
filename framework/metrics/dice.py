"""Scores and truth of scans, one at a time -> their mean Dice at every threshold, from a state of constant size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from framework.leaderboard.statistics.counts import dice
from framework.metrics import axis, state
from framework.metrics.regions import where

FIXED = 0.5  # the threshold that no test set chose
ONE = 1 << 40  # a Dice of 1 in fixed point: sums are exact, and the same in any order
CHUNK = 1 << 18


@dataclass(slots=True)
class Overlap:
    """Dice of one group. None: no scan has a lesion.

    Attributes:
        scans: that have a lesion, the others do not enter.
        dice_best: the highest mean over scans that one threshold for all of them reaches. An oracle: the truth under
            test chose the threshold.
        threshold: that threshold, a probability.
        dice_fixed: mean over scans at ``FIXED``: exact, as a bin begins there.
        dice_best_error: how much higher a threshold inside a bin may reach; it is never lower than ``dice_best``.
    """

    scans: int
    dice_best: float | None = None
    threshold: float | None = None
    dice_fixed: float | None = None
    dice_best_error: float | None = None


class Dice(Metric):
    """Mean Dice of scans, 2 |flagged and lesion| / (|flagged| + |lesion|), one vote a scan, however large its lesions.

    A scan without a lesion has no Dice (0 for a single voxel flagged, undefined for none): it is left out, and what is
    flagged in it counts in ``detections`` and in the curves of elements. Integers only, so any order or number of ranks
    gives the same bits.

    Args:
        groups: names of what is measured apart (categories). State: 2 MiB a group.
    """

    full_state_update = False
    sums: Tensor
    """``(groups, axis.BINS)`` int64: at the threshold of each bin the sum of Dice over scans, in 1 / ``ONE``."""
    bounds: Tensor
    """``(groups, axis.BINS)`` int64: what no threshold inside each bin exceeds, in the same unit."""
    scans: Tensor
    """``(groups,)`` int64, scans with a lesion."""

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__()
        self.groups = list(groups)
        for name in ("sums", "bounds"):
            self.add_state(name, torch.zeros(len(self.groups), axis.BINS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("scans", torch.zeros(len(self.groups), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, hists: np.ndarray, group: int = 0) -> None:
        """Add a scan.

        Args:
            hists: ``(2, axis.BINS)`` int64, ``histograms`` of all its voxels.
            group: position in ``groups``.
        """
        if not hists[1].any():
            return
        state.own(self)
        for held, values in ((self.sums, dice(hists)), (self.bounds, _bound(hists))):
            held[group] += torch.from_numpy(np.rint(values * ONE).astype(np.int64)).to(held.device)
        self.scans[group] += 1

    def compute(self) -> dict[str, Overlap]:
        """Dice of each group, over all ranks."""
        sums, bounds, scans = self.sums.cpu().numpy(), self.bounds.cpu().numpy(), self.scans.tolist()
        return {name: _overlap(s, b, n) for name, s, b, n in zip(self.groups, sums, bounds, scans, strict=True)}

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        state.add_ranks(self, process_group)


def histograms(scores: Tensor, targets: Tensor) -> np.ndarray:
    """How many elements of one sample have their score in each bin.

    Args:
        scores: ``(E,)`` floating point, counted as float32: probabilities in [0, 1].
        targets: ``(E,)`` bool or 0/1.

    Returns:
        ``(2, axis.BINS)`` int64, ascending in score: normal elements, anomalous elements.

    Raises:
        ValueError: lengths differ, a score is NaN or out of range.
    """
    scores, targets = scores.detach().reshape(-1), targets.reshape(-1)
    if scores.shape != targets.shape:
        raise ValueError(f"scores and targets must be of one length, got {len(scores)} and {len(targets)}")
    found = torch.zeros(2, axis.BINS, dtype=torch.int64)
    if not len(scores):
        return found.numpy()
    zeros = axis.check(scores, "probability")[0] < axis.TINY
    for part in scores.split(CHUNK):
        found[0] += torch.bincount(axis.keys(part.float(), "probability", zeros=zeros), minlength=axis.BINS).cpu()
    keys = axis.keys(scores.index_select(0, where(targets)).float(), "probability")
    found[1] = torch.bincount(keys, minlength=axis.BINS).cpu()
    found[0] -= found[1]
    return found.numpy()


def coarse_overlap(hists: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Mean Dice of scans with a lesion from ``(n, 2, K)`` of ``regions.coarse``: best, fixed and error of the best.

    The best threshold is looked for among the K edges, of which the middle one is ``FIXED``; None without scans.
    """
    if not len(hists):
        return None, None, None
    means, inside = dice(hists).mean(0), _above(hists, hists[:, 0]).mean(0)
    return float(means.max()), float(means[len(means) // 2]), float(inside.max() - means.max())


def _bound(hists: np.ndarray) -> np.ndarray:
    """``(2, axis.BINS)`` counts -> ``(axis.BINS,)``: Dice were all lesion elements of a bin above its normal ones.

    Where a bin holds one score only, that is its Dice.
    """
    return _above(hists, np.where(axis.single("probability"), 0, hists[0]))


def _above(hists: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """``(..., 2, K)`` counts -> ``(..., K)`` Dice were so many ``(..., K)`` normal elements of each bin not flagged."""
    flagged = hists[..., ::-1].cumsum(-1)[..., ::-1]
    hit = flagged[..., 1, :]
    return np.asarray(2 * hit / (flagged[..., 0, :] - normal + hit + hit[..., :1]))


def _overlap(sums: np.ndarray, bounds: np.ndarray, scans: int) -> Overlap:
    """Read a group's state; of thresholds with one Dice the highest."""
    if not scans:
        return Overlap(0)
    best = len(sums) - 1 - int(sums[::-1].argmax())
    fixed = int(axis.keys(torch.tensor([FIXED]), "probability")[0])
    threshold = axis.threshold(best, "probability", len(sums))
    value, at_fixed, bound = (float(x / (ONE * scans)) for x in (sums[best], sums[fixed], bounds.max()))
    return Overlap(scans, value, threshold, at_fixed, bound - value)
