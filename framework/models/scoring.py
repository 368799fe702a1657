"""Verdicts -> suspicion of every native element, through the crops of a view and the views of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from framework.data import crops as cropping
from framework.lift import lift
from framework.types import Batch, Grid, Sample, Verdict


class ViewMaps(Sequence[Tensor]):
    """Crop maps of one sample as a map ``(H, W)`` float32 in [0, 1] for each view, merged when it is asked for.

    Of a scan of 300 slices the crop maps take a few MB, the maps of all views hundreds.

    Args:
        maps: ``(sum(crops), rows, columns)``.
        crops: crops of each view.
        height: of the views in pixels.
        width: of the views in pixels.
        size: side of a crop in pixels.
        mode: "base" or "anyres", how the views were cut.
    """

    def __init__(self, maps: Tensor, crops: list[int], height: int, width: int, size: int, mode: str) -> None:
        self.parts = maps.split(crops)
        self.height, self.width, self.size, self.mode = height, width, size, mode

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, view: int) -> Tensor:  # type: ignore[override]
        return cropping.merge(self.parts[view], self.height, self.width, self.size, self.mode).clamp(0, 1)

    def stack(self) -> Tensor:
        """``(V, H, W)`` of all views."""
        return torch.stack(list(self))


def per_sample(batch: Batch, verdict: Verdict, size: int, mode: str) -> Iterator[tuple[Sample, ViewMaps, Tensor]]:
    """Each sample of a batch with its V view maps ``(H, W)`` and its element scores ``(E,)``, both in [0, 1]."""
    crop, view = 0, 0
    for sample, views in zip(batch.samples, batch.views, strict=True):
        crops = batch.crops[view : view + views]
        height, width = sample.views.shape[-2:]
        maps = ViewMaps(verdict.maps[crop : crop + sum(crops)], crops, height, width, size, mode)
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
