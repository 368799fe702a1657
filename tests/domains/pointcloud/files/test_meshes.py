from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from domains.pointcloud.files import load
from framework.errors import UnreadableError

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
QUADS = "0 1 3 2", "4 5 7 6", "0 1 5 4", "2 3 7 6"  # of the cube's eight corners


@pytest.fixture
def cube() -> np.ndarray:
    return np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)


def stl(path: Path, triangles: np.ndarray) -> None:
    record = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = triangles
    path.write_bytes(b"\0" * 80 + len(triangles).to_bytes(4, "little") + record.tobytes())


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


@pytest.mark.parametrize("line", ["f 1 2 9", "f 1 2 -9", "f 1 2 x", "v 0 1"])
def test_a_corrupt_obj_is_refused(tmp_path, line) -> None:
    path = tmp_path / "bad.obj"
    path.write_text(f"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n{line}\n")
    with pytest.raises(UnreadableError, match="truncated or corrupt"):
        load(path)


def test_a_mesh_without_faces_is_read_as_a_cloud_and_told(tmp_path) -> None:
    rows = [f"{i} {i * i} 0\n" for i in range(20)]
    header = "ply\nformat ascii 1.0\nelement vertex 20\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "a.obj").write_text("".join(f"v {row}" for row in rows))
    (tmp_path / "a.ply").write_text(header + "element face 0\nproperty list uchar int i\nend_header\n" + "".join(rows))
    for path in (tmp_path / "a.obj", tmp_path / "a.ply"):
        shape = load(path)
        assert shape.faces is None and len(shape.points) == 20
        assert shape.warnings == (f"{path}: a mesh without faces; it is read as a cloud.",)
    (tmp_path / "b.ply").write_text(header + "end_header\n" + "".join(rows))
    assert load(tmp_path / "b.ply").warnings == ()  # which is a cloud


@pytest.mark.parametrize("ending", ["obj", "stl", "ply"])
@pytest.mark.parametrize("flipped", [0, 1, 6, 12])
def test_faces_that_disagree_which_side_is_outside_are_told(tmp_path, cube, ending, flipped) -> None:
    """All of them flipped agree again: inside out all over, which no edge tells."""
    box = o3d.geometry.TriangleMesh.create_box()
    faces = np.asarray(box.triangles).copy()
    faces[:flipped] = faces[:flipped, ::-1]
    box.triangles = o3d.utility.Vector3iVector(faces)
    path = tmp_path / f"box.{ending}"
    if ending == "stl":
        stl(path, np.asarray(box.vertices, np.float32)[faces])
    else:
        o3d.io.write_triangle_mesh(str(path), box)
    told = load(path).warnings
    if flipped in (0, 12):
        assert told == ()
    else:
        disorder = {1: 3, 6: 8}[flipped]  # around a triangle; around three squares in a row
        assert told[0].startswith(f"{path}: {disorder} of 18 edges are run through twice in one direction, so some")
        assert len(told) == 1 and "\n" not in told[0]
