"""A photograph of a part -> one view whose pixels are the elements; pixel scores -> a PNG overlay and map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.industrial import datasets, procedural
from domains.industrial.images import SUFFIXES, read_rgb
from domains.industrial.truth import read_truth
from framework.errors import UnreadableError, UserError
from framework.pictures import write_map
from framework.registry import register
from framework.types import Record, Sample

__all__ = ["Industrial", "datasets", "procedural"]


@register("domain", "industrial")
@dataclass(frozen=True)
class Industrial:
    """Photographs of parts and surfaces: one picture is one view.

    Args:
        bits: how many bits 16-bit grey files use, 9 to 16: 12 for a 12-bit camera.
    """

    element: ClassVar[str] = "pixel"
    unit: ClassVar[str] = "object"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    bits: int = 16

    def __post_init__(self) -> None:
        if not 9 <= self.bits <= 16:
            raise UserError(f"reader option bits: 16-bit grey uses 9 to 16 bits, not {self.bits}.")

    def read(self, record: Record) -> Sample:
        """One view ``(1, 3, H, W)`` uint8 of the picture, or of the part of it that ``box`` names; truth ``(H * W,)``.

        Truth is bool, row by row; None for a label-only record, and all False where ``truth_path`` is the picture
        itself, which says that no element is anomalous. Of several truth files it is the union.

        Raises:
            UnreadableError: the picture or a mask is no readable picture, or the box is not in the picture.
            TruthError: a truth file is missing, or does not fit the picture.
        """
        pixels = read_rgb(record.path, self.bits)  # (H, W, 3)
        shape = (pixels.shape[0], pixels.shape[1])
        part = _part(record, shape)
        view = pixels[part].transpose(2, 0, 1)[None]  # (1, 3, H, W); a pixel's colours stay side by side, to cut crops
        if record.truth_path is None:
            return Sample(record, view)
        if record.truth_path == record.path:
            return Sample(record, view, truth=np.zeros(view[0, 0].size, dtype=np.bool_))
        mask = read_truth((record.truth_path, *record.more_truth), shape, record.path)
        return Sample(record, view, truth=mask[part].ravel())

    @staticmethod
    def called(record: Record) -> str:
        """What a person calls a sample: its file, and where it is a part of that which part, counted from 1."""
        return record.path.name if record.frame is None else f"{record.path.name}, part {record.frame + 1}"

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write the picture under its ``(H * W,)`` scores, and the scores alone: ``framework.pictures.write_map``."""
        height, width = sample.views.shape[2:]
        if scores.shape != (height * width,):
            raise ValueError(f"{stem}: scores must be ({height * width},), got {scores.shape}")
        return dict(write_map(sample.views[0], scores.reshape(height, width), stem))


def _part(record: Record, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a picture of (H, W) pixels that are the sample."""
    if record.box is None:
        return slice(None), slice(None)
    left, top, right, bottom = record.box
    if not (0 <= left < right <= shape[1] and 0 <= top < bottom <= shape[0]):
        raise UnreadableError(
            f"{record.id}: the part {left} {top} {right} {bottom} is not in a picture of {shape[1]} x {shape[0]}."
        )
    return slice(top, bottom), slice(left, right)
