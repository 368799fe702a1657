"""Scores and lesions of scans, one at a time -> how many lesions are found at how many false positives a scan.

At a threshold a scan's flagged voxels fall into 26-connected blobs. A lesion is found where any of its voxels is
flagged, and a blob that holds no voxel of any lesion is a false positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from framework.leaderboard.statistics.counts import LIMIT, operating_points
from framework.metrics import axis, state
from framework.metrics.dice import histograms
from framework.metrics.regions import COARSE, coarse_bins, where
from framework.metrics.superlevel import alone


@dataclass(slots=True)
class Detected:
    """Detection in one group. None: no lesion.

    Attributes:
        scans: all of them, with and without lesions.
        lesions: in all scans.
        sensitivity: share of lesions found at the operating point, see ``counts.operating_points``.
        threshold: of that point, a probability; None where no threshold qualifies and nothing is flagged.
        false_positives: mean over scans at that point.
    """

    scans: int
    lesions: int
    sensitivity: float | None = None
    threshold: float | None = None
    false_positives: float | None = None


class Detections(Metric):
    """Counts blobs and lesions at every threshold of the fixed axis.

    Integers only, so any order or number of ranks gives the same bits.

    Args:
        groups: names of what is measured apart (categories). State: 3 MiB a group.
    """

    full_state_update = False
    hist: Tensor
    """``(groups, 3, axis.BINS)`` int64: normal voxels, lone blobs (births less deaths) and lesions by highest score."""
    scans: Tensor
    """``(groups,)`` int64."""

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__()
        self.groups = list(groups)
        self.add_state("hist", torch.zeros(len(self.groups), 3, axis.BINS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("scans", torch.zeros(len(self.groups), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, tally: np.ndarray, group: int = 0) -> None:
        """Add a scan.

        Args:
            tally: ``(4, axis.BINS)`` int64 of ``tally``.
            group: position in ``groups``.
        """
        state.own(self)
        self.hist[group] += torch.from_numpy(tally[[0, 2, 3]]).to(self.hist.device)
        self.scans[group] += 1

    def compute(self) -> dict[str, Detected]:
        """Detection in each group, over all ranks."""
        hists, scans = self.hist.cpu().numpy(), self.scans.tolist()
        return {name: detected(h, n) for name, h, n in zip(self.groups, hists, scans, strict=True)}

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        state.add_ranks(self, process_group)


def tally(scores: Tensor, regions: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    """All that a scan adds to ``Detections`` and, its first two rows, to ``dice.Dice``.

    Args:
        scores: ``(I * J * K,)`` floating point, counted as float32: probabilities in [0, 1]. A voxel that was not
            looked at scores 0: no threshold flags it.
        regions: ``(I * J * K,)`` integer, the lesion (1, 2, ...) of a voxel, 0 where normal (``regions.components``).
        shape: ``(I, J, K)``, of the grid in which voxels touch.

    Returns:
        ``(4, axis.BINS)`` int64, ascending in score: normal voxels, anomalous voxels, births less deaths of blobs
        without a lesion, and lesions by their highest score.

    Raises:
        ValueError: sizes differ, a score is NaN or out of range, or too many maxima (``superlevel.alone``).
    """
    scores, numbers = scores.detach().reshape(-1).float().cpu(), regions.reshape(-1).cpu()
    if not scores.numel() == numbers.numel() == int(np.prod(shape)):
        raise ValueError(f"{scores.numel()} scores, {numbers.numel()} numbers of lesions, a grid of {shape}")
    anomalous = numbers > 0
    found = np.zeros((4, axis.BINS), np.int64)
    found[:2] = histograms(scores, anomalous)
    if not len(scores):
        return found
    found[2] = alone(scores.numpy().reshape(shape), anomalous.numpy().reshape(shape))
    places = where(anomalous)
    keys, owner = axis.keys(scores[places], "probability"), numbers[places].long()
    peaks = torch.full((int(owner.max()) + 1 if len(owner) else 0,), -1, dtype=torch.int32)
    peaks.scatter_reduce_(0, owner, keys, "amax")
    found[3] = torch.bincount(peaks[peaks >= 0], minlength=axis.BINS)
    return found


def found_coarse(tally: np.ndarray, bins: int = COARSE) -> np.ndarray:
    """A scan's part for intervals: ``(3, bins)`` float32, the rows of ``Detections.hist`` on the axis of ``coarse``."""
    places = coarse_bins("probability", bins).numpy()
    return np.stack([np.bincount(places, row, minlength=bins) for row in tally[[0, 2, 3]]]).astype(np.float32)


def detected(hist: np.ndarray, scans: int) -> Detected:
    """Numbers of a group from ``(3, axis.BINS)`` int64 as ``Detections.hist`` and its count of scans."""
    lesions = int(hist[2].sum())
    if not lesions:
        return Detected(scans, 0)
    shares, bins = operating_points(hist[None], np.array([scans]), LIMIT)
    place = int(bins[0])
    threshold = axis.threshold(place, "probability") if place < hist.shape[1] else None
    false_positives = float(hist[1, place:].sum() / scans)
    return Detected(scans, lesions, float(shares[0]), threshold, false_positives)
