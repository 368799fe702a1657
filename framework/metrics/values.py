"""Elements that each have one of 256 values, and their truth -> exact curves of these values, from counts alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from framework.metrics import state
from framework.metrics.axis import Scale
from framework.metrics.curves import Curves, curves

VALUES = 256  # those of uint8
WHOLE = Scale(np.arange(VALUES, dtype=float), np.arange(VALUES, dtype=float), np.ones(VALUES, bool))  # a bin, a value


class ValueCurves(Metric):
    """Counts of values. Integers only, so any order, batch size or number of ranks gives the same bits.

    Args:
        groups: names of what is measured apart (categories).
        names: of what has a value in every element. State: 6 KiB a group and name.
    """

    full_state_update = False
    hist: Tensor
    """``(groups, names, 3, VALUES)`` int64: normal, anomalous, and fixed-point shares of regions, as in ``curves``."""

    def __init__(self, groups: Sequence[str], names: Sequence[str]) -> None:
        super().__init__()
        self.groups, self.names = list(groups), list(names)
        empty = torch.zeros(len(self.groups), len(self.names), 3, VALUES, dtype=torch.int64)
        self.add_state("hist", empty, dist_reduce_fx="sum")

    def update(self, name: str, counts: Tensor, found: Tensor, shares: Tensor, group: int = 0) -> None:
        """Add the elements of one sample.

        Args:
            name: one of ``names``.
            counts: ``(VALUES,)`` int64, how many of all elements have each value.
            found: ``(P,)`` uint8, the values of the anomalous ones.
            shares: ``(P,)`` int64, what each of these is of its region, of ``ranking.shares_of``.
            group: position in ``groups``.
        """
        state.own(self)
        hist, device = self.hist[group, self.names.index(name)], self.hist.device
        hits, parts = torch.bincount(found, minlength=VALUES), torch.zeros(VALUES, dtype=torch.int64)
        parts.index_add_(0, found.long(), shares)
        hist += torch.stack([counts - hits, hits, parts]).to(device)

    def compute(self) -> dict[str, dict[str, np.ndarray]]:
        """By name and group ``(3, VALUES)`` int64 counts over all ranks."""
        hists = self.hist.cpu().numpy()
        return {name: dict(zip(self.groups, hists[:, n], strict=True)) for n, name in enumerate(self.names)}

    def _sync_dist(self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any | None = None) -> None:
        state.add_ranks(self, process_group)


def better_end(hist: np.ndarray) -> tuple[Curves, bool]:
    """Curves of the end of the values that tells better what is anomalous, by AUROC, and whether that is the low one.

    Args:
        hist: ``(3, VALUES)`` int64, ascending in value.
    """
    straight = _curves(hist)
    turned = straight.auroc is not None and straight.auroc < 0.5
    return (_curves(hist[:, ::-1]) if turned else straight), turned


def _curves(hist: np.ndarray) -> Curves:
    used = np.flatnonzero(hist[:2].any(0))
    return curves(hist, WHOLE, span=(float(used[0]), float(used[-1])) if len(used) else (0.0, 0.0))
