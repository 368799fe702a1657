"""Maps of a sample's views -> one score per native element: image pixel, point or voxel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from framework.types import Sample

LEAST = 2.0**-14  # weight of a view that shows an element at all: the smallest normal float16


def lift(view_maps: Tensor | Sequence[Tensor], sample: Sample) -> Tensor:
    """What the views say of each element; an element that no view shows takes its stand-in's.

    Where the sample has a way of its own (``back``), that is asked, view by view.

    Where the sample says at which pixel a view shows an element (``place``), these join by ``fuse``: their mean,
    weighted by ``weight`` where there is one, or their maximum. Where it does not, an element's score is the mean of
    the pixels that it owns. Sums are float64, one view or pixel after the other on a CPU, so the result does not depend
    on the number of threads; on a GPU the order of adding pixels can change the sum's last bit, which the float32
    result does not keep.

    Args:
        view_maps: ``(V, H, W)`` float, scores of the view pixels, at the size of the sample's views, or V of these.
        sample: where they came from.

    Returns:
        ``(E,)`` float32 on the device of ``view_maps``; on the CPU where the sample has a ``back``.

    Raises:
        ValueError: maps and views differ in size, ``owner`` names an element the sample does not have, or an element
            is shown by no view and has no stand-in that is shown.
    """
    path, shape = sample.record.path, sample.views[:, 0].shape
    if sample.back is not None:
        return torch.from_numpy(sample.back(_plain(view_maps, sample)))
    if not isinstance(view_maps, Tensor):
        view_maps = view_maps[0][None] if len(view_maps) == 1 else torch.stack(list(view_maps))
    if tuple(view_maps.shape) != shape:
        raise ValueError(f"{path}: maps of shape {tuple(view_maps.shape)} for views of shape {shape}")
    if sample.owner is None:
        return view_maps.flatten().float()
    elements = sample.elements
    scores, shows = _owned(view_maps, sample) if sample.place is None else _placed(view_maps, sample)
    source = np.arange(elements) if sample.stand_in is None else sample.stand_in
    if len(source) != elements:
        raise ValueError(f"{path}: {len(source)} stand-ins for {elements} elements")
    if not shows[source].all():
        hidden = int((shows[source] == 0).sum())
        raise ValueError(f"{path}: {hidden} of {elements} elements are shown by no view and have no stand-in that is")
    return scores[torch.from_numpy(source).to(view_maps.device)].float()


def seen_by(sample: Sample) -> np.ndarray:
    """``(E,)`` int32: how many views show each element; of a sample whose view pixels are its elements, 1."""
    if sample.owner is None:
        return np.ones(sample.elements, np.int32)
    if sample.place is not None:
        return (sample.place >= 0).sum(0, dtype=np.int32)
    counts = np.zeros(sample.elements, np.int32)
    for owner in sample.owner:
        counts[np.unique(owner[owner >= 0])] += 1
    return counts


def _plain(view_maps: Sequence[Tensor] | Tensor, sample: Sample) -> Iterator[np.ndarray]:
    """Each map as ``back`` takes it, refused where it is not as large as its view."""
    fit = len(view_maps) == len(sample.views)
    for found in view_maps if fit else ():
        fit &= found.shape == sample.views.shape[-2:]
        if fit:
            yield found.float().cpu().numpy()
    if not fit:
        raise ValueError(
            f"{sample.record.path}: maps for other views than {len(sample.views)} of {sample.views.shape[-2:]}"
        )


def _owned(view_maps: Tensor, sample: Sample) -> tuple[Tensor, np.ndarray]:
    """``(E,)`` float64 means of the pixels that each element owns, and how many these are."""
    assert sample.owner is not None
    elements, owner, device = sample.elements, sample.owner.ravel(), view_maps.device
    if owner.max() >= elements:
        raise ValueError(f"{sample.record.path}: a view shows element {owner.max()} of {elements}")
    index = np.where(owner < 0, elements, owner)  # one more bin takes the pixels that show nothing
    shows = np.bincount(index, minlength=elements + 1)[:elements]  # (E,) pixels per element
    total = torch.zeros(elements + 1, dtype=torch.float64, device=device)
    total.index_add_(0, torch.from_numpy(index).to(device), view_maps.flatten().double())
    return total[:-1] / torch.from_numpy(shows.clip(min=1)).to(device), shows


def _placed(view_maps: Tensor, sample: Sample) -> tuple[Tensor, np.ndarray]:
    """``(E,)`` float64, what the views that show each element say of it together, and how many these are."""
    assert sample.place is not None
    device, pixels = view_maps.device, view_maps[0].numel()
    if sample.place.max() >= pixels:
        raise ValueError(f"{sample.record.path}: an element lies at pixel {sample.place.max()} of {pixels}")
    joined = torch.zeros(sample.elements, dtype=torch.float64, device=device)
    weights = torch.zeros_like(joined)
    for view, place in enumerate(sample.place):
        shown = torch.from_numpy(np.flatnonzero(place >= 0)).to(device)
        found = view_maps[view].flatten()[torch.from_numpy(place).to(device)[shown].long()].double()
        if sample.fuse == "max":  # scores are not negative
            joined[shown] = torch.maximum(joined[shown], found)
            continue
        weight = torch.ones_like(found)
        if sample.weight is not None:
            weight = torch.from_numpy(sample.weight[view]).to(device)[shown].double().clamp_min(LEAST)
        joined[shown] += weight * found
        weights[shown] += weight
    shows = (sample.place >= 0).sum(0)
    return joined if sample.fuse == "max" else joined / weights.clamp_min(LEAST), shows
