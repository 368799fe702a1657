import numpy as np
import pytest
from numpy.testing import assert_allclose

from domains.pointcloud.rendering.cameras import DISTANCE, LAYOUTS, TILTED, captions, focal_px
from framework.errors import UserError


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_camera_is_a_rotation_that_sees_the_origin_in_its_middle(layout: str) -> None:
    poses = LAYOUTS[layout](7)
    turns = poses[:, :3, :3]
    assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (7, 3, 3)), atol=1e-12)
    assert_allclose(np.linalg.det(turns), 1)
    assert_allclose(poses[:, :3, 3], np.broadcast_to([0, 0, DISTANCE], (7, 3)), atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_unit_sphere_fits_in_the_picture(layout: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for pose in LAYOUTS[layout](9):
        seen = points @ pose[:3, :3].T + pose[:3, 3]
        assert np.abs(seen[:, :2] / seen[:, 2:] * focal_px(100)).max() < 50


def test_up_is_up_and_right_is_right() -> None:
    pose = LAYOUTS["ring"](4)[0]  # on +x, 20 degrees above
    up, side = (pose[:3, :3] @ np.eye(3)[axis] for axis in (2, 1))
    assert up[1] < -0.9  # z points up in the picture: rows grow downwards
    assert side[0] > 0.99  # seen from +x, +y is on the right


def test_fibonacci_cameras_are_spread_over_the_sphere() -> None:
    eyes = np.stack([-pose[:3, :3].T @ pose[:3, 3] for pose in LAYOUTS["fibonacci"](14)]) / DISTANCE
    angles = np.degrees(np.arccos(np.clip(eyes @ eyes.T, -1, 1)))[~np.eye(14, dtype=bool)].reshape(14, 13)
    assert angles.min() > 40
    assert_allclose(eyes.mean(0), 0, atol=0.05)


def test_the_first_tilt_looks_along_z_with_y_down() -> None:
    assert_allclose(LAYOUTS["tilts"](1)[0][:3, :3], np.eye(3), atol=1e-12)


@pytest.mark.parametrize("layout", TILTED)
def test_a_tenth_tilt_is_a_users_mistake(layout: str) -> None:
    with pytest.raises(UserError, match=rf"views=10: cameras '{layout}' has 9 views at most"):
        LAYOUTS[layout](10)


@pytest.mark.parametrize(
    ("layout", "view", "stands", "words"),
    [  # x right, y down, z away from the scanner
        ("tilts", 2, (0, -0.7071, -0.7071), "from 45 degrees above"),
        ("tilts", 4, (0.5, 0, -0.8660), "from 30 degrees to the right"),
        ("eyecandies", 0, (0, -0.7071, -0.7071), "from 45 degrees above"),
        ("eyecandies", 1, (0, -0.2588, -0.9659), "from 15 degrees above"),
        ("real3d", 8, (0, -0.5878, 0.8090), "from 144 degrees above"),
    ],
)
def test_a_tilted_camera_stands_where_its_caption_says(layout, view, stands, words) -> None:
    pose = LAYOUTS[layout](9)[view]
    assert_allclose(-pose[:3, :3].T @ pose[:3, 3] / DISTANCE, stands, atol=1e-4)
    assert captions(layout, 9)[view] == words


def test_captions_of_a_turntable() -> None:
    assert captions("ring", 4) == (
        "from the right, above",
        "from the back, below",
        "from the left, above",
        "from the front, below",
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("views", [1, 9, 14, 20, 100])
def test_no_two_captions_are_the_same(layout: str, views: int) -> None:
    if layout in TILTED and views > 9:
        return
    words = captions(layout, views)
    assert len(words) == len(set(words)) == views
    assert all(word.startswith("from ") for word in words)


def test_where_words_are_the_same_degrees_tell_cameras_apart() -> None:
    words = captions("ring", 100)
    assert words[0] == "from the right, above, 90 degrees round and 20 up"
