"""A transductive expert and a set under test -> its verdict on every sample, made before one of them is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from lightning.pytorch import LightningModule
from torch import nn

from framework.data.datamodule import DomainData
from framework.data.index import Index
from framework.errors import UserError
from framework.models.experts import traits
from framework.models.scoring import joined, looked
from framework.types import Verdict


class Studied:
    """What a transductive expert says of one set, by position.

    Args:
        parts: the verdict on each sample that was studied, wherever it is kept.
        device: where verdicts are asked for.
    """

    def __init__(self, parts: dict[int, Verdict], device: torch.device) -> None:
        self.parts, self.device = parts, device

    def of(self, positions: Sequence[int]) -> Verdict:
        """The verdict on some samples, in their order."""
        found = joined([self.parts[position] for position in positions])
        return Verdict(*(getattr(found, f.name).to(self.device) for f in fields(Verdict)))


@torch.no_grad()
def study(task: LightningModule, backbone: nn.Module, expert: nn.Module, data: DomainData, index: Index) -> Studied:
    """Show an expert each category of a set whole, and keep what it concludes.

    Every rank reads all samples, so that nothing is gathered and every rank studies the same in the same order.

    Args:
        task: moves batches to the device.
        backbone: frozen, on that device.
        expert: transductive, on the same.
        data: the loaders.
        index: the set.

    Raises:
        UserError: what the expert cannot do with a category, with the names of both.
    """
    found: dict[int, Verdict] = {}
    for category in index.categories:
        positions = [i for i, record in enumerate(index.records) if record.category == category]
        subsets = max(1, min(expert.parts(len(positions)), len(positions) // 2)) if hasattr(expert, "parts") else 1
        parts = [positions[first::subsets] for first in range(subsets)]  # whatever the labels are
        try:
            found |= _category(task, backbone, expert, data, index, parts)
        except UserError as error:
            raise type(error)(f"{index.name}, category {category}: {error}") from None
    return Studied(found, task.device)


def _category(
    task: LightningModule,
    backbone: nn.Module,
    expert: nn.Module,
    data: DomainData,
    index: Index,
    parts: list[list[int]],
) -> dict[int, Verdict]:
    """The verdict on each sample of a category by position, which is studied in ``parts``."""
    reads, mode, size = traits.of(expert).reads, data.config.model.crops, backbone.image_size
    views: list[int] = []  # of each sample
    crops: list[int] = []  # of each view
    for positions in parts:
        for batch in data.studying(index, positions):
            batch = task.transfer_batch_to_device(batch, task.device, 0)
            owners = [i for i, count in enumerate(batch.views, len(views)) for _ in range(count)]
            for start, end, seen in looked(backbone, batch, size, mode, reads):
                expert.study(seen, batch.crops[start:end], owners[start:end])
            views, crops = views + batch.views, crops + batch.crops
        if len(parts) > 1:
            expert.divide()
    studied = [position for positions in parts for position in positions]
    return dict(zip(studied, _apart(expert.conclude(), views, crops), strict=True))


def _apart(verdict: Verdict, views: list[int], crops: list[int]) -> list[Verdict]:
    """The verdict on each sample, from that on all: ``views`` of each sample, ``crops`` of each view."""
    parts, view, crop = [], 0, 0
    for count in views:
        own = sum(crops[view : view + count])
        mine, cut = slice(view, view + count), slice(crop, crop + own)
        parts.append(Verdict(verdict.logits[mine], verdict.maps[cut], verdict.tokens[cut], verdict.summary[mine]))
        view, crop = view + count, crop + own
    return parts
