from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.files import load
from framework.errors import UnreadableError

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
QUADS = "0 1 3 2", "4 5 7 6", "0 1 5 4", "2 3 7 6"  # of the cube's eight corners


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


@pytest.fixture
def cube() -> np.ndarray:
    return np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)


def cloud(points: np.ndarray, normals: bool = False) -> "o3d.geometry.PointCloud":
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))
    if normals:
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        made.normals = o3d.utility.Vector3dVector(unit.astype(np.float64))
    return made


def stl(path: Path, triangles: np.ndarray) -> None:
    record = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = triangles
    path.write_bytes(b"\0" * 80 + len(triangles).to_bytes(4, "little") + record.tobytes())


@pytest.mark.parametrize("ending", ["pcd", "ply"])
@pytest.mark.parametrize("how", [{"write_ascii": True}, {}, {"compressed": True}])
def test_a_cloud_is_read_in_the_order_of_the_file(tmp_path, points, ending, how) -> None:
    path = tmp_path / f"cloud.{ending}"
    o3d.io.write_point_cloud(str(path), cloud(points, normals=True), **how)
    shape = load(path)
    assert_allclose(shape.points, points, atol=1e-5)
    assert_allclose(shape.normals, points / np.linalg.norm(points, axis=1, keepdims=True), atol=1e-5)
    assert shape.faces is None


def test_a_big_endian_ply_and_a_double_one_keep_their_numbers(tmp_path, points) -> None:
    for kind, name, order in ((">f4", "float", "big"), ("<f8", "double", "little")):
        path = tmp_path / f"{name}.ply"
        header = f"ply\nformat binary_{order}_endian 1.0\ncomment element of surprise\nelement vertex 200\n"
        header += "".join(f"property {name} {axis}\n" for axis in "xyz") + "property uchar red\nend_header\n"
        table = np.zeros(200, [("place", kind, 3), ("red", "u1")])
        table["place"] = points.astype(np.float64) / 3
        path.write_bytes(header.encode() + table.tobytes())
        assert load(path).points.dtype == kind[1:]
        assert_array_equal(load(path).points, table["place"])


def test_a_pcd_with_padding_and_other_fields_is_read(tmp_path, points) -> None:
    path = tmp_path / "padded.pcd"
    record = np.zeros(200, [("place", "<f4", 3), ("pad", "u1", 4), ("intensity", "<u2"), ("more", "u1", 2)])
    record["place"] = points
    header = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z _ intensity _\nSIZE 4 4 4 1 2 1\nTYPE F F F U U U\n"
        "COUNT 1 1 1 4 1 2\nWIDTH 20\nHEIGHT 10\nDATA binary\n"
    )
    path.write_bytes(header.encode() + record.tobytes())
    assert_array_equal(load(path).points, points)


def test_obj_vertices_keep_their_order_and_the_unused_ones(tmp_path) -> None:
    path = tmp_path / "square.obj"
    path.write_text("v 9 9 9\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvn 0 0 1\nf 2//1 3//1 4//1 5//1\nf -4 -3 -1\n")
    shape = load(path)
    assert_array_equal(shape.points, [[9, 9, 9], [0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    assert_array_equal(shape.faces, [[1, 2, 3], [1, 3, 4], [1, 2, 4]])


def test_ply_polygons_become_triangles_over_the_same_vertices(tmp_path, cube) -> None:
    path = tmp_path / "cube.ply"
    rows = "".join(f"{x} {y} {z}\n" for x, y, z in cube)
    path.write_text(
        "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face 4\nproperty list uchar int vertex_indices\nend_header\n{rows}"
        + "".join(f"4 {q}\n" for q in QUADS)
    )
    shape = load(path)
    assert_array_equal(shape.points, cube)
    assert len(shape.faces) == 8 and set(shape.faces[:2].ravel()) == {0, 1, 2, 3}


@pytest.mark.parametrize("ascii", [False, True])
def test_stl_points_are_the_distinct_corners_as_they_first_come(tmp_path, ascii) -> None:
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 0], [1, 0, 0], [1, 1, 5]]], np.float32)
    path = tmp_path / "two.stl"
    if ascii:
        loops = "".join("vertex {} {} {}\n".format(*corner) for corner in corners.reshape(-1, 3))
        path.write_text(f"solid two\n{loops}endsolid two\n")
    else:
        stl(path, corners)
    shape = load(path)
    assert_array_equal(shape.points, [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 5]])
    assert_array_equal(shape.faces, [[0, 1, 2], [2, 1, 3]])


