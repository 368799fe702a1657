from pathlib import Path

import numpy as np
import pytest

from domains.pointcloud import PointCloud
from domains.pointcloud.datasets import folder, real3d
from domains.pointcloud.procedural import write_pcd
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def test_real3d_lists_test_clouds_with_their_labels(tmp_path) -> None:
    touch(tmp_path, "duck/train/duck_prototype_1.pcd", "duck/test/12_good.pcd", "duck/test/12_bulge_cut.pcd")
    touch(tmp_path, "duck/test/7_sink.pcd", "duck/gt/12_bulge_cut.txt", "duck/gt/7_sink.txt", "duck/test/notes.txt")
    bulge, good, sink = real3d(tmp_path)
    assert (bulge.anomalous, bulge.defect, bulge.truth_path) == (True, "bulge", tmp_path / "duck/gt/12_bulge_cut.txt")
    assert (good.anomalous, good.defect, good.truth_path) == (False, "", good.path)
    assert (sink.category, sink.defect) == ("duck", "sink")
    assert bulge.group == good.group == "duck/12" and sink.group == "duck/7"


def test_real3d_train_holds_normal_prototypes(tmp_path) -> None:
    touch(tmp_path, "duck/train/1_prototype.pcd", "duck/train/2_template.pcd", "duck/test/1_good.pcd")
    records = list(real3d(tmp_path, "train"))
    assert [r.path.name for r in records] == ["1_prototype.pcd", "2_template.pcd"]
    assert not any(r.anomalous for r in records) and all(r.truth_path == r.path for r in records)


def test_anomaly_shapenet_names_are_understood(tmp_path) -> None:
    touch(tmp_path, "bowl0/test/bowl0_positive3.pcd", "bowl0/test/bowl0_bulge1.pcd", "bowl0/GT/bowl0_bulge1.txt")
    bulge, positive = real3d(tmp_path)
    assert (bulge.defect, bulge.truth_path) == ("bulge", tmp_path / "bowl0/GT/bowl0_bulge1.txt")
    assert not positive.anomalous and positive.group != bulge.group


def test_a_cloud_whose_labels_are_missing_still_names_the_file_it_should_have(tmp_path) -> None:
    touch(tmp_path, "duck/test/7_sink.pcd")
    assert next(real3d(tmp_path)).truth_path == tmp_path / "duck/gt/7_sink.txt"


def test_check_lists_every_missing_label_and_every_broken_cloud_and_reading_refuses_them(tmp_path) -> None:
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    touch(tmp_path, "duck/test/1_good.pcd", "duck/test/2_good.pcd")
    for name in ("7_sink", "8_bulge"):
        write_pcd(tmp_path / f"duck/test/{name}.pcd", np.random.default_rng(0).normal(size=(300, 3)))
    report = inspect("pointcloud/real3d", tmp_path, reader={"views": 1, "size": 64})
    *broken, sink, bulge = report.problems
    assert ["1_good.pcd: truncated or corrupt" in line for line in broken] == [True, False] and len(broken) == 2
    assert sink == (
        f"{tmp_path / 'duck/gt/7_sink.txt'}: no such label file. Add it, or say 'good' in the name of a normal cloud."
    )
    assert "8_bulge.txt: no such label file" in bulge and report.with_truth == 0 and report.fingerprint == ""
    with pytest.raises(TruthError, match=r"7_sink\.txt: no such label file"):
        PointCloud(1, 64).read(list(real3d(tmp_path))[2])


def test_an_unknown_split_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="no split 'val'; use train or test"):
        list(real3d(tmp_path, "val"))


def test_folders_say_what_is_normal(tmp_path) -> None:
    touch(tmp_path, "parts/good/a.STL", "parts/Normal/b.obj", "parts/bent/c.ply", "parts/bent/readme.md")
    found = {r.path.name: (r.anomalous, r.defect, r.category, r.truth_path) for r in folder(tmp_path / "parts")}
    assert found == {
        "a.STL": (False, "", "parts", None),
        "b.obj": (False, "", "parts", None),
        "c.ply": (True, "bent", "parts", None),
    }
