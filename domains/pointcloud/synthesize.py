"""Clean meshes or clouds in; a Real3D-AD set of them, half with a synthetic defect, out.

``python -m domains.pointcloud.synthesize MESH... --out ROOT [--seed 0] [--samples 60]``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domains.pointcloud import files
from domains.pointcloud.cameras import fibonacci
from domains.pointcloud.geometry import pitch, to_unit_sphere
from domains.pointcloud.library import open3d
from domains.pointcloud.normals import estimate_normals
from domains.pointcloud.procedural import SPARE, Source, write_set
from domains.pointcloud.shapes import sample
from framework.errors import UserError

POINTS = (12_000, 24_000)
POOL = 80_000  # points spread over the faces, from which clouds are drawn
SCANS = 20  # places around the object


def write_defects(meshes: Sequence[Path], root: Path, seed: int = 0, samples: int = 60) -> None:
    """Write ``root/<mesh>/{train,test,gt}`` with ``samples`` test clouds over all meshes, every other one spoiled.

    Points are drawn from the faces that can be seen from outside; where a file has none, from its own points.

    Raises:
        UserError: a mesh cannot be read, two have one name, there are too few samples, or ``root`` is already there.
    """
    sources: dict[str, Source] = {}
    for path in meshes:
        if path.stem in sources:
            raise UserError(f"{path}: another mesh is called {path.stem!r} too; rename one of them.")
        sources[path.stem] = _source(files.load(path))
    write_set(root, sources, [seed, 2], samples)


def _source(shape: files.Shape) -> Source:
    """Draws clouds of one shape; a specimen differs from another by its points only."""
    points, normals = _own_points(shape) if shape.faces is None else _scanned(shape.points, shape.faces)
    most = min(POINTS[1], int(len(points) / SPARE))

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pick = rng.permutation(len(points))[:count]
        return points[pick], normals[pick]

    return Source(draw, (min(POINTS[0], int(0.8 * most)), most))


def _own_points(shape: files.Shape) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 3)`` points of a cloud and their normals, turned away from its middle."""
    points = to_unit_sphere(shape.points[shape.finite])
    normals = estimate_normals(points, pitch(points)).astype(np.float64)
    return points, normals * np.where((normals * points).sum(1, keepdims=True) < 0, -1, 1)


def _scanned(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 3)`` points on the faces that a scanner around the object sees, and their normals towards it.

    What lies inside, and how the faces are wound, does not matter.
    """
    o3d = open3d()
    faces = faces[np.isfinite(vertices[faces]).all((1, 2))]
    used = np.unique(faces)
    place = np.zeros((len(vertices), 3))
    place[used] = to_unit_sphere(vertices[used])
    points, normals = sample((place, faces), POOL, np.random.default_rng(0))
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(place.astype(np.float32)), o3d.core.Tensor(faces.astype(np.uint32)))
    side = np.zeros(POOL)  # +1 or -1 once a camera has seen the point from that side of its face
    for pose in fibonacci(SCANS):
        ray = -pose[:3, :3].T @ pose[:3, 3] - points
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        rays = o3d.core.Tensor(np.concatenate([points, ray], 1).astype(np.float32))
        seen = ~scene.test_occlusions(rays, tnear=1e-4).numpy()
        side = np.where((side == 0) & seen, np.sign((normals * ray).sum(1)), side)
    return points[side != 0], normals[side != 0] * side[side != 0, None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line; 0, or 2 after one line about a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m domains.pointcloud.synthesize", description=__doc__.splitlines()[0]
    )
    parser.add_argument("meshes", nargs="+", type=Path, help=".obj .ply .stl .pcd")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=60)
    options = parser.parse_args(arguments)
    try:
        write_defects(options.meshes, options.out, options.seed, options.samples)
    except UserError as error:
        print(f"anomaly-ov: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
