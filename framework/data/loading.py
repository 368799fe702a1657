"""Records -> batches of crops for Lightning, from raw files or from a store of features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from framework.data import crops
from framework.data.features import Store, Stored
from framework.data.index import Index
from framework.data.sampling import Key
from framework.data.targets import crop_masks, label, unmarked, view_targets
from framework.types import Batch, Features, Record, Sample

MANY = 64  # views of one sample: their crops are cut as they are needed, where the sample is kept


class RawSamples(Dataset[dict[str, Any]]):
    """Samples of one set, read by their domain and cut into crops.

    Args:
        index: the set.
        size: side of a crop in pixels.
        mode: "base" or "anyres", or these with "-fast".
        keep: whether batches carry the samples themselves, for their truth.
        masks: whether batches carry the truth of the pixels of all crops.
    """

    def __init__(self, index: Index, size: int, mode: str, keep: bool, masks: bool = False) -> None:
        self.index, self.size, self.mode, self.keep, self.masks = index, size, mode, keep, masks

    def __len__(self) -> int:
        return len(self.index.records)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        position, weight = key
        sample = self.index.reader.read(self.index.records[position])
        later = self.keep and len(sample.views) > MANY
        height, width = sample.views.shape[-2:]
        each = crops.count(height, width, self.size, self.mode)
        return {
            "position": position,
            "weight": weight,
            "pixels": None if later else np.concatenate([crops.cut(v, self.size, self.mode) for v in sample.views]),
            "crops": [each] * len(sample.views),
            "targets": view_targets(sample),
            "label": label(sample.record),
            "sample": sample if self.keep else None,
            "masks": crop_masks(sample, self.size, self.mode) if self.masks else None,
        }


class StoredSamples(Dataset[dict[str, Any]]):
    """The same samples with their features from a store; files are opened only for ``keep`` and for masks."""

    def __init__(self, index: Index, store: Store, size: int, mode: str, keep: bool, masks: bool = False) -> None:
        self.index, self.store, self.size, self.mode, self.keep = index, store, size, mode, keep
        self.masks, self.opened = masks, keep or (masks and index.has_truth)

    def __len__(self) -> int:
        return len(self.index.records)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        position, weight = key
        stored: Stored = self.store[position]
        record = self.index.records[position]
        sample = self.index.reader.read(record) if self.opened else None
        return {
            "position": position,
            "weight": weight,
            "features": stored.features,
            "grid": self.store.grid,
            "crops": stored.crops,
            "targets": stored.targets,
            "label": label(record),
            "sample": sample if self.keep else None,
            "masks": self._masks(record, sample, sum(stored.crops)) if self.masks else None,
        }

    def _masks(self, record: Record, sample: Sample | None, count: int) -> np.ndarray:
        return unmarked(record, count, self.size) if sample is None else crop_masks(sample, self.size, self.mode)


def collate(items: list[dict[str, Any]], labels: str = "view") -> Batch:
    """Lay the crops of B items end to end.

    Args:
        items: of ``RawSamples`` or of ``StoredSamples``, not mixed.
        labels: "view" or "sample", what the targets of the views are.
    """
    views = [len(item["crops"]) for item in items]
    if labels == "sample":
        targets = np.concatenate([np.full(v, i["label"], np.float32) for v, i in zip(views, items, strict=True)])
    else:
        targets = np.concatenate([item["targets"] for item in items])
    cut, marked = (all(item.get(part) is not None for item in items) for part in ("pixels", "masks"))
    kept: Iterable[Sample | None] = (item["sample"] for item in items)
    return Batch(
        pixels=torch.from_numpy(np.concatenate([i["pixels"] for i in items])) if cut else None,
        features=_features(items) if "features" in items[0] else None,
        crops=[n for item in items for n in item["crops"]],
        views=views,
        targets=torch.from_numpy(targets),
        weights=torch.tensor([item["weight"] for item in items], dtype=torch.float32),
        samples=[s for s in kept if s is not None],
        index=[item["position"] for item in items],
        masks=torch.from_numpy(np.concatenate([i["masks"] for i in items])) if marked else None,
    )


def _features(items: list[dict[str, Any]]) -> Features:
    """``(N, L + 1, P, C)`` of all items -> levels and final, float32."""
    joined = torch.from_numpy(np.concatenate([item["features"] for item in items])).float()
    return Features(list(joined[:, :-1].unbind(1)), joined[:, -1], items[0]["grid"])


class Collate:
    """``collate`` with its option, in a form that worker processes can be sent."""

    def __init__(self, labels: str) -> None:
        self.labels = labels

    def __call__(self, items: list[dict[str, Any]]) -> Batch:
        return collate(items, self.labels)


class Joined(Dataset[dict[str, Any]]):
    """Several sets end to end, addressed by one position."""

    def __init__(self, parts: list[Dataset[dict[str, Any]]]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(p) for p in parts])  # type: ignore[arg-type]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, key: Key) -> dict[str, Any]:
        position, weight = key
        part = int(np.searchsorted(self.ends, position, side="right"))
        start = 0 if part == 0 else int(self.ends[part - 1])
        return self.parts[part][(position - start, weight)]


def loader(data: Dataset[dict[str, Any]], batches: Sampler[list[Key]], labels: str, workers: int) -> DataLoader[Any]:
    """A loader whose every batch the sampler names."""
    return DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=Collate(labels),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
