"""Where the voxels of a file lie in the volume that slices are cut from: axes, flips, crop, spacing; and both ways.

The volume has its axes in the order right, front, up (x, y, z). Of a resampled one the cell at ``u`` lies at the voxel
``u * step`` of what was cropped: MONAI's Spacing puts the first cell on the first voxel, and so do we.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domains.medical import geometry, slicing
from domains.medical.geometry import Geometry

_SAME_MM = 1e-6  # as near as this a spacing is the one that is wanted; MONAI's tolerance
MARGIN = 4  # voxels kept around the foreground


@dataclass(frozen=True, slots=True)
class Taps:
    """Linear interpolation along one axis: each of n outputs lies between two inputs.

    Attributes:
        low: ``(n,)`` index of the one before.
        high: ``(n,)`` index of the one after.
        share: ``(n,)`` float32, weight of the one after.
    """

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray

    def along(self, values: np.ndarray, axis: int) -> np.ndarray:
        """Interpolated values."""
        shape = [1] * values.ndim
        shape[axis] = len(self.share)
        share = self.share.reshape(shape)
        first = values.take(self.low, axis)
        return first + share * (values.take(self.high, axis) - first)


@dataclass(frozen=True, slots=True)
class Space:
    """The way between the voxels of a file and the volume that slices are cut from. Plain values.

    Attributes:
        shape: ``(I, J, K)`` of the file.
        order: for each of x, y, z the file axis that runs along it.
        flips: whether it runs the other way.
        start: first voxel along x, y, z that is kept.
        size: how many are.
        grid: cells that they are resampled to; as ``size`` where they are not.
        step: voxels from one cell to the next; 1 where they are not.
    """

    shape: tuple[int, int, int]
    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    start: tuple[int, int, int]
    size: tuple[int, int, int]
    grid: tuple[int, int, int]
    step: tuple[float, float, float]

    def volume(self, voxels: np.ndarray) -> np.ndarray:
        """``(I, J, K)`` -> ``(X, Y, Z)``, cropped, not resampled: a view of the same memory."""
        turned = voxels.transpose(self.order)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return turned[tuple(slice(a, a + n) for a, n in zip(self.start, self.size, strict=True))]

    @property
    def resampled(self) -> bool:
        """Whether cells are other than voxels."""
        return self.step != (1, 1, 1) or self.grid != self.size

    def forth(self, axis: int, upside_down: bool = False) -> Taps:
        """Voxels -> cells. ``upside_down``: both are counted from the other end."""
        return _taps(np.arange(self.grid[axis]) * self.step[axis], self.grid[axis], self.size[axis], upside_down)

    def back(self, axis: int, upside_down: bool = False) -> Taps:
        """Cells -> voxels: MONAI's inverse of Spacing, whose borders repeat."""
        return _taps(np.arange(self.size[axis]) / self.step[axis], self.size[axis], self.grid[axis], upside_down)

    def nearest(self, axis: int) -> np.ndarray:
        """``(grid,)`` the voxel nearest to each cell."""
        return np.rint(np.arange(self.grid[axis]) * self.step[axis]).astype(int).clip(0, self.size[axis] - 1)

    def affine(self, of: np.ndarray) -> np.ndarray:
        """``(4, 4)`` cell -> mm, of a file with this affine."""
        turned = np.zeros((4, 4))
        turned[3, 3] = 1
        for axis, (along, flip, start, step) in enumerate(
            zip(self.order, self.flips, self.start, self.step, strict=True)
        ):
            turned[along, axis] = -step if flip else step
            turned[along, 3] = self.shape[along] - 1 - start if flip else start
        return np.asarray(of @ turned)


def whole(scan: Geometry, anatomical: bool) -> Space:
    """All voxels of a scan, with right, front and up growing, or where not ``anatomical`` as the file's axes do."""
    order, flips = geometry.ras_axes(scan.affine)
    x, y, z = (scan.shape[axis] for axis in order)
    turned = flips if anatomical else (False, False, False)
    return Space(scan.shape, order, turned, (0, 0, 0), (x, y, z), (x, y, z), (1.0, 1.0, 1.0))


def cropped(space: Space, start: Sequence[int], stop: Sequence[int]) -> Space:
    """Only the voxels of a box, which is not resampled yet."""
    (a, b, c), (x, y, z) = start, np.subtract(stop, start).tolist()
    return Space(space.shape, space.order, space.flips, (a, b, c), (x, y, z), (x, y, z), space.step)


def respaced(space: Space, affine: np.ndarray, spacing: Sequence[float | None]) -> Space:
    """Cells ``spacing`` mm apart along x, y and z; None keeps the voxels of that axis.

    Source: MONAI's Spacing with ``scale_extent=False``; voxel axes that are not at right angles stay so, where MONAI
    rights them.
    """
    grid, steps = [], []
    for along, size, wanted in zip(space.order, space.size, spacing, strict=True):
        length = float(np.linalg.norm(affine[:3, along]))
        step = 1.0 if wanted is None or abs(wanted - length) <= _SAME_MM else float(wanted) / length
        steps.append(step)
        grid.append(round((size - 1) / step + 1))
    (x, y, z), (a, b, c) = grid, steps
    return Space(space.shape, space.order, space.flips, space.start, space.size, (x, y, z), (a, b, c))


def slice_of(space: Space, axis: str, upright: bool) -> Space:
    """The way between one slice of the file as it is shown, ``(1, H, W)``, and its view."""
    number = slicing.axis_number(axis)
    height, width = (n for n in (2, 1, 0) if n != number)  # the volume axes that run down and across
    order, full = [0, 0, 0], [0, 0, 0]
    order[height], order[width] = 1, 2
    for n in range(3):
        full[n] = 1 if n == number else space.shape[space.order[n]]
    flip = tuple(upright and n != number for n in range(3))
    one = [tuple(1 if n == number else values[n] for n in range(3)) for values in (space.size, space.grid, space.step)]
    start = tuple(0 if n == number else space.start[n] for n in range(3))
    return Space((1, full[height], full[width]), tuple(order), flip, start, *one)  # type: ignore[arg-type]


def _taps(at: np.ndarray, count: int, inputs: int, upside_down: bool) -> Taps:
    """Taps of ``count`` outputs at the inputs ``at``, which are kept within them."""
    at = at.clip(0, inputs - 1)
    low = np.minimum(np.floor(at).astype(int), max(inputs - 2, 0))
    share = (at - low).astype(np.float32)
    high = np.minimum(low + 1, inputs - 1)
    if upside_down:
        low, high, share = inputs - 1 - low[::-1], inputs - 1 - high[::-1], share[::-1]
    assert len(low) == count
    return Taps(low, high, share)
