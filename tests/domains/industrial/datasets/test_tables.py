"""Tables of anybody's pictures -> records; a wrong line is named by its number."""

import fake_industrial as fake
import numpy as np
import pytest

from domains.industrial import Industrial
from domains.industrial.datasets import meta_json, table
from framework.errors import UserError


def write(root, *lines, name="labels.csv", encoding="utf-8"):
    (root / name).write_text("\n".join(lines) + "\n", encoding=encoding)
    return root


def test_a_table_has_the_columns_it_likes_in_any_order_and_case(tmp_path):
    root = write(
        tmp_path,
        "Label, path,mask,category,group,split,defect",
        "good,a/1.png,,nut,lot1,test,",
        "",
        '1,"a/2, old.png",m/2.png,nut,lot2,test,dent',
        "NG,b/3.png,,cup,,test,hole",
        "0,b/4.png,,cup,,test,",
        "0,b/5.png,,cup,,train,",
        encoding="utf-8-sig",
    )
    records = list(table(root))
    assert [(r.path.name, r.anomalous, r.category, r.group, r.defect) for r in records] == [
        ("1.png", False, "nut", "lot1", ""),
        ("2, old.png", True, "nut", "lot2", "dent"),
        ("3.png", True, "cup", "", "hole"),
        ("4.png", False, "cup", "", ""),
    ]
    assert [r.truth_path for r in records] == [root / "a/1.png", root / "m/2.png", None, None]
    assert [r.path.name for r in table(root, "train")] == ["5.png"]


def test_a_table_of_two_columns_is_one_category_and_the_split_test(tmp_path):
    root = write(tmp_path / ".", "path,label", "1.png,normal", "2.png,anomalous", name="mine.csv")
    records = list(table(root, table="mine.csv"))
    assert [(r.path, r.anomalous, r.category) for r in records] == [
        (root / "1.png", False, tmp_path.name),
        (root / "2.png", True, tmp_path.name),
    ]
    assert list(table(root, "train", table="mine.csv")) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"labels\.csv, line 1: the columns are none\. Needed are path and label"),
        (["file,label"], r"line 1: the columns are file,label\. Needed are path and label"),
        (["path,label,size"], r"line 1: the columns are path,label,size\. .* there may be mask, category"),
        (["path,label,label"], r"line 1: the columns are path,label,label\. .* each once"),
        (["path,label", "1.png,0", "2.png"], r"labels\.csv, line 3: 1 cells, the header has 2: '2\.png'"),
        (["path,label", "1.png,0", "2.png,0,x"], r"line 3: 3 cells, the header has 2"),
        (
            ["path,label", "", "1.png,maybe"],
            r"line 3: needs a path and a label, one of 0, normal, .*; found '1\.png,maybe'",
        ),
        (["path,label", ",1"], r"line 2: needs a path and a label"),
        (["path,label,mask", "1.png,0,m.png"], r"line 2: a normal picture has no mask, found 'm\.png'"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        list(table(write(tmp_path, *lines)))


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read .*Set root to its folder, and table to its name"):
        list(table(tmp_path))
    (tmp_path / "labels.csv").write_bytes(b"path,label\n\xff\xfe,1\n")
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read"):
        list(table(tmp_path))


def test_meta_json_lists_pictures_with_masks_in_splits_of_any_case(tmp_path):
    root = fake.meta_json(tmp_path)
    normal, bad = meta_json(root)
    assert (normal.anomalous, normal.category, normal.truth_path) == (False, "Class1", normal.path)
    assert (bad.anomalous, bad.defect) == (True, "defect")
    assert np.flatnonzero(Industrial().read(bad).truth).tolist() == [12]
    assert list(meta_json(root, "train")) == []
    (root / "meta.json").write_text('{"test": {"x": [{"img_path": "a.png"}]}}')
    with pytest.raises(UserError, match=r"meta\.json: entry 0 of test is not \{img_path, cls_name, anomaly: 0 or 1\}"):
        list(meta_json(root))
