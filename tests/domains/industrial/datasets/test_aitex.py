"""Long pictures of fabric -> tiles, and which of them are samples."""

import fake_industrial as fake
import numpy as np
import pytest
from PIL import Image

from domains.industrial import Industrial
from domains.industrial.datasets import aitex
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError


@pytest.mark.parametrize("nested", [False, True])
def test_every_tile_of_a_normal_picture_and_the_marked_tiles_of_the_others_are_samples(tmp_path, nested):
    records = list(aitex(fake.aitex(tmp_path, nested)))
    found = [(r.path.stem, r.frame, r.anomalous, r.defect) for r in records]
    assert found == [
        *((stem, frame, False, "") for stem in ("0001_000_00", "0002_000_00") for frame in range(4)),
        ("0003_002_00", 0, True, "broken end"),
        ("0003_002_00", 3, True, "broken end"),
        ("0044_019_04", 1, True, "fuzzyball"),
    ]
    assert {r.box for r in records if r.frame == 3} == {(768, 0, 1024, 256)}
    assert len({r.group for r in records}) == 4 and len({r.id for r in records}) == len(records)


def test_a_tile_has_its_pixels_and_its_part_of_all_masks(tmp_path):
    *_, first, last, double = aitex(fake.aitex(tmp_path))
    reader = Industrial()
    assert np.flatnonzero(reader.read(first).truth).tolist() == [255]
    assert np.flatnonzero(reader.read(last).truth).tolist() == [0]
    assert np.flatnonzero(reader.read(double).truth).tolist() == [0, 1]
    assert (reader.read(last).views[0, 0] == np.asarray(Image.open(last.path))[:, 768:]).all()


def test_the_last_tile_of_a_picture_of_another_width_is_narrower(tmp_path):
    root = fake.aitex(tmp_path)
    fake.picture(root / "NODefect_images/x/0009_000_00.png", (256, 300))
    boxes = [r.box for r in aitex(root) if r.path.stem == "0009_000_00"]
    assert boxes == [(0, 0, 256, 256), (256, 0, 300, 256)]
    assert Industrial().read(next(r for r in aitex(root) if r.box == boxes[1])).views.shape == (1, 3, 256, 44)


def test_a_quarter_of_the_normal_tiles_is_tested_and_the_rest_is_for_training(tmp_path):
    root = fake.aitex(tmp_path)
    tested, trained = list(aitex(root, normals="quarter")), list(aitex(root, "train", normals="quarter"))
    assert sum(not r.anomalous for r in tested) == 2 and sum(r.anomalous for r in tested) == 3
    assert len(trained) == 6 and not {r.id for r in trained} & {r.id for r in tested}
    assert list(aitex(root, "train")) == []


def test_wrong_choices_folders_and_masks_are_named(tmp_path):
    with pytest.raises(UserError, match="value of normals called 'some'"):
        list(aitex(tmp_path, normals="some"))
    with pytest.raises(UserError, match=r"no folder NODefect_images\. Set root to the folder that holds it"):
        list(aitex(tmp_path))
    fake.mask(fake.aitex(tmp_path) / "Mask_images/0100_025_08_mask.png", 5, size=(256, 512))
    with pytest.raises(TruthError, match=r"0100_025_08_mask\.png: the mask is 512 x 256 pixels, its picture"):
        list(aitex(tmp_path))


def test_pictures_without_a_tile_are_told(tmp_path):
    report = inspect("industrial/aitex", fake.aitex(tmp_path))
    assert report.problems == [] and report.with_truth == 3
    assert report.warnings[-2:] == [
        "AITEX in tiles, split test: 8 normal and 3 anomalous differ from the published 2,240 and 183 (140 pictures) "
        "or 2,256 and 183 (141, Kaggle) or 560 and 183 (a quarter of 140 pictures) or 564 and 183 (a quarter of 141, "
        "Kaggle).",
        "no tile is of 0100_025_08.png, 0106_010_03.png: no mask, or an empty one.",
    ]
