from pathlib import Path

import pytest

from domains.medical.datasets import findings, nifti


def test_pictures_are_read_with_patients_findings_and_masks(tmp_path):
    names = ("good/case1_1.png", "good/.hidden.png", "blob/case1_2.jpg", "masks/blob/case1_2.png", "good/notes.txt")
    for name in names:
        path = tmp_path / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    blob, good = findings(tmp_path)
    assert (good.anomalous, good.group, good.truth_path, good.defect) == (False, "case1", good.path, "")
    assert (blob.anomalous, blob.group, blob.defect) == (True, "case1", "blob")
    assert blob.truth_path == tmp_path / "test/masks/blob/case1_2.png"
    (tmp_path / "test/masks/blob/case1_2.png").unlink()
    (tmp_path / "test/masks/blob").rmdir()
    Path(tmp_path / "test/masks").rmdir()
    assert {r.truth_path for r in findings(tmp_path)} == {None}


@pytest.mark.parametrize("good", ["Good", "GOOD"])
def test_good_is_good_in_any_case(tmp_path, good):
    for ending in ("png", "nii.gz"):
        path = tmp_path / ending / "test" / good / f"a_1.{ending}"
        path.parent.mkdir(parents=True)
        path.touch()
    for dataset, ending in ((findings, "png"), (nifti, "nii.gz")):
        assert [(r.anomalous, r.defect) for r in dataset(tmp_path / ending)] == [(False, "")]
