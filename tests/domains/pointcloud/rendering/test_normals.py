import numpy as np
import pytest
from numpy.testing import assert_allclose

from domains.pointcloud.geometry import sampling
from domains.pointcloud.rendering.normals import estimate_normals


def sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def apart_deg(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.abs((found * true).sum(1)).clip(0, 1)))


@pytest.mark.parametrize("count", [10_000, 70_000])
def test_normals_of_a_sphere_are_radial_to_a_degree(count: int) -> None:
    points = sphere(count)
    found = estimate_normals(points, sampling(points).pitch)
    assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.median(apart_deg(found, points)) < 0.6


def test_noise_is_averaged_out() -> None:
    points = sphere(10_000)
    noisy = points + np.random.default_rng(1).normal(0, 0.1 * sampling(points).pitch, points.shape)
    assert np.median(apart_deg(estimate_normals(noisy, sampling(noisy).pitch), points)) < 2


@pytest.mark.parametrize("gap", [0.3, 0.7, 1.0, 1.5, 2.0])
def test_the_two_sides_of_a_thin_wall_are_not_mixed(gap: float) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (8_000, 3))
    pitch = 2 / np.sqrt(4_000)
    points[:, 2] = np.where(np.arange(8_000) % 2, 0, gap * pitch)
    inside = np.abs(points[:, :2]).max(1) < 0.9
    apart = apart_deg(estimate_normals(points, pitch)[inside], np.array([[0, 0, 1.0]]))
    assert (apart < 10).mean() > 0.97


def test_an_edge_stays_sharp() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (8_000, 3))
    upright = np.arange(8_000) % 2 == 1
    points[upright, 0], points[~upright, 2] = 0, 0
    points[:, 0] = np.where(upright, 0, np.abs(points[:, 0]))
    points[:, 2] = np.where(upright, np.abs(points[:, 2]), 0)
    true = np.where(upright[:, None], [[1.0, 0, 0]], [[0, 0, 1.0]])
    inside = np.abs(points).max(1) < 0.9
    near = inside & (np.abs(points[:, [0, 2]]).max(1) < 0.05)
    found = estimate_normals(points, sampling(points).pitch)
    assert (apart_deg(found, true)[near] < 10).mean() > 0.6
    assert np.quantile(apart_deg(found, true)[inside & ~near], 0.99) < 2


@pytest.mark.parametrize("points", [np.eye(3), np.zeros((5, 3)), np.linspace(0, 1, 30)[:, None] * np.ones(3)])
def test_what_has_no_surface_has_some_normal(points: np.ndarray) -> None:
    assert_allclose(np.linalg.norm(estimate_normals(points, 0.1), axis=1), 1, atol=1e-5)
