"""Anybody's volumes: masks in a folder beside or by a tail, labels by what they mark."""

from dataclasses import replace

import fake_medical as fake
import numpy as np
import pytest

from domains.medical import Medical
from domains.medical.datasets import folder
from domains.medical.datasets.published import volumes
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError
from framework.types import Record

pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")


def rows(records):
    return [(r.path.name, r.group, r.anomalous, r.truth_path.name) for r in records]


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("{}.nii.gz", "masks/{}.nii.gz"),
        ("images/{}.nii.gz", "masks/{}.nii"),
        ("images/{}.nii", "masks/images/{}.nii.gz"),
        ("{}.nii", "{}_seg.nii.gz"),
        ("{}.nii.gz", "{}_mask.nii.gz"),
        ("{}.nii.gz", "{}_Mask.nii.gz"),
        ("{}.nii.gz", "{}-seg.nii.gz"),
        ("{}.nii.gz", "{}_LABELS.nii.gz"),
        ("{}.nii.gz", "{}-lesion.nii.gz"),
        ("Images/{}.nii.gz", "Masks/{}.nii.gz"),
        ("images/{}.nii.gz", "labels/{}.nii.gz"),
        ("{}.nii.gz", "Segmentations/{}_segmentation.nii.gz"),
    ],
)
def test_scans_are_labelled_by_what_their_masks_mark(tmp_path, scan, mask):
    for name, value in (("anna_1", 1), ("berta_1", 0)):
        fake.volume(tmp_path / scan.format(name))
        fake.volume(tmp_path / mask.format(name), {2: value})
    fake.volume(tmp_path / scan.format("carl_1"))
    found = list(folder(tmp_path))
    name, masked = (form.rpartition("/")[2] for form in (scan, mask))
    assert rows(found) == [
        (name.format("anna_1"), "anna", True, masked.format("anna_1")),
        (name.format("berta_1"), "berta", False, masked.format("berta_1")),
        (name.format("carl_1"), "carl", False, name.format("carl_1")),
    ]
    assert [int(Medical().read(r).truth.sum()) for r in found] == [2, 0, 0]
    assert [(r.group, r.slice) for r in folder(tmp_path, slices=True) if r.anomalous] == [("anna", 2)]


def test_patients_are_folders_and_those_in_two_splits_are_told(tmp_path):
    for place in ("train/p1/early", "test/p1/late", "test/p2/early"):
        fake.volume(tmp_path / f"{place}.nii.gz")
    fake.volume(tmp_path / "test/masks/p2/early.nii.gz", {3: 1})
    assert [(r.group, r.anomalous) for r in folder(tmp_path)] == [("p1", False), ("p2", True)]
    report = inspect("medical/folder", tmp_path)
    assert "1 scans have no mask and count as healthy: late.nii.gz." in report.warnings
    (line,) = [w for w in report.warnings if "split train" in w]
    assert line.startswith("1 of 2 patients of split test are in split train too: p1.")
    assert not report.problems


def test_two_masks_and_values_that_do_not_count(tmp_path):
    fake.volume(tmp_path / "a.nii.gz")
    fake.volume(tmp_path / "masks/a.nii.gz", {2: 1, 3: 5})
    (found,) = folder(tmp_path, anomalous=[5])
    assert Medical().read(found).truth.sum() == 2
    told = "no mask has a voxel of the value 4, which anomalous asks for; masks have 1, 5."
    assert told in inspect("medical/folder", tmp_path, options={"anomalous": [4, 5]}).warnings
    fake.volume(tmp_path / "a_mask.nii", {2: 1})
    with pytest.raises(TruthError, match=r"a.nii.gz: several masks: .*a_mask.nii, .*masks/a.nii.gz\. Keep one"):
        list(folder(tmp_path))


@pytest.mark.parametrize("lost", ["masks/b.nii.gz", "b_Mask.nii.gz", "seg_a.nii.gz", "old/labelsTr/a.nii", "aMask.nii"])
def test_what_is_called_a_mask_and_is_that_of_no_scan_is_refused(tmp_path, lost):
    fake.volume(tmp_path / "a.nii.gz")
    fake.volume(tmp_path / lost, {2: 1})
    with pytest.raises(UserError, match=rf"^.*{lost}: its name or folder says that it is a mask, but .* of no scan;"):
        list(folder(tmp_path))


