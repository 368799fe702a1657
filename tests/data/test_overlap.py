"""What two sets share: groups that are trained and tested on, groups across splits."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework import registry
from framework.config import Config, DataConfig
from framework.data.index import Index, open_all
from framework.data.overlap import across_splits, overlap, shared_groups, stored_again, told, within
from framework.errors import UserError
from framework.types import Record


class Reader:
    unit = "patient"


def index(*names: str, root: str = "/a", dataset: str = "scans", split: str = "test", category: str = "brain") -> Index:
    """A sample a name; "anna/1" is the first of anna."""
    records = [Record(Path(root) / name, False, category, group=name.rpartition("/")[0]) for name in names]
    return Index(f"{root}-{split}", DataConfig("medical", dataset, root, split), records, Reader())


def test_a_group_is_shared_where_other_samples_of_it_are_tested_on() -> None:
    train = index("anna/1", "berta/1", "clara/1")
    assert shared_groups(train, index("anna/2", "dora/1", "dora/2")) == {"anna"}
    assert shared_groups(train, index("anna/1", "clara/1", "clara/2")) == {"clara"}  # the same sample is no sign
    assert shared_groups(train, index("anna/2", root="/b")) == set()
    assert shared_groups(train, index("anna/2", dataset="slices_of_them")) == {"anna"}  # the same folder
    assert shared_groups(train, index("anna/2", category="liver")) == {"anna"}  # a patient has several organs
    assert shared_groups(index("1", "2"), index("3")) == set()  # no groups


def test_nesting_and_split_folders_hide_no_group() -> None:
    train = index("anna/1", "berta/1")
    for root in ("/a/brain", "/a/test", "/a/brain/../brain/test/"):
        assert shared_groups(train, index("anna/2", "dora/1", root=root)) == {"anna"}
        assert shared_groups(index("anna/2", "dora/1", root=root), train) == {"anna"}
    assert shared_groups(index("anna/1", root="/a/train"), index("anna/2", root="/a/test")) == {"anna"}
    assert shared_groups(index("anna/1", root="/a/north"), index("anna/2", root="/a/south")) == set()
    assert shared_groups(train, index("anna/2", root="/ab")) == set()


def test_a_folder_that_is_part_of_a_name_may_be_the_root_of_the_other() -> None:
    whole, north = index("north/anna/1", "south/berta/1"), index("anna/2", "berta/2", root="/a/north")
    assert shared_groups(whole, north) == {"anna"}  # berta is one of the south
    assert shared_groups(north, whole) == {"north/anna"}


def test_samples_of_files_that_are_trained_on_are_told_in_a_line() -> None:
    train, test = index("anna/1", "berta/1", split="train"), index("anna/1", "dora/1", root="/a/../a")
    (line,) = told([train], [test])
    assert line == (
        "/a/../a-test: 1 of its 2 samples are of files that /a-train trains on, so its numbers are in-domain. "
        "Splits train and test of this set are the same data."
    )
    (line,) = told([test], [index("anna/1", "dora/1", "eva/1")])
    assert line == "/a-test: 2 of its 3 samples are of files that /a/../a-test trains on, so its numbers are in-domain."
    assert told([test], [test]) == []  # who writes one set under both knows


def test_training_and_testing_on_one_group_is_told_in_a_line() -> None:
    test = index(*(f"{name}/2" for name in "abcde"), "z/1")
    (line,) = told([index(*(f"{name}/1" for name in "abcde"), split="train"), index("y/1")], [test, index("z/1")])
    assert line.startswith(
        "/a-test: 5 of its patients are trained on too, in other samples of /a-train: a, b, c and 2 more."
    )


def test_the_line_comes_before_training_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train/good/anna_1", "train/tumour/berta_1", "test/good/anna_2", "test/tumour/carl_1"):
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    config = Config(
        "x",
        train={"a": DataConfig("medical", "nifti", str(tmp_path), "train")},
        test={"b": DataConfig("medical", "nifti", str(tmp_path), "test")},
    )
    open_all(config, fit=True)
    told = capsys.readouterr().err
    assert told.startswith("b: 1 of its patients are trained on too, in other samples of a: anna. Its numbers say less")


def test_groups_in_several_splits_are_found_where_the_set_says_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"train": ("anna/1", "berta/1"), "valid": ("dora/1",), "test": ("anna/2", "clara/1")}

    def splits(root: Path) -> dict[str, Iterable[Record]]:
        return {split: index(*names, split=split).records for split, names in found.items()} | {"odd": broken()}

    def broken() -> Iterator[Record]:
        raise UserError("two masks")
        yield

    mine = index(*found["test"])
    assert across_splits(mine) == []
    monkeypatch.setitem(registry._TABLE, ("splits", "medical/scans"), splits)
    line, odd = across_splits(mine)
    assert line.startswith("1 of 2 patients of split test are in split train too: anna.")
    found["test"] = ("clara/1",)
    assert across_splits(index(*found["test"])) == [odd]
    assert odd == "split odd cannot be looked through for patients of this one: two masks"


def pictures(root: Path, *names: str) -> Index:
    """A set of textures, each by the first letter of its name, in the format that the name says."""
    records = []
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grid = np.random.default_rng(ord(path.name[0])).integers(0, 255, (20, 20), np.uint8)
        Image.fromarray(grid).resize((96, 96), Image.Resampling.BICUBIC).save(path)
        records.append(Record(path, path.parent.name == "bad", "x"))
    return Index(root.name, DataConfig("industrial", "mvtec", str(root), "test"), records, Reader())


def test_pictures_stored_again_are_told_between_sets_and_within_one(tmp_path: Path) -> None:
    train, test = pictures(tmp_path / "a", "b.png", "c.png"), pictures(tmp_path / "t", "bad/b.jpg", "d.png", "d.jpg")
    again = pictures(tmp_path / "u", "d.bmp")
    first, second = stored_again([train], [test, again])
    assert first == (
        "t: 1 of its 3 pictures are in a too, in other files (bad/b.jpg): which is trained on, so its numbers are "
        "in-domain."
    )
    assert second == "u: 1 of its 1 pictures are in t too, in other files (d.bmp): a test set as well."
    assert stored_again([test], [test]) == []  # the same places
    trained, second = stored_again([test], [test, again])  # one set is both, and equal to itself
    assert trained.endswith("which is trained on, so its numbers are in-domain.") and second.endswith("as well.")
    assert within(test) == ["1 pair of its files show one picture, stored again: d.png = d.jpg."]
    lines = overlap(test, train)
    assert (
        lines[0]
        == f"none of its 3 distinct files is in industrial/mvtec in {tmp_path / 'a'}, split test, byte for byte."
    )
    assert lines[1] == "1 more of its pictures are there in other files, stored again: bad/b.jpg = b.png."
    assert lines[2] == "1 pair of these have two labels: bad/b.jpg = b.png." and len(lines) == 3


def test_equal_files_are_no_news_of_their_looks(tmp_path: Path) -> None:
    mine, other = pictures(tmp_path / "a", "b.png", "bb.png"), pictures(tmp_path / "t", "b.png")
    assert within(mine) == []
    (line,) = overlap(mine, other)
    assert "1 of its 1 distinct files are in" in line
