"""Maps of the views of a scan, one after the other, in; one volume of scores on the grid of its file out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from domains.medical import slicing
from domains.medical.space import Space

_TOGETHER = 16  # planes that are written at a time: a file's slices lie side by side in memory, 64 bytes are fetched


@dataclass(frozen=True, slots=True)
class Look:
    """Views along one axis.

    Attributes:
        axis: "axial", "coronal" or "sagittal".
        cells: which planes of the volume the views show, growing; counted in cells of ``Space.grid``.
    """

    axis: str
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScanBack:
    """The way from views to the voxels of a file; see ``framework.types.Back``. Plain values.

    Attributes:
        space: between voxels and the volume that the views are cut from.
        looks: along each axis, in the order of the views.
        size: (height, width) of the views; smaller planes lie in their middle.
        upright: as radiologists see them, else as the file's axes run.
    """

    space: Space
    looks: tuple[Look, ...]
    size: tuple[int, int]
    upright: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(I, J, K)`` of the file."""
        return self.space.shape

    def __call__(self, maps: Iterable[np.ndarray]) -> np.ndarray:
        """Maps ``(H, W)`` of the V views -> ``(I*J*K,)`` float32, in the file's order.

        Between slices that were looked at, linear; beyond the first and the last, and where cropped away, 0. Where
        there are several axes, the mean over those that looked. Raises ValueError for another number of maps.
        """
        out = np.zeros(self.shape, np.float32)
        volume, given = self.space.volume(out), iter(maps)
        for number, look in enumerate(self.looks):
            planes = slicing.cut(volume, look.axis, self.upright)
            self._lay(self._native(given, look), self.weights(look), planes, add=number > 0)
        if next(given, None) is not None:
            raise ValueError(f"more maps than the {sum(len(look.cells) for look in self.looks)} views")
        if len(self.looks) > 1:
            self._divide(volume)
        return out.ravel()

    def show(self, values: np.ndarray, view: int) -> np.ndarray:
        """Values ``(I*J*K,)`` of any type -> ``(H, W)`` at the pixels of a view, nearest; 0 around a smaller plane."""
        look, nth = self.at(view)
        down, across = self._in_plane(look.axis)
        plane = slicing.cut(self.space.volume(values.reshape(self.shape)), look.axis, self.upright)
        plane = plane[self.space.nearest(slicing.axis_number(look.axis))[look.cells[nth]]]
        if self.space.resampled:
            rows, columns = (self._nearest(axis) for axis in (down, across))
            plane = plane[np.ix_(rows, columns)]
        out = np.zeros(self.size, values.dtype)
        out[self._room(look.axis)] = plane
        return out

    def plain(self) -> dict[str, Any]:
        """Values that JSON has, of which ``made`` makes this again."""
        return {
            "space": asdict(self.space),
            "looks": [[look.axis, list(look.cells)] for look in self.looks],
            "size": list(self.size),
            "upright": self.upright,
        }

    def at(self, view: int) -> tuple[Look, int]:
        """The look that a view belongs to, and which of its views it is."""
        for look in self.looks:
            if view < len(look.cells):
                return look, view
            view -= len(look.cells)
        raise IndexError(f"no view {view} beyond the last")

    def weights(self, look: Look) -> np.ndarray:
        """``(D, V)`` float32: how much each view along an axis says of each plane of voxels."""
        axis = slicing.axis_number(look.axis)
        cells = np.zeros((self.space.grid[axis], len(look.cells)), np.float32)  # (cells, V)
        for view, (left, right) in enumerate(zip(look.cells, (*look.cells[1:], look.cells[-1]), strict=True)):
            share = np.arange(right - left, dtype=np.float32) / np.float32(max(1, right - left))
            cells[left:right, view] = 1 - share
            if right > left:
                cells[left:right, view + 1] = share
        cells[look.cells[-1], -1] = 1
        return self.space.back(axis).along(cells, 0) if self.space.resampled else cells

    def _native(self, maps: Iterator[np.ndarray], look: Look) -> Iterator[np.ndarray]:
        """Each map without what surrounds it, at the size of the voxels of its plane."""
        room = self._room(look.axis)
        down, across = self._in_plane(look.axis)
        ways = [self.space.back(axis, self.upright) for axis in (down, across)]
        for _ in look.cells:
            found = next(maps, None)
            if found is None or found.shape != self.size:
                raise ValueError(f"a map of {None if found is None else found.shape}, wanted {self.size}")
            plane = found[room]
            if self.space.resampled:
                plane = ways[1].along(ways[0].along(plane, 0), 1)
            yield plane

    @staticmethod
    def _lay(maps: Iterator[np.ndarray], weights: np.ndarray, planes: np.ndarray, add: bool) -> None:
        """Lay maps ``(H, W)`` with weights ``(D, V)`` on planes ``(D, H, W)``, each as soon as its maps are there."""
        near: dict[int, np.ndarray] = {}  # maps that a plane to come may need
        block: list[np.ndarray] = []
        rows, received = np.flatnonzero(weights.any(1)).tolist(), 0  # one run, from the first look to the last
        for row in rows:
            needed = np.flatnonzero(weights[row]).tolist()
            while received <= needed[-1]:
                near[received] = next(maps)
                received += 1
            near = {view: near[view] for view in near if view >= needed[0]}
            parts = [near[view] if weights[row, view] == 1 else weights[row, view] * near[view] for view in needed]
            block.append(sum(parts[1:], parts[0]))
            if len(block) == _TOGETHER or row == rows[-1]:
                _write(block, planes[row + 1 - len(block) : row + 1], add)
                block = []
        for _ in maps:  # of cells that lie between voxels
            pass

    def _divide(self, volume: np.ndarray) -> None:
        """Sums along several axes -> means over those that looked."""
        looked: list[np.ndarray] = [np.zeros(n, np.uint8) for n in self.space.size]
        for look in self.looks:
            looked[slicing.axis_number(look.axis)] = np.any(self.weights(look), 1).astype(np.uint8)
        rest = looked[1][:, None] + looked[2]
        for x, plane in enumerate(volume):
            plane /= np.maximum(rest + looked[0][x], 1)

    def _in_plane(self, axis: str) -> tuple[int, int]:
        """The volume axes that run down and across the planes."""
        down, across = (n for n in (2, 1, 0) if n != slicing.axis_number(axis))
        return down, across

    def _room(self, axis: str) -> tuple[slice, slice]:
        """Where the planes along an axis lie in views."""
        return middle([self.space.grid[n] for n in self._in_plane(axis)], self.size)

    def _nearest(self, axis: int) -> np.ndarray:
        """The voxel nearest to each cell of an axis, both counted as they are shown."""
        found = self.space.nearest(axis)
        return self.space.size[axis] - 1 - found[::-1] if self.upright else found


def made(space: dict[str, Any], looks: list[Any], size: list[int], upright: bool) -> ScanBack:
    """What ``ScanBack.plain`` was made of."""
    known = {field.name: tuple(space[field.name]) for field in fields(Space)}
    height, width = size
    return ScanBack(Space(**known), tuple(Look(axis, tuple(cells)) for axis, cells in looks), (height, width), upright)


def middle(inner: list[int], outer: tuple[int, int]) -> tuple[slice, slice]:
    """Where a plane of ``inner`` (height, width) lies in a view of ``outer``: in its middle."""
    top, left = ((o - i) // 2 for i, o in zip(inner, outer, strict=True))
    return slice(top, top + inner[0]), slice(left, left + inner[1])


def _write(block: list[np.ndarray], planes: np.ndarray, add: bool) -> None:
    """Put maps ``(H, W)`` on planes ``(n, H, W)`` wherever these lie in memory."""
    maps = np.stack(block) if len(block) > 1 else block[0][None]
    if add:
        planes += maps
    else:
        planes[...] = maps
