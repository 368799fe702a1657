import numpy as np
import pytest

from domains.pointcloud import files
from domains.pointcloud.datasets import real3d
from domains.pointcloud.synthesize import main
from domains.pointcloud.truth import truth_of

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def test_meshes_become_a_set_of_what_a_scanner_would_see(tmp_path) -> None:
    ball, core = (o3d.geometry.TriangleMesh.create_sphere(radius, 40) for radius in (10, 4))
    o3d.io.write_triangle_mesh(str(tmp_path / "ball.ply"), ball + core)
    o3d.io.write_point_cloud(str(tmp_path / "cloud.pcd"), ball.sample_points_uniformly(4_000))
    assert (
        main(
            [str(tmp_path / "ball.ply"), str(tmp_path / "cloud.pcd"), "--out", str(tmp_path / "set"), "--samples", "8"]
        )
        == 0
    )
    records = list(real3d(tmp_path / "set"))
    assert [sum(r.category == name for r in records) for name in ("ball", "cloud")] == [4, 4]
    assert sum(r.anomalous for r in records) == 4
    for record in records:
        shape = files.load(record.path)
        points = shape.points
        assert truth_of(record, shape).mask.any() == record.anomalous
        if record.category == "ball":
            assert 12_000 <= len(points) < 24_000
            centred = points - (points.min(0) + points.max(0)) / 2
            radius = np.linalg.norm(centred, axis=1)
            assert radius.min() > 0.6 * radius.max()  # nothing of the inner ball
        else:
            assert 2_500 < len(points) <= 3_200


def test_a_users_mistake_is_one_line_and_status_2(tmp_path, capsys) -> None:
    assert main([str(tmp_path / "none.obj"), "--out", str(tmp_path / "set")]) == 2
    assert (
        capsys.readouterr().err == f"anomaly-ov: {tmp_path / 'none.obj'}: cannot be read (No such file or directory).\n"
    )
    for folder in "ab":
        (tmp_path / folder).mkdir()
        o3d.io.write_triangle_mesh(str(tmp_path / folder / "x.ply"), o3d.geometry.TriangleMesh.create_sphere())
    assert main([str(tmp_path / "a/x.ply"), str(tmp_path / "b/x.ply"), "--out", str(tmp_path / "set")]) == 2
    assert "another mesh is called 'x' too" in capsys.readouterr().err
