"""A layout's name and a number of views in; camera poses around the unit sphere out.

Camera axes are those of OpenCV: x right, y down, z forward. Every camera stands at ``DISTANCE`` from the origin, looks
at it, and sees the whole unit sphere with a small margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from framework.errors import UserError

FOV_DEG = 40.0
MARGIN = 1.12  # 1.05 clips the splats of points on the sphere itself
DISTANCE = MARGIN / math.sin(math.radians(FOV_DEG / 2))
RING_DEG = (20.0, -20.0)
# PointAD (zqhang/PointAD, multiview_mvtec.py): nine small turns of a scan that was taken from one side
TILTS_DEG = ((0, 0), (-45, 0), (45, 0), (0, -30), (0, 30), (-15, 0), (15, 0), (0, -15), (0, 15))


def focal_px(size: int) -> float:
    """Focal length, in pixels, of a square image of ``size`` pixels a side."""
    return size / 2 / math.tan(math.radians(FOV_DEG / 2))


def look_at(eye: np.ndarray, up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> np.ndarray:
    """``(4, 4)`` float64, world to camera, for a camera at ``eye (3,)`` that looks at the origin."""
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = right, np.cross(forward, right), forward
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def fibonacci(views: int) -> np.ndarray:
    """``(V, 4, 4)`` cameras spread evenly over the sphere along the golden spiral: objects scanned from all sides."""
    golden_rad = math.pi * (3 - math.sqrt(5))
    z = 1 - 2 * (np.arange(views) + 0.5) / views
    radius, angle = np.sqrt(1 - z**2), golden_rad * np.arange(views)
    eyes = DISTANCE * np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1)
    return np.stack([look_at(eye) for eye in eyes])


def ring(views: int) -> np.ndarray:
    """``(V, 4, 4)`` cameras on a circle about z, by turns 20 degrees above and below: objects on a turntable."""
    angle = 2 * math.pi * np.arange(views) / views
    elevation = np.radians([RING_DEG[i % 2] for i in range(views)])
    level = np.cos(elevation)
    eyes = DISTANCE * np.stack([level * np.cos(angle), level * np.sin(angle), np.sin(elevation)], 1)
    return np.stack([look_at(eye) for eye in eyes])


def tilts(views: int) -> np.ndarray:
    """``(V, 4, 4)`` cameras before a scan taken along +z (z is the distance, y points down); nine at most.

    Raises:
        UserError: more than nine views.
    """
    if views > len(TILTS_DEG):
        raise UserError(
            f"views={views}: cameras 'tilts' has {len(TILTS_DEG)} views at most; use 'fibonacci' or 'ring'."
        )
    poses = []
    for about_x, about_y in np.radians(TILTS_DEG[:views]):
        side = (math.sin(about_y), math.sin(about_x) * math.cos(about_y), -math.cos(about_x) * math.cos(about_y))
        poses.append(look_at(DISTANCE * np.array(side), up=(0.0, -1.0, 0.0)))
    return np.stack(poses)


LAYOUTS: dict[str, Callable[[int], np.ndarray]] = {"fibonacci": fibonacci, "ring": ring, "tilts": tilts}
