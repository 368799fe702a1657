"""What the splat back end draws of shapes whose views are known exactly, at the sizes and limits that were promised."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from domains.pointcloud.geometry import sampling
from domains.pointcloud.making.shapes import SHAPES, sample
from domains.pointcloud.rendering.cameras import DISTANCE, fibonacci, focal_px, look_at
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.normals import estimate_normals
from domains.pointcloud.rendering.projection import Cloud, Raster, project
from domains.pointcloud.rendering.smoothing import smooth
from domains.pointcloud.rendering.splat import side
from domains.pointcloud.rendering.surface import front, owners

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
SIZE = 384
FRONT = look_at(np.array([0.0, -DISTANCE, 0]))[None]


def sphere(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def silhouette(size: int) -> np.ndarray:
    """Exact mask of the unit sphere: rays closer to the axis than its tangent."""
    centre = np.arange(size) + 0.5 - size / 2
    return np.hypot(*np.meshgrid(centre, centre)) / focal_px(size) < np.tan(np.arcsin(1 / DISTANCE))


def plates(gap: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two parallel squares before the camera ``FRONT``, and which points are those of the rear one."""
    points = np.random.default_rng(0).uniform(-0.65, 0.65, (count, 3))
    rear = np.arange(count) % 2 == 1
    points[:, 1] = np.where(rear, gap / 2, -gap / 2)
    return points, rear


@pytest.mark.parametrize(("count", "least"), [(10_000, 0.96), (100_000, 0.985)])
def test_the_mask_of_a_sphere_is_a_disc_and_the_background_pure_white(count: int, least: float) -> None:
    drawn = draw(sphere(count), fibonacci(3), SIZE)
    exact = silhouette(SIZE)
    for view, mask in zip(drawn.views, drawn.owner >= 0, strict=True):
        assert (mask & exact).sum() / (mask | exact).sum() >= least
        apart = np.pad(exact, 8)
        near = np.any([np.roll(apart, (dy, dx), (0, 1)) for dy in range(-8, 9, 4) for dx in range(-8, 9, 4)], 0)
        assert (view[:, ~near[8:-8, 8:-8]] == 255).all()
        assert (view[:, mask] < 230).mean() > 0.97


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_the_depth_of_a_sphere_is_right_to_half_a_pitch(count: int) -> None:
    points = sphere(count)
    found = sampling(points)
    raster = Raster(side(SIZE, found.pitch), SIZE, found.pitch, found.cover)
    pose = torch.from_numpy(fibonacci(3)[1].astype(np.float32))
    cloud = Cloud.of(points, points, torch.device("cpu"))
    surface = front(project(cloud, pose, raster), raster)
    normals = torch.tensordot(pose[:3, :3], cloud.normals[:, owners(surface, raster).clamp_min(0)], 1)
    facing, depth = smooth(surface, normals, raster)
    rows, columns = np.mgrid[surface.rows, surface.columns]
    x, y = ((a + 0.5 - raster.side / 2) / focal_px(raster.side) for a in (columns, rows))
    slope = x**2 + y**2
    root = DISTANCE**2 - (1 + slope) * (DISTANCE**2 - 1)
    exact = (DISTANCE - np.sqrt(root.clip(0))) / (1 + slope)
    normal = np.stack([x * exact, y * exact, exact - DISTANCE])
    front_on = (root > 0) & (-(normal * np.stack([x, y, np.ones_like(x)])).sum(0) / np.sqrt(1 + slope) > 0.5)
    assert np.quantile(np.abs(depth.numpy() - exact)[front_on], 0.99) <= 0.5 * found.pitch
    angle = np.degrees(np.arccos((facing.numpy() * normal).sum(0).clip(-1, 1)))
    assert np.median(angle[front_on]) < 1.0


