import numpy as np
import pytest

from domains.pointcloud.geometry import sampling, to_unit_sphere
from domains.pointcloud.making.shapes import SHAPES, sample
from domains.pointcloud.rendering.cameras import DISTANCE, look_at
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.normals import estimate_normals
from domains.pointcloud.rendering.walls import thin

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
FRONT = look_at(np.array([0.0, -DISTANCE, 0]))[None]


def plates(gap: float, count: int) -> np.ndarray:
    points = np.random.default_rng(0).uniform(-0.65, 0.65, (count, 3))
    points[:, 1] = np.where(np.arange(count) % 2, gap / 2, -gap / 2)
    return points


@pytest.mark.parametrize(
    ("gap", "count", "walls"),
    [(0.2, 10_000, 0), (0.1, 10_000, 0), (0.05, 10_000, 1), (0.01, 10_000, 1), (0.05, 100_000, 0), (0.01, 100_000, 1)],
)
def test_walls_are_told_where_they_cannot_be_told_apart(gap: float, count: int, walls: int) -> None:
    points = plates(gap, count)
    drawn = draw(points, FRONT, 384)
    inner = np.abs(points[:, [0, 2]]).max(1) < 0.55
    rear = (drawn.place[0] >= 0)[inner & (points[:, 1] > 0)].mean()
    assert len(drawn.warnings) == walls and (rear > 0.5) == bool(walls)
    assert all(f"walls some {gap:.3f} thick" in line and "\n" not in line for line in drawn.warnings)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_edges_folds_and_noise_are_no_walls(shape: str, noise: float) -> None:
    points = to_unit_sphere(sample(SHAPES[shape](np.random.default_rng(0)), 20_000, np.random.default_rng(1))[0])
    points = points + np.random.default_rng(2).normal(0, noise * sampling(points).pitch, points.shape)
    known = sampling(points)
    assert thin(points, estimate_normals(points, known.pitch), known, 0.06)[0] < 0.06


def test_a_handful_of_points_has_no_walls() -> None:
    assert thin(np.eye(3), np.eye(3), sampling(np.eye(3)), 0.1) == (0.0, 0.0)
