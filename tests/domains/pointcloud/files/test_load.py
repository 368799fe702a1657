import re

import numpy as np
import pytest

from domains.pointcloud.files import load
from framework.errors import UnreadableError

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


def cloud(points: np.ndarray) -> "o3d.geometry.PointCloud":
    return o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))


@pytest.mark.parametrize("ending", ["pcd", "ply", "obj", "stl", "xyz"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x93NUMPY junk \xff\x00" * 40, "truncated or corrupt"),
        (None, "cannot be read .No such file"),
    ],
)
def test_empty_foreign_and_missing_files_are_refused(tmp_path, ending, content, message) -> None:
    path = tmp_path / f"bad.{ending}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError, match=message) as error:
        load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_points_in_one_place_are_refused(tmp_path, points) -> None:
    path = tmp_path / "one.ply"
    o3d.io.write_point_cloud(str(path), cloud(np.ones_like(points)))
    with pytest.raises(UnreadableError, match="all points lie in one place"):
        load(path)


def test_a_cloud_that_does_not_fit_into_memory_is_one_line(tmp_path, points, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("domains.pointcloud.files.clouds._columns", full)
    o3d.io.write_point_cloud(str(tmp_path / "a.pcd"), cloud(points))
    with pytest.raises(UnreadableError, match=r"a\.pcd: needs more memory than there is\."):
        load(tmp_path / "a.pcd")


def test_another_ending_is_refused(tmp_path) -> None:
    (tmp_path / "a.glb").write_text("x")
    with pytest.raises(UnreadableError, match=r"a\.glb: not a kind of file that holds points\. Known endings: \.pcd, "):
        load(tmp_path / "a.glb")


@pytest.mark.parametrize(
    ("points", "line"),
    [
        (np.eye(3).repeat(8, 0) * 1e-200, "all points lie in one place"),
        (np.eye(3).repeat(8, 0) * 1e300, "coordinates reach 1e+300, which no scan does"),
        (np.full((20, 3), 5.0), "all points lie in one place"),
    ],
)
def test_places_that_no_float_can_tell_apart_are_refused(tmp_path, points, line) -> None:
    path = tmp_path / "odd.xyz"
    np.savetxt(path, points)
    with pytest.raises(UnreadableError, match=rf"odd\.xyz: {re.escape(line)}"):
        load(path)


def test_an_obj_that_ends_in_a_face_is_refused(tmp_path) -> None:
    whole = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n"
    (tmp_path / "cut.obj").write_text(whole[:-3])
    with pytest.raises(UnreadableError, match=r"cut\.obj: truncated or corrupt \(a face of 2 corners, after 1 whole"):
        load(tmp_path / "cut.obj")


def test_points_far_off_are_told(tmp_path, points) -> None:
    np.savetxt(tmp_path / "plain.xyz", points)
    np.savetxt(tmp_path / "stray.xyz", np.r_[points, [[1e6, 0, 0]]])
    assert not load(tmp_path / "plain.xyz").warnings
    (told,) = load(tmp_path / "stray.xyz").warnings
    assert "stray.xyz: nearly all points lie in" in told


def test_points_without_a_face_are_told(tmp_path) -> None:
    (tmp_path / "cut.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nv 1 1 1\nf 1 2 3\n")
    assert any("cut.obj: 2 of its 5 points belong to no face" in line for line in load(tmp_path / "cut.obj").warnings)
