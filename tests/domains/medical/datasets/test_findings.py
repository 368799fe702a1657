from pathlib import Path

from domains.medical.datasets.findings import findings


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
