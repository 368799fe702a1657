"""Folders in the layouts of MVTec AD, ELPV and plain sets -> records; what is wrong in them -> one line."""

from pathlib import Path

import pytest

from domains.industrial import Industrial
from domains.industrial.datasets import elpv, folder, mvtec
from framework.data.inspection import inspect
from framework.errors import UnreadableError, UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_mvtec_lists_one_split_with_labels_masks_and_categories(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/good/000.png", "nut/test/bent/001.png", "nut/train/good/009.png", "nut/readme.txt")
    touch(tmp_path, "nut/ground_truth/bent/001_mask.png", "cup/test/good/000.JPG", "cup/test/good/._000.JPG")
    cup, bent, good = mvtec(tmp_path)
    assert (good.anomalous, good.category, good.defect, good.truth_path) == (False, "nut", "", good.path)
    assert (bent.anomalous, bent.category, bent.defect) == (True, "nut", "bent")
    assert bent.truth_path == tmp_path / "nut/ground_truth/bent/001_mask.png"
    assert (cup.path, cup.truth_path) == (tmp_path / "cup/test/good/000.JPG", None)  # no masks: labels only
    assert [r.path.name for r in mvtec(tmp_path, "train")] == ["009.png"]


def test_mvtec_reads_the_categories_asked_for_and_names_those_it_has(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/good/000.png", "cup/test/good/000.png")
    assert [r.category for r in mvtec(tmp_path, categories=["nut"])] == ["nut"]
    with pytest.raises(UserError, match=r"no category called 'nuts'\. Did you mean 'nut'\? Known: cup, nut"):
        list(mvtec(tmp_path, categories=["nuts"]))


def test_a_defect_whose_mask_is_missing_still_names_the_mask_it_should_have(tmp_path: Path) -> None:
    touch(tmp_path, "nut/test/bent/001.png", "nut/ground_truth/bent/002_mask.png")
    assert next(mvtec(tmp_path)).truth_path == tmp_path / "nut/ground_truth/bent/001_mask.png"


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    assert list(mvtec(tmp_path)) == [] and list(folder(tmp_path)) == []


def write_elpv(root: Path, *lines: str) -> Path:
    touch(root, *(f"images/cell{i}.png" for i in range(4)))
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


GOOD_LINES = (
    "images/cell0.png  0.0                 mono",
    "images/cell1.png  0.3333333333333333  poly",
    "",
    "images/cell2.png  0.6666666666666666  poly",
    "images/cell3.png  1.0                 mono",
)


def test_elpv_drops_uncertain_cells_as_papers_do_and_keeps_them_when_told(tmp_path: Path) -> None:
    root = write_elpv(tmp_path, *GOOD_LINES)
    dropped = list(elpv(root))
    assert [(r.path.name, r.anomalous, r.category) for r in dropped] == [
        ("cell0.png", False, "mono"),
        ("cell3.png", True, "mono"),
    ]
    kept = list(elpv(root, uncertain="keep"))
    assert [r.anomalous for r in kept] == [False, False, True, True]
    assert [r.probability for r in kept] == [0, 1 / 3, 2 / 3, 1]
    assert all(r.truth_path is None for r in kept)
    assert list(elpv(root, split="train")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("images/cell0.png high mono", r"labels\.csv, line 2: expected a path, a probability and a kind"),
        ("images/cell0.png 1.0", r"labels\.csv, line 2: expected a path, a probability and a kind"),
        ("images/cell0.png 1.5 mono", r"labels\.csv, line 2: a probability lies between 0 and 1, found 1\.5"),
        ("images/cell0.png nan mono", r"labels\.csv, line 2: a probability lies between 0 and 1, found nan"),
    ],
)
def test_a_wrong_line_of_labels_csv_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(elpv(write_elpv(tmp_path, GOOD_LINES[0], line)))


def test_a_cell_whose_picture_is_missing_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    root = write_elpv(tmp_path, "images/cell8.png 0.0 mono", "images/cell9.png 1.0 mono")
    report = inspect("industrial/elpv", root)
    assert report.problems == [f"{root / 'images' / name}: no such file." for name in ("cell8.png", "cell9.png")]
    with pytest.raises(UnreadableError, match=r"cell9\.png: no such file"):
        Industrial().read(list(elpv(root))[1])


def test_a_missing_or_unreadable_labels_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read"):
        list(elpv(tmp_path))
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(UserError, match=r"labels\.csv: cannot be read"):
        list(elpv(tmp_path))


def test_a_choice_that_elpv_does_not_know_names_those_it_does(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'kept'.*Did you mean 'keep'"):
        list(elpv(tmp_path, uncertain="kept"))


def test_a_plain_folder_is_normal_by_its_name_and_defective_by_any_other(tmp_path: Path) -> None:
    root = tmp_path / "lids"
    touch(root, "OK/1.png", "dent/2.png", "ground_truth/dent/2_mask.png")
    normal, dent = folder(root)
    assert (normal.anomalous, normal.category, normal.truth_path) == (False, "lids", normal.path)
    assert (dent.anomalous, dent.defect, dent.truth_path) == (True, "dent", root / "ground_truth/dent/2_mask.png")
