"""Folders in the layouts of MVTec AD, its kin and plain sets -> records; what is wrong in them -> one line."""

from pathlib import Path

import fake_industrial as fake
import numpy as np
import pytest

from domains.industrial import Industrial
from domains.industrial.datasets import btad, folder, mvtec, mvtec_ad2, mvtec_loco
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError
from framework.types import Record


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_mvtec_lists_one_split_with_labels_masks_and_categories(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/good/000.png", "nut/test/bent/001.png", "nut/train/good/009.png", "nut/readme.txt")
    touch(tmp_path, "nut/ground_truth/bent/001_mask.png", "cup/test/good/000.JPG", "cup/test/good/._000.JPG")
    cup, bent, good = mvtec(tmp_path)
    assert (good.anomalous, good.category, good.defect, good.truth_path) == (False, "nut", "", good.path)
    assert (bent.anomalous, bent.category, bent.defect) == (True, "nut", "bent")
    assert bent.truth_path == tmp_path / "nut/ground_truth/bent/001_mask.png"
    assert (cup.path, cup.truth_path) == (tmp_path / "cup/test/good/000.JPG", None)  # no masks: labels only
    assert [r.path.name for r in mvtec(tmp_path, "train")] == ["009.png"]


def test_mvtec_reads_the_categories_asked_for_and_names_those_it_has(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/good/000.png", "cup/test/good/000.png")
    assert [r.category for r in mvtec(tmp_path, categories=["nut"])] == ["nut"]
    with pytest.raises(UserError, match=r"no category called 'nuts'\. Did you mean 'nut'\? Known: cup, nut"):
        list(mvtec(tmp_path, categories=["nuts"]))


def test_a_defect_whose_mask_is_missing_still_names_the_mask_it_should_have(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/bent/001.png", "nut/ground_truth/bent/002_mask.png")
    assert next(mvtec(tmp_path)).truth_path == tmp_path / "nut/ground_truth/bent/001_mask.png"


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    assert list(mvtec(tmp_path)) == [] and list(folder(tmp_path)) == []


def test_a_plain_folder_is_normal_by_its_name_and_defective_by_any_other(tmp_path: Path) -> None:
    root = tmp_path / "lids"
    touch(root, "OK/1.png", "dent/2.png", "ground_truth/dent/2_mask.png")
    normal, dent = folder(root)
    assert (normal.anomalous, normal.category, normal.truth_path) == (False, "lids", normal.path)
    assert (dent.anomalous, dent.defect, dent.truth_path) == (True, "dent", root / "ground_truth/dent/2_mask.png")


def test_a_plain_folder_may_hold_folders_of_its_kind_and_masks_of_any_name_and_ending(tmp_path: Path) -> None:
    touch(
        tmp_path, "a/good/1.png", "a/dent/2.jpg", "a/masks/dent/2.png", "b/x/ok/1.png", "b/x/hole/3.png", "notes/1.md"
    )
    touch(tmp_path, "b/x/ground_truth/hole/3_label.bmp")
    found = {r.path.stem: (r.category, r.truth_path) for r in folder(tmp_path) if r.anomalous}
    assert found == {
        "2": ("a", tmp_path / "a/masks/dent/2.png"),
        "3": ("b/x", tmp_path / "b/x/ground_truth/hole/3_label.bmp"),
    }
    assert [r.category for r in folder(tmp_path)] == ["a", "a", "b/x", "b/x"]


def test_a_plain_folder_in_the_layout_of_mvtec_is_told_so(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/good/1.png", "nut/train/good/1.png")
    with pytest.raises(
        UserError, match=r"nut: has a folder called test, as MVTec AD has\. Read it as industrial/mvtec"
    ):
        list(folder(tmp_path))


def test_a_copy_of_visa_and_a_root_that_is_one_category_are_read_as_mvtec(tmp_path: Path) -> None:
    fake.visa_copy(tmp_path)
    for root in (tmp_path, tmp_path / "candle"):
        bad, good = mvtec(root)
        assert (bad.category, bad.truth_path) == ("candle", root / "ground_truth/bad/000.png") or root == tmp_path
        assert marked(bad) == [11] and marked(good) == []
        assert len(list(mvtec(root, "train"))) == 1


def test_two_masks_of_one_picture_are_refused_unless_they_are_numbered_parts(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/bent/1.png", "nut/ground_truth/bent/1.png", "nut/ground_truth/bent/1_mask.png")
    with pytest.raises(
        TruthError, match=r"ground_truth/bent: several masks of picture 1: 1\.png and 1_mask\.png\. Keep"
    ):
        list(mvtec(tmp_path))
    parts = tmp_path / "nut/ground_truth/bent"
    (parts / "1.png").rename(parts / "1_mask1.png"), (parts / "1_mask.png").rename(parts / "1_mask2.png")
    (record,) = mvtec(tmp_path)
    assert (record.truth_path, record.more_truth) == (parts / "1_mask1.png", (parts / "1_mask2.png",))


def marked(record: Record) -> list[int]:
    truth = Industrial().read(record).truth
    assert truth is not None
    return np.flatnonzero(truth).tolist()


def test_loco_joins_the_masks_of_a_picture_whatever_their_value_and_names_the_kind(tmp_path: Path) -> None:
    good, logical, structural = mvtec_loco(fake.mvtec_loco(tmp_path))
    assert [good.defect, logical.defect, structural.defect] == ["", "logical", "structural"]
    assert [marked(r) for r in (good, logical, structural)] == [[], [3, 7], [5]]
    assert logical.more_truth == (tmp_path / "pushpins/ground_truth/logical_anomalies/000/001.png",)
    for split in ("train", "validation"):
        assert [(r.anomalous, r.path.parts[-3]) for r in mvtec_loco(tmp_path, split)] == [(False, split)]


def test_loco_misses_a_picture_without_masks(tmp_path: Path) -> None:
    root = fake.mvtec_loco(tmp_path)
    for mask in (root / "pushpins/ground_truth/structural_anomalies/000").iterdir():
        mask.unlink()
    (problem,) = inspect("industrial/mvtec_loco", root).problems
    assert problem.startswith(f"{root}/pushpins/ground_truth/structural_anomalies/000_mask.png: the mask is missing")


def test_ad2_groups_the_pictures_of_an_object_and_refuses_splits_without_labels(tmp_path: Path) -> None:
    records = list(mvtec_ad2(fake.mvtec_ad2(tmp_path)))
    assert [(r.anomalous, r.group) for r in records] == [
        (True, "can/test_public/bad/000"),
        (True, "can/test_public/bad/000"),
        (False, "can/test_public/good/000"),
        (False, "can/test_public/good/000"),
    ]
    assert [marked(r) for r in records] == [[2, 3], [2, 3], [], []]
    assert {r.group for r in mvtec_ad2(tmp_path, "train")} == {"can/train/good/000"}
    for split in ("test_private", "test_private_mixed"):
        with pytest.raises(UserError, match=f"the labels of {split} are not published.* Test on test_public"):
            list(mvtec_ad2(tmp_path, split))
    with pytest.raises(UserError, match="no split called 'test'"):
        list(mvtec_ad2(tmp_path, "test"))


def test_btad_finds_masks_of_any_ending_and_labels_by_the_folder_alone(tmp_path: Path) -> None:
    root = fake.btad(tmp_path / "ok" / "stock")
    records = list(btad(root))
    assert [(r.category, r.anomalous) for r in records] == [(c, a) for c in ("01", "02", "03") for a in (True, False)]
    assert [r.truth_path.name for r in records if r.anomalous and r.truth_path] == ["0000.png", "0000.png", "0000.bmp"]
    assert [marked(r) for r in records] == [[4], []] * 3
    assert [r.anomalous for r in btad(root, "train")] == [False] * 3
    with pytest.raises(UserError, match="no category called '04'"):
        list(btad(root, categories=["04"]))


def test_a_set_without_its_folder_of_masks_has_labels_only(tmp_path: Path) -> None:
    fake.btad(tmp_path / "btad"), fake.mvtec_ad2(tmp_path / "ad2")
    for place in [*tmp_path.glob("btad/*/ground_truth"), *tmp_path.glob("ad2/*/test_public/ground_truth")]:
        place.rename(tmp_path / place.parent.name)
    assert {r.truth_path for r in [*btad(tmp_path / "btad"), *mvtec_ad2(tmp_path / "ad2")]} == {None}
