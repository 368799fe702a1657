"""Distances on a surface in; the shape of a defect's relief out."""

from __future__ import annotations

import numpy as np


def hill(distance: np.ndarray, radius: float) -> np.ndarray:
    """A cosine-squared hill: 1 in its middle, 0 from ``radius`` on."""
    return np.cos(np.clip(distance / radius, 0, 1) * np.pi / 2) ** 2


def to_floor(offset: np.ndarray, up: np.ndarray, radius: float) -> np.ndarray:
    """How far along ``up`` points move onto the far side of a ball, negative; right within the ball alone.

    Args:
        offset: ``(N, 3)`` from the ball's centre.
        up: ``(3,)`` unit.
        radius: of the ball.
    """
    height = offset @ up
    across2 = (offset**2).sum(1) - height**2
    return -np.sqrt(np.maximum(radius**2 - across2, 0)) - height
