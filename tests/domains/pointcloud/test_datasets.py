from pathlib import Path

import pytest

from domains.pointcloud.datasets import folder, real3d
from framework.errors import UserError


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


def test_a_missing_label_file_is_named(tmp_path) -> None:
    touch(tmp_path, "duck/test/7_sink.pcd")
    with pytest.raises(UserError, match=r"7_sink\.pcd: no label file .*gt.7_sink\.txt"):
        list(real3d(tmp_path))


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
