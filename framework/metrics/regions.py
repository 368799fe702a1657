"""Truth of a sample -> its connected regions, and a coarse histogram of its scores for intervals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from framework.metrics import axis
from framework.metrics.axis import Kind

COARSE = 512
LARGE, SPARSE = 1 << 18, 0.02  # volumes in which joining runs is faster than labelling every voxel of the box
COARSE_LIMIT = 16.0  # logits beyond +-16 fall into the end bins of a coarse histogram


def components(truth: np.ndarray) -> np.ndarray:
    """Number the connected regions of anomalous elements, touching corners included.

    Args:
        truth: ``(V, H, W)`` bool. One view is a picture (8-connected), several are a scan (26-connected).

    Returns:
        ``(V * H * W,)`` int32: 0 for a normal element, else the number of its region, from 1 without gaps.

    Raises:
        ValueError: another shape.
    """
    found = np.zeros(truth.size, np.int32)
    numbers = numbered(truth)
    if len(numbers):
        found[np.flatnonzero(truth)] = numbers
    return found


def numbered(truth: np.ndarray) -> np.ndarray:
    """``components`` of the anomalous elements alone, ``(P,)`` int32 in their order; raises what it raises."""
    if truth.ndim != 3:
        raise ValueError(f"truth must be (V, H, W), got {truth.shape}")
    count = np.count_nonzero(truth)
    if count and truth.size >= LARGE and count <= truth.size * SPARSE:
        return _numbered_runs(truth)
    if not count:
        return np.zeros(0, np.int32)
    inside = truth[box(truth)]
    return ndimage.label(inside, np.ones((3, 3, 3)), np.int32)[0][inside]


def shown_components(truth: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Number the connected regions of anomalous elements by how the views show them.

    Elements belong together that an 8-connected patch of anomalous pixels shows, in any one view.

    Args:
        truth: ``(E,)`` bool.
        owner: ``(V, H, W)`` integer, the element a pixel shows, -1 where none.

    Returns:
        ``(E,)`` int32: 0 for a normal element, else the number of its region, from 1; an element that no view shows
        is a region of its own.
    """
    shown = (owner >= 0) & truth[owner]  # (V, H, W)
    in_a_view = np.zeros((3, 3, 3), bool)
    in_a_view[1] = True
    patches, count = ndimage.label(shown, in_a_view)
    elements, size = len(truth), len(truth) + count
    edges = np.ones(int(shown.sum()), bool), (owner[shown], elements + patches[shown] - 1)
    regions = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)[1][:elements]
    found = np.zeros(elements, np.int32)
    found[truth] = np.unique(regions[truth], return_inverse=True)[1] + 1
    return found


def coarse(
    scores: Tensor | np.ndarray,
    targets: Tensor | np.ndarray,
    regions: Tensor | np.ndarray | None = None,
    bins: int = COARSE,
    scores_kind: Kind = "probability",
    edges: np.ndarray | None = None,
    counted: Tensor | None = None,
) -> tuple[np.ndarray, int]:
    """One sample's histogram on an axis linear in the logit, clipped to +-16: what intervals resample.

    Scores of unknown range have no such axis. They are counted twice: ``AnomalyCurves(scores="any")`` first, whose
    ``edges`` then are those of every sample's histogram.

    Args:
        scores: ``(E,)`` floating point, probabilities in [0, 1] or logits.
        targets: ``(E,)`` bool or 0/1.
        regions: ``(E,)`` integer, the region (1, 2, ...) of each anomalous element.
        bins: of the result.
        scores_kind: what scores are, without ``edges``.
        edges: ``(bins - 1,)`` ascending, where a bin ends and the next one begins; then ``bins`` counts them.
        counted: ``(axis.BINS,)`` int64, how many of these scores ``AnomalyCurves`` found in each of its bins: then they
            are neither checked nor counted again, but for the anomalous ones. Without ``edges``.

    Returns:
        ``(3, bins)`` float32, ascending in score: normal elements, anomalous elements, and the sum of 1 / area of
        its region over the anomalous elements (zeros without ``regions``); and the number of regions.

    Raises:
        ValueError: a score is NaN or out of range.
    """
    values = torch.as_tensor(scores).detach().reshape(-1).float()
    bins = bins if edges is None else len(edges) + 1
    hist = np.zeros((3, bins), np.float32)
    if not len(values):
        return hist, 0
    places = where(torch.as_tensor(targets).reshape(-1))
    if counted is None:
        found = _coarsely(values, scores_kind, bins, edges)
        anomalous, total = found[places], torch.bincount(found, minlength=bins)
    else:
        anomalous = _coarsely(values[places], scores_kind, bins, None)
        total = counted.new_zeros(bins).index_add_(0, coarse_bins(scores_kind, bins).to(counted.device), counted)
    positives = torch.bincount(anomalous, minlength=bins)
    hist[0] = (total - positives).cpu()
    hist[1] = positives.cpu()
    if regions is None:
        return hist, 0
    numbers = torch.as_tensor(regions).reshape(-1)[places].cpu()
    areas = torch.bincount(numbers)
    # on the CPU, in one order: on a GPU a sum of fractions in a histogram is not deterministic, and torch refuses it
    hist[2] = torch.bincount(anomalous.cpu(), weights=(1 / areas.double())[numbers], minlength=bins)
    return hist, int((areas > 0).sum())


