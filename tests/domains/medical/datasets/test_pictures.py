"""Sets of pictures with labels only, and what can and cannot be known of them."""

import re

import fake_medical as fake
import numpy as np
import pytest
from PIL import Image

from domains.medical import Medical
from domains.medical.datasets import covid, head_ct, yes_no
from framework.cli import main
from framework.data.inspection import inspect
from framework.errors import UnreadableError, UserError


def labels(records):
    return [(r.path.name, r.anomalous) for r in records]


def test_yes_no_takes_pictures_of_any_case_and_nothing_else(tmp_path):
    for name in ("yes/Y1.JPG", "yes/Y2.jpeg", "no/1 no.png", "no/2.jpg"):
        fake.picture(tmp_path / name)
    fake.litter(tmp_path / "no", "._2.jpg", "notes.txt")
    (tmp_path / "no/folder.png").mkdir()
    (tmp_path / "yes/Y3.png").symlink_to(tmp_path / "gone.png")
    *records, broken = yes_no(tmp_path)
    assert labels(records) == [("1 no.png", False), ("2.jpg", False), ("Y1.JPG", True), ("Y2.jpeg", True)]
    with pytest.raises(UnreadableError, match=r"yes/Y3.png: no such file"):
        Medical().read(broken)
    assert {(r.truth_path, r.group, r.nth, r.category) for r in records} == {(None, "", None, "brain")}


def test_yes_no_and_head_ct_read_the_re_release_by_its_splits(tmp_path):
    for split, number in (("train", 1), ("test", 2), ("test", 3)):
        for label in ("good", "defect"):
            fake.picture(tmp_path / split / label / f"{number}.png")
    for dataset in (yes_no, head_ct):
        assert labels(dataset(tmp_path, "train")) == [("1.png", False), ("1.png", True)]
        assert labels(dataset(tmp_path)) == [("2.png", False), ("3.png", False), ("2.png", True), ("3.png", True)]


def test_names_with_several_endings_wrong_counts_and_unknown_patients_are_told(tmp_path):
    for name in ("no/1.png", "no/1.jpg", "no/2.png", "yes/1.png"):
        fake.picture(tmp_path / name)
    counts, endings, patients = inspect("medical/yes_no", tmp_path).warnings
    assert counts == (
        "the set: 3 normal and 1 anomalous differ from the published 98 and 155 (BrainMRI) or 1,500 and 1,500 (Br35H)."
    )
    assert endings == "1 names with several endings: 1.jpg and 1.png. If they are one picture, keep one."
    assert patients.startswith("nobody knows which of 4 pictures are of one patient: that a patient lies in several")
    assert not any("published" in w for w in inspect("medical/yes_no", tmp_path, options={"category": "eye"}).warnings)


def test_files_that_two_sets_share_are_found(tmp_path, capsys):
    first, second = tmp_path / "brain_mri", tmp_path / "br35h"
    for number in range(6):
        fake.picture(first / f"{'yes' if number % 2 else 'no'}/Y{number}.png", value=number)
    for name, value in (("yes/y1.png", 1), ("yes/y3.png", 3), ("no/no1.png", 5), ("no/no2.png", 99)):
        fake.picture(second / name, value=value)
    other = f"medical/yes_no:{second}"
    assert main(["datasets", "check", "medical/yes_no", str(first), "--against", other]) == 0
    told = capsys.readouterr().out
    assert (
        f"3 of its 6 distinct files are in medical/yes_no in {second}, split test too, byte for byte: "
        "yes/Y1.png = yes/y1.png, yes/Y3.png = yes/y3.png, yes/Y5.png = no/no1.png. A model trained on one"
    ) in told
    assert "1 of them have another label there: yes/Y5.png = no/no1.png." in told
    assert main(["datasets", "check", "medical/yes_no", str(first), "--against", str(second)]) == 2
    assert "write NAME:FOLDER" in capsys.readouterr().err
    (second / "no/no1.png").unlink(), (second / "yes/y1.png").unlink(), (second / "yes/y3.png").unlink()
    main(["datasets", "check", "medical/yes_no", str(first), "--against", other])
    assert f"none of its 6 distinct files is in medical/yes_no in {second}, split test" in capsys.readouterr().out


def test_a_picture_that_was_stored_again_is_found_and_that_is_said(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("no/1", "yes/2"):
        drawn = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize((72, 72), Image.Resampling.BICUBIC)
        for folder, ending in (("first", "png"), ("second", "bmp")):
            path = tmp_path / folder / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn.save(path)
    told = (
        "none of its 2 distinct files is in medical/yes_no in .*, split test, byte for byte[.]\\s+"
        ".*2 more of its pictures are there in other files, stored again"
    )
    main(
        [
            "datasets",
            "check",
            "medical/yes_no",
            str(tmp_path / "first"),
            "--against",
            f"medical/yes_no:{tmp_path}/second",
        ]
    )
    assert re.search(told, capsys.readouterr().out, re.DOTALL)


@pytest.mark.parametrize("header", ["id, hemorrhage", "id,hemorrhage", "\ufeffid, Hemorrhage"])
def test_head_ct_reads_its_table_whatever_spaces_stand_in_its_header(tmp_path, header):
    records = list(head_ct(fake.head_ct(tmp_path, header)))
    assert labels(records) == [("000.png", False), ("001.png", True), ("002.png", False), ("003.png", True)]
    assert [r.defect for r in records] == ["", "hemorrhage"] * 2
    assert Medical().read(records[1]).truth is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n0,1\n", r"labels.csv: has the columns \['id', 'label'\]; it needs id and hemorrhage"),
        ("", r"has the columns \[\]"),
        ("id, hemorrhage\n0,1\n1,2\n", "labels.csv, line 3: expected an id and 0 or 1, found '1,2'"),
        ("id, hemorrhage\n0\n", "line 2: expected an id and 0 or 1"),
        ("id, hemorrhage\n0,1\n9,1\n", "labels.csv, line 3: names picture '9', which is not in .*head_ct/head_ct"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text, message):
    fake.head_ct(tmp_path)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        list(head_ct(tmp_path))


@pytest.mark.parametrize("inner", ["", "images/"])
def test_covid_takes_the_normal_folder_and_never_the_masks_of_lungs(tmp_path, inner):
    for folder in ("COVID", "Normal", "Viral Pneumonia"):
        fake.picture(tmp_path / folder / f"{inner}{folder}-1.png")
        fake.mask(tmp_path / folder / f"masks/{folder}-1.png")
    (tmp_path / "COVID.metadata.xlsx").touch()
    found = list(covid(tmp_path))
    assert [(r.path.name, r.anomalous, r.defect, r.truth_path) for r in found] == [
        ("Normal-1.png", False, "", None),
        ("COVID-1.png", True, "COVID", None),
        ("Viral Pneumonia-1.png", True, "Viral Pneumonia", None),
    ]
    assert [r.defect for r in covid(tmp_path, findings=["COVID"])] == ["", "COVID"]
    with pytest.raises(UserError, match="no finding called 'covid'"):
        list(covid(tmp_path, findings=["covid"]))
    (tmp_path / "Normal").rename(tmp_path / "Healthy")
    with pytest.raises(UserError, match="0 folders called NORMAL"):
        list(covid(tmp_path))
