"""Points and normals of a whole object in; the same object with one defect, and which points it spoils, out.

Lengths are shares of the object's radius. ``severity`` in (0, 1] leads from faint to plain; ``share`` is how much of
the points the defect touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domains.pointcloud.making.profiles import hill, to_floor


@dataclass(frozen=True, slots=True)
class Patch:
    """A place on the surface.

    Attributes:
        centre: ``(3,)`` a point of the surface.
        up: ``(3,)`` unit normal there.
        distance: ``(N,)`` of every point from the centre, infinite for points of another side of the object.
        count: how many points the defect should touch.
    """

    centre: np.ndarray
    up: np.ndarray
    distance: np.ndarray
    count: int

    @property
    def radius(self) -> float:
        """Distance within which ``count`` points lie."""
        return float(np.partition(self.distance, self.count)[self.count])


Change = tuple[np.ndarray, np.ndarray, np.ndarray]
"""``(N, 3)`` moved points, ``(N,)`` bool spoiled, ``(N,)`` bool kept."""


def spoil(
    kind: str, points: np.ndarray, normals: np.ndarray, share: float, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add a defect of ``kind``, a name of ``DEFECTS``, at a random place.

    Args:
        kind: which.
        points: ``(N, 3)`` in the unit sphere.
        normals: ``(N, 3)`` unit, pointing out.
        share: of the points, in (0, 0.1).
        severity: in (0, 1].
        rng: source of chance.

    Returns:
        ``(M, 3)`` points, M <= N, and ``(M,)`` bool, the spoiled ones.
    """
    centre = int(rng.integers(len(points)))
    up = normals[centre]
    distance = np.where(normals @ up > 0, np.linalg.norm(points - points[centre], axis=1), np.inf)
    patch = Patch(points[centre], up, distance, max(8, round(share * len(points))))
    moved, spoiled, kept = DEFECTS[kind](points, patch, severity, rng)
    return moved[kept], spoiled[kept]


def bulge(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """A soft hill."""
    return _hill(points, patch, (0.2 + 0.6 * severity) * patch.radius)


def dent(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """A soft hollow."""
    return _hill(points, patch, -(0.2 + 0.6 * severity) * patch.radius)


def bite(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """A scoop cut by a ball: what lies in the ball moves inwards onto its far side."""
    centre = patch.centre + patch.up * patch.radius * (1.2 - severity)
    offset = points - centre
    length = np.where(np.isfinite(patch.distance), np.linalg.norm(offset, axis=1), np.inf)
    ball = np.partition(length, patch.count)[patch.count]
    inside = length < ball
    fall = np.where(inside, to_floor(offset, patch.up, ball), 0)
    return points + fall[:, None] * patch.up, inside, np.ones(len(points), bool)


def hole(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """Points are missing, and the rim, which is what can be labelled, bends inwards."""
    inner = patch.radius * (0.5 + 0.3 * severity)
    outer = np.partition(patch.distance, int(patch.count * 1.6))[int(patch.count * 1.6)]
    depth = np.clip((outer - patch.distance) / (outer - inner), 0, 1) * 0.4 * inner
    rim = (patch.distance >= inner) & (patch.distance < outer)
    return points - depth[:, None] * patch.up, rim, patch.distance >= inner


def crack(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """A groove along a wandering line."""
    along = np.cross(patch.up, rng.normal(size=3))
    along /= np.linalg.norm(along)
    x, y = (points - patch.centre) @ along, (points - patch.centre) @ np.cross(patch.up, along)
    half = rng.uniform(0.25, 0.45)
    aside = np.abs(y - 0.05 * np.sin(rng.uniform(6, 12) * x) - 0.02 * np.sin(rng.uniform(20, 40) * x))
    aside = np.where((np.abs(x) < half) & np.isfinite(patch.distance) & (patch.distance < 1.5 * half), aside, np.inf)
    count = min(patch.count, int(np.isfinite(aside).sum() * 0.6))
    width = np.partition(aside, count)[count]
    profile = np.clip(1 - (aside / width) ** 2, 0, 1) * np.clip(3 - 3 * np.abs(x) / half, 0, 1)
    depth = (0.05 + 0.12 * severity) * profile
    return points - depth[:, None] * patch.up, profile > 0, np.ones(len(points), bool)


def roughness(points: np.ndarray, patch: Patch, severity: float, rng: np.random.Generator) -> Change:
    """A patch of noise."""
    inside = patch.distance < patch.radius
    noise = rng.normal(0, 0.012 + 0.03 * severity, len(points)) * inside
    return points + noise[:, None] * patch.up, inside, np.ones(len(points), bool)


def _hill(points: np.ndarray, patch: Patch, height: float) -> Change:
    """A cosine-squared hill; points that it moves by less than a fiftieth of its height are not labelled."""
    weight = hill(patch.distance, 1.1 * patch.radius)
    return points + height * weight[:, None] * patch.up, weight > 0.02, np.ones(len(points), bool)


DEFECTS: dict[str, Callable[[np.ndarray, Patch, float, np.random.Generator], Change]] = {
    defect.__name__: defect for defect in (bulge, dent, bite, hole, crack, roughness)
}
