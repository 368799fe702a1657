from pathlib import Path

import fake_clouds
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from domains.pointcloud import PointCloud
from domains.pointcloud.datasets import published, real3d, shapenet
from domains.pointcloud.files import load
from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.truth import truth_of
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
    bulge, positive = shapenet(tmp_path)
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


@pytest.mark.parametrize("copied", [False, True])
def test_both_copies_of_real3d_are_read_with_their_labels(tmp_path, copied) -> None:
    """The official one: gt, spaces, prototypes; PointAD's: GT, commas, templates."""
    root = fake_clouds.real3d(tmp_path, copied=copied)
    assert len(list(real3d(root, "train"))) == 2
    records = {r.path.stem: r for r in real3d(root)}
    assert [r.defect for r in records.values()] == ["", "", "bulge", "bulge", "sink"]
    for n, (stem, record) in enumerate(records.items()):
        marked = fake_clouds.ball(bump=record.anomalous, seed=10 + n)[1]
        assert_array_equal(truth_of(record, load(record.path)).mask, marked, stem)
    assert records["2_bulge"].group == records["2_bulge_cut"].group == "duck/2"


def test_cut_clouds_can_be_left_out_or_taken_alone(tmp_path) -> None:
    root = fake_clouds.real3d(tmp_path)
    assert [r.path.stem for r in real3d(root, cut="none")] == ["1_good", "2_bulge", "3_sink"]
    assert [r.path.stem for r in real3d(root, cut="only")] == ["1_good_cut", "2_bulge_cut"]
    with pytest.raises(UserError, match="no pointcloud/real3d cut called 'no'"):
        list(real3d(root, cut="no"))


def test_templates_among_the_test_clouds_are_not_counted(tmp_path) -> None:
    touch(tmp_path, "duck/test/1_good.pcd", "duck/test/duck_template.pcd", "duck/test/2_prototype.pcd")
    assert [r.path.stem for r in real3d(tmp_path)] == ["1_good"]


def test_labels_of_shapenet_are_matched_by_place_whatever_their_order(tmp_path) -> None:
    root = fake_clouds.shapenet(tmp_path)
    assert [r.path.stem for r in shapenet(root, "train")] == ["bowl0_template0"]
    records = list(shapenet(root))
    assert [(r.anomalous, r.defect) for r in records] == [(True, "bulge"), (True, "concavity"), (False, "")]
    for record, seed in zip(records, (21, 22, 20), strict=True):
        found = truth_of(record, load(record.path))
        assert_array_equal(found.mask, fake_clouds.ball(bump=record.anomalous, seed=seed)[1])
        assert not found.counts and not found.warnings


def test_the_new_categories_of_shapenet_lie_deeper(tmp_path) -> None:
    touch(tmp_path, "new/cap1/test/cap1_hole0.pcd", "new/cap1/GT/cap1_hole0.txt", "bowl0/test/bowl0_positive0.pcd")
    assert sorted((r.category, r.anomalous) for r in shapenet(tmp_path)) == [("bowl0", False), ("cap1", True)]


def test_labels_that_are_spelt_otherwise_are_found_and_told(tmp_path) -> None:
    """Those of the same number only, and of no other cloud."""
    touch(tmp_path, *(f"cap0/test/cap0_{stem}.pcd" for stem in ("bulge1", "bulge2", "concavity3", "hole4")))
    touch(tmp_path, *(f"cap0/GT/cap0_{stem}.txt" for stem in ("bulge2", "buldge1", "sink3", "crack4", "hole5")))
    found = {r.path.stem: r.truth_path for r in shapenet(tmp_path)}
    labels = tmp_path / "cap0/GT"
    assert found == {
        "cap0_bulge1": labels / "cap0_buldge1.txt",
        "cap0_bulge2": labels / "cap0_bulge2.txt",
        "cap0_concavity3": labels / "cap0_sink3.txt",
        "cap0_hole4": labels / "cap0_hole4.txt",  # which is missing, as reading says
    }
    told = published.shapenet(list(shapenet(tmp_path)), "test")
    assert [line.endswith("spelt otherwise.") for line in told].count(True) == 2  # a missing file is told elsewhere


@pytest.mark.parametrize("dataset", [real3d, shapenet])
def test_a_split_that_is_not_published_is_refused(tmp_path, dataset) -> None:
    with pytest.raises(UserError, match=f"pointcloud/{dataset.__name__}: no split 'validation'"):
        list(dataset(tmp_path, "validation"))
