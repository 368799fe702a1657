"""Slices of a scan in, what each is called and where it lies out, all counted on the grid of the scan's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domains.medical import geometry, slicing
from domains.medical.back import Look
from domains.medical.captions import captions
from domains.medical.geometry import Geometry
from domains.medical.space import Space

ENDS = (("L", "R"), ("P", "A"), ("I", "S"))  # of each axis of the patient, from the first voxel to the last


@dataclass(frozen=True, slots=True)
class Place:
    """One slice.

    Attributes:
        plane: "sagittal", "coronal" or "axial".
        index: of the file's slice nearest to it, from the patient's left, back or feet.
        depth: how many slices of the file lie in that direction.
        position_mm: its middle, in the coordinates of the scan, along the direction that slices follow one another in.
        pixel_mm: how high and wide a pixel of it is.
        sides: what lies to the left, the right, the top and the bottom.
    """

    plane: str
    index: int
    depth: int
    position_mm: float
    pixel_mm: tuple[float, float]
    sides: tuple[str, str, str, str]

    @property
    def axis(self) -> int:
        """The axis of the patient that slices follow one another along: 0 right, 1 front, 2 top."""
        return slicing.axis_number(self.plane)


def places(scan: Geometry, space: Space, looks: Sequence[Look], upright: bool) -> list[Place]:
    """Each of V slices.

    Args:
        scan: that they are of.
        space: that they were cut from.
        looks: along each axis, in the order of the slices.
        upright: as radiologists see them, else as the file's axes run.
    """
    return [_place(scan, space, look.axis, cell, upright) for look in looks for cell in look.cells]


def titles(found: Sequence[Place]) -> tuple[str, ...]:
    """A caption of each."""
    return captions(
        [p.plane for p in found],
        [p.index + 1 for p in found],
        [p.depth for p in found],
        [p.position_mm for p in found],
    )


def _place(scan: Geometry, space: Space, plane: str, cell: int, upright: bool) -> Place:
    axis, affine = slicing.axis_number(plane), space.affine(scan.affine)
    down, across = (n for n in (2, 1, 0) if n != axis)
    centre = (np.array(space.grid) - 1) / 2
    centre[axis] = cell
    position = float(affine[axis] @ [*centre, 1])
    depth = scan.shape[space.order[axis]]
    index = int(space.nearest(axis)[cell]) + space.start[axis]
    against = geometry.ras_axes(scan.affine)[1]  # whether the axes of the file run the other way
    if against[axis] and not space.flips[axis]:
        index = depth - 1 - index
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    sides = [_ends(n, upright or against[n]) for n in (across, down)]
    pixel = float(lengths[down]), float(lengths[across])
    return Place(plane, index, depth, position, pixel, (*sides[0], *sides[1]))


def _ends(axis: int, last_first: bool) -> tuple[str, str]:
    """The letters of an axis in the order of the screen."""
    first, last = ENDS[axis]
    return (last, first) if last_first else (first, last)
