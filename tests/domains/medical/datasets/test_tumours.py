"""BraTS, decathlon tasks and LiTS: which scan, which mask, and which of its values are anomalous."""

import json

import fake_medical as fake
import numpy as np
import pytest

from domains.medical import Medical
from domains.medical.datasets import brats, decathlon, lits
from framework.data.fingerprint import fingerprint
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError

pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
LABELS = {"0": "background", "1": "liver", "2": "cancer"}


def marked(records, **options):
    reader = Medical(**options)
    return [int(reader.read(r).truth.sum()) for r in records]


@pytest.fixture
def tumours(tmp_path):
    """Two cases of BraTS, one with a floating point segmentation; and what an archive leaves beside them."""
    for case, dtype in (("BraTS2021_00002", np.float32), ("BraTS2021_00000", np.uint8)):
        for kind in ("flair", "t1", "t1ce", "t2"):
            fake.volume(tmp_path / f"data/{case}/{case}_{kind}.nii.gz")
        fake.volume(tmp_path / f"data/{case}/{case}_seg.nii.gz", {2: 1, 3: 4}, dtype)
        fake.litter(tmp_path / f"data/{case}", f"._{case}_flair.nii.gz")
    return tmp_path


def test_brats_pairs_the_modality_with_the_segmentation_of_the_case(tumours):
    for modality in ("flair", "t1", "t1ce", "t2"):
        first, second = brats(tumours, modality=modality)
        assert first.path.name == f"BraTS2021_00000_{modality}.nii.gz" and first.group == "BraTS2021_00000"
        assert second.truth_path.name == "BraTS2021_00002_seg.nii.gz" and second.anomalous
        assert second.category == "brain"
    assert marked([first, second]) == [4, 4]  # stored as float too
    with pytest.raises(UserError, match="no modality called 'T1'"):
        list(brats(tumours, modality="T1"))


def test_brats_slices_are_labelled_one_by_one(tumours):
    found = list(brats(tumours, slices=True))
    assert [(r.group[-1], r.slice, r.anomalous, r.defect) for r in found[4:]] == [
        ("2", 1, False, ""),
        ("2", 2, True, "tumour"),
        ("2", 3, True, "tumour"),
        ("2", 4, False, ""),
    ]
    assert [m > 0 for m in marked(found)] == [r.anomalous for r in found]
    assert len(list(brats(tumours, slices=True, stride=2))) == 4 and len(list(brats(tumours, stride=2))) == 1


def test_brats_knows_the_names_since_2023_the_misnamed_file_and_the_missing_one(tmp_path):
    for visit in ("000", "001"):
        case = f"BraTS-GLI-00005-{visit}"
        fake.volume(tmp_path / case / f"{case}-t2f.nii.gz")
        fake.volume(tmp_path / case / f"{case}-seg.nii.gz", {2: 1})
    assert [(r.group, r.truth_path.name) for r in brats(tmp_path)] == [
        ("BraTS-GLI-00005", "BraTS-GLI-00005-000-seg.nii.gz"),
        ("BraTS-GLI-00005", "BraTS-GLI-00005-001-seg.nii.gz"),
    ]
    case = tmp_path / "BraTS20_Training_355"
    fake.volume(case / f"{case.name}_flair.nii")
    misnamed = fake.volume(case / "W39_1998.09.19_Segm.nii", {2: 1})
    *_, last = brats(tmp_path)
    assert last.truth_path == misnamed
    misnamed.unlink()
    (problem,) = inspect("medical/brats", tmp_path).problems
    assert problem == f"mask {case}/{case.name}_seg.nii.gz: no such file."
    for path in tmp_path.glob("*/*seg*"):
        path.unlink()
    assert {r.truth_path for r in brats(tmp_path)} == {None}
    with pytest.raises(TruthError, match="slices need masks"):
        list(brats(tmp_path, slices=True))


