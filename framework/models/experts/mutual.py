"""Features of all crops of a category -> how badly the other images match each patch, and scores made consistent."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

FARTHEST = 2.0  # distance of opposite unit vectors
CHUNK = 2**24  # similarities held at once: 64 MiB


def mutual_scores(
    kept: Tensor,
    grid: tuple[int, int],
    crops: list[int],
    samples: list[int],
    degrees: list[int],
    share: float,
    device: torch.device,
) -> Tensor:
    """LNAMD and MSM of MuSc, see there; of several ranks each scores its share of the views.

    Args:
        kept: ``(L, N, P, C)``, levels of all crops, on the CPU.
        grid: (rows, columns) of the P patches.
        crops: crops of each of M views; sums to N.
        samples: the sample of each view; at least two.
        degrees: sides of the neighbourhoods.
        share: of the views of other samples, those whose distances are averaged.
        device: that computes; it holds one level at a time.

    Returns:
        ``(N, P)`` float32 in [0, 2], on the CPU.
    """
    together = dist.is_available() and dist.is_initialized()
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    mine, patches = range(rank, len(crops), ranks), kept.shape[2]
    totals = {view: torch.zeros(crops[view] * patches) for view in mine}
    owner = torch.tensor(samples)
    for level in kept:
        for degree in degrees:
            found = aggregated(level.to(device), grid, degree)
            for view in mine:
                others = (owner != owner[view]).to(device)  # (M,)
                totals[view] += interval_mean(distances(found, crops, view)[:, others], share).cpu()
    if together:
        parts: list[dict[int, Tensor]] = [{} for _ in range(ranks)]
        dist.all_gather_object(parts, totals)
        totals = {view: total for part in parts for view, total in part.items()}
    summed = torch.cat([totals[view] for view in range(len(crops))])
    return summed.unflatten(0, (-1, patches)) / (len(kept) * len(degrees))


def aggregated(level: Tensor, grid: tuple[int, int], degree: int) -> Tensor:
    """LNAMD: mean of each patch's neighbourhood, of unit length.

    Args:
        level: ``(N, P, C)``.
        grid: (rows, columns) of the P patches.
        degree: side of the neighbourhood, odd; what lies beyond the border counts as zeros.

    Returns:
        ``(N, P, C)``.
    """
    normalised = F.layer_norm(level, level.shape[1:])
    laid = normalised.mT.unflatten(2, grid)  # (N, C, rows, columns)
    pooled = F.avg_pool2d(laid, degree, stride=1, padding=degree // 2)
    return F.normalize(pooled.flatten(2).mT, dim=-1)


def distances(found: Tensor, crops: list[int], view: int) -> Tensor:
    """From each patch of a view to the nearest patch of every view.

    Args:
        found: ``(N, P, C)`` of unit length.
        crops: crops of each of M views; sums to N.
        view: which view asks.

    Returns:
        ``(crops[view] * P, M)`` in [0, 2].
    """
    first = sum(crops[:view])
    asking = found[first : first + crops[view]].flatten(0, 1)  # (q, C)
    at_once = max(1, CHUNK // (len(asking) * found.shape[1]))  # crops
    nearest = [(asking @ part.flatten(0, 1).mT).unflatten(1, part.shape[:2]).amax(2) for part in found.split(at_once)]
    cosines = torch.stack([own.amax(1) for own in torch.cat(nearest, 1).split(crops, 1)], 1)  # (q, M)
    return (2 - 2 * cosines).clamp_min(0).sqrt()


def interval_mean(distances: Tensor, share: float) -> Tensor:
    """MSM: ``(q, M)`` -> ``(q,)``, mean of the lowest ``share`` of the distances, at least of one."""
    count = max(1, int(distances.shape[1] * share))
    return distances.topk(count, dim=1, largest=False).values.mean(1)


def consistent(scores: Tensor, whole: Tensor, neighbours: list[int]) -> Tensor:
    """RsCIN: scores of images averaged over the images most like each.

    Args:
        scores: ``(M,)``.
        whole: ``(M, C)`` of unit length, one vector an image.
        neighbours: how many images are averaged, itself among them; the result is the mean over these counts.

    Returns:
        ``(M,)``, within the range of ``scores``.
    """
    alike = (whole @ whole.T).clamp_min(0)
    alike.fill_diagonal_(1)  # itself first, whatever rounding says
    found = []
    for count in neighbours:
        weights, index = alike.topk(min(count, len(alike)), dim=1)
        found.append((weights * scores[index]).sum(1) / weights.sum(1))
    return torch.stack(found).mean(0)


def mean_of_views(values: Tensor, crops: list[int]) -> Tensor:
    """``(N, C)`` of crops -> ``(M, C)``, mean over the crops of each view."""
    return torch.stack([part.mean(0) for part in values.split(crops)])
