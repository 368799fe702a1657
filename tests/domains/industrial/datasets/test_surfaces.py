"""DAGM, magnetic tiles, DeepPCB and Real-IAD -> records; what is wrong in their lists -> one line."""

import json

import fake_industrial as fake
import numpy as np
import pytest

from domains.industrial import Industrial
from domains.industrial.datasets import dagm, deeppcb, mtd, realiad
from framework.data.inspection import inspect
from framework.errors import TruthError, UserError


def marked(record):
    return np.flatnonzero(Industrial().read(record).truth).tolist()


def test_a_picture_of_dagm_is_anomalous_where_it_has_a_label(tmp_path):
    root = fake.dagm(tmp_path)
    for split in ("test", "train"):
        found = [(r.category, r.path.parent.name, r.path.name, r.anomalous) for r in dagm(root, split)]
        assert found == [(name, split.title(), f"000{n}.PNG", n == 2) for name in ("Class1", "Class10") for n in (1, 2)]
    assert [marked(r) for r in dagm(root)] == [[], [1, 2]] * 2


def test_a_defective_picture_of_dagm_without_its_mask_is_missed_and_nested_classes_are_read(tmp_path):
    root = fake.dagm(tmp_path)
    (root / "Class1/Test/Label/0002_label.PNG").unlink()
    (root / "Class10").rename(root / "inner"), (root / "Class10").mkdir()
    (root / "inner").rename(root / "Class10/Class10")
    assert [(r.category, r.anomalous) for r in dagm(root)] == [(c, a) for c in ("Class1", "Class10") for a in (0, 1)]
    (problem,) = inspect("industrial/dagm", root).problems
    assert problem.startswith(f"{root}/Class1/Test/Label/0002_label.PNG: the mask is missing")


def test_a_magnetic_tile_is_named_by_its_folder_and_grouped_by_its_number(tmp_path):
    root = fake.mtd(tmp_path)
    found = [(r.path.name, r.anomalous, r.defect, r.group) for r in mtd(root)]
    assert found == [
        ("exp1_num_8.jpg", True, "crack", "8"),
        ("exp2_num_8.jpg", True, "crack", "8"),
        ("exp1_num_7.jpg", False, "", "7"),
    ]
    assert [marked(r) for r in mtd(root)] == [[6], [6], []] and list(mtd(root, "train")) == []
    (root / "MT_Crack/Imgs/exp2_num_8.png").unlink()
    (problem,) = inspect("industrial/mtd", root).problems
    assert problem.startswith(f"{root}/MT_Crack/Imgs/exp2_num_8.png: the mask is missing")


def test_a_pair_of_deeppcb_is_one_group_with_boxes_as_its_truth(tmp_path):
    root = fake.deeppcb(tmp_path)
    tested, template = deeppcb(root)
    assert (tested.path.name, tested.anomalous, tested.defect) == ("20085291_test.jpg", True, "open, pin-hole")
    assert (template.path.name, template.anomalous, template.group) == ("20085291_temp.jpg", False, tested.group)
    assert marked(tested) == [9, 10, 17, 18, *range(20, 24), *range(28, 32), *range(36, 40), *range(44, 48)]
    assert marked(template) == []
    assert [r.path.name for r in deeppcb(root / "PCBData", "train", templates=False)] == ["20085000_test.jpg"]
    assert list(deeppcb(root, "val")) == []


@pytest.mark.parametrize("line", ["a.jpg", "a.png b.txt", "a.jpg b.txt c"])
def test_a_wrong_list_of_deeppcb_is_named(tmp_path, line):
    root = fake.deeppcb(tmp_path)
    (root / "PCBData/test.txt").write_text(f"\n{line}\n")
    with pytest.raises(UserError, match=rf"test\.txt, line 2: expected a \.jpg and a \.txt, found '{line}'"):
        list(deeppcb(root))
    (root / "PCBData/test.txt").unlink()
    with pytest.raises(UserError, match=r"PCBData/test\.txt: cannot be read .*Set root"):
        list(deeppcb(root))


def test_a_wrong_box_of_deeppcb_is_named(tmp_path):
    with pytest.raises(TruthError, match=r"20085291\.txt, line 1: expected left, top, right, bottom"):
        list(deeppcb(fake.deeppcb(tmp_path, boxes="1 1 3 3\n")))


def test_the_views_of_a_sample_of_real_iad_are_one_group_and_normal_where_nothing_shows(tmp_path):
    root = fake.realiad(tmp_path)
    records = list(realiad(root))
    assert len(records) == 10 and {r.group for r in records} == {"mint/OK/S0002", "mint/NG/HS/S0001"}
    (bad,) = (r for r in records if r.anomalous)
    assert (bad.category, bad.defect, marked(bad)) == ("mint", "scratch", [10])
    assert [marked(r) for r in records if not r.anomalous] == [[]] * 9
    assert {r.group for r in realiad(root, "train")} == {"mint/OK/S0001"}
    assert len(list(realiad(root, lists="realiad_jsons_sv"))) == 1
    (root / "realiad_jsons").rename(root / "inner"), (root / "realiad_jsons").mkdir()
    (root / "inner").rename(root / "realiad_jsons/realiad_jsons")  # as the archive of the lists unpacks
    assert list(realiad(root)) == records


def test_a_size_or_list_of_real_iad_that_is_not_there_is_named(tmp_path):
    root = fake.realiad(tmp_path)
    fake.realiad(root, size=1024, views=1)
    with pytest.raises(
        UserError, match=r"not one size of pictures; folders realiad_<size> there are: 256, 1024\. Set size"
    ):
        list(realiad(root))
    with pytest.raises(UserError, match="no pictures of size 512"):
        list(realiad(root, size=512))
    assert next(realiad(root, size=1024)).path.is_relative_to(root / "realiad_1024")
    with pytest.raises(UserError, match=r"realiad_jsons_fuiad_0\.9: no lists of Real-IAD"):
        list(realiad(root, size=256, lists="realiad_jsons_fuiad_0.9"))
    with pytest.raises(UserError, match=r"no category called 'mints'\. Did you mean 'mint'"):
        list(realiad(root, size=256, categories=["mints"]))


@pytest.mark.parametrize("entry", ["text", {"image_path": "a.jpg"}, {"image_path": 1, "anomaly_class": "OK"}])
def test_a_wrong_entry_of_real_iad_is_named(tmp_path, entry):
    table = fake.realiad(tmp_path) / "realiad_jsons/mint.json"
    held = json.loads(table.read_text())
    table.write_text(json.dumps(held | {"test": [held["test"][0], entry]}))
    with pytest.raises(UserError, match=r"mint\.json: entry 1 of test needs the texts image_path and anomaly_class"):
        list(realiad(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", '{"meta": {}}', '{"meta": {"prefix": "a"}}'])
def test_a_list_of_real_iad_that_is_none_is_named(tmp_path, text):
    (fake.realiad(tmp_path) / "realiad_jsons/mint.json").write_text(text)
    with pytest.raises(UserError, match=r"mint\.json: no list of Real-IAD"):
        list(realiad(tmp_path))
