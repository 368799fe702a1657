import numpy as np
import pytest

from domains.pointcloud.geometry import sampling
from domains.pointcloud.rendering.cameras import DISTANCE, fibonacci, focal_px
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.projection import Raster
from domains.pointcloud.rendering.splat import side

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("size", [384, 200, 150, 144, 136, 128])
def test_the_background_is_white_whatever_the_picture_is_enlarged_by(size: int) -> None:
    points = sphere(10_000)
    assert side(size, sampling(points).pitch) <= size
    view = draw(points, fibonacci(1), size).views[0]
    rows, columns = np.mgrid[:size, :size] + 0.5 - size / 2
    radius = focal_px(size) / np.sqrt(DISTANCE**2 - 1)
    assert (view[:, np.hypot(rows, columns) > radius + 0.06 * size] == 255).all()
    assert (view[:, np.hypot(rows, columns) < radius - 0.06 * size] < 230).all()


def test_several_pictures_of_a_camera_stand_side_by_side() -> None:
    points = sphere(5_000)
    both = draw(points, fibonacci(2), 96, style="shaded+normals")
    shaded, normals = (draw(points, fibonacci(2), 96, style=style) for style in ("shaded", "normals"))
    assert both.views.shape == (4, 3, 96, 96) and both.owner.shape == (4, 96, 96) and both.place.shape == (4, 5_000)
    assert (both.views[0::2] == shaded.views).all() and (both.views[1::2] == normals.views).all()
    assert (both.owner[0] == both.owner[1]).all() and (both.place[2] == both.place[3]).all()
    assert (both.place[0::2] == shaded.place).all() and (both.facing[1::2] == shaded.facing).all()


def test_styles_show_what_they_say() -> None:
    points = sphere(5_000)
    colours = np.where(points[:, 2:] > 0, [[255, 0, 0]], [[0, 0, 255]]).astype(np.uint8)
    style = "shaded+normals+depth+facing+rgb"
    shaded, normals, depth, facing, rgb = draw(points, fibonacci(1), 96, style=style, colours=colours).views
    assert (shaded[0] == shaded[1]).all() and (normals[0] != normals[2]).any()
    assert depth[0, 48, 48] < depth[0, 48, 12] < 255  # the nearest is the darkest
    assert normals[2, 48, 48] > 250 and facing[0, 48, 48] > 250 > 200 > facing[0, 48, 12]
    assert rgb[:, 30, 48].tolist() == [255, 0, 0]  # seen from above
    stack = draw(points, fibonacci(1), 96, style="shaded|depth|facing").views[0]
    assert (stack == np.stack([shaded[0], depth[0], facing[0]])).all()


def test_a_cloud_denser_than_the_pixels_is_drawn_without_gaps() -> None:
    points = sphere(120_000)
    found = sampling(points)
    assert Raster(side(40, found.pitch), 40, found.pitch, found.cover).radius == 0
    owner = draw(points, fibonacci(1), 40).owner
    rows, columns = np.mgrid[:40, :40] + 0.5 - 20
    edge = np.hypot(rows, columns) - focal_px(40) / np.sqrt(DISTANCE**2 - 1)
    assert (owner[0][edge < -1.5] >= 0).all() and (owner[0][edge > 1.5] == -1).all()


def test_a_handful_of_points_is_drawn() -> None:
    drawn = draw(np.array([[1.0, 0, 0], [-1, 0, 0], [0, 0, 1]]), fibonacci(2), 64)
    assert set(np.unique(drawn.owner)) == {-1, 0, 1, 2} and (drawn.place >= 0).all()


def test_a_wire_is_not_lost() -> None:
    wire = np.stack([np.linspace(-0.9, 0.9, 400), np.zeros(400), np.zeros(400)], 1)
    owner = draw(wire, fibonacci(3), 128).owner
    assert all(len(np.unique(shown)) > 60 for shown in owner)
