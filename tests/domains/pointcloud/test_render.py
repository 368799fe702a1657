import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from domains.pointcloud import STYLES, shading
from domains.pointcloud.cameras import DISTANCE, fibonacci, focal_px, look_at, ring
from domains.pointcloud.geometry import estimate_normals, pitch
from domains.pointcloud.render import render, side
from domains.pointcloud.shapes import SHAPES, sample
from domains.pointcloud.surface import Raster, front, smooth

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
SIZE = 256


def sphere(count: int) -> tuple[np.ndarray, np.ndarray, float]:
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points, points.astype(np.float32), pitch(points)


def pixels(points: np.ndarray, pose: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column where each point falls."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    column, row = (seen[:, axis] / seen[:, 2] * focal_px(size) + size / 2 for axis in (0, 1))
    return row.astype(int), column.astype(int)


def silhouette(size: int) -> np.ndarray:
    """Exact mask of the unit sphere: rays closer to the axis than its tangent."""
    centre = np.arange(size) + 0.5 - size / 2
    return np.hypot(*np.meshgrid(centre, centre)) / focal_px(size) < np.tan(np.arcsin(1 / DISTANCE))


@pytest.mark.parametrize(("count", "least"), [(10_000, 0.96), (100_000, 0.98)])
def test_the_mask_of_a_sphere_is_a_disc_and_the_background_pure_white(count: int, least: float) -> None:
    points, normals, step = sphere(count)
    views, owner = render(points, normals, step, fibonacci(2), SIZE)
    exact = silhouette(SIZE)
    for view, mask in zip(views, owner >= 0, strict=True):
        assert (mask & exact).sum() / (mask | exact).sum() > least
        apart = np.pad(exact, 6)
        near = np.any([np.roll(apart, (dy, dx), (0, 1)) for dy in range(-6, 7, 3) for dx in range(-6, 7, 3)], 0)
        assert (view[:, ~near[6:-6, 6:-6]] == 255).all()
        assert (view[:, mask] < 230).mean() > 0.97


@pytest.mark.parametrize("size", [384, 200, 150, 144, 136])
def test_the_background_is_white_whatever_the_picture_is_enlarged_by(size: int) -> None:
    points, normals, step = sphere(10_000)
    assert side(size, step) <= size
    views, _ = render(points, normals, step, fibonacci(1), size)
    assert (views[0, :, :3] == 255).all()


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_the_depth_of_a_sphere_is_right_to_half_a_pitch(count: int) -> None:
    points, normals, step = sphere(count)
    raster = Raster(side(384, step), step)
    pose = torch.from_numpy(fibonacci(3)[1].astype(np.float32))
    surface = front(torch.from_numpy(points.astype(np.float32)), pose, raster)
    facing, depth = smooth(surface, torch.from_numpy(normals) @ pose[:3, :3].T, raster)
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    x, y = ((a + 0.5 - raster.side / 2) / focal_px(raster.side) for a in (columns + surface.left, rows + surface.top))
    slope = x**2 + y**2
    root = DISTANCE**2 - (1 + slope) * (DISTANCE**2 - 1)
    exact = (DISTANCE - np.sqrt(root.clip(0))) / (1 + slope)
    normal = np.stack([x * exact, y * exact, exact - DISTANCE])
    front_on = (root > 0) & (-(normal * np.stack([x, y, np.ones_like(x)])).sum(0) / np.sqrt(1 + slope) > 0.5)
    assert np.quantile(np.abs(depth.numpy() - exact)[front_on], 0.99) < 0.5 * step
    angle = np.degrees(np.arccos((facing.numpy() * normal).sum(0).clip(-1, 1)))
    assert np.median(angle[front_on]) < 1.0


@pytest.mark.parametrize(("count", "precision"), [(10_000, 0.95), (100_000, 0.98)])
def test_owners_are_visible_points_and_lie_where_they_are_seen(count: int, precision: float) -> None:
    points, normals, step = sphere(count)
    poses = fibonacci(3)
    _, owner = render(points, normals, step, poses, 384)
    reach = 2 * step + 2 * DISTANCE / focal_px(side(384, step))
    for pose, shown in zip(poses, owner, strict=True):
        eye = -pose[:3, :3].T @ pose[:3, 3]
        visible = points @ eye > 1
        assert visible[np.unique(shown[shown >= 0])].mean() > precision
        well = np.flatnonzero(points @ eye > 1 + 0.3 * DISTANCE)  # seen at less than a grazing angle
        there = shown[pixels(points[well], pose, 384)]
        assert (there >= 0).all()
        assert (np.linalg.norm(points[there] - points[well], axis=1) < reach).mean() > 0.995


@pytest.mark.parametrize(("gap", "count"), [(0.2, 10_000), (0.1, 10_000), (0.05, 100_000)])
def test_the_rear_of_two_plates_is_not_seen(gap: float, count: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.65, 0.65, (count, 3))
    rear = np.arange(count) % 2 == 1
    points[:, 1] = np.where(rear, gap / 2, -gap / 2)
    normals = np.tile(np.float32([0, 1, 0]), (count, 1))
    _, owner = render(points, normals, pitch(points), look_at(np.array([0.0, -DISTANCE, 0]))[None], 384)
    shown = owner[owner >= 0]
    inner = np.abs(points[:, [0, 2]]).max(1) < 0.55
    assert not (rear & inner)[shown].any()
    assert np.isin(np.flatnonzero(~rear & inner), shown).mean() > 0.5


def test_the_same_cloud_gives_the_same_bits() -> None:
    points, _ = sample(SHAPES["gear"](np.random.default_rng(0)), 8_000, np.random.default_rng(1))
    points /= np.linalg.norm(points, axis=1).max()
    step = pitch(points)
    first, again = (render(points, estimate_normals(points, step), step, ring(3), 200) for _ in range(2))
    assert_array_equal(first[0], again[0])
    assert_array_equal(first[1], again[1])


def test_turning_cloud_and_camera_together_changes_nothing() -> None:
    points, _ = sample(SHAPES["torus"](np.random.default_rng(0)), 10_000, np.random.default_rng(1))
    points /= np.linalg.norm(points, axis=1).max()
    normals, step = estimate_normals(points, pitch(points)), pitch(points)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    poses, turned = fibonacci(2), fibonacci(2)
    turned[:, :3, :3] = poses[:, :3, :3] @ turn.T
    before, _ = render(points, normals, step, poses, 200)
    after, _ = render(points @ turn.T, (normals @ turn.T).astype(np.float32), step, turned, 200)
    assert (np.abs(before.astype(int) - after) > 2).mean() < 1e-3


def test_every_style_is_named_and_differs() -> None:
    assert set(shading.STYLES) == set(STYLES)
    points, normals, step = sphere(5_000)
    shaded, normal, depth = (render(points, normals, step, fibonacci(1), 96, style)[0][0] for style in STYLES)
    assert (shaded[0] == shaded[1]).all() and (normal[0] != normal[2]).any()
    middle, edge = depth[0, 48, 48], depth[0, 48, 12]
    assert middle < edge < 255  # the nearest is the darkest
    assert normal[2, 48, 48] > 250  # blue faces the camera


def test_a_cloud_denser_than_the_pixels_is_drawn_without_gaps() -> None:
    points, normals, step = sphere(120_000)
    assert Raster(side(40, step), step).radius == 0
    _, owner = render(points, normals, step, fibonacci(1), 40)
    exact = np.pad(silhouette(40), 1)
    around = np.stack([np.roll(exact, (dy, dx), (0, 1))[1:-1, 1:-1] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    assert (owner[0][around.all(0)] >= 0).all() and (owner[0][~around.any(0)] == -1).all()
