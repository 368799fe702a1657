"""A scan that is cut in, its views out: which slices, in which grey, at one size, with what each is in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from domains.medical import slicing
from domains.medical.back import Look as Along
from domains.medical.back import middle
from domains.medical.scans import Look, Scan


def chosen(
    scan: Scan, axis: str, look: Look, select: str, between: Sequence[float], stride: int, most: int
) -> tuple[int, ...]:
    """Growing indices of the slices along an axis that become views; one at least.

    Args:
        scan: that is cut.
        axis: of the slices.
        look: decides which of them show something.
        select: "shown" takes these, "all" takes all.
        between: shares of the depth, of which only slices are taken; the one nearest to the middle where none is there.
        stride: every how manieth of them.
        most: how many at most, evenly spaced; 0 for all.
    """
    depth = len(scan.planes(axis))
    indices = scan.shown(axis, look) if select == "shown" else np.arange(depth)
    place = indices / max(depth - 1, 1)
    within = indices[(place >= between[0]) & (place <= between[1])]
    if not len(within):
        within = indices[[np.abs(place - sum(between) / 2).argmin()]]
    return tuple(slicing.choose(within[::stride], most).tolist())


def views(scan: Scan, looks: Sequence[Along], look: Look, neighbours: bool) -> np.ndarray:
    """``(V, 3, H, W)`` uint8, the views of all looks; smaller ones in the middle of black.

    Grey ones are three times the same memory, and neighbours that of the views beside them, so that these take a third
    of what their shape says: write to none.

    Args:
        scan: that is cut.
        looks: along each axis.
        look: what makes grey of codes.
        neighbours: red, green and blue are the slice before, the slice and the slice after; at the ends it stands in
            for the one that is missing.
    """
    found = [_along(scan, along, look, neighbours) for along in looks]
    if len(found) == 1:
        return found[0]
    size = view_size(scan, looks)
    out = np.zeros((sum(len(part) for part in found), _colours(found[0]), *size), np.uint8)
    start = 0
    for part in found:
        rows, columns = middle(list(part.shape[2:]), size)
        out[start : start + len(part), :, rows, columns] = part[:, : out.shape[1]]
        start += len(part)
    return _thrice(out) if out.shape[1] == 1 else out


def view_size(scan: Scan, looks: Sequence[Along]) -> tuple[int, int]:
    """(height, width) that holds the slices of all looks."""
    shapes = [scan.planes(along.axis).shape[1:] for along in looks]
    return max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)


def _along(scan: Scan, along: Along, look: Look, neighbours: bool) -> np.ndarray:
    """``(V, 3, H, W)``, as ``views``, of one look."""
    shape, cells = scan.planes(along.axis).shape, np.array(along.cells)
    around = (cells[:, None] + [-1, 0, 1]).clip(0, shape[0] - 1)  # (V, 3)
    joined = neighbours and len(cells) == cells[-1] - cells[0] + 1  # slices side by side: each view starts one further
    wanted = np.unique(around) if neighbours else cells
    if joined:
        wanted = np.concatenate([around[:, 0], around[-1, 1:]])
    grey = np.empty((len(wanted), len(scan.table(look)), *shape[1:]), np.uint8)
    scan.grey(along.axis, wanted.tolist(), look, grey)
    if joined:
        depth, _, rows, columns = grey.strides
        return np.lib.stride_tricks.as_strided(grey, (len(cells), 3, *shape[1:]), (depth, depth, rows, columns))
    if neighbours:
        return grey[:, 0][np.searchsorted(wanted, around)]
    return grey if grey.shape[1] == 3 else _thrice(grey)


def _thrice(grey: np.ndarray) -> np.ndarray:
    """``(V, 1, H, W)`` -> ``(V, 3, H, W)`` of the same memory."""
    depth, _, rows, columns = grey.strides
    shape = (len(grey), 3, *grey.shape[2:])
    return np.lib.stride_tricks.as_strided(grey, shape, (depth, 0, rows, columns))


def _colours(part: np.ndarray) -> int:
    """1 where red, green and blue are the same memory, else 3."""
    return 3 if part.strides[1] else 1
