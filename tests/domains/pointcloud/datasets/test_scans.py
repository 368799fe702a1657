import fake_clouds
import numpy as np
import pytest
import yaml
from fake_clouds import save

from domains.pointcloud.datasets import eyecandies, mvtec3d
from domains.pointcloud.files import load
from domains.pointcloud.truth import truth_of
from framework.data.fingerprint import fingerprint
from framework.errors import TruthError, UserError

pytest.importorskip("tifffile")


def test_mvtec3d_lists_scans_with_their_masks(tmp_path) -> None:
    root = fake_clouds.mvtec3d(tmp_path)
    good, _, hole, _ = mvtec3d(root)
    assert (good.path, good.truth_path, good.anomalous) == (root / "bagel/test/good/xyz/000.tiff", good.path, False)
    assert (hole.defect, hole.truth_path) == ("hole", root / "bagel/test/hole/gt/000.png")
    assert {r.category for r in mvtec3d(root)} == {"bagel"}
    for split in ("train", "validation"):
        assert [(r.anomalous, r.truth_path == r.path) for r in mvtec3d(root, split)] == [(False, True)] * 2
    shape = load(hole.path)
    assert truth_of(hole, shape).mask.sum() == 27 and shape.colours is not None
    with pytest.raises(UserError, match="no split 'val'; use train, validation or test"):
        list(mvtec3d(root, "val"))


def test_a_mask_that_is_missing_is_named_all_the_same(tmp_path) -> None:
    root = fake_clouds.mvtec3d(tmp_path)
    (root / "bagel/test/hole/gt/000.png").unlink()
    hole = list(mvtec3d(root))[2]
    with pytest.raises(TruthError, match=r"hole/gt/000\.png: no such picture of the truth"):
        truth_of(hole, load(hole.path))


def test_m3dms_copy_of_eyecandies_has_the_layout_of_mvtec3d(tmp_path) -> None:
    for part, dent in (("train/good", False), ("test/good", False), ("test/bad", True)):
        fake_clouds.write_scan(tmp_path / "Confetto" / part, dent=dent)
    assert [(r.anomalous, r.defect) for r in mvtec3d(tmp_path)] == [(True, "bad"), (False, "")]


def test_eyecandies_lists_depth_pictures_with_the_kinds_of_their_anomalies(tmp_path) -> None:
    root = fake_clouds.eyecandies(tmp_path)
    good, bad = eyecandies(root)
    data = root / "Confetto/test_public/data"
    assert (good.path, good.truth_path, good.category) == (data / "00_depth.png", good.path, "Confetto")
    assert (bad.anomalous, bad.defect, bad.truth_path) == (True, "dents", data / "01_mask.png")
    assert [len(list(eyecandies(root, split))) for split in ("train", "val")] == [2, 2]
    assert truth_of(bad, load(bad.path)).mask.sum() == 27
    (data / "01_metadata.yaml").write_text(yaml.safe_dump({"anomalous": 1, "colors": 1, "bumps": 1}))
    assert list(eyecandies(root))[1].defect == "bumps+colors"


def test_the_private_split_of_eyecandies_is_refused_with_the_reason(tmp_path) -> None:
    with pytest.raises(UserError, match="test_private was published without labels; use test_public") as error:
        list(eyecandies(tmp_path, "test_private"))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no split 'test'; use train, val or test_public"):
        list(eyecandies(tmp_path, "test"))


def test_without_metadata_the_mask_says_what_a_sample_is(tmp_path) -> None:
    root = fake_clouds.eyecandies(tmp_path)
    data = root / "Confetto/test_public/data"
    for name in ("00", "01"):
        (data / f"{name}_metadata.yaml").unlink()
    assert [(r.anomalous, r.defect) for r in eyecandies(root)] == [(False, ""), (True, "anomaly")]
    (data / "01_mask.png").unlink()
    with pytest.raises(TruthError, match=r"01_depth\.png: neither 01_metadata\.yaml nor 01_mask\.png says") as error:
        list(eyecandies(root))
    assert "\n" not in str(error.value)
    save(data / "01_mask.png", np.zeros((64, 64), np.uint8))
    assert not any(r.anomalous for r in eyecandies(root))


@pytest.mark.parametrize("text", ["a: [", "3", "anomalous: maybe", "- 1"])
def test_metadata_that_say_nothing_are_refused(tmp_path, text) -> None:
    root = fake_clouds.eyecandies(tmp_path)
    told = root / "Confetto/test_public/data/00_metadata.yaml"
    told.write_text(text)
    if text == "- 1":
        assert not next(eyecandies(root)).anomalous  # no word of it: the mask says
        return
    with pytest.raises(TruthError, match=r"00_metadata\.yaml: must read 'anomalous: 0' or 'anomalous: 1'\."):
        list(eyecandies(root))


def test_the_photograph_is_part_of_what_a_scan_is(tmp_path):
    records = list(mvtec3d(fake_clouds.mvtec3d(tmp_path)))
    before = fingerprint(records)
    (picture,) = records[0].beside
    fake_clouds.save(picture, np.zeros((fake_clouds.SIDE, fake_clouds.SIDE, 3), np.uint8))
    assert fingerprint(records) != before