@pytest.fixture
def task(tmp_path):
    """A task of the decathlon: the liver is label 1, a tumour of one of two patients label 2."""
    root = tmp_path / "Task03_Liver"
    for number, label in (("0", 2), ("1", 1)):
        fake.volume(root / f"imagesTr/liver_{number}.nii.gz")
        fake.volume(root / f"labelsTr/liver_{number}.nii.gz", {1: 1, 2: label}, np.float64)
        (root / f"imagesTr/._liver_{number}.nii.gz").write_bytes(b"junk")
    fake.volume(root / "imagesTs/liver_9.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"labels": LABELS, "numTraining": 3}))
    return root


def test_decathlon_takes_the_labels_that_are_named_like_an_anomaly(task):
    found = list(decathlon(task))
    assert [(r.group, r.anomalous, r.marks, r.category) for r in found] == [
        ("liver_0", True, (2,), "Task03_Liver"),
        ("liver_1", False, (2,), "Task03_Liver"),
    ]
    assert marked(found) == [2, 0]
    assert marked(decathlon(task, anomalous=[1])) == [2, 4]
    slices = list(decathlon(task, slices=True))
    assert [(r.group, r.slice) for r in slices if r.anomalous] == [("liver_0", 2)]
    report = inspect("medical/decathlon", task)
    assert not report.problems
    assert f"2 scans differ from the 3 of {task}/dataset.json." in report.warnings
    (task / "dataset.json").unlink()
    assert marked(decathlon(task)) == [4, 4]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "background", "1": "spleen"}, r"no label sounds like an anomaly \(0 background, 1 spleen\); say which"),
        (["liver"], "its labels cannot be read"),
    ],
)
def test_a_task_without_a_label_that_sounds_anomalous_asks_for_it(task, labels, message):
    (task / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(UserError, match=message):
        list(decathlon(task))
    assert len(list(decathlon(task, anomalous=[1]))) == 2


def test_a_label_that_is_none_of_the_task_is_refused_or_told(task):
    with pytest.raises(UserError, match=r"anomalous names 7, but the labels are 0 background, 1 liver, 2 cancer\.$"):
        list(decathlon(task, anomalous=[7]))
    with pytest.raises(
        UserError, match=r"anomalous names tumor, but the labels are 0 background, 1 liver, 2 cancer\.$"
    ):
        list(decathlon(task, anomalous=["tumor"]))
    assert [r.marks for r in decathlon(task, anomalous=["Cancer", 1])] == [(2, 1), (2, 1)]
    (task / "dataset.json").unlink()
    for asked in ([7], [2, 7]):
        told = "no mask has a voxel of the value 7, which anomalous asks for; masks have 1, 2."
        assert told in inspect("medical/decathlon", task, options={"anomalous": asked}).warnings
    assert not any("no mask" in w for w in inspect("medical/decathlon", task, options={"anomalous": [2]}).warnings)
    with pytest.raises(UserError, match=r"dataset\.json: its labels cannot be read .*; anomalous must name values\."):
        list(decathlon(task, anomalous=["cancer"]))


def test_labels_of_lits_have_names(tmp_path):
    fake.volume(tmp_path / "volume-1.nii")
    fake.volume(tmp_path / "segmentation-1.nii", {1: 1})
    assert [(r.anomalous, r.marks) for r in lits(tmp_path)] == [(False, (2,))]
    for anomalous in ([1, 2], ["liver", "tumour"]):
        assert [(r.anomalous, r.marks) for r in lits(tmp_path, anomalous=anomalous)] == [(True, (1, 2))]
    for anomalous in (["tumor"], [3]):
        with pytest.raises(
            UserError, match=rf"anomalous names {anomalous[0]}, but the labels are 1 liver, 2 tumour\.$"
        ):
            list(lits(tmp_path, anomalous=anomalous))


def test_which_values_count_is_part_of_what_the_set_is(task):
    assert fingerprint(list(decathlon(task, anomalous=[1]))) != fingerprint(list(decathlon(task, anomalous=[1, 0])))


def test_channels_lie_in_one_file_or_in_several(task):
    for number in ("0", "1"):
        fake.volume(task / f"imagesTr/liver_{number}.nii.gz", channels=2)
    found = list(decathlon(task, channel=1, slices=True))
    assert len(found) == 8 and sum(r.anomalous for r in found) == 1
    assert [r.anomalous for r in decathlon(task, channel=1)] == [True, False]
    refused = list(decathlon(task, slices=True))
    assert [r.frame for r in refused] == [None, None]  # reading them says to name a channel
    for number in ("0", "1"):
        (task / f"imagesTr/liver_{number}.nii.gz").unlink()
        for channel in ("0000", "0001"):
            fake.volume(task / f"imagesTr/liver_{number}_{channel}.nii.gz")
    second = list(decathlon(task, channel=1))
    assert [(r.path.name, r.group, r.anomalous) for r in second] == [
        ("liver_0_0001.nii.gz", "liver_0", True),
        ("liver_1_0001.nii.gz", "liver_1", False),
    ]
    assert marked(second) == [2, 0]


def test_a_mask_that_is_missing_or_twice_there_is_told(task):
    (task / "labelsTr/liver_0.nii.gz").unlink()
    (problem,) = inspect("medical/decathlon", task).problems
    assert problem == f"mask {task}/labelsTr/liver_0.nii.gz: no such file."
    fake.volume(task / "labelsTr/liver_1.nii", {2: 2})
    with pytest.raises(TruthError, match=r"labelsTr: several masks for one picture: liver_1.nii and liver_1.nii.gz"):
        list(decathlon(task))


def test_lits_pairs_numbers_across_folders_and_leaves_the_liver_out(tmp_path):
    for number, label in ((10, 1), (2, 2)):
        fake.volume(tmp_path / f"volume_pt{number}/volume-{number}.nii")
        fake.volume(tmp_path / f"segmentations/segmentation-{number}.nii", {1: 1, 2: label})
    fake.volume(tmp_path / "volume_pt2/volume-3.nii")
    fake.volume(tmp_path / "test/test-volume-0.nii")
    found = list(lits(tmp_path))
    assert [(r.path.name, r.group, r.anomalous) for r in found] == [
        ("volume-2.nii", "2", True),
        ("volume-3.nii", "3", True),
        ("volume-10.nii", "10", False),
    ]
    assert marked([found[0], found[2]]) == [2, 0]
    report = inspect("medical/lits", tmp_path)
    assert report.problems == [f"mask {tmp_path}/volume_pt2/segmentation-3.nii: no such file."]
    assert "3 scans differ from the published 131 with segmentations." in report.warnings
    sliced = list(lits(tmp_path, slices=True))
    assert [(r.group, r.slice) for r in sliced if r.anomalous] == [("2", 2), ("3", None)]
