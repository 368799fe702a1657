"""What a file of points holds, and where the points of an organised scan lie on its grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_POINTS = 16  # of a cloud: fewer have no surface


@dataclass(frozen=True, slots=True)
class Scan:
    """Where the points of an organised scan lie on its grid.

    Attributes:
        height, width: of the grid.
        pixel: ``(E,)`` int32, row * width + column of every point, ascending.
        rgb: ``(height, width, 3)`` uint8, the photograph that was taken with it, or None.
        background: how many measured points were taken away as ground.
    """

    height: int
    width: int
    pixel: np.ndarray
    rgb: np.ndarray | None = None
    background: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file holds.

    Attributes:
        points: ``(E, 3)`` float32 or float64 as the file has them, its own units and order; may hold NaN.
        normals: ``(E, 3)`` float32 if the file has them.
        faces: ``(F, 3)`` int64 indices of points, F > 0; None for a cloud.
        colours: ``(E, 3)`` uint8 if the file has them.
        scan: of an organised scan, whose points are those of its object; None for any other.
        warnings: what is odd about the file but can be lived with: a line each, with its path.
    """

    points: np.ndarray
    normals: np.ndarray | None = None
    faces: np.ndarray | None = None
    colours: np.ndarray | None = None
    scan: Scan | None = None
    warnings: tuple[str, ...] = ()

    @property
    def finite(self) -> np.ndarray:
        """``(E,)`` bool, the points that have a place."""
        return np.isfinite(self.points).all(1)