def _coarsely(values: Tensor, kind: Kind, bins: int, edges: np.ndarray | None) -> Tensor:
    """``(E,)`` integer, the coarse bin of each score; raises what ``axis.check`` raises."""
    if not len(values):
        return values.int()
    low, _ = axis.check(values, kind if edges is None else "logit")
    if edges is not None:
        return torch.bucketize(values.double(), torch.from_numpy(edges).to(values.device), right=True)
    keys = axis.keys(values, kind, zeros=low < axis.TINY)
    return coarse_bins(kind, bins).to(values.device).index_select(0, keys)


def box(marked: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box that holds what is marked of ``(V, H, W)`` bool, at least one element."""
    hits = (np.flatnonzero(marked.any(others)) for others in ((1, 2), (0, 2), (0, 1)))
    i, j, k = (slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)
    return i, j, k


def where(targets: Tensor) -> Tensor:
    """``(P,)`` int64, ascending: positions of what is not 0 in ``(E,)``. NumPy finds them four times faster."""
    if targets.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(targets.numpy()))
    return targets.nonzero().flatten()


def _numbered_runs(truth: np.ndarray) -> np.ndarray:
    """``numbered`` of few elements: those in a row make a run, and runs that touch across rows are joined.

    Positions are those in a volume with a margin, so that the end of a row does not touch the start of the next.
    """
    places = np.flatnonzero(truth)
    i, j, k = np.unravel_index(places, truth.shape)
    row = truth.shape[2] + 2
    plane = row * (truth.shape[1] + 2)
    at = i * plane + j * row + k
    starts = np.flatnonzero(np.diff(at, prepend=-2) != 1)
    ends = np.append(starts[1:], len(at))
    first, last = at[starts], at[ends - 1]
    edges = []
    for back in (row, plane - row, plane, plane + row):  # half of the eight rows around, the others look here
        low = np.searchsorted(last, first - back - 1)
        touching = np.searchsorted(first, last - back + 1, "right") - low
        ours = np.repeat(np.arange(len(first)), touching)
        edges.append(np.stack([ours, np.arange(len(ours)) + np.repeat(low - touching.cumsum() + touching, touching)]))
    pairs = np.concatenate(edges, 1)
    graph = coo_matrix((np.ones(pairs.shape[1], bool), tuple(pairs)), shape=(len(first), len(first)))
    return np.repeat(connected_components(graph, directed=False)[1] + 1, ends - starts)


@lru_cache(maxsize=8)
def coarse_bins(kind: Kind, bins: int) -> Tensor:
    """``(axis.BINS,)`` int32, the coarse bin of each fine one, so that rounding is the same everywhere."""
    edges = axis.logits(kind)
    found = np.clip(np.floor((edges + COARSE_LIMIT) * (bins / (2 * COARSE_LIMIT))), 0, bins - 1)
    return torch.from_numpy(found.astype(np.int32))
