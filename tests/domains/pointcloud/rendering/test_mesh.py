import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.geometry import to_unit_sphere
from domains.pointcloud.making.shapes import SHAPES
from domains.pointcloud.rendering.cameras import DISTANCE, fibonacci, focal_px, look_at
from domains.pointcloud.rendering.drawing import draw

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def test_the_owner_is_the_nearest_corner_of_the_triangle_in_the_pixel() -> None:
    corners = np.array([[-0.6, 0, -0.6], [0.6, 0, -0.6], [0.6, 0, 0.6], [-0.6, 0, 0.6], [0, 0.9, 0]])
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


def exactly(points: np.ndarray, faces: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """``(N,)`` bool, the vertices that nothing stands before, by a ray each."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(points.astype(np.float32), faces.astype(np.uint32))
    ray = -pose[:3, :3].T @ pose[:3, 3] - points
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    rays = np.concatenate([points, ray], 1).astype(np.float32)
    return ~scene.test_occlusions(o3d.core.Tensor(rays), tnear=1e-4).numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_vertex_is_visible_where_a_ray_to_it_says_so(shape: str) -> None:
    points, faces = SHAPES[shape](np.random.default_rng(0))
    points = to_unit_sphere(points)
    drawn = draw(points, fibonacci(3), 256, faces=faces)
    for pose, place in zip(fibonacci(3), drawn.place, strict=True):
        truly = exactly(points, faces, pose)
        assert ((place >= 0) == truly).mean() > 0.99
        assert (place >= 0)[truly].mean() > 0.995  # rays slip through the seam of the torus


def test_corners_of_a_few_big_faces_have_places_and_thin_walls_hide() -> None:
    box = o3d.geometry.TriangleMesh.create_box(1, 0.01, 1)
    points, faces = np.asarray(box.vertices) - [0.5, 0.005, 0.5], np.asarray(box.triangles)
    drawn = draw(points, look_at(np.array([0.0, -DISTANCE, 0]))[None], 100, faces=faces)
    assert_array_equal(drawn.place[0] >= 0, points[:, 1] < 0)
    assert_allclose(drawn.facing[0][points[:, 1] < 0], 0.39, atol=0.02)  # the mean of three faces, seen from the middle


def test_colours_are_mixed_over_a_triangle() -> None:
    points = np.array([[-0.8, 0, -0.5], [0.8, 0, -0.5], [0, 0, 0.9]])
    colours = (np.eye(3) * 255).astype(np.uint8)
    pose = look_at(np.array([0.0, -DISTANCE, 0]))[None]
    view = draw(points, pose, 100, faces=np.array([[0, 1, 2]]), colours=colours, style="rgb").views[0]
    column, row = (points.mean(0)[[0, 2]] * [1, -1] / DISTANCE * focal_px(100) + 50).astype(int)
    assert np.abs(view[:, row, column].astype(int) - 85).max() < 8
