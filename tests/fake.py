"""Small stand-ins for tests: a set of pictures on disk, a reader of it, a backbone whose features are foreseen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from framework.config import DataConfig
from framework.data.index import Index
from framework.types import Features, Record, Sample


@dataclass
class Reader:
    """Reads a picture as one view; an anomalous one is anomalous where it is brighter than 200."""

    element: ClassVar[str] = "pixel"
    unit: ClassVar[str] = "picture"
    suffixes: ClassVar[tuple[str, ...]] = (".png",)
    option: int = 0

    def read(self, record: Record) -> Sample:
        view = np.asarray(Image.open(record.path).convert("RGB")).transpose(2, 0, 1)[None]
        return Sample(record, np.ascontiguousarray(view), truth=(view[0, 0] > 200).ravel())

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Path]:
        path = stem.with_suffix(".npy")
        np.save(path, scores)
        return {"map": path}


class Backbone(nn.Module):
    """Features of a patch: its mean colour, its square and its cube; two levels and final on a 2 x 2 grid."""

    width, depth, image_size, grid = 9, 2, 16, (2, 2)

    def __init__(self, sha256: str = "0") -> None:
        super().__init__()
        self.identity = {"name": "fake", "sha256": sha256}
        self.calls = 0
        self.place = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, pixels: Tensor) -> Features:
        self.calls += len(pixels)
        mean = adaptive_avg_pool2d(pixels.float() / 255, self.grid).flatten(2).transpose(1, 2)  # (N, 4, 3)
        found = torch.cat([mean, mean**2, mean**3], dim=-1)
        return Features([found, found * 2], found * 3, self.grid)


def pictures(root: Path, count: int, seed: int = 0, side: int = 20) -> Index:
    """``count`` pictures on disk, every second with a bright square, and their index."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    records = []
    for i in range(count):
        picture = rng.integers(60, 190, (side, side, 3), dtype=np.uint8)
        if i % 2:
            y, x = rng.integers(0, side - 6, 2)
            picture[y : y + 6, x : x + 6] = 255
        path = root / f"{i:03d}.png"
        Image.fromarray(picture).save(path)
        records.append(Record(path, bool(i % 2), "ab"[i % 3 == 0], truth_path=path))
    return Index("pictures", DataConfig("fake", "pictures", str(root)), records, Reader())
