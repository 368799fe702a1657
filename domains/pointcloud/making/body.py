"""A mesh or a cloud in; points on what can be seen of it from outside, with normals that point out, out.

How faces are wound, what lies inside, and whether walls are doubled does not matter: a point belongs to the side that a
camera saw first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from domains.pointcloud import files
from domains.pointcloud.geometry import face_normals, pitch
from domains.pointcloud.library import open3d
from domains.pointcloud.making.shapes import Mesh, spread
from domains.pointcloud.rendering.cameras import fibonacci
from domains.pointcloud.rendering.normals import estimate_normals
from framework.errors import UnreadableError

FEWEST_POINTS = 500  # of a cloud
SCANS = 20  # places around the object
SIGNED = 8_000  # points of a cloud that tell the side of the others
FLAT = 1e-6  # extent along the shortest axis, of that along the longest: nothing thinner is a body
PROBES, DIRECTIONS, CLOSED = 1_000, 5, 0.98  # rays from just below the surface, and how many must say "inside"
BELOW = 2e-3  # of the radius


@dataclass(frozen=True, slots=True)
class Skin:
    """Points spread evenly over what is seen of an object, in the unit sphere.

    Attributes:
        points: ``(N, 3)`` float64.
        normals: ``(N, 3)`` float64, unit, pointing out.
        pitch: distance of neighbouring points.
    """

    points: np.ndarray
    normals: np.ndarray
    pitch: float

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Body:
    """An object that defects are made on.

    Attributes:
        path: of its file, for messages.
        skin: of it.
        centre: ``(3,)``, in the file's units, of the unit sphere.
        radius: of the unit sphere, in the file's units.
        mesh: welded vertices in the unit sphere, faces wound outwards; None for a cloud.
        scene: of the mesh, where it encloses a volume; else None.
    """

    path: Path
    skin: Skin
    centre: np.ndarray
    radius: float
    mesh: Mesh | None = None
    scene: Any = None


def body_of(path: Path, shape: files.Shape, count: int) -> Body:
    """What defects are made on.

    Args:
        path: for messages.
        shape: what the file holds.
        count: points of the skin of a mesh; a cloud's are its own.

    Raises:
        UnreadableError: the shape is flat, or its faces have no area.
    """
    if shape.faces is None:
        points, centre, radius = _unit(path, shape.points[shape.finite])
        if len(points) < FEWEST_POINTS:
            raise UnreadableError(
                f"{path}: {len(points)} points and no faces; a defect shows on {FEWEST_POINTS} or more."
            )
        return Body(path, _cloud(points), centre, radius)
    vertices, faces = weld(shape.points.astype(np.float64), shape.faces)
    vertices, centre, radius = _unit(path, vertices)
    area = np.linalg.norm(face_normals(vertices, faces), axis=1)
    faces = faces[area > 0]
    if not len(faces):
        raise UnreadableError(f"{path}: its faces have no area.")
    scene = scene_of((vertices, faces))
    skin, faces = _scanned((vertices, faces), scene, count)
    return Body(path, skin, centre, radius, (vertices, faces), scene if _closed(skin, scene) else None)


def scene_of(mesh: Mesh) -> Any:
    """Open3D's rays against a mesh."""
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(mesh[0].astype(np.float32)), o3d.core.Tensor(mesh[1].astype(np.uint32)))
    return scene


def inside(scene: Any, points: np.ndarray) -> np.ndarray:
    """``(N,)`` bool, which points lie within the mesh, by the majority of three rays."""
    tensor = open3d().core.Tensor(points.astype(np.float32))
    return np.asarray(scene.compute_occupancy(tensor, nsamples=3).numpy() > 0.5)


def weld(points: np.ndarray, faces: np.ndarray) -> Mesh:
    """The same mesh without points that are not finite or belong to no face, and with one vertex at each place."""
    faces = faces[np.isfinite(points[faces]).all((1, 2))]
    used, corner = np.unique(faces, return_inverse=True)
    vertices, merged = np.unique(points[used], axis=0, return_inverse=True)
    faces = merged.reshape(-1)[corner].reshape(-1, 3)
    return vertices, faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]


