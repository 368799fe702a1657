"""One-vs-rest: a class to train on, and all but it to test on."""

import pytest
from fake import Reader

from framework.config import DataConfig
from framework.data.index import Index, _check_files, open_index
from framework.errors import TruthError, UserError
from framework.types import Record


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, {"bolt", "cup", "nut"}),
        ({"categories": ["cup"]}, {"cup"}),
        ({"exclude": ["cup"]}, {"bolt", "nut"}),
        ({"categories": ["cup", "nut"], "exclude": ["cup"]}, {"nut"}),
    ],
)
def test_categories_are_kept_and_left_out(tmp_path, chosen, found):
    for category in ("bolt", "cup", "nut"):
        path = tmp_path / category / "test" / "good" / "0.png"
        path.parent.mkdir(parents=True)
        path.touch()
    index = open_index("parts", DataConfig("industrial", "mvtec", str(tmp_path), **chosen))
    assert {record.category for record in index.records} == found


def test_shares_of_a_set_part_its_groups(tmp_path):
    for number in range(10):
        for label in ("yes", "no"):
            path = tmp_path / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    parts = [open_index("s", DataConfig("medical", "yes_no", str(tmp_path), share=s)) for s in ([0, 0.7], [0.7, 1])]
    assert [index.counts for index in parts] == [(7, 7), (3, 3)]
    assert not {r.path for r in parts[0].records} & {r.path for r in parts[1].records}
    with pytest.raises(UserError, match=r"s: share \[0.99, 1\] holds none of its groups"):
        open_index("s", DataConfig("medical", "yes_no", str(tmp_path), share=[0.99, 1]))


@pytest.mark.parametrize(("trained", "split"), [(True, "train"), (False, "test")])
def test_a_set_made_to_train_on_takes_its_split_by_its_use(tmp_path, trained, split):
    from PIL import Image

    for number in range(8):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    made = open_index("s", DataConfig("medical", "synthetic", str(tmp_path)), trained=trained)
    given = open_index("s", DataConfig("medical", "synthetic", str(tmp_path), split))
    assert made.config.split == split and made.records == given.records


def test_every_file_of_element_truth_must_be_there(tmp_path):
    for name in ("a.png", "m1.png"):
        (tmp_path / name).touch()
    record = Record(tmp_path / "a.png", True, "x", truth_path=tmp_path / "m1.png", more_truth=(tmp_path / "m2.png",))
    with pytest.raises(TruthError, match=r"a\.png: its ground truth .*m2\.png is missing"):
        _check_files(Index("s", DataConfig("fake", "s", str(tmp_path)), [record], Reader()))
    (tmp_path / "m2.png").touch()
    _check_files(Index("s", DataConfig("fake", "s", str(tmp_path)), [record], Reader()))