def test_names_that_only_resemble_those_of_masks_are_scans(tmp_path):
    for name in ("a_masked.nii.gz", "unlabeled/b.nii.gz", "segue.nii.gz"):
        fake.volume(tmp_path / name)
    assert len(list(folder(tmp_path))) == 3


def test_the_folder_of_masks_that_is_named_is_the_only_one(tmp_path):
    fake.volume(tmp_path / "a.nii.gz")
    fake.volume(tmp_path / "labels/a.nii.gz", {1: 1})
    fake.volume(tmp_path / "gt/a.nii.gz", {2: 1})
    (found,) = folder(tmp_path, masks="gt")
    assert found.truth_path == tmp_path / "gt/a.nii.gz"


@pytest.mark.parametrize(
    ("places", "groups"),
    [
        (["sub/anna_1", "sub/anna_2", "sub/berta_1"], ["anna", "anna", "berta"]),
        (["sub/p1/t1", "sub/p2/t1"], ["p1", "p2"]),
        (["images/p1/t1", "images/p2/t1"], ["p1", "p2"]),
        (["anna_1", "sub/berta_1"], ["anna", "berta"]),
        (["carl_1", "p1/t1", "p2/t1"], ["carl", "p1", "p2"]),
        (["good/p1_1", "good/p2_1", "tumour/p1_2", "tumour/p3_1"], ["p1", "p2", "p1", "p3"]),
        (["Healthy/001", "lesion/001", "lesion/002"], ["Healthy/001", "lesion/001", "002"]),
        (["site1/p1/t1", "site1/p1/t2", "site2/p1/t1"], ["site1/p1", "site1/p1", "site2/p1"]),
        (["centreA/good/p1/t1", "centreB/tumour/p2/t1"], ["centreA/good/p1", "centreB/tumour/p2"]),
        (["good/t1", "normalson/t1"], ["good", "normalson"]),
    ],
)
def test_a_folder_is_a_patient_only_where_there_are_several(tmp_path, places, groups):
    for place in places:
        fake.volume(tmp_path / f"{place}.nii.gz")
    assert [r.group for r in folder(tmp_path)] == groups


def test_residues_of_resampling_mark_nothing(tmp_path):
    fake.volume(tmp_path / "a.nii.gz")
    fake.volume(tmp_path / "masks/a.nii.gz", {1: 1e-8, 2: 0.9, 3: 0.4}, np.float32)
    assert [r.slice for r in folder(tmp_path, slices=True) if r.anomalous] == [2]
    fake.volume(tmp_path / "masks/a.nii.gz", {1: 1e-8}, np.float32)
    assert [r.anomalous for r in folder(tmp_path)] == [False]


def test_patients_that_may_be_labels_or_sites_are_told(tmp_path):
    for place in ("north/a", "north/b", "south/c", "south/d"):
        fake.volume(tmp_path / f"{place}.nii.gz")
    (tmp_path / "masks/south").mkdir(parents=True)
    for name in "cd":
        fake.volume(tmp_path / f"masks/south/{name}.nii.gz", {2: 1})
    told = "of its 2 patients one has all healthy and one all anomalous scans: north, south. If these are no patients"
    assert [w for w in inspect("medical/folder", tmp_path).warnings if w.startswith(told)]
    fake.volume(tmp_path / "masks/north/a.nii.gz", {2: 1})
    assert not [w for w in inspect("medical/folder", tmp_path).warnings if "If these are no" in w]
    records = [Record(tmp_path / f"{i}.nii", False, "a", group=f"p{i % 2}") for i in range(10)]
    assert volumes(records, "test")[0].startswith("10 scans are of 2 patients only: p0, p1. If these are no patients")
    assert volumes(records[1:], "test") == volumes([replace(r, frame=0) for r in records[1:]] * 2, "test") == []


def test_patients_in_folders_of_labels_are_found_in_two_splits(tmp_path):
    for place in ("train/good/001", "train/lesion/001", "test/good/001", "test/lesion/002"):
        fake.volume(tmp_path / f"{place}.nii.gz")
    assert {r.group for r in folder(tmp_path)} == {"good/001", "002"}
    (line,) = [w for w in inspect("medical/folder", tmp_path).warnings if "split train" in w]
    assert line.startswith("1 of 2 patients of split test are in split train too: good/001.")