def _unit(path: Path, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Points in the unit sphere, and its centre and radius in the units of the file."""
    points = points.astype(np.float64)
    if len(points):
        centre = (points.min(0) + points.max(0)) / 2
        radius = float(np.linalg.norm(points - centre, axis=1).max())
        spread_of = np.linalg.svd(np.cov((points - centre).T), compute_uv=False) if len(points) > 3 else np.zeros(3)
        if np.sqrt(spread_of[2]) > FLAT * np.sqrt(spread_of[0]):
            return (points - centre) / radius, centre, radius
    raise UnreadableError(f"{path}: is flat, without a volume; defects are made on bodies.")


def _scanned(mesh: Mesh, scene: Any, count: int) -> tuple[Skin, np.ndarray]:
    """The skin of a mesh, and its faces wound outwards: each connected part as most of what is seen of it says."""
    vertices, faces = mesh
    points, face = spread(mesh, count, np.random.default_rng(0))
    flat = face_normals(vertices, faces)
    area = np.linalg.norm(flat, axis=1)
    normals = (flat / area[:, None])[face]
    side = np.zeros(count)  # +1 or -1 once a camera has seen the point from that side of its face
    o3d = open3d()
    for pose in fibonacci(SCANS):
        ray = -pose[:3, :3].T @ pose[:3, 3] - points
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        rays = o3d.core.Tensor(np.concatenate([points, ray], 1).astype(np.float32))
        seen = ~scene.test_occlusions(rays, tnear=1e-4).numpy()
        side = np.where((side == 0) & seen, np.sign((normals * ray).sum(1)), side)
    links = coo_matrix((np.ones(2 * len(faces), bool), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())))
    links.resize(len(vertices), len(vertices))
    part = connected_components(links, directed=False)[1][faces[:, 0]]
    turned = np.bincount(part[face], side, part.max() + 1)[part] < 0
    shown = side != 0
    skin = Skin(points[shown], normals[shown] * side[shown, None], float(np.sqrt(area.sum() / 2 / count)))
    return skin, np.where(turned[:, None], faces[:, ::-1], faces)


def _closed(skin: Skin, scene: Any) -> bool:
    """Whether a ray from just below the surface leaves through an odd number of faces, whichever way it goes."""
    rng = np.random.default_rng(0)
    pick = rng.integers(len(skin), size=PROBES)
    start = np.repeat(skin.points[pick] - BELOW * skin.normals[pick], DIRECTIONS, 0)
    rays = open3d().core.Tensor(np.concatenate([start, rng.normal(size=start.shape)], 1).astype(np.float32))
    return bool((scene.count_intersections(rays).numpy() % 2).mean() > CLOSED)


def _cloud(points: np.ndarray) -> Skin:
    """The skin of a cloud: all its points; those that cameras around it see tell which side of it is out."""
    step = pitch(points)
    normals = estimate_normals(points, step).astype(np.float64)
    few = np.random.default_rng(0).permutation(len(points))[:SIGNED]
    o3d = open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points[few]))
    votes = np.zeros(len(few))
    for pose in fibonacci(SCANS):
        eye = -pose[:3, :3].T @ pose[:3, 3]
        _, shown = cloud.hidden_point_removal(eye, 200 * float(np.linalg.norm(eye)))
        ids = np.asarray(shown)
        ray = eye - points[few[ids]]
        votes[ids] += (normals[few[ids]] * ray).sum(1) / np.linalg.norm(ray, axis=1)
    known = few[votes != 0]
    outward = normals[known] * np.sign(votes[votes != 0])[:, None]
    nearest = cKDTree(points[known]).query(points)[1]
    agree = (normals * outward[nearest]).sum(1, keepdims=True)
    return Skin(points, np.where(agree < 0, -normals, normals), step)
