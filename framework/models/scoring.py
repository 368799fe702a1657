"""Verdicts -> suspicion of every native element, through the crops of a view and the views of a sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from framework.data import crops as cropping
from framework.lift import lift
from framework.types import Batch, Grid, Sample, Verdict


def view_maps(maps: Tensor, crops: list[int], height: int, width: int, size: int, mode: str) -> Tensor:
    """Crop maps of one sample -> ``(V, H, W)`` float32 in [0, 1], one map per view.

    Args:
        maps: ``(sum(crops), rows, columns)``.
        crops: crops of each view.
        height: of the views in pixels.
        width: of the views in pixels.
        size: side of a crop in pixels.
        mode: "base" or "anyres", how the views were cut.
    """
    merged = [cropping.merge(part, height, width, size, mode) for part in maps.split(crops)]
    return torch.stack(merged).clamp(0, 1)


def per_sample(batch: Batch, verdict: Verdict, size: int, mode: str) -> Iterator[tuple[Sample, Tensor, Tensor]]:
    """Each sample of a batch with its view maps ``(V, H, W)`` and its element scores ``(E,)``, both in [0, 1]."""
    crop, view = 0, 0
    for sample, views in zip(batch.samples, batch.views, strict=True):
        crops = batch.crops[view : view + views]
        height, width = sample.views.shape[-2:]
        maps = view_maps(verdict.maps[crop : crop + sum(crops)], crops, height, width, size, mode)
        yield sample, maps, lift(maps, sample)
        crop, view = crop + sum(crops), view + views


def on_grid(scores: Tensor, grid: Grid) -> Tensor:
    """Element scores ``(E,)`` on a grid: ``(h * w,)`` float32 on the CPU; cells without an element are 0.

    The Gaussian is the one that published numbers of these sets are smoothed with (zqhang/PointAD test.py, scipy).
    """
    laid = np.where(grid.index < 0, 0, scores.cpu().numpy()[grid.index]).astype(np.float32)
    if grid.sigma:
        laid = gaussian_filter(laid, grid.sigma).clip(0, 1)
    return torch.from_numpy(laid.ravel())