@pytest.mark.parametrize(("count", "precision"), [(10_000, 0.80), (100_000, 0.93)])
def test_points_of_a_sphere_are_visible_where_they_should_be(count: int, precision: float) -> None:
    points, poses = sphere(count), fibonacci(3)
    drawn = draw(points, poses, SIZE)
    for pose, place, facing in zip(poses, drawn.place, drawn.facing, strict=True):
        eye = -pose[:3, :3].T @ pose[:3, 3]
        truly, shown = points @ eye > 1, place >= 0
        assert (truly & shown).sum() / shown.sum() >= precision
        assert (truly & shown).sum() / truly.sum() >= 0.98
        seen = points @ pose[:3, :3].T + pose[:3, 3]
        column, row = (seen[:, axis] / seen[:, 2] * focal_px(SIZE) + SIZE / 2 for axis in (0, 1))
        off = np.hypot(place // SIZE + 0.5 - row, place % SIZE + 0.5 - column)[shown]
        assert off.max() < 0.72  # half the diagonal of a pixel
        cosine = np.abs(((eye - points) * points).sum(1)) / np.linalg.norm(eye - points, axis=1)
        assert np.quantile(np.abs(cosine - facing), 0.99) < 0.1


@pytest.mark.parametrize(("count", "precision"), [(10_000, 0.95), (100_000, 0.98)])
def test_owners_are_visible_points_and_lie_where_they_are_seen(count: int, precision: float) -> None:
    points, poses = sphere(count), fibonacci(3)
    owner = draw(points, poses, SIZE).owner
    step = sampling(points).pitch
    reach = 2 * step + 2 * DISTANCE / focal_px(side(SIZE, step))
    for pose, shown in zip(poses, owner, strict=True):
        eye = -pose[:3, :3].T @ pose[:3, 3]
        assert (points @ eye > 1)[np.unique(shown[shown >= 0])].mean() > precision
        well = np.flatnonzero(points @ eye > 1 + 0.3 * DISTANCE)  # seen at less than a grazing angle
        seen = points[well] @ pose[:3, :3].T + pose[:3, 3]
        column, row = ((seen[:, a] / seen[:, 2] * focal_px(SIZE) + SIZE / 2).astype(int) for a in (0, 1))
        there = shown[row, column]
        assert (there >= 0).all()
        assert (np.linalg.norm(points[there] - points[well], axis=1) < reach).mean() > 0.995


@pytest.mark.parametrize(
    ("gap", "count"), [(0.2, 10_000), (0.1, 10_000), (0.2, 100_000), (0.1, 100_000), (0.05, 100_000)]
)
def test_nothing_of_the_rear_of_two_plates_is_visible(gap: float, count: int) -> None:
    points, rear = plates(gap, count)
    drawn = draw(points, FRONT, SIZE)
    inner = np.abs(points[:, [0, 2]]).max(1) < 0.55
    assert not (rear & inner & (drawn.place[0] >= 0)).any()
    assert (drawn.place[0] >= 0)[inner & ~rear].mean() > 0.99
    shown = drawn.owner[drawn.owner >= 0]
    assert not (rear & inner)[shown].any()
    assert np.isin(np.flatnonzero(~rear & inner), shown).mean() > 0.5


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_crack_in_a_scanners_grid_is_kept(turn: float) -> None:
    step = 0.008
    x, z = (a.ravel() for a in np.meshgrid(*[np.arange(-0.6, 0.6, step)] * 2))
    crack = np.abs(x - 0.1 * np.sin(4 * z)) < 1.6 * step  # three samples wide, six deep
    points = np.stack([x, np.where(crack, 6 * step, 0), z], 1)
    spin = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    drawn = draw(points @ spin.T, FRONT, SIZE)
    inside = crack & (np.hypot(x, z) < 0.5)
    assert (drawn.place[0] >= 0)[inside].mean() > 0.99
    shown = drawn.owner[0].ravel()[drawn.place[0][inside]]
    assert crack[shown].mean() > 0.8  # what its pixels show is the crack


def test_the_same_cloud_gives_the_same_bits() -> None:
    points = sample(SHAPES["gear"](np.random.default_rng(0)), 8_000, np.random.default_rng(1))[0]
    points /= np.linalg.norm(points, axis=1).max()
    first, again = (draw(points, fibonacci(3), 200) for _ in range(2))
    for name in ("views", "owner", "place", "facing"):
        assert_array_equal(getattr(first, name), getattr(again, name))


def test_turning_cloud_and_camera_together_changes_nothing() -> None:
    points = sample(SHAPES["torus"](np.random.default_rng(0)), 10_000, np.random.default_rng(1))[0]
    points /= np.linalg.norm(points, axis=1).max()
    normals = estimate_normals(points, sampling(points).pitch)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    poses, turned = fibonacci(2), fibonacci(2)
    turned[:, :3, :3] = poses[:, :3, :3] @ turn.T
    before = draw(points, poses, 200, normals=normals)
    after = draw(points @ turn.T, turned, 200, normals=(normals @ turn.T).astype(np.float32))
    assert (np.abs(before.views.astype(int) - after.views) > 2).mean() < 1e-3
    assert ((before.place >= 0) == (after.place >= 0)).mean() > 0.999
