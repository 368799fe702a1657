import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.files import load
from framework.errors import UnreadableError

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


def cloud(points: np.ndarray, normals: bool = False) -> "o3d.geometry.PointCloud":
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))
    if normals:
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        made.normals = o3d.utility.Vector3dVector(unit.astype(np.float64))
    return made


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


@pytest.mark.parametrize("ending", ["pcd", "ply"])
@pytest.mark.parametrize("how", [{"write_ascii": True}, {}, {"compressed": True}])
def test_colours_are_read_as_bytes(tmp_path, points, ending, how) -> None:
    """A .pcd packs three bytes into a float, a .ply has a property for each."""
    colours = np.random.default_rng(1).integers(0, 256, (200, 3)).astype(np.uint8)
    made = cloud(points)
    made.colors = o3d.utility.Vector3dVector(colours / 255)
    path = tmp_path / f"a.{ending}"
    o3d.io.write_point_cloud(str(path), made, **how)
    found = load(path).colours
    assert found.dtype == np.uint8
    assert_array_equal(found, colours)


def test_colours_as_floats_and_as_a_whole_number_are_read(tmp_path, points) -> None:
    path = tmp_path / "a.ply"
    names = ("x", "y", "z", "red", "green", "blue")
    header = "ply\nformat ascii 1.0\nelement vertex 200\n" + "".join(f"property float {n}\n" for n in names)
    path.write_text(header + "end_header\n" + "".join(f"{x} {y} {z} 1 0.5 nan\n" for x, y, z in points))
    assert_array_equal(load(path).colours[0], [255, 128, 0])
    path = tmp_path / "a.pcd"
    header = "FIELDS x y z rgba\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nPOINTS 200\nDATA ascii\n"
    path.write_text(header + "".join(f"{x} {y} {z} {0xFF0A0B0C}\n" for x, y, z in points))
    assert_array_equal(load(path).colours[0], [10, 11, 12])


@pytest.mark.parametrize("delimiter", [" ", ",", "\t"])
def test_rows_of_text_are_points(tmp_path, points, delimiter) -> None:
    np.savetxt(tmp_path / "a.xyz", np.c_[points, np.ones(200)], "%.6f", delimiter)
    assert_allclose(load(tmp_path / "a.xyz").points, points, atol=1e-6)


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "1 2 3\n4 5\n", "x y z\n1 2 3\n"])
def test_text_that_is_no_rows_of_points_is_refused(tmp_path, text) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(UnreadableError, match=r"a\.xyz: truncated or corrupt \(") as error:
        load(tmp_path / "a.xyz")
    assert "\n" not in str(error.value)
