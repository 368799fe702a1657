"""The skin of an object in; a defect, which moves points of the object or takes them away, out.

Lengths are shares of the object's radius. ``depth`` is how far the surface moves at most, ``share`` how much of the
skin the defect is meant to touch. A defect says what becomes of any points of the object, those of a cloud or the
vertices of a mesh, so that both are spoiled alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domains.pointcloud.making import places, profiles
from domains.pointcloud.making.body import Skin

Change = tuple[np.ndarray, np.ndarray]
"""``(N, 3)`` moved points, ``(N,)`` bool kept."""
WALL = 0.8  # of a wall's thickness: what goes deeper leaves on its other side
BELOW = 2 * places.LINK  # pitches below an end where points still tell what belongs to it
LARGEST_BALL = 1.5  # of the place's radius
STEEPEST_RAD = 1.2  # of an end that bends
SHORTEST = 2.0  # amplitudes that an end which bends is long


@dataclass(frozen=True, slots=True)
class Ball:
    """Within it the surface is gone; where ``exposes``, what was inside the object there shows up."""

    centre: np.ndarray
    radius: float
    exposes: bool


@dataclass(frozen=True, slots=True)
class Defect:
    """What one defect does.

    Attributes:
        centre: ``(3,)``.
        reach: from the centre; beyond it nothing changes.
        within: what becomes of points in reach.
        ball: that cuts something away, or None.
        detail: longest edges of a mesh that still show it.
        spots: ``(K, 3)`` places that need such edges, within ``near``; None: all in reach.
        near: of a spot.
    """

    centre: np.ndarray
    reach: float
    within: Callable[[np.ndarray, np.ndarray], Change]
    ball: Ball | None = None
    detail: float = 0.0
    spots: np.ndarray | None = None
    near: float = 0.0

    def apply(self, points: np.ndarray, normals: np.ndarray) -> Change:
        """What becomes of ``(N, 3)`` points of the object, with their outward normals."""
        near = np.linalg.norm(points - self.centre, axis=1) < self.reach
        moved, kept = points.copy(), np.ones(len(points), bool)
        moved[near], kept[near] = self.within(points[near], normals[near])
        return moved, kept


def bulge(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """A soft hill. It is as high as the amplitude."""
    return _hill(places.find(skin, share, 1.2, rng), depth)


def dent(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """A soft hollow, as deep as the amplitude. A wall too thin for it gives way with both of its sides."""
    place = places.find(skin, share, 1.2, rng)
    return _hill(place, -depth, both=depth > WALL * place.thickness)


def crack(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """A narrow groove along a wandering line, four to five radii long; it stays within the wall."""
    place = places.find(skin, share, 2.4, rng)
    depth = min(depth, WALL * place.thickness)
    half, width = rng.uniform(1.9, 2.3) * place.radius, max(2.5 * skin.pitch, 0.14 * place.radius)
    along = np.cross(place.up, rng.normal(size=3))
    along /= np.linalg.norm(along)
    across = np.cross(place.up, along)
    swing, wave = rng.uniform(0.1, 0.2) * place.radius, rng.uniform(2, 4, 2) / place.radius * (1, 2.7)
    phase = rng.uniform(0, 2 * np.pi, 2)

    def profile(points: np.ndarray) -> np.ndarray:
        offset = points - place.centre
        x, y = offset @ along, offset @ across
        aside = np.abs(y - swing * (np.sin(wave[0] * x + phase[0]) + 0.4 * np.sin(wave[1] * x + phase[1])))
        return np.clip(1 - (aside / width) ** 2, 0, 1) * np.clip(3 - 3 * np.abs(x) / half, 0, 1)

    def within(points: np.ndarray, normals: np.ndarray) -> Change:
        gentle = np.clip(
            3 * (normals @ place.up) - 0.3, 0, 1
        )  # of a steep wall a whole stripe would lie under the line
        fall = depth * profile(points) * gentle * place.region.holds(points, normals)
        return points - fall[:, None] * normals, np.ones(len(points), bool)

    around = place.region.skin.points[place.region.member]
    spots = around[profile(around) > 0.5]
    return Defect(
        place.centre,
        1.1 * half,
        within,
        detail=width / 4,
        spots=spots[:: len(spots) // 32 + 1],
        near=2 * width + 0.1 * half,
    )


def hole(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """Surface is missing, and what can be labelled, the rim, is bent in by the amplitude; a thin wall is punched."""
    place = places.find(skin, share, 1.5, rng)
    inner = 0.7 * place.radius
    outer = max(1.15 * place.radius, inner + 3 * skin.pitch)
    through = place.thickness < inner
    depth = depth if through else min(depth, WALL * place.thickness)

    def within(points: np.ndarray, normals: np.ndarray) -> Change:
        distance = np.linalg.norm(points - place.centre, axis=1)
        on = np.full(len(points), True) if through else place.region.holds(points, normals)
        fall = depth * on * profiles.hill(np.maximum(distance - inner, 0), outer - inner)
        return points - fall[:, None] * place.up, (distance >= inner) | ~on

    return Defect(place.centre, outer, within, Ball(place.centre, inner, False))


def bite(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """A ball cuts a piece off, as deep as the amplitude, at most as wide; the label is the surface that comes to light.

    Of a cloud, or a mesh that encloses nothing, no one knows what is inside: the surface moves onto the far side of the
    ball.
    """
    place = places.find(skin, share, 1.3, rng)
    depth = min(depth, place.radius, np.inf if solid else WALL * place.thickness)
    # of the ball whose cap is as wide as the place and that deep; a larger one would cut what lies far from the place
    radius = min((place.radius**2 + depth**2) / (2 * depth), LARGEST_BALL * place.radius)
    middle = place.centre + place.up * (radius - depth)

    def cut(points: np.ndarray, normals: np.ndarray) -> Change:
        return points, np.linalg.norm(points - middle, axis=1) >= radius

    def scoop(points: np.ndarray, normals: np.ndarray) -> Change:
        offset = points - middle
        on = (np.linalg.norm(offset, axis=1) < radius) & place.region.holds(points, normals)
        fall = profiles.to_floor(offset, place.up, radius) * on
        return points + fall[:, None] * place.up, np.ones(len(points), bool)

    if solid:
        return Defect(middle, radius, cut, Ball(middle, radius, True))
    return Defect(place.centre, 1.25 * place.radius, scoop, detail=place.radius / 10)


def bend(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """An end that sticks out curves to one side; its tip moves by the amplitude.

    The end is the more slender of a few, three times the share, and at least twice as long as its tip moves; its middle
    line keeps its length.
    """
    share, best, choice = min(3 * share, 0.25), 0.0, None
    for axis in rng.normal(size=(8, 3)):
        axis /= np.linalg.norm(axis)
        height = skin.points @ axis
        floor = -float(np.partition(-height, int(share * len(skin)))[int(share * len(skin))])
        floor = min(floor, float(height.max()) - SHORTEST * depth)
        end = skin.points[height > floor]
        slender = (height.max() - floor) / np.sqrt(np.var(end, axis=0).sum()) * rng.uniform(0.7, 1.3)
        if slender > best:
            best, choice = slender, (axis, height, floor)
    assert choice is not None
    axis, height, floor = choice
    near = np.flatnonzero(height > floor - BELOW * skin.pitch)
    around = Skin(skin.points[near], skin.normals[near], skin.pitch)
    above = np.flatnonzero(height[near] > floor)
    beyond = Skin(around.points[above], around.normals[above], skin.pitch)
    member = np.zeros(len(near), bool)
    member[above] = places.joined(beyond, int(np.argmax(height[near][above])))
    region = places.Region(around, member | (height[near] <= floor))
    return _bent(region, axis, floor, float(height.max()) - floor, depth, rng)


def roughness(skin: Skin, share: float, depth: float, rng: np.random.Generator, solid: bool) -> Defect:
    """A patch of noise: each point moves in or out, by a sixth to a third of the amplitude, at least 3 pitches."""
    place = places.find(skin, share, 1.2, rng)
    depth, seed = min(max(depth, 3 * skin.pitch) / 3, WALL * place.thickness), int(rng.integers(2**32))

    def within(points: np.ndarray, normals: np.ndarray) -> Change:
        on = (np.linalg.norm(points - place.centre, axis=1) < place.radius) & place.region.holds(points, normals)
        chance = np.random.default_rng(seed).uniform(-0.5, 0.5, len(points))
        step = depth * (chance + 0.5 * np.where(chance < 0, -1, 1)) * on
        return points + step[:, None] * place.up, np.ones(len(points), bool)

    return Defect(place.centre, place.radius, within)


def _hill(place: places.Place, height: float, both: bool = False) -> Defect:
    """A hill, or a hollow where ``height`` is negative; on this side of a wall or on ``both``."""
    width = 1.1 * place.radius

    def within(points: np.ndarray, normals: np.ndarray) -> Change:
        weight = profiles.hill(np.linalg.norm(points - place.centre, axis=1), width)
        on = True if both else place.region.holds(points, normals)
        return points + (height * weight * on)[:, None] * place.up, np.ones(len(points), bool)

    return Defect(place.centre, width, within, detail=width / 12)


def _bent(
    region: places.Region, axis: np.ndarray, floor: float, length: float, depth: float, rng: np.random.Generator
) -> Defect:
    """Beyond a plane the object follows an arc; slices across it stay parallel, so that nothing folds over."""
    aside = np.cross(axis, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    angles_rad = np.linspace(0.01, STEEPEST_RAD, 100)  # of an arc of length 1, and how far aside its end lies
    curve = float(np.interp(depth / length, (1 - np.cos(angles_rad)) / angles_rad, angles_rad)) / length
    end = region.skin.points[region.member]
    middle = end[end @ axis > floor].mean(0)

    def within(points: np.ndarray, normals: np.ndarray) -> Change:
        height = np.maximum(points @ axis - floor, 0)
        height *= region.holds(points, normals)
        along = np.sin(curve * height) / curve - height
        return (
            points + along[:, None] * axis + ((1 - np.cos(curve * height)) / curve)[:, None] * aside,
            np.ones(len(points), bool),
        )

    return Defect(middle, float(np.linalg.norm(end - middle, axis=1).max()) * 1.05, within, detail=length / 16)


KINDS: dict[str, Callable[[Skin, float, float, np.random.Generator, bool], Defect]] = {
    defect.__name__: defect for defect in (bulge, dent, crack, hole, bite, bend, roughness)
}
