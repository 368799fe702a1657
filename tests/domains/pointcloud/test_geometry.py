import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.geometry import corner_normals, pitch, sampling, stand_in, to_unit_sphere
from framework.errors import UserError

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_the_unit_sphere_holds_the_box_in_its_middle() -> None:
    placed = to_unit_sphere(np.array([[1e6, 0, 0], [1e6 + 4, 0, 0], [1e6 + 1, 2, 0]]))
    assert_allclose(placed.min(0) + placed.max(0), 0, atol=1e-12)
    assert_allclose(np.linalg.norm(placed, axis=1).max(), 1)


@pytest.mark.parametrize("count", [2_000, 100_000])
def test_pitch_is_one_over_the_root_of_the_density(count: int) -> None:
    assert_allclose(pitch(sphere(count)), np.sqrt(4 * np.pi / count), rtol=0.07)


def test_pitch_of_a_square_grid_is_its_step() -> None:
    grid = np.stack(np.meshgrid(np.arange(30), np.arange(30), [0]), -1).reshape(-1, 3)
    assert_allclose(pitch(grid), np.sqrt(np.pi / 4))  # the fourth neighbour is one step away


def test_corners_are_sharp_on_a_cube_and_smooth_on_a_ball() -> None:
    import open3d as o3d

    box = o3d.geometry.TriangleMesh.create_box()
    normals = corner_normals(np.asarray(box.vertices), np.asarray(box.triangles))
    assert_allclose(np.abs(normals).max(-1), 1)  # every corner along an axis
    ball = o3d.geometry.TriangleMesh.create_sphere(resolution=30)
    points, faces = np.asarray(ball.vertices), np.asarray(ball.triangles)
    assert_allclose(corner_normals(points, faces), points[faces], atol=0.02)


def test_a_hidden_point_is_stood_in_for_by_the_nearest_shown_one() -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1.2, 0, 0], [0.1, 0, 0]])
    assert_array_equal(stand_in(points, np.array([True, False, True, False])), [0, 2, 2, 0])
    assert_array_equal(stand_in(points, np.ones(4, bool)), [0, 1, 2, 3])
    assert_array_equal(stand_in(points, np.zeros(4, bool)), [0, 1, 2, 3])


def test_points_in_one_place_are_a_users_mistake() -> None:
    with pytest.raises(UserError, match="all 20 points lie in one place"):
        to_unit_sphere(np.full((20, 3), 1e9))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_handful_of_points_has_a_pitch(count: int) -> None:
    known = sampling(np.arange(3.0 * count).reshape(count, 3))
    assert np.isfinite([known.pitch, known.cover]).all() and (known.pitch > 0) == (count > 1)


def test_a_grid_is_closed_less_than_what_was_drawn_at_random() -> None:
    grid = np.stack(np.meshgrid(np.arange(60), np.arange(60), [0]), -1).reshape(-1, 3)
    assert sampling(grid).cover < 1.2 < 1.6 < sampling(sphere(5_000)).cover
