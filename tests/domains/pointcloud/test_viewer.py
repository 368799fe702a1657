"""What the page draws a cloud or a mesh from: where points lie, which they are, how many fit, and their truth."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from domains.pointcloud import viewer
from domains.pointcloud.files import Scan, Shape
from domains.pointcloud.geometry import to_unit_sphere
from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.rendering.cameras import DISTANCE, fibonacci, focal_px, tilts

CAMERAS = fibonacci(3)


def cloud(count, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True) * [3, 2, 2] + [50, 0, 0]).astype(np.float32)


def scene(shape, truth=None, size=100):
    return viewer.scene(shape, CAMERAS, truth, size)


def test_points_lie_where_the_cameras_of_the_views_see_them():
    points = cloud(500)
    points[7] = np.nan
    found = scene(Shape(points))
    kept = np.delete(np.arange(500), 7)
    assert_array_equal(found["elements"], kept)
    assert_allclose(found["place"] / 65535 * 2 - 1, to_unit_sphere(points[kept]), atol=2e-5)
    assert_allclose(found["cameras"], CAMERAS, atol=1e-6)
    assert_allclose(found["lens"], 2 * focal_px(100) / 100, rtol=1e-6)
    radius = np.linalg.norm(points[kept] - (points[kept].min(0) + points[kept].max(0)) / 2, axis=1).max()
    assert_allclose(found["unit_px"] * radius, focal_px(100) / DISTANCE, rtol=1e-5)
    assert not len(found["notes"]) and found.keys().isdisjoint({"faces", "truth"})


def test_large_clouds_are_thinned_evenly_and_say_so(monkeypatch):
    monkeypatch.setattr(viewer, "MOST_POINTS", 400)
    points = cloud(1000)
    found = scene(Shape(points), truth=np.arange(1000) < 5)
    assert len(found["place"]) == len(found["elements"]) == 400 and len(found["truth"]) == 1000
    assert set(np.diff(found["elements"])) == {2, 3}
    assert list(found["notes"]) == ["Shown are 400 of 1,000 points, evenly thinned; the file of scores has all."]
    assert_allclose(found["place"] / 65535 * 2 - 1, to_unit_sphere(points)[found["elements"]], atol=2e-5)


def test_the_pitch_is_that_of_the_points_shown(monkeypatch):
    whole = scene(Shape(cloud(40_000)))["pitch"]
    monkeypatch.setattr(viewer, "PROBED", 5_000)
    assert_allclose(scene(Shape(cloud(40_000)))["pitch"], whole, rtol=0.05)


def test_faces_of_points_without_a_place_are_left_out_and_many_become_points(monkeypatch):
    points = cloud(20)
    points[3] = np.inf
    faces = np.array([[0, 1, 2], [2, 3, 4], [4, 5, 19]])
    found = scene(Shape(points, faces=faces))
    assert_array_equal(found["elements"][found["faces"]], [[0, 1, 2], [4, 5, 19]])
    assert found["faces"].dtype == np.uint16
    assert "faces" not in scene(Shape(points, faces=faces[1:2]))
    monkeypatch.setattr(viewer, "MOST_FACES", 1)
    found = scene(Shape(points, faces=faces))
    assert "faces" not in found
    assert list(found["notes"]) == ["A surface of 2 triangles, too many for a page: its points are shown."]


def test_every_view_has_the_camera_that_saw_it():
    drawn = fibonacci(3)
    assert_allclose(viewer.poses("fibonacci", 3, 1, 3), drawn)
    assert_allclose(viewer.poses("fibonacci", 3, 2, 6)[[0, 1, 4, 5]], drawn[[0, 0, 2, 2]])  # as a style a+b draws them
    both = viewer.poses("tilts", 2, 1, 3)
    assert_allclose(both[:2], tilts(2))
    assert_allclose(both[2], tilts(1)[0])  # the photograph, from the front
    assert_allclose(viewer.poses("tilts", 0, 1, 1), tilts(1))


def test_photographs_alone_have_no_scale():
    assert "unit_px" not in scene(Shape(cloud(30)), size=0)


@pytest.mark.parametrize("place", ["GT/a.txt", "gt/a.txt", "test/a.txt", "test/a_labels.txt"])
def test_labels_are_found_where_the_sets_lay_them(tmp_path: Path, place):
    points, path = cloud(30), tmp_path / "test/a.pcd"
    path.parent.mkdir()
    write_pcd(path, points)
    shape = Shape(points)
    assert viewer.truth_beside(path, shape) is None
    (tmp_path / place).parent.mkdir(exist_ok=True)
    np.savetxt(tmp_path / place, np.c_[points, np.arange(30) < 4], "%.6f")
    assert_array_equal(viewer.truth_beside(path, shape), np.arange(30) < 4)
    (tmp_path / place).write_text("notes of a visit")
    assert viewer.truth_beside(path, shape) is None


def test_the_picture_of_the_truth_of_a_scan_is_found(tmp_path: Path):
    marked = np.zeros((5, 6), np.uint8)
    marked[2] = 255
    (tmp_path / "gt").mkdir()
    Image.fromarray(marked).save(tmp_path / "gt/007.png")
    shape = Shape(cloud(20), scan=Scan(5, 6, np.arange(20, dtype=np.int32)))
    found = viewer.truth_beside(tmp_path / "xyz/007.tiff", shape)
    assert_array_equal(found, (np.arange(20) >= 12) & (np.arange(20) < 18))


def test_a_scan_is_the_surface_between_the_pixels_of_its_grid():
    rows, columns = np.mgrid[:5, :6]
    points = np.stack([columns, rows, np.ones_like(rows)], -1).reshape(-1, 3).astype(np.float32)
    kept = np.delete(np.arange(30), 7)  # one pixel measured nothing
    found = scene(Shape(points[kept], scan=Scan(5, 6, kept.astype(np.int32))))
    corners = points[kept][found["elements"][found["faces"]]]
    assert np.ptp(corners, axis=1).max() <= 2 and len(found["faces"]) > 30
