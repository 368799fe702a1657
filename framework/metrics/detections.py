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

from framework.metrics import axis, state
from framework.metrics.dice import histograms
from framework.metrics.regions import COARSE, coarse_bins, where
from framework.metrics.superlevel import alone

LIMIT = 1.0  # false positives a scan at the operating point
FLAGGED = 0.01  # at most this share of the normal voxels may be flagged


@dataclass(slots=True)
class Detected:
    """Detection in one group. None: no lesion.

    Attributes:
        scans: all of them, with and without lesions.
        lesions: in all scans.
        sensitivity: share of lesions found at the operating point, see ``operating_points``.
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


def operating_points(hist: np.ndarray, scans: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest threshold that keeps to both limits, as it finds most.

    A threshold qualifies if it leaves at most ``limit`` false positives a scan on average, and flags at most
    ``FLAGGED`` of all normal voxels. The second is what gives the first its meaning: the lower a threshold, the more
    blobs run together, until one blob fills each scan, holds all lesions and is no false positive. False positives
    rise and fall along the thresholds, and any that qualifies counts. A score of 0 is never flagged.

    Args:
        hist: ``(B, 3, K)`` as ``Detections.hist``; bin 0 is below all thresholds.
        scans: ``(B,)``, how many.
        limit: false positives a scan.

    Returns:
        ``(B,)`` float64 sensitivity, NaN without lesions, and ``(B,)`` int64, the bin of the highest threshold that
        reaches it; K, above all scores, where none finds a lesion.
    """
    normal, blobs, lesions = np.moveaxis(hist[..., ::-1].cumsum(-1), 1, 0)  # (B, K), highest threshold first
    fits = (blobs <= limit * scans[:, None]) & (normal <= FLAGGED * normal[:, -1:])
    hits = np.where(fits, lesions, 0)[:, :-1]
    best = hits.max(1)
    bins = np.where(best > 0, hist.shape[2] - 1 - hits.argmax(1), hist.shape[2])
    return np.divide(best, lesions[:, -1], out=np.full(len(best), np.nan), where=lesions[:, -1] > 0), bins


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
