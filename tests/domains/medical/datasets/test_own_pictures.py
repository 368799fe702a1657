from pathlib import Path

import pytest

from domains.medical.datasets import findings, nifti
from domains.medical.datasets.published import nifti as checked_nifti
from domains.medical.datasets.published import own_pictures


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


def test_masks_that_no_scan_has_are_told(tmp_path):
    for ending, other, check in (("png", "jpg", own_pictures), ("nii.gz", "nii.gz", checked_nifti)):
        place = tmp_path / ending / "test"
        for name in (f"blob/a_1.{other}", f"blob/a_2.{other}", f"masks/blob/a_1.{ending}", f"masks/blob/a_2.{ending}"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).touch()
        records = list((findings if ending == "png" else nifti)(place.parent))
        assert check(records, "test") == check(records[:1], "test") == []  # stride takes some of them
        for name in (f"masks/blob/a_3.{ending}", f"masks/blub/a_1.{ending}"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).touch()
        wanted = f"no sample has these masks, so they are not read: blob/a_3.{ending}, blub/a_1.{ending}."
        assert check(records, "test") == [wanted]
