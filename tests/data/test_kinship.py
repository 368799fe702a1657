"""Which samples of a set are of a group that a checkpoint was trained on; its names are in no checkpoint."""

from pathlib import Path

from framework.config import DataConfig
from framework.data.index import Index
from framework.data.kinship import hashed, home, related
from framework.types import Record


def index(root: str | Path, *groups: str, domain: str = "medical") -> Index:
    records = [Record(Path(root) / f"{i}.png", False, "brain", group=group) for i, group in enumerate(groups)]
    return Index("set", DataConfig(domain, "scans", str(root)), records, None)


def origin(trained: Index) -> dict:
    return {"source": trained.source, "root": home(trained), "groups": hashed(trained)}


def test_samples_of_a_group_that_was_trained_on_are_related() -> None:
    test = index("/a", "anna", "", "berta", "anna")
    assert related([origin(index("/a", "anna", "", "dora"))], test) == [True, False, False, True]
    assert related([origin(index("/b", "anna")), origin(index("/a", "berta"))], test) == [False, False, True, False]
    assert related([origin(index("/a", "anna", domain="pointcloud"))], test) == [False] * 4
    assert related([{"source": "medical/scans", "fingerprint": "f"}], test) == [False] * 4  # from before
    assert related([], test) == [False] * 4


def test_a_link_to_the_folder_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert related([origin(index(tmp_path / "link", "anna"))], index(tmp_path / "set", "anna")) == [True]


def test_no_name_can_be_read_in_a_checkpoint() -> None:
    (one,) = hashed(index("/a", "north/anna", "", "north/anna"))
    assert "anna" not in one and len(one.split("/")) == 2


def test_a_group_that_is_called_as_a_folder_keeps_its_name() -> None:
    whole, deep = index("/a", "anna", "anna/berta"), index("/a/anna/north", "berta", "anna")
    assert related([origin(whole)], deep) == [True, True]
    assert related([origin(deep)], whole) == [True, True]
