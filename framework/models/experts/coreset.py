"""Unit vectors and a bank of them -> distances to the nearest, and the few of a bank that lie near all of it."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 2**24  # similarities held at once: 64 MiB


def nearest(found: Tensor, bank: Tensor, apart: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Distance 1 - cosine of each vector to the nearest of a bank.

    Args:
        found: ``(n, D)`` of unit length.
        bank: ``(K, D)`` of unit length, K > 0.
        apart: ``(n,)`` and ``(K,)``, of what each is a part: parts of the same are not compared.

    Returns:
        ``(n,)`` in [0, 2]; infinite where there is nothing to compare with.
    """
    parts = []
    for start in range(0, len(found), rows := max(1, CHUNK // len(bank))):
        with torch.autocast(found.device.type, enabled=False):  # half precision tells no near from nearer
            cosines = found[start : start + rows] @ bank.T  # (rows, K)
        if apart is not None:
            cosines.masked_fill_(apart[0][start : start + rows, None] == apart[1], -torch.inf)
        parts.append((1 - cosines.amax(1)).clamp_min(0))
    return torch.cat(parts)


def coreset(bank: Tensor, count: int) -> Tensor:
    """Greedy k-centre: begin with the first, then take what lies farthest from all that was taken, again and again.

    Args:
        bank: ``(K, D)`` of unit length.
        count: how many to keep, at least 1.

    Returns:
        ``(count,)`` positions, sorted. Its radius is at most twice that of the best choice (Gonzalez 1985), in
        Euclidean distance, whose order is that of 1 - cosine.
    """
    taken, far = [0], 1 - bank @ bank[0]
    while len(taken) < min(count, len(bank)):
        taken.append(int(far.argmax()))
        far = torch.minimum(far, 1 - bank @ bank[taken[-1]])
    return torch.tensor(sorted(taken), device=bank.device)
