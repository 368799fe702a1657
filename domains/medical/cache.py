"""A path and how to look at it in, the whole scan as shown slices out; a process keeps the last two scans and masks.

A slice sample needs one slice of a file that can only be read as a whole, and datasets list the slices of a scan one
after another: so the last files stay open, at a byte a voxel. A file that changed on disk is read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from domains.medical import geometry, slicing, volumes
from framework.errors import TruthError, UnreadableError

_KEPT = 2


@dataclass(frozen=True, slots=True)
class Look:
    """How voxels become grey slices; what each option means is said where ``Medical`` lists it."""

    axis: str
    window: tuple[float, ...] | None
    percentiles: tuple[float, ...]
    foreground: bool
    nan: str


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan ready to be cut into views; read only.

    Attributes:
        geometry: of the file.
        planes: ``(D, H, W)`` uint8, all slices as they are shown.
        shown: indices of the slices that show something, growing.
    """

    geometry: geometry.Geometry
    planes: np.ndarray
    shown: np.ndarray


def scan(path: Path, look: Look) -> Scan:
    """The scan of a NIfTI file. Raises UnreadableError as ``geometry.read`` and ``volumes.load`` do."""
    return _scan(path, _stamp(path), look)


def mask(path: Path, of: Path, axis: str, marks: tuple[int, ...] = ()) -> np.ndarray:
    """``(D, H, W)`` bool, the truth of the scan ``of``, cut like it. Raises TruthError as ``volumes.load_mask``."""
    try:
        stamp = _stamp(path)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    return _mask(path, stamp, of, _stamp(of), axis, marks)


@lru_cache(maxsize=_KEPT)
def _scan(path: Path, stamp: tuple[int, int], look: Look) -> Scan:
    """As ``scan``; the stamp is only a key."""
    grid = geometry.read(path)
    voxels = volumes.load(grid, look.nan)
    grey = slicing.to_grey(voxels, look.window, look.percentiles, look.foreground)
    planes = _frozen(slicing.cut(grey, look.axis))
    return Scan(grid, planes, _frozen(slicing.shown(planes)))


@lru_cache(maxsize=_KEPT)
def _mask(
    path: Path, stamp: tuple[int, int], of: Path, stamp_of: tuple[int, int], axis: str, marks: tuple[int, ...]
) -> np.ndarray:
    """As ``mask``; the stamps are only keys."""
    return _frozen(slicing.cut(volumes.load_mask(path, geometry.read(of), marks), axis))


def _stamp(path: Path) -> tuple[int, int]:
    """When a file was last written, in nanoseconds, and its size. Raises UnreadableError."""
    try:
        status = path.stat()
    except OSError:
        raise UnreadableError(f"{path}: no such file.") from None
    return status.st_mtime_ns, status.st_size


def _frozen(array: np.ndarray) -> np.ndarray:
    """The array in order in memory and refusing to be written, because it is shared."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
