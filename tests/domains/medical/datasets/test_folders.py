"""Anybody's volumes: masks in a folder beside or by a tail, labels by what they mark."""

import fake_medical as fake
import numpy as np
import pytest

from domains.medical import Medical
from domains.medical.datasets import folder
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError

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
