"""Tables in the layouts of VisA and SDLS -> records; what is wrong in them -> one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from domains.industrial import Industrial
from domains.industrial.datasets.described import sdls, visa
from framework.data.inspection import inspect
from framework.errors import TruthError, UnreadableError, UserError

HEAD = "object,split,label,image,mask"
ROWS = (
    "nut,train,normal,nut/Data/Images/Normal/0.JPG,",
    "nut,test,normal,nut/Data/Images/Normal/1.JPG,",
    "nut,test,anomaly,nut/Data/Images/Anomaly/000.JPG,nut/Data/Masks/Anomaly/000.png",
)


def write_visa(root: Path, *lines: str) -> Path:
    (root / "split_csv").mkdir(parents=True)
    (root / "split_csv" / "1cls.csv").write_text("\n".join(lines) + "\n")
    return root


def draw(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_visa_lists_one_split_with_labels_masks_and_categories(tmp_path: Path) -> None:
    write_visa(tmp_path, HEAD, *ROWS, "")
    normal, bad = visa(tmp_path)
    assert (normal.path, normal.anomalous, normal.category) == (tmp_path / ROWS[1].split(",")[3], False, "nut")
    assert normal.truth_path == normal.path  # says that no pixel is anomalous
    assert (bad.path.name, bad.anomalous) == ("000.JPG", True)
    assert bad.truth_path == tmp_path / "nut/Data/Masks/Anomaly/000.png"
    assert [r.path.name for r in visa(tmp_path, "train")] == ["0.JPG"]


def test_every_number_in_a_mask_of_visa_marks_an_anomaly(tmp_path: Path) -> None:
    write_visa(tmp_path, HEAD, *ROWS)
    mask = np.zeros((8, 8), np.uint8)
    mask[1, 2], mask[5, 6:8] = 1, 3  # kinds of defects
    for grey, row in enumerate(ROWS[1:]):
        draw(tmp_path / row.split(",")[3], np.full((8, 8, 3), 90 * grey, np.uint8))
    draw(tmp_path / "nut/Data/Masks/Anomaly/000.png", mask)
    normal, bad = (Industrial().read(record).truth for record in visa(tmp_path))
    assert normal is not None and not normal.any()
    assert bad is not None and np.flatnonzero(bad).tolist() == [10, 46, 47]
    assert inspect("industrial/visa", tmp_path).problems == []


def test_a_missing_mask_of_visa_is_named(tmp_path: Path) -> None:
    write_visa(tmp_path, HEAD, ROWS[2])
    draw(tmp_path / ROWS[2].split(",")[3], np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(TruthError, match=r"Masks/Anomaly/000\.png: the mask is missing"):
        Industrial().read(next(visa(tmp_path)))


@pytest.mark.parametrize(
    "line",
    [
        "nut,test,broken,nut/1.JPG,",
        "nut,test,anomaly,nut/1.JPG,",
        "nut,test,normal,nut/1.JPG,nut/1.png",
        "nut,,normal,nut/1.JPG,",
        "nut,test,normal,nut/1.JPG",
        "nut",
    ],
)
def test_a_wrong_line_of_visa_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"1cls\.csv, line 3: expected an object, a split, .*; found '" + line + "'"):
        list(visa(write_visa(tmp_path, HEAD, ROWS[0], line)))


def test_a_missing_table_or_head_of_visa_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split_csv/1cls\.csv: cannot be read .*Set root to the folder"):
        list(visa(tmp_path))
    with pytest.raises(UserError, match=r"1cls\.csv, line 1: expected the columns object,split,label,image,mask"):
        list(visa(write_visa(tmp_path, *ROWS)))


Check = dict[str, Any]


def record(image: str, check: str, anomalous: bool, kind: str | None = None) -> Check:
    step, phase = check.split("_")
    return {
        "Image_Id": f"data/image/{image}",
        "step": step,
        "phase": phase,
        "Anomaly_Label": anomalous,
        "Anomaly_Type": kind,
    }


def write_sdls(root: Path, **arms: Any) -> Path:
    folder = root / "data" / "annotation"
    folder.mkdir(parents=True)
    for arm, records in arms.items():
        (folder / f"records_{arm}_final.json").write_text(json.dumps(records))
    return root


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """1 is normal twice, 2 normal once and anomalous once, 3 anomalous in two ways, 4 of the other arm."""
    mobile = [
        record("1.jpg", "step5_post", False),
        record("1.jpg", "step10_pre", False),
        record("2.jpg", "step12_post", False),
        record("2.jpg", "step14_pre", True, "Inoperable Object"),
        record("3.jpg", "step14_pre", True, "Missing"),
        record("3.jpg", "step16_pre", True, "Inoperable Object"),
    ]
    return write_sdls(tmp_path, mobile_arm=mobile, fix_arm=[record("4.jpg", "step14_pre", False)])


def test_sdls_gives_one_record_a_picture_that_its_checks_agree_on(laboratory: Path) -> None:
    found = list(sdls(laboratory))
    assert [(r.path.name, r.anomalous, r.category, r.defect) for r in found] == [
        ("4.jpg", False, "fix_arm", ""),
        ("1.jpg", False, "mobile_arm", ""),
        ("3.jpg", True, "mobile_arm", "Inoperable Object, Missing"),
    ]
    assert found[0].path == laboratory / "data/image/4.jpg" and found[0].truth_path is None
    assert len({r.id for r in found}) == len(found)
    assert list(sdls(laboratory, "train")) == []


def test_one_check_of_sdls_decides_a_picture_that_several_disagree_on(laboratory: Path) -> None:
    found = [(r.path.name, r.anomalous, r.defect) for r in sdls(laboratory, check="step14_pre")]
    assert found == [("4.jpg", False, ""), ("2.jpg", True, "Inoperable Object"), ("3.jpg", True, "Missing")]
    assert [(r.path.name, r.anomalous) for r in sdls(laboratory, check="step12_post")] == [("2.jpg", False)]
    with pytest.raises(UserError, match=r"annotation: no check called 'step14pre'\. Did you mean 'step14_pre'\?"):
        list(sdls(laboratory, check="step14pre"))


def test_the_pictures_of_sdls_are_found_where_the_table_says(laboratory: Path) -> None:
    for name in ("1", "2", "3"):
        draw(laboratory / f"data/image/{name}.jpg", np.full((8, 8, 3), int(name) * 50, np.uint8))
    report = inspect("industrial/sdls", laboratory)
    assert report.problems == [f"{laboratory / 'data/image/4.jpg'}: no such file."]
    assert report.counts == (2, 1)


def without(key: str) -> Callable[[Check], Check]:
    return lambda whole: {k: v for k, v in whole.items() if k != key}


@pytest.mark.parametrize(
    "spoil", [*map(without, ("Image_Id", "step", "phase", "Anomaly_Label")), lambda r: r | {"Anomaly_Label": "no"}, str]
)
def test_a_wrong_record_of_sdls_is_named(tmp_path: Path, spoil: Callable[[Check], Any]) -> None:
    good = record("1.jpg", "step5_post", False)
    write_sdls(tmp_path, fix_arm=[good, spoil(good)])
    with pytest.raises(UserError, match=r"records_fix_arm_final\.json, record 2: needs the texts Image_Id, step and"):
        list(sdls(tmp_path))


def test_missing_or_broken_records_of_sdls_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data/annotation: no records_\*\.json\. Set root to the folder that holds"):
        list(sdls(tmp_path))
    write_sdls(tmp_path, fix_arm={})
    with pytest.raises(UserError, match=r"records_fix_arm_final\.json: expected a list of records"):
        list(sdls(tmp_path))
    file = tmp_path / "data/annotation/records_fix_arm_final.json"
    for content in (b'[{"Image_Id": ', b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(
            UnreadableError, match=r"records_fix_arm_final\.json: not JSON \(.*\)\. Fetch the file again"
        ):
            list(sdls(tmp_path))
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match=r"records_fix_arm_final\.json: cannot be read \(Is a directory\)"):
        list(sdls(tmp_path))
