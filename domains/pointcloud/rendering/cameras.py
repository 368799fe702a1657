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
# PointAD (zqhang/PointAD, multi_view): turns of a scan about x and about y, the front first. Its sets start elsewhere:
# Eyecandies is tilted by 45 degrees before (there by a sign of its own axes; here so that the camera looks down on it),
# Real3D-AD goes once round x
TILTS_DEG = ((0, 0), (-45, 0), (45, 0), (0, -30), (0, 30), (-15, 0), (15, 0), (0, -15), (0, 15))
EYECANDIES_DEG = ((0, 0), (-30, 0), (-15, 0), (10, 0), (20, 0), (0, -30), (0, -15), (0, 15), (0, 30))
EYECANDIES_FIRST_DEG = 45
REAL3D_DEG = ((0, 0), (-36, 0), (36, 0), (-72, 0), (72, 0), (-108, 0), (108, 0), (-144, 0), (144, 0))
SECTORS = ("front", "front right", "right", "back right", "back", "back left", "left", "front left")


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
    return _tilted("tilts", TILTS_DEG, views, 0)


def eyecandies(views: int) -> np.ndarray:
    """As ``tilts``, with the turns that PointAD gives Eyecandies: from 45 degrees above the scanner's own line."""
    return _tilted("eyecandies", EYECANDIES_DEG, views, EYECANDIES_FIRST_DEG)


def real3d(views: int) -> np.ndarray:
    """As ``tilts``, with the turns that PointAD gives Real3D-AD: once round the x axis."""
    return _tilted("real3d", REAL3D_DEG, views, 0)


def captions(layout: str, views: int) -> tuple[str, ...]:
    """What each camera of a layout is, in words, no two the same.

    Objects stand on -z and show their front to -y; before a scan "above" and "right" are those of the picture.
    """
    if layout in TILTED:
        first = EYECANDIES_FIRST_DEG if layout == "eyecandies" else 0
        return tuple(_tilt_words(x + first, y) for x, y in TILTED[layout][:views])
    words = []
    for pose in LAYOUTS[layout](views):
        x, y, z = -pose[:3, :3].T @ pose[:3, 3] / DISTANCE
        words.append((_direction(x, y, z), math.degrees(math.atan2(x, -y)) % 360, math.degrees(math.asin(z))))
    seen = [plain for plain, _, _ in words]
    return tuple(
        plain if seen.count(plain) == 1 else f"{plain}, {turn:.0f} degrees round and {up:.0f} up"
        for plain, turn, up in words
    )


def _tilted(name: str, turns_deg: tuple[tuple[int, int], ...], views: int, first_deg: int) -> np.ndarray:
    """``(V, 4, 4)``: the scan turned by ``first_deg`` about x, then by each pair about x and about y."""
    if views > len(turns_deg):
        raise UserError(
            f"views={views}: cameras {name!r} has {len(turns_deg)} views at most; use 'fibonacci' or 'ring'."
        )
    return np.stack([_before(about_x, about_y, first_deg) for about_x, about_y in turns_deg[:views]])


def _before(about_x_deg: float, about_y_deg: float, first_deg: float) -> np.ndarray:
    """``(4, 4)``: the camera on -z that looks along +z with y down, as a scan sees it that was turned before it."""
    pose = np.eye(4)
    pose[:3, :3] = _about_x(about_x_deg) @ _about_y(about_y_deg) @ _about_x(first_deg)
    pose[2, 3] = DISTANCE
    return pose


def _about_x(angle_deg: float) -> np.ndarray:
    """``(3, 3)``: brings what is above, at -y, to the camera."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle_deg: float) -> np.ndarray:
    """``(3, 3)``: brings what is on the right, at +x, to the camera."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _tilt_words(about_x: int, about_y: int) -> str:
    """Where the camera of a tilt stands."""
    words = []
    if about_y:
        words.append(f"{abs(about_y)} degrees to the {'right' if about_y > 0 else 'left'}")
    if about_x:
        words.append(f"{abs(about_x)} degrees {'above' if about_x > 0 else 'below'}")
    return f"from {', '.join(words)}" if words else "from straight ahead"


def _direction(x: float, y: float, z: float) -> str:
    """Where a camera stands, a unit vector from the object."""
    up_deg = math.degrees(math.asin(z))
    height = "" if abs(up_deg) < 12 else ("above" if up_deg > 0 else "below")
    if abs(up_deg) > 75:
        return f"from {height}"
    side = SECTORS[round(math.degrees(math.atan2(x, -y)) / 45) % 8]
    steep = "high " if up_deg > 45 else "far " if up_deg < -45 else ""
    return f"from the {side}" + (f", {steep}{height}" if height else "")


LAYOUTS: dict[str, Callable[[int], np.ndarray]] = {
    "fibonacci": fibonacci,
    "ring": ring,
    "tilts": tilts,
    "eyecandies": eyecandies,
    "real3d": real3d,
}
TILTED = {"tilts": TILTS_DEG, "eyecandies": EYECANDIES_DEG, "real3d": REAL3D_DEG}
