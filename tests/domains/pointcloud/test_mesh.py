import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.cameras import DISTANCE, fibonacci, focal_px, look_at
from domains.pointcloud.drawing import draw

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def test_the_owner_is_the_nearest_corner_of_the_triangle_in_the_pixel() -> None:
    corners = np.array([[-0.6, 0, -0.6], [0.6, 0, -0.6], [0.6, 0, 0.6], [-0.6, 0, 0.6], [0, 5, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    drawn = draw(corners, look_at(np.array([0.0, -DISTANCE, 0]))[None], 100, faces=faces)
    views, owner = drawn.views, drawn.owner
    assert_array_equal(np.unique(owner), [-1, 0, 1, 2, 3])  # the unused vertex is shown nowhere
    half = 0.6 / DISTANCE * focal_px(100)
    lower, upper, left, right = int(50 + half) - 2, int(50 - half) + 2, int(50 - half) + 2, int(50 + half) - 2
    assert owner[0, lower, left] == 0 and owner[0, lower, right] == 1
    assert owner[0, upper, right] == 2 and owner[0, upper, left] == 3
    assert_allclose((owner >= 0).sum(), (2 * half) ** 2, rtol=0.05)
    assert len(np.unique(views[0, :, upper:lower, left:right])) == 1  # a plane has one shade
    assert (views[0][:, owner[0] < 0] > 180).all() and (views[0, :, 0] == 255).all()


def test_a_sphere_in_front_hides_one_behind() -> None:
    near, far = (o3d.geometry.TriangleMesh.create_sphere(0.3, 20) for _ in range(2))
    split = len(near.vertices)
    step = np.array([0, 0.5, 0])
    points = np.concatenate([np.asarray(near.vertices) - step, np.asarray(far.vertices) + step])
    faces = np.concatenate([np.asarray(near.triangles), np.asarray(far.triangles) + split])
    poses = np.stack([look_at(np.array([0.0, y, 0])) for y in (-DISTANCE, DISTANCE)])
    owner = draw(points, poses, 120, faces=faces).owner
    assert owner[0].max() < split and owner[1][owner[1] >= 0].min() >= split


def test_windings_do_not_matter_and_repeats_are_equal() -> None:
    ball = o3d.geometry.TriangleMesh.create_sphere(1, 30)
    points, faces = np.asarray(ball.vertices), np.asarray(ball.triangles)
    drawn, again = (draw(points, fibonacci(2), 64, faces=faces) for _ in range(2))
    turned = draw(points, fibonacci(2), 64, faces=faces[:, ::-1])
    assert np.abs(drawn.views.astype(int) - turned.views).max() <= 1
    for name in ("views", "owner", "place", "facing"):
        assert_array_equal(getattr(drawn, name), getattr(again, name))
