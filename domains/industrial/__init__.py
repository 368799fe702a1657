"""A photograph of a part -> one view whose pixels are the elements; pixel scores -> a PNG overlay and map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.industrial import datasets, described, procedural
from domains.industrial.images import SUFFIXES, read_mask, read_rgb
from framework.errors import TruthError, UserError
from framework.pictures import write_map
from framework.registry import register
from framework.types import Record, Sample

__all__ = ["Industrial", "datasets", "described", "procedural"]


@register("domain", "industrial")
@dataclass(frozen=True)
class Industrial:
    """Photographs of parts and surfaces: one picture is one view.

    Args:
        bits: how many bits 16-bit grey files use, 9 to 16: 12 for a 12-bit camera.
    """

    element: ClassVar[str] = "pixel"
    unit: ClassVar[str] = "picture"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    bits: int = 16

    def __post_init__(self) -> None:
        if not 9 <= self.bits <= 16:
            raise UserError(f"reader option bits: 16-bit grey uses 9 to 16 bits, not {self.bits}.")

    def read(self, record: Record) -> Sample:
        """One view ``(1, 3, H, W)`` uint8; truth ``(H * W,)`` bool, row by row.

        Truth is None for a label-only record, and all False where ``truth_path`` is the picture itself, which says
        that no element is anomalous.

        Raises:
            UnreadableError: the picture or the mask is no readable picture.
            TruthError: the mask is missing or of another size than the picture.
        """
        pixels = read_rgb(record.path, self.bits)  # (H, W, 3)
        view = pixels.transpose(2, 0, 1)[None]  # (1, 3, H, W); pixels stay side by side, as crops are cut quickest
        if record.truth_path is None:
            return Sample(record, view)
        height, width = pixels.shape[:2]
        if record.truth_path == record.path:
            return Sample(record, view, truth=np.zeros(height * width, dtype=np.bool_))
        mask = read_mask(record.truth_path)  # (H, W)
        if mask.shape != (height, width):
            raise TruthError(
                f"{record.truth_path}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, its picture "
                f"{record.path} {width} x {height}. A mask covers its picture pixel by pixel."
            )
        return Sample(record, view, truth=mask.ravel())

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write the picture under its ``(H * W,)`` scores, and the scores alone: ``framework.pictures.write_map``."""
        height, width = sample.views.shape[2:]
        if scores.shape != (height * width,):
            raise ValueError(f"{stem}: scores must be ({height * width},), got {scores.shape}")
        return dict(write_map(sample.views[0], scores.reshape(height, width), stem))
