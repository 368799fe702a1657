"""A sample with element truth -> its elements, which are anomalous, and the region that each of these belongs to."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from framework.metrics.regions import components, shown_components
from framework.types import Sample


def numbered(sample: Sample) -> tuple[Tensor, Tensor]:
    """Truth ``(E,)`` bool of a sample that has it, and ``(E,)`` int32: 0 if normal, else the number of its region."""
    assert sample.truth is not None
    numbers = sample.regions
    if numbers is None and not sample.truth.any():
        numbers = np.zeros(len(sample.truth), np.int32)
    elif numbers is None and sample.owner is not None:
        numbers = shown_components(sample.truth, sample.owner)
    elif numbers is None:
        numbers = components(sample.truth.reshape(grid_of(sample))).ravel()
    # torch wants no read-only arrays
    truth, regions = (torch.from_numpy(a if a.flags.writeable else a.copy()) for a in (sample.truth, numbers))
    return truth, regions


def grid_of(sample: Sample) -> tuple[int, int, int]:
    """The grid that the elements of a sample without owner lie in."""
    if sample.back is not None:
        return sample.back.shape
    count, _, height, width = sample.views.shape
    return count, height, width
