"""Real meshes and clouds under $ANOMALY_OV_DATA: bunny, CAD parts, scans; each is drawn, scored, saved and spoiled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from domains.pointcloud import PointCloud, files
from domains.pointcloud.datasets import real3d
from domains.pointcloud.making.synthesize import synthesize
from framework.lift import lift
from framework.types import Record

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
COUNTS = {  # points as the release has them, and whether there are faces; an .stl counts its distinct corners
    "stanford-bunny.obj": (35_947, True),
    "fandisk.obj": (6_475, True),
    "rocker-arm.obj": (None, True),
    "cycloidal.ply": (21_384, True),
    "igea.ply": (134_345, False),
    "1002_tray_bottom.STL": (2_216, True),
    "featuretype.STL": (2_010, True),
    "ism_test_cat.pcd": (3_400, False),
    "ism_test_horse.pcd": (3_400, False),
    "ism_train_cat.pcd": (3_400, False),
    "ism_train_horse.pcd": (3_400, False),
}


@pytest.fixture
def found(data) -> Callable[[str], Path]:
    """The shape of that name; not every copy of the folder holds all of them."""

    def find(name: str) -> Path:
        path = data("pointcloud/clean_meshes") / name
        if not path.is_file():
            pytest.skip(f"no {path}: the folder that ANOMALY_OV_DATA names, or ../shared/data, lacks this one shape")
        return path

    return find


@pytest.mark.parametrize("name", COUNTS)
def test_every_real_shape_is_read_whole_and_drawn(found, name: str) -> None:
    path = found(name)
    points, faces = COUNTS[name]
    shape = files.load(path)
    assert (shape.faces is not None) == faces and points in (None, len(shape.points))
    given = PointCloud(6, 160).read(Record(path, False, "shape", truth_path=path))
    assert given.elements == len(shape.points) and not given.truth.any()
    covered = (given.owner >= 0).mean((1, 2))
    assert covered.max() > 0.08 and covered.min() > 0.002  # the tray is a thin plate, seen from its edge once
    assert all(view.std() > 5 for view in given.views)
    assert len(np.unique(given.owner)) > 0.3 * len(shape.points)


def test_bunny_vertices_keep_the_order_of_the_file(found, tmp_path: Path) -> None:
    path = found("stanford-bunny.obj")
    rows = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
    reader = PointCloud(9, 224)
    given = reader.read(Record(path, False, "bunny"))
    upper = np.array(rows, float)[:, 1] > np.median(np.array(rows, float)[:, 1])
    maps = upper[given.owner.clip(0)] & (given.owner >= 0)
    scores = lift(torch.from_numpy(maps).float(), given).numpy()
    assert ((scores > 0.5) == upper).mean() > 0.99
    saved = o3d.t.io.read_point_cloud(str(reader.save(given, scores, tmp_path / "bunny")["map"]))
    assert_array_equal(saved.point.positions.numpy(), np.array(rows, float))
    assert_array_equal(saved.point["score"].numpy()[:, 0], scores)


def test_clean_shapes_become_a_set_with_defects(found, tmp_path: Path) -> None:
    meshes = [found(name) for name in ("stanford-bunny.obj", "fandisk.obj", "featuretype.STL", "ism_train_cat.pcd")]
    assert len(list(synthesize(meshes, tmp_path / "set", samples=8))) == 8
    records = list(real3d(tmp_path / "set"))
    assert len(records) == 8 and {r.category for r in records} == {path.stem for path in meshes}
    for record in records:
        given = PointCloud(9, 160).read(record)
        assert given.truth.any() == record.anomalous
        if record.anomalous:
            assert given.truth[given.owner.clip(0)][given.owner >= 0].any()  # some view shows the defect
