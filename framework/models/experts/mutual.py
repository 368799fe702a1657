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
    """LNAMD and MSM of MuSc, see there; several ranks share the levels and degrees.

    Args:
        kept: ``(L, N, P, C)``, levels of all crops, on the CPU.
        grid: (rows, columns) of the P patches.
        crops: crops of each of M views; sums to N.
        samples: the sample of each view; at least two.
        degrees: sides of the neighbourhoods.
        share: of the views of other samples, those whose distances are averaged.
        device: that computes; it holds one level at a time, and ``(M, N * P)`` similarities.

    Returns:
        ``(N, P)`` float32 in [0, 2], on the CPU.
    """
    together = dist.is_available() and dist.is_initialized()
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    jobs = [(level, degree) for level in range(len(kept)) for degree in degrees]
    scores: dict[int, Tensor] = {}
    for job in range(rank, len(jobs), ranks):
        level, degree = jobs[job]
        found = aggregated(kept[level].to(device), grid, degree)
        scores[job] = scored(closest(found, crops, samples), found.shape[1], crops, samples, share).cpu()
    if together:
        parts: list[dict[int, Tensor]] = [{} for _ in range(ranks)]
        dist.all_gather_object(parts, scores)
        scores = {job: own for part in parts for job, own in part.items()}
    summed = torch.stack([scores[job] for job in range(len(jobs))]).sum(0)  # in one order, whoever scored
    return summed.unflatten(0, kept.shape[1:3]) / len(jobs)


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


def closest(found: Tensor, crops: list[int], samples: list[int]) -> Tensor:
    """Of each patch the cosine with the most similar patch of every view; each pair of views is multiplied once.

    Args:
        found: ``(N, P, C)`` of unit length.
        crops: crops of each of M views; sums to N.
        samples: the sample of each view.

    Returns:
        ``(M, N * P)``; -1 between views of one sample, which nobody asks for.
    """
    patches, first = found.shape[1], 0
    table = found.new_full((len(crops), len(found) * patches), -1)
    for view, own in enumerate(crops):
        last, rows = first + own, slice(first * patches, (first + own) * patches)
        first, after = last, next((j for j in range(view, len(crops)) if samples[j] != samples[view]), len(crops))
        if after == len(crops):
            continue
        start = last + sum(crops[view + 1 : after])
        asking, parts = found[last - own : last].flatten(0, 1), []  # (q, C)
        for part in found[start:].split(max(1, CHUNK // (own * patches**2))):
            alike = asking @ part.flatten(0, 1).mT  # (q, n * P), at most CHUNK of them where a crop is
            table[view, start * patches : (start + len(part)) * patches] = alike.amax(0)
            parts.append(alike.unflatten(1, part.shape[:2]).amax(2))  # (q, n)
            start += len(part)
        by_view = torch.cat(parts, 1).split(crops[after:], 1)
        table[after:, rows] = torch.stack([each.amax(1) for each in by_view])
    return table


def scored(table: Tensor, patches: int, crops: list[int], samples: list[int], share: float) -> Tensor:
    """MSM: ``(M, N * P)`` cosines -> ``(N * P,)``, how far each patch lies from its like in the views of others."""
    owner, parts, found = torch.tensor(samples, device=table.device), table.split([n * patches for n in crops], 1), []
    for view, own in enumerate(parts):
        others = own[owner != owner[view]].mT  # (q, views of others)
        found.append(interval_mean((2 - 2 * others).clamp_min(0).sqrt(), share))
    return torch.cat(found)


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
