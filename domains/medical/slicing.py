"""A volume in RAS order in, its slices as they are shown out, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framework.errors import UserError
from framework.registry import unknown

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # the RAS axis that a slice index runs along
VISIBLE = 26  # a tenth of the window: above air noise, below tissue
_FLAT = 0.05  # of a volume that must have one value before that is background
SHARE = 0.001  # of a slice that must be visible before it counts as showing something
PART = 0.05  # and of what is visible in the slice that shows most


def axis_number(axis: str) -> int:
    """0, 1 or 2 for the name of a slicing direction, or a UserError with the nearest name."""
    if axis not in AXES:
        raise UserError(unknown("axis", axis, list(AXES)))
    return AXES[axis]


def facing(shape: tuple[int, int, int]) -> str:
    """The axis of a volume ``(X, Y, Z)`` in RAS order that is one slice, or "" where it is not one."""
    return next((name for name, axis in AXES.items() if shape[axis] == 1 and shape.count(1) == 1), "")


def cut(volume: np.ndarray, axis: str, upright: bool = True) -> np.ndarray:
    """``(X, Y, Z)`` in RAS order -> ``(D, H, W)``, slices in the order of growing RAS index, as radiologists see them.

    Axial: front up, the patient's right on the left. Coronal: head up, the patient's right on the left.
    Sagittal: head up, front on the left. Where not ``upright``, rows and columns run as the volume's axes do. A view of
    the same memory.
    """
    planes = np.moveaxis(volume, axis_number(axis), 0).transpose(0, 2, 1)
    return planes[:, ::-1, ::-1] if upright else planes


def stack(planes: np.ndarray, axis: str, upright: bool = True) -> np.ndarray:
    """The inverse of ``cut``: ``(D, H, W)`` -> ``(X, Y, Z)``."""
    planes = planes[:, ::-1, ::-1] if upright else planes
    return np.moveaxis(planes.transpose(0, 2, 1), 0, axis_number(axis))


def to_grey(
    voxels: np.ndarray, window: Sequence[float] | None, percentiles: Sequence[float], foreground: bool
) -> np.ndarray:
    """Voxels of any shape, float32, finite -> uint8 of that shape: ``window`` low to high becomes 0 to 255.

    Without a window its ends are the ``percentiles`` of the voxels, of those above background where ``foreground``.
    Background, which is air or what replaced it, is the most frequent value, where it fills a twentieth of the volume
    and lies below the mean; a volume with neither has none. A volume of one value becomes 0.
    """
    if window is None:
        window = np.percentile(_foreground(voxels) if foreground else voxels, percentiles).tolist()
    low, high = float(window[0]), float(window[1])
    if high <= low:
        return np.zeros(voxels.shape, np.uint8)
    grey = (voxels - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(np.rint(grey, out=grey), 0, 255, out=grey).astype(np.uint8)


def shown(planes: np.ndarray) -> np.ndarray:
    """Indices of the slices of ``(D, H, W)`` uint8 that ``showing`` takes."""
    return showing((planes >= VISIBLE).mean((1, 2)))


def showing(shares: np.ndarray) -> np.ndarray:
    """Indices, growing, of slices worth a look, from the share of visible pixels of each, ``(D,)``.

    A thousandth of a slice is visible, and a twentieth of what is in the fullest one: the tips of a body, a few pixels
    in the dark, look like nothing that a model knows, and would lead the most suspicious ones. All where none is.
    """
    indices = np.flatnonzero((shares >= SHARE) & (shares >= PART * shares.max(initial=0)))
    return indices if len(indices) else np.arange(len(shares))


def choose(indices: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of these indices, evenly spaced from the first to the last; the middle one for 1, all for 0."""
    if count == 0 or count >= len(indices):
        return indices
    if count == 1:
        return indices[[len(indices) // 2]]
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def _foreground(voxels: np.ndarray) -> np.ndarray:
    """The voxels above background, flat; all of them where there is no background."""
    flat = voxels.ravel()
    sampled = flat[:: max(1, flat.size // 200_000)]
    values, counts = np.unique(sampled, return_counts=True)
    background, count = values[counts.argmax()], counts.max()
    above = flat[flat > background]
    return above if count >= _FLAT * sampled.size and background < flat.mean() and above.size else flat
