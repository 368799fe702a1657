"""Sets and a backbone -> stores of their features, or the reasoned choice to recompute them each epoch."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from framework.config import StoreConfig
from framework.data import features
from framework.data.crops import AT_ONCE
from framework.data.features import SHARD, Store, Stored
from framework.data.index import Index
from framework.data.loading import RawSamples, loader
from framework.data.sampling import Key, ScoringBatches
from framework.errors import UserError
from framework.progress import say, track
from framework.types import Batch


class ShardBatches(ScoringBatches):
    """One batch a shard, so that a loader's workers read ahead."""

    def __init__(self, firsts: list[int], samples: int) -> None:
        self.shards = [list(range(first, min(first + SHARD, samples))) for first in firsts]

    def __len__(self) -> int:
        return len(self.shards)

    def __iter__(self) -> Iterator[list[Key]]:
        for shard in self.shards:
            yield [(i, 1.0) for i in shard]


class Builder:
    """Fills the stores of an experiment with one backbone, on any number of ranks.

    Args:
        backbone: frozen, on its device.
        crops: "base" or "anyres", or these with "-fast".
        config: of the store.
        workers: processes that read samples.
        rank: of this process.
        ranks: how many processes share the work.
    """

    def __init__(
        self, backbone: nn.Module, crops: str, config: StoreConfig, workers: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.backbone, self.crops, self.config, self.workers = backbone, crops, config, workers
        self.rank, self.ranks = rank, ranks

    def open(self, index: Index) -> Store:
        """The store of a set as it is on disk, perhaps incomplete."""
        content = features.manifest(index, self.backbone.identity, self.crops, self.config.dtype)
        return Store(features.folder_of(Path(self.config.path), content), content)

    def probe(self, index: Index, epochs: int) -> bool:
        """Compute the first shard, tell the store's size and whether reading it beats recomputing.

        Returns:
            True where the set is stored already or storing it pays within ``epochs``; in mode "always", True.

        Raises:
            UserError: mode "always" and the disk has no room.
        """
        store = self.open(index)
        if not store.missing():
            say(f"features of {index.name}: stored, {_bytes(store.size)} in {store.folder}")
            return True
        start = time.perf_counter()
        known = len(store)
        self._fill(index, store, store.missing()[:1])
        compute_s = (time.perf_counter() - start) / (len(store) - known)
        read_s = _read_seconds(store)
        samples = len(index.records)
        total = int(store.size / len(store) * samples)
        free = shutil.disk_usage(store.folder).free
        # what is stored by now costs nothing more
        pays = epochs * samples * compute_s > (samples - len(store)) * compute_s + epochs * samples * read_s
        say(
            f"features of {index.name}: {samples} samples, about {_bytes(total)} in {store.folder}; "
            f"a sample takes {compute_s * 1e3:.1f} ms to compute and {read_s * 1e3:.1f} ms to read, so over "
            f"{epochs} epochs storing {'pays' if pays else 'does not pay'}"
        )
        if total - store.size > free:
            if self.config.mode == "always":
                raise UserError(
                    f"{store.folder}: the features of {index.name} need {_bytes(total)}, the disk has {_bytes(free)} "
                    "free. Make room, set another store.path, or store.mode=never."
                )
            say(f"features of {index.name}: the disk has only {_bytes(free)} free, so they are not stored")
            return False
        return pays or self.config.mode == "always"

    def build(self, index: Index) -> Store:
        """Compute this rank's share of what is missing; a later call goes on where a killed one stopped."""
        store = self.open(index)
        # by shard, not by place in the list: ranks may look at different times
        self._fill(index, store, [f for f in store.missing() if f // SHARD % self.ranks == self.rank])
        return store

    def _fill(self, index: Index, store: Store, firsts: list[int]) -> None:
        if not firsts:
            return
        data = RawSamples(index, self.backbone.image_size, self.crops, keep=False)
        batches = loader(data, ShardBatches(firsts, len(index.records)), "view", self.workers)
        for first, batch in zip(firsts, track(batches, len(firsts), f"features of {index.name}"), strict=True):
            store.add(first, _split(batch, self._encode(batch)), self.backbone.grid)

    def _encode(self, batch: Batch) -> np.ndarray:
        """``(N, L + 1, P, C)`` float32 of all crops of a batch."""
        assert batch.pixels is not None
        device = next(self.backbone.parameters()).device
        parts: list[Tensor] = []
        with torch.inference_mode():
            for pixels in batch.pixels.split(AT_ONCE[device.type]):
                found = self.backbone(pixels.to(device))
                parts.append(torch.stack([*found.levels, found.final], dim=1).float().cpu())
        return torch.cat(parts).numpy()


def _split(batch: Batch, encoded: np.ndarray) -> list[Stored]:
    """The features of a batch, one entry a sample."""
    samples, crop, view = [], 0, 0
    for views in batch.views:
        crops = batch.crops[view : view + views]
        targets = batch.targets[view : view + views].numpy()
        samples.append(Stored(encoded[crop : crop + sum(crops)], crops, targets))
        crop, view = crop + sum(crops), view + views
    return samples


def _read_seconds(store: Store) -> float:
    """Time to read one sample from the disk itself, the system's cache put aside where it can be."""
    paths = sorted(store.folder.glob("features-*.npy"))[:1]
    for path in paths:
        if hasattr(os, "posix_fadvise"):
            with path.open("rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    shard = sum(int(np.load(path, allow_pickle=False).size > 0) for path in paths)
    seconds = time.perf_counter() - start
    return seconds / max(1, min(SHARD, len(store)) * shard)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
