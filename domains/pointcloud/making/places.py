"""The skin of an object in; a place on it, and which points lie on the same side of the object there, out.

Two points are on one side where the surface leads from one to the other: over edges, but not through a thin wall.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from domains.pointcloud.making.body import Skin

LINK = 2.5  # neighbours on the surface are at most this many pitches apart
OPPOSED = -0.3  # cosine between the normals of points that the surface does not join
TURN = 2.0  # pitches that a normal pointing the other way is worth when the nearest point is looked for


@dataclass(frozen=True)
class Region:
    """Part of the skin, and what surrounds it, so that other points can be told to belong to it or not.

    Attributes:
        skin: ``K`` points of the skin, of the part and around it.
        member: ``(K,)`` bool, those of the part.
    """

    skin: Skin
    member: np.ndarray
    _tree: cKDTree = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self._key(self.skin.points, self.skin.normals), balanced_tree=False))

    def holds(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """``(N,)`` bool: the nearest point of the skin that faces the same way belongs to the part."""
        return self.member[self._tree.query(self._key(points, normals))[1]]

    def _key(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        return np.concatenate([points, normals * (TURN / 2 * self.skin.pitch)], 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a defect comes to lie.

    Attributes:
        centre: ``(3,)`` a point of the skin.
        up: ``(3,)`` unit, out of the surface.
        radius: within which the wanted share of the skin lies, on this side.
        region: the side, out to ``reach`` radii.
        thickness: of the wall under the centre; infinite where there is no other side below.
    """

    centre: np.ndarray
    up: np.ndarray
    radius: float
    region: Region
    thickness: float


def find(skin: Skin, share: float, reach: float, rng: np.random.Generator) -> Place:
    """A random place on a skin.

    Args:
        skin: of an object.
        share: of the skin that lies within the radius.
        reach: radii around the centre that the region extends.
        rng: source of chance.
    """
    index = int(rng.integers(len(skin)))
    centre = skin.points[index]
    distance = np.linalg.norm(skin.points - centre, axis=1)
    facing = skin.normals @ skin.normals[index]
    close = (distance < 3 * skin.pitch) & (facing > 0.5)
    up = skin.normals[close].mean(0)
    up /= np.linalg.norm(up)
    count = max(16, round(share * len(skin)))
    facing_up = np.where(skin.normals @ up > 0, distance, np.inf)
    radius = min(_nearest(facing_up, count), _nearest(distance, 2 * count))  # on a thin limb few points face up
    near = np.flatnonzero(distance < reach * radius + LINK * skin.pitch)
    around = Skin(skin.points[near], skin.normals[near], skin.pitch)
    region = Region(around, joined(around, int(np.argmin(distance[near]))))
    return Place(centre, up, radius, region, _thickness(around, region.member, centre, up, radius))


def joined(skin: Skin, start: int) -> np.ndarray:
    """``(N,)`` bool, the points that the surface joins with one of them."""
    pairs = cKDTree(skin.points, balanced_tree=False).query_pairs(LINK * skin.pitch, output_type="ndarray")
    cosine = np.einsum("pc,pc->p", skin.normals[pairs[:, 0]], skin.normals[pairs[:, 1]])
    pairs = pairs[cosine > OPPOSED]
    graph = coo_matrix((np.ones(len(pairs), bool), pairs.T), shape=(len(skin), len(skin)))
    parts = connected_components(graph, directed=False)[1]
    return np.asarray(parts == parts[start])


def _nearest(distance: np.ndarray, count: int) -> float:
    """Within which ``count`` points lie."""
    return float(np.partition(distance, count)[count])


def _thickness(around: Skin, member: np.ndarray, centre: np.ndarray, up: np.ndarray, radius: float) -> float:
    """How far below the centre the other side of the wall lies."""
    offset = around.points - centre
    height = offset @ up
    aside = np.linalg.norm(offset - height[:, None] * up, axis=1)
    other = (around.normals @ up < OPPOSED) & (aside < 0.5 * radius) & (height < 0)
    return float(-height[other].max()) if other.any() else np.inf
