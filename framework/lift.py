"""Maps of a sample's views -> one score per native element: image pixel, point or voxel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from framework.types import Sample


def lift(view_maps: Tensor, sample: Sample) -> Tensor:
    """Mean score of the view pixels that show each element; an element that no view shows takes its stand-in's.

    Sums are float64, one pixel after the other on a CPU, so the result does not depend on the number of threads; on
    a GPU the order of adding can change the sum's last bit, which the float32 result does not keep.

    Args:
        view_maps: ``(V, H, W)`` float, scores of the view pixels, at the size of the sample's views.
        sample: where they came from; its ``owner`` says which element a pixel shows.

    Returns:
        ``(E,)`` float32 on the device of ``view_maps``.

    Raises:
        ValueError: maps and views differ in size, ``owner`` names an element the sample does not have, or an element
            is shown by no view and has no stand-in that is shown.
    """
    path, shape = sample.record.path, sample.views[:, 0].shape
    if tuple(view_maps.shape) != shape:
        raise ValueError(f"{path}: maps of shape {tuple(view_maps.shape)} for views of shape {shape}")
    if sample.owner is None:
        return view_maps.flatten().float()
    elements, owner = sample.elements, sample.owner.ravel()
    if owner.max() >= elements:
        raise ValueError(f"{path}: a view shows element {owner.max()} of {elements}")
    index = np.where(owner < 0, elements, owner)  # one more bin takes the pixels that show nothing
    shows = np.bincount(index, minlength=elements + 1)[:elements]  # (E,) pixels per element
    source = np.arange(elements) if sample.stand_in is None else sample.stand_in
    if len(source) != elements:
        raise ValueError(f"{path}: {len(source)} stand-ins for {elements} elements")
    if not shows[source].all():
        hidden = int((shows[source] == 0).sum())
        raise ValueError(f"{path}: {hidden} of {elements} elements are shown by no view and have no stand-in that is")
    device = view_maps.device
    total = torch.zeros(elements + 1, dtype=torch.float64, device=device)
    total.index_add_(0, torch.from_numpy(index).to(device), view_maps.flatten().double())
    mean = total[:-1] / torch.from_numpy(shows.clip(min=1)).to(device)
    return mean[torch.from_numpy(source).to(device)].float()
