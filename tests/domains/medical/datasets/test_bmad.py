"""BMAD in every layout that is about; patients, slices and masks by name."""

import fake_medical as fake
import pytest

from domains.medical import Medical
from domains.medical.datasets import bmad
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError


def rows(records):
    return [(r.path.name, r.anomalous, r.category, r.group, r.nth, r.slice) for r in records]


@pytest.mark.parametrize(
    ("folder", "organ"),
    [
        ("Brain_AD", "brain"),
        ("BraTS2021_slice", "brain"),
        ("hist_DIY", "liver"),
        ("Retina_RESC_AD", "resc"),
        ("RESC", "resc"),
    ],
)
@pytest.mark.parametrize(("masks", "img"), [("anomaly_mask", True), ("label", True), ("label", False)])
def test_slices_carry_organ_patient_position_and_mask(tmp_path, folder, organ, masks, img):
    root = fake.bmad(tmp_path / folder, masks, img)
    found = list(bmad(root))
    assert rows(found) == [
        ("8_60.png", True, organ, f"{organ}/8", 60, 60),
        ("8_68.png", True, organ, f"{organ}/8", 68, 68),
        ("7_60.png", False, organ, f"{organ}/7", 60, 60),
        ("7_68.png", False, organ, f"{organ}/7", 68, 68),
    ]
    assert [Medical().read(r).truth.sum() for r in found] == [5, 5, 0, 0]
    assert found[0].truth_path == root / "test/Ungood" / masks / "8_60.png"
    assert list(bmad(tmp_path)) == found  # the root may be the folder of all sets
    assert [r.group for r in bmad(root, "train")] == [f"{organ}/1"] * 2 + [f"{organ}/2"] * 2
    assert not any(r.anomalous or r.truth_path for r in bmad(root, "train"))


def test_sets_without_masks_have_labels_and_the_patients_that_names_tell(tmp_path):
    for folder in ("Chest-RSNA", "OCT2017"):
        fake.bmad(tmp_path / folder, masks="")
    eye = tmp_path / "OCT2017/test"
    fake.picture(eye / "Ungood/img/CNV-1016042-1.png")
    fake.picture(eye / "good/img/NORMAL-1016042-2.png")
    found = list(bmad(tmp_path))
    assert {r.truth_path for r in found} == {None} and {r.category for r in found} == {"chest", "oct2017"}
    assert {r.group for r in found} == {"", "oct2017/1016042"} and {r.nth for r in found} == {None}
    warnings = inspect("medical/bmad", tmp_path).warnings
    assert any(w.startswith("chest: nobody knows which of 4 pictures are of one patient") for w in warnings)


def test_a_patient_in_two_splits_is_told(tmp_path):
    fake.bmad(tmp_path / "Liver_AD", patients=("1", "8"))
    report = inspect("medical/bmad", tmp_path / "Liver_AD")
    (line,) = [w for w in report.warnings if "split train" in w]
    assert line.startswith("1 of 2 patients of split test are in split train too: liver/1.")
    assert not report.problems and not any("split valid" in w for w in report.warnings)


def test_counts_that_differ_from_the_published_and_missing_masks_are_told(tmp_path):
    fake.bmad(tmp_path / "Brain_AD", masks="")
    warnings = inspect("medical/bmad", tmp_path).warnings
    assert "brain, split test: 2 normal and 2 anomalous differ from the published 640 and 3,075 (BMAD)." in warnings
    assert any(w.startswith("brain: has no folder of masks") for w in warnings)


def test_masks_that_are_missing_of_another_size_or_twice_there_are_told(tmp_path):
    root = fake.bmad(tmp_path / "RESC")
    place = root / "test/Ungood/anomaly_mask"
    (place / "8_60.png").unlink()
    fake.mask(place / "8_68.png", size=(4, 4))
    missing, size = inspect("medical/bmad", root).problems
    assert missing == f"mask {place}/8_60.png: no such file."
    assert size == f"mask {place}/8_68.png: 4 x 4 pixels, its picture 8 x 6."
    fake.mask(place / "8_68.bmp")
    with pytest.raises(TruthError, match=r"anomaly_mask: several masks for one picture: 8_68.bmp and 8_68.png\. Keep"):
        inspect("medical/bmad", root)
    fake.mask(root / "test/Ungood/label/8_68.png")
    with pytest.raises(TruthError, match="Ungood: has both anomaly_mask and label"):
        list(bmad(root))


def test_two_copies_of_one_set_and_other_splits_are_refused(tmp_path):
    for folder in ("Brain_AD", "BraTS2021_slice"):
        fake.bmad(tmp_path / folder)
    with pytest.raises(UserError, match="a second copy of brain beside BraTS2021_slice"):
        list(bmad(tmp_path))
    with pytest.raises(UserError, match="split: 'val' is none of BMAD's: train, valid, test"):
        list(bmad(tmp_path, "val"))
