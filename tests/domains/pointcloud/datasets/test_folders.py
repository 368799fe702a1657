from pathlib import Path

import numpy as np
import pytest
from fake_clouds import ball, save, write_scan
from numpy.testing import assert_array_equal

from domains.pointcloud.datasets import folder, mvtec3d, real3d
from domains.pointcloud.files import load
from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.truth import truth_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def test_folders_say_what_is_normal(tmp_path) -> None:
    touch(tmp_path, "parts/good/a.STL", "parts/Normal/b.obj", "parts/bent/c.ply", "parts/bent/readme.md")
    found = {r.path.name: (r.anomalous, r.defect, r.category, r.truth_path) for r in folder(tmp_path / "parts")}
    assert found == {
        "a.STL": (False, "", "parts", None),
        "b.obj": (False, "", "parts", None),
        "c.ply": (True, "bent", "parts", None),
    }


def test_a_folder_of_a_split_is_taken_where_there_is_one(tmp_path) -> None:
    touch(
        tmp_path, "parts/train/good/a.ply", "parts/test/good/b.ply", "parts/test/bent/c.xyz", "parts/test/bent/.d.ply"
    )
    assert [r.path.name for r in folder(tmp_path / "parts", "train")] == ["a.ply"]
    assert [r.path.name for r in folder(tmp_path / "parts", "test")] == ["c.xyz", "b.ply"]


@pytest.mark.parametrize("form", ["{}.txt", "{}_labels.txt", "{}.npy", "{}_labels.npy"])
def test_labels_beside_a_shape_are_its_truth(tmp_path, form) -> None:
    points, marked = ball(bump=True)
    write_pcd(tmp_path / "good/a.pcd", ball()[0])
    write_pcd(tmp_path / "bent/b.pcd", points)
    write_pcd(tmp_path / "bent/c.pcd", points)
    labels = tmp_path / "bent" / form.format("b")
    table = np.c_[points, marked] if form == "{}.txt" else marked
    np.save(labels, table) if form.endswith("npy") else np.savetxt(labels, table)
    b, c, a = folder(tmp_path)
    assert (a.truth_path, b.truth_path, c.truth_path) == (a.path, labels, None)
    assert_array_equal(truth_of(b, load(b.path)).mask, marked)
    assert not truth_of(a, load(a.path)).mask.any()


def test_a_scan_has_a_mask_beside_it(tmp_path) -> None:
    pytest.importorskip("tifffile")
    path = write_scan(tmp_path / "made", dent=True)
    (tmp_path / "bent").mkdir()
    path.rename(tmp_path / "bent/b.tiff")
    marked = np.zeros((64, 64), np.uint8)
    marked[30:32, 30:32] = 255
    save(tmp_path / "bent/b_mask.png", marked)
    np.savetxt(tmp_path / "bent/b.txt", [1.0])  # no labels of a scan
    (b,) = folder(tmp_path)
    assert truth_of(b, load(b.path)).mask.sum() == 4


def test_folders_may_lie_in_a_folder_for_each_category_and_pairs_are_one_object(tmp_path) -> None:
    touch(tmp_path, "cup/good/cup_pair0.ply", "cup/bent/cup_pair0.ply", "cup/bent/1.ply", "nut/good/1.ply")
    found = [(r.category, r.defect, r.group.removeprefix(str(tmp_path))) for r in folder(tmp_path)]
    assert found == [
        ("cup", "bent", "/cup/bent/1.ply"),
        ("cup", "bent", "cup/cup_pair0"),
        ("cup", "", "cup/cup_pair0"),
        ("nut", "", "/nut/good/1.ply"),
    ]


def test_hidden_files_are_no_samples(tmp_path) -> None:
    touch(tmp_path, "a/good/._1.ply", "a/good/1.ply", "b/test/1_good.pcd", "b/test/.partial-7-2_good.pcd")
    touch(tmp_path, "c/test/good/xyz/000.tiff", "c/test/good/xyz/._000.tiff")
    assert [r.path.name for r in folder(tmp_path / "a")] == ["1.ply"]
    assert [r.path.name for r in real3d(tmp_path)] == ["1_good.pcd"]
    assert [r.path.name for r in mvtec3d(tmp_path)] == ["000.tiff"]
