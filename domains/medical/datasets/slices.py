"""A scan and its mask in, one labelled record a slice out: what every set of volumes shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from domains.medical import geometry, slicing, volumes
from framework.errors import TruthError, UnreadableError, UserError
from framework.types import Record

_COARSE = 64  # pixels a side, or a few more, that are enough to see whether a slice shows anything


def slices_of(scan: Record, axis: str, stride: int, empty: bool) -> Iterator[Record]:
    """One record for every ``stride``-th slice of a scan, labelled by its mask; ``scan.truth_path`` is set."""
    check_stride(stride)
    try:
        frames, anomalous = _labelled(scan, axis, empty)
    except (UnreadableError, TruthError):
        yield scan  # not raised: `datasets check` lists every such scan, and reading the record raises it again
        return
    for frame in frames[::stride].tolist():
        bad = bool(anomalous[frame])
        defect = scan.defect if bad else ""
        yield Record(scan.path, bad, scan.category, scan.group, scan.truth_path, defect, frame=frame)


def is_scan(path: Path) -> bool:
    """Whether this is a NIfTI file and not one that a system put beside it."""
    return path.name.lower().endswith(geometry.SUFFIXES) and not path.name.startswith(".")


def check_stride(stride: int) -> None:
    """Raise UserError unless the stride is a count."""
    if stride < 1:
        raise UserError(f"stride: {stride} is below 1; 1 takes all, 2 every second one.")


def _labelled(scan: Record, axis: str, empty: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the slices to take, growing, and ``(D,)`` bool, which of all slices the mask marks."""
    grid = geometry.read(scan.path)
    anomalous: np.ndarray = np.zeros(grid.ras_shape[slicing.axis_number(axis)], np.bool_)
    if scan.truth_path is not None and scan.truth_path != scan.path:
        mask = slicing.cut(volumes.load_mask(scan.truth_path, grid), axis)
        anomalous = np.asarray(mask.any((1, 2)))
    return np.arange(len(anomalous)) if empty else _shown(grid, axis), anomalous


def _shown(grid: geometry.Geometry, axis: str) -> np.ndarray:
    """Indices of the slices that show something under the reader's own default window, judged by fewer pixels."""
    planes = slicing.cut(volumes.finite(volumes.peek(grid), grid.path, nan="zero"), axis)
    down, across = (max(1, n // _COARSE) for n in planes.shape[1:])
    return slicing.shown(slicing.to_grey(planes[:, ::down, ::across], None, (0.5, 99.5), True))
