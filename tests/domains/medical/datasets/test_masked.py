"""Sets with a mask a picture: every mask belongs to the picture of its stem."""

import fake_medical as fake
import numpy as np
import pytest
from PIL import Image

from domains.medical import Medical
from domains.medical.datasets import isic, meta_json, polyps, tn3k
from framework.config import load
from framework.data.index import open_all
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError


def marked(records):
    return [int(Medical().read(r).truth.sum()) for r in records]


def test_tn3k_pairs_by_stem_where_sorting_would_not(tmp_path):
    """One mask too many shifts every pair of two sorted lists."""
    stems = ["1", "1-2", "10", "2"]
    fake.masked(tmp_path / "test-image", tmp_path / "test-mask", stems, image=".jpg", ending=".png")
    fake.mask(tmp_path / "test-mask/0.png", marked=9)
    fake.litter(tmp_path / "test-image"), fake.litter(tmp_path / "test-mask")
    found = list(tn3k(tmp_path))
    assert {r.path.stem: n for r, n in zip(found, marked(found), strict=True)} == {"1": 1, "1-2": 2, "10": 3, "2": 4}
    images, masks = (sorted((tmp_path / f"test-{n}").glob("[0-9]*")) for n in ("image", "mask"))
    assert [p.stem for p, _ in zip(masks, images, strict=False)] != [p.stem for p in images]  # a trap indeed
    assert not list(tn3k(tmp_path, "train"))
    with pytest.raises(UserError, match="split: 'valid' is neither train nor test"):
        list(tn3k(tmp_path, "valid"))


def test_masks_stored_as_jpeg_are_cut_at_half_of_white(tmp_path):
    fake.masked(tmp_path / "images", tmp_path / "masks", ["a"])
    content = np.zeros((6, 8), np.uint8)
    content[2:4, 2:5] = 255
    (tmp_path / "masks/a.png").unlink()
    Image.fromarray(content).save(tmp_path / "masks/a.jpg", quality=50)
    assert (np.asarray(Image.open(tmp_path / "masks/a.jpg")) > 0).sum() > 6
    (found,) = polyps(tmp_path)
    assert marked([found]) == [6]


def test_isic_masks_carry_a_tail(tmp_path):
    part = tmp_path / "ISBI2016_ISIC_Part1_Test"
    fake.masked(tmp_path / f"{part}_Data", tmp_path / "x", ["ISIC_1", "ISIC_2"], image=".jpg")
    for number in (1, 2):
        fake.mask(tmp_path / f"{part}_GroundTruth/ISIC_{number}_Segmentation.png", marked=number + 2)
    found = list(isic(tmp_path))
    assert [(r.path.name, r.anomalous, r.category) for r in found] == [
        ("ISIC_1.jpg", True, "skin"),
        ("ISIC_2.jpg", True, "skin"),
    ]
    assert marked(found) == [3, 4]


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("image", "mask"), ("Original", "Ground Truth")])
@pytest.mark.parametrize(("image", "ending"), [(".png", ".png"), (".jpg", ".png"), (".tif", ".tif"), (".jpg", ".jpg")])
def test_polyps_of_one_set_or_of_several(tmp_path, images, masks, image, ending):
    for name in ("CVC-300", "Kvasir"):
        fake.masked(tmp_path / name / images, tmp_path / name / masks, "ab", image=image, ending=ending)
    (alone, together) = list(polyps(tmp_path / "Kvasir")), list(polyps(tmp_path))
    assert [(r.category, r.path.stem, r.anomalous, r.defect) for r in together] == [
        (c, s, True, "polyp") for c in ("CVC-300", "Kvasir") for s in "ab"
    ]
    assert together[2:] == alone
    if ending == ".png":
        assert marked(together) == [1, 2, 1, 2]


def test_masks_that_are_missing_of_another_size_or_ambiguous_are_told(tmp_path):
    fake.masked(tmp_path / "CVC-300/images", tmp_path / "CVC-300/masks", "abc")
    masks = tmp_path / "CVC-300/masks"
    (masks / "a.png").unlink()
    fake.mask(masks / "b.png", size=(3, 3))
    fake.mask(masks / "d.png")
    report = inspect("medical/polyps", tmp_path)
    assert report.problems == [
        f"mask {masks}/a.png: no such file.",
        f"mask {masks}/b.png: 3 x 3 pixels, its picture 8 x 6.",
    ]
    assert "CVC-300: 0 normal and 3 anomalous differ from the published 0 and 60 (CVC-300)." in report.warnings
    assert "no sample has these masks, so they are not read: masks/d.png." in report.warnings
    fake.picture(tmp_path / "CVC-300/images/b.jpg")
    with pytest.raises(TruthError, match=r"masks: several pictures for one mask: b.jpg and b.png\. Keep one of each"):
        list(polyps(tmp_path))
    fake.mask(masks / "c.jpg")
    with pytest.raises(TruthError, match=r"masks: several masks for one picture: c.jpg and c.png\."):
        list(polyps(tmp_path))


def test_a_set_of_anomalous_pictures_is_tested_on_its_pixels_and_said_to_be(tmp_path):
    fake.masked(tmp_path / "images", tmp_path / "masks", "abc")
    (tmp_path / "x.yaml").write_text(f"name: x\ntest: {{p: {{domain: medical, dataset: polyps, root: {tmp_path}}}}}\n")
    _, (index,) = open_all(load(tmp_path / "x.yaml", []), fit=False)
    assert index.counts == (0, 3) and index.has_truth
    report = inspect("medical/polyps", tmp_path)
    assert report.with_truth == 3 and not report.problems
    assert "every sample is anomalous: sample-level metrics have no meaning on this set alone." in report.warnings


def test_meta_json_lists_pictures_masks_and_labels(tmp_path):
    root = fake.meta_json(tmp_path)
    healthy, ill = meta_json(root)
    assert (healthy.anomalous, healthy.truth_path, healthy.defect) == (False, healthy.path, "")
    assert (ill.anomalous, ill.category, ill.defect) == (True, "colon", "defect")
    assert ill.truth_path == root / "colon/ground_truth/defect/1.png" and marked([healthy, ill]) == [0, 1]
    assert not list(meta_json(root, "train"))
    (root / "meta.json").write_text((root / "meta.json").read_text().replace('"test": {', '"Test": {'))
    assert len(list(meta_json(root))) == 2
    ill.truth_path.unlink()
    (problem,) = inspect("medical/meta_json", root).problems
    assert problem == f"mask {ill.truth_path}: no such file."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "meta.json: cannot be read"),
        ("[1]", "meta.json: cannot be read"),
        ('{"test": {"a": [{"img_path": "a.png", "cls_name": "a"}]}}', "entry 0 of test is not {img_path, cls_name"),
        ('{"test": {"a": [{"img_path": "a.png", "cls_name": "a", "anomaly": 2}]}}', "entry 0 of test"),
        ('{"test": {"a": [{"img_path": 3, "cls_name": "a", "anomaly": 1}]}}', "entry 0 of test"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(tmp_path, text, message):
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(UserError, match=message):
        list(meta_json(tmp_path))
