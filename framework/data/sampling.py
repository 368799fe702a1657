"""Positions of samples -> batches of every rank: the same batches on any number of ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler

Key = tuple[int, float]  # position of a sample, its weight


class TrainBatches(Sampler[list[Key]]):
    """Shuffled batches; rank r takes every r-th sample of each.

    A batch is the same set of samples on any number of ranks, so the gradient is too. Ranks take equal counts:
    where a batch does not divide, some repeat its first sample with weight 0.

    Args:
        samples: how many samples there are.
        batch_size: of a step, over all ranks together.
        seed: of the shuffle.
        rank: of this process.
        ranks: how many processes there are.
        epoch: tells the current epoch, so that a resumed run shuffles as an unbroken one.
    """

    def __init__(
        self, samples: int, batch_size: int, seed: int, rank: int, ranks: int, epoch: Callable[[], int]
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.rank, self.ranks, self.epoch = rank, ranks, epoch

    def __len__(self) -> int:
        return math.ceil(self.samples / self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch())
        order = torch.randperm(self.samples, generator=generator).tolist()
        for start in range(0, self.samples, self.batch_size):
            batch = order[start : start + self.batch_size]
            mine = [(i, 1.0) for i in batch[self.rank :: self.ranks]]
            share = math.ceil(len(batch) / self.ranks)
            yield mine + [(batch[0], 0.0)] * (share - len(mine))


class ListedBatches(Sampler[list[Key]]):
    """Given positions in their order, all of them on every rank: for an expert that must see all itself."""

    def __init__(self, positions: Sequence[int], batch_size: int) -> None:
        self.positions, self.batch_size = positions, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.positions) / self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.positions), self.batch_size):
            yield [(i, 1.0) for i in self.positions[start : start + self.batch_size]]


class ScoringBatches(Sampler[list[Key]]):
    """Rank r takes samples r, r + ranks, ...: every sample exactly once, no padding, so scores are exact."""

    def __init__(self, samples: int, batch_size: int, rank: int, ranks: int) -> None:
        self.mine = list(range(rank, samples, ranks))
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.mine) / self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.mine), self.batch_size):
            yield [(i, 1.0) for i in self.mine[start : start + self.batch_size]]