@pytest.mark.parametrize(
    ("ending", "how"), [("pcd", {}), ("pcd", {"write_ascii": True}), ("pcd", {"compressed": True}), ("ply", {}),
                        ("ply", {"write_ascii": True})]
)  # fmt: skip
@pytest.mark.parametrize("share", [0.6, 0.95])
def test_a_truncated_cloud_is_refused(tmp_path, points, ending, how, share) -> None:
    path = tmp_path / f"cut.{ending}"
    o3d.io.write_point_cloud(str(path), cloud(points), **how)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UnreadableError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: truncated or corrupt (") and "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["ply", "stl"])
def test_a_truncated_mesh_is_refused(tmp_path, cube, ending) -> None:
    path = tmp_path / f"cut.{ending}"
    if ending == "stl":
        stl(path, cube[[[0, 1, 2], [4, 5, 6], [1, 2, 3]]])
    else:
        mesh = o3d.geometry.TriangleMesh.create_sphere()
        o3d.io.write_triangle_mesh(str(path), mesh)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableError, match="truncated or corrupt"):
        load(path)


@pytest.mark.parametrize("ending", ["pcd", "ply", "obj", "stl"])
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


@pytest.mark.parametrize("line", ["f 1 2 9", "f 1 2 -9", "f 1 2 x", "v 0 1"])
def test_a_corrupt_obj_is_refused(tmp_path, line) -> None:
    path = tmp_path / "bad.obj"
    path.write_text(f"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n{line}\n")
    with pytest.raises(UnreadableError, match="truncated or corrupt"):
        load(path)


@pytest.mark.parametrize(("finite", "message"), [(0, "0 finite points"), (15, "15 finite points; a cloud needs 16")])
def test_a_cloud_without_enough_finite_points_is_refused(tmp_path, points, finite, message) -> None:
    points[finite:] = np.nan
    path = tmp_path / "nan.ply"
    o3d.io.write_point_cloud(str(path), cloud(points))
    with pytest.raises(UnreadableError, match=message):
        load(path)


def test_a_header_that_promises_no_points_is_refused(tmp_path) -> None:
    path = tmp_path / "none.pcd"
    path.write_text("VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nPOINTS 0\nDATA ascii\n")
    with pytest.raises(UnreadableError, match="0 finite points"):
        load(path)


def test_points_in_one_place_are_refused(tmp_path, points) -> None:
    path = tmp_path / "one.ply"
    o3d.io.write_point_cloud(str(path), cloud(np.ones_like(points)))
    with pytest.raises(UnreadableError, match="all points lie in one place"):
        load(path)


PCD = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT {n} 1 1\nWIDTH {count}\nHEIGHT 1\nPOINTS {count}\nDATA {kind}\n"
PLY = (
    "ply\nformat {kind} 1.0\nelement vertex {count}\nproperty float x\nproperty float y\nproperty float z\n"
    "element face {faces}\nproperty list uchar int vertex_indices\nend_header\n"
)


@pytest.mark.parametrize(
    ("name", "header", "given", "message"),
    [
        ("a.pcd", PCD, {"kind": "ascii"}, "says 1,000,000,000,000 points, its data have room for 72"),
        ("a.pcd", PCD, {"kind": "binary"}, "says 1,000,000,000,000 points, its data have room for 36"),
        ("a.pcd", PCD, {"kind": "binary_compressed"}, "says 1,000,000,000,000 points, its data have room for 38,016"),
        ("a.pcd", PCD, {"kind": "binary", "count": -1}, "says -1 points"),
        ("a.pcd", PCD, {"kind": "ascii", "count": 20, "n": 400_000_000}, "a field of 400,000,000 values"),
        ("a.ply", PLY, {"kind": "ascii"}, "says 1,000,000,000,000 points, its data have room for 72"),
        ("a.ply", PLY, {"kind": "binary_little_endian"}, "says 1,000,000,000,000 points"),
        ("a.ply", PLY, {"kind": "ascii", "count": 20, "faces": 10**12}, "says 1,000,000,000,000 faces"),
    ],
)
def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path, name, header, given, message) -> None:
    """Before room is made for it; NumPy's reader of text crashes where one field has hundreds of millions of values."""
    text = header.format(**{"count": 10**12, "n": 1, "faces": 0} | given)
    (tmp_path / name).write_bytes(text.encode() + b"0 1 2\n3 4 5\n" * 36)
    with pytest.raises(UnreadableError, match=message) as told:
        load(tmp_path / name)
    assert str(told.value).startswith(f"{tmp_path}/{name}: truncated or corrupt (")


def test_a_cloud_that_does_not_fit_into_memory_is_one_line(tmp_path, points, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("domains.pointcloud.files.clouds._columns", full)
    o3d.io.write_point_cloud(str(tmp_path / "a.pcd"), cloud(points))
    with pytest.raises(UnreadableError, match=r"a\.pcd: needs more memory than there is\."):
        load(tmp_path / "a.pcd")
