"""The table of ELPV -> records; what is wrong in it -> one line."""

from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

from domains.industrial import Industrial
from domains.industrial.datasets import elpv
from framework.data.inspection import inspect
from framework.errors import UnreadableError, UserError


def write_elpv(root: Path, *lines: str) -> Path:
    (root / "images").mkdir()
    for i in range(4):
        (root / f"images/cell{i}.png").touch()
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
    with pytest.raises(UserError, match="value of normals called 'half'"):
        list(elpv(tmp_path, normals="half"))


def test_a_quarter_of_the_normal_cells_is_tested_as_scikit_learn_draws_it(tmp_path: Path) -> None:
    root = write_elpv(tmp_path, *(f"images/cell{i}.png {float(i % 5 == 0)} mono" for i in range(50)))
    names = [f"cell{i}.png" for i in range(50) if i % 5]
    train, test = train_test_split(names, test_size=0.25, random_state=42)
    assert {r.path.name for r in elpv(root, "train", normals="quarter")} == set(train)
    tested = list(elpv(root, normals="quarter"))
    assert {r.path.name for r in tested if not r.anomalous} == set(test) and len(test) == 10
    assert sum(r.anomalous for r in tested) == 10
