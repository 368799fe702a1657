"""A scan and its mask in, one labelled record a slice, or one a scan, out: what every set of volumes shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.medical import geometry, slicing, volumes
from domains.medical.datasets.listing import stem
from domains.medical.patients import known
from framework.errors import TruthError, UnreadableError, UserError
from framework.types import Record

_COARSE = 64  # pixels a side, or a few more, that are enough to see whether a slice shows anything


def slices_of(scan: Record, axis: str, stride: int, empty: bool, channel: int | None = None) -> Iterator[Record]:
    """One record for every ``stride``-th slice of a scan, labelled by its mask; ``scan.truth_path`` is set.

    A scan whose mask is itself has no anomalous slice.
    """
    check_stride(stride)
    if scan.truth_path is None:
        raise TruthError(f"{scan.path}: slices need masks, and this scan has none.")
    try:
        frames, anomalous = _labelled(scan, axis, empty, channel)
    except (UnreadableError, TruthError):
        yield scan  # not raised: `datasets check` lists every such scan, and reading the record raises it again
        return
    for frame in frames[::stride].tolist():
        bad = bool(anomalous[frame])
        yield replace(scan, anomalous=bad, defect=scan.defect if bad else "", frame=frame, along=axis)


def as_asked(
    scans: Iterable[Record], slices: bool, stride: int, axis: str, empty: bool, channel: int | None = None
) -> Iterator[Record]:
    """Records of scans as they are, every ``stride``-th, or of their slices, every ``stride``-th of each."""
    check_stride(stride)
    if slices:
        for scan in scans:
            yield from slices_of(scan, axis, stride, empty, channel)
    else:
        yield from list(scans)[::stride]


def by_mask(scan: Record, channel: int | None = None) -> Record:
    """The record with the label that its mask says: anomalous where a voxel is. Opens the mask.

    A scan whose mask cannot be read stays anomalous, and whoever reads it is told why.
    """
    if scan.truth_path is None or scan.truth_path == scan.path:
        return scan
    try:
        bad = bool(volumes.load_mask(scan.truth_path, geometry.read(scan.path, channel), scan.marks).any())
    except (UnreadableError, TruthError):
        bad = True
    return replace(scan, anomalous=bad, defect=scan.defect if bad else "")


def patient(path: Path) -> str:
    """That of names of known sets, see ``patients.known``; else up to the last ``_``, or all where there is none."""
    return known(path) or stem(path).rpartition("_")[0] or stem(path)


def is_scan(path: Path) -> bool:
    """Whether this is a NIfTI file and not one that a system put beside it."""
    return path.name.lower().endswith(geometry.SUFFIXES) and not path.name.startswith(".")


def check_stride(stride: int) -> None:
    """Raise UserError unless the stride is a count."""
    if stride < 1:
        raise UserError(f"stride: {stride} is below 1; 1 takes all, 2 every second one.")


def _labelled(scan: Record, axis: str, empty: bool, channel: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the slices to take, growing, and ``(D,)`` bool, which of all slices the mask marks."""
    grid = geometry.read(scan.path, channel)
    anomalous: np.ndarray = np.zeros(grid.ras_shape[slicing.axis_number(axis)], np.bool_)
    if scan.truth_path is not None and scan.truth_path != scan.path:
        mask = slicing.cut(volumes.load_mask(scan.truth_path, grid, scan.marks), axis)
        anomalous = np.asarray(mask.any((1, 2)))
    if empty:
        return np.arange(len(anomalous)), anomalous
    return np.union1d(_shown(grid, axis), np.flatnonzero(anomalous)), anomalous  # what is marked counts, however dark


def _shown(grid: geometry.Geometry, axis: str) -> np.ndarray:
    """Indices of the slices that show something under the reader's own default window, judged by fewer pixels."""
    planes = slicing.cut(volumes.finite(volumes.peek(grid), grid.path, nan="zero"), axis)
    down, across = (max(1, n // _COARSE) for n in planes.shape[1:])
    return slicing.shown(slicing.to_grey(planes[:, ::down, ::across], None, (0.5, 99.5), True))
