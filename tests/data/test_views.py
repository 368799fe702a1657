"""Views that cost much are drawn once and read back."""

import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework import registry
from framework.config import Config, DataConfig, StoreConfig
from framework.data import views
from framework.data.index import open_all
from framework.data.loading import RawSamples
from framework.data.views import keep_views
from framework.errors import UnreadableError
from framework.types import Grid, Record, Sample


@dataclass
class Drawer:
    """Draws noise that depends on the file, and counts how often it does."""

    element: ClassVar[str] = "point"
    drawn: ClassVar[str] = "1"
    size: int = 4
    times = 0

    def read(self, record):
        if not record.path.is_file():
            raise UnreadableError(f"{record.path}: in the words of the domain.")
        Drawer.times += 1
        rng = np.random.default_rng(list(record.path.read_bytes()))
        return Sample(
            record,
            rng.integers(0, 255, (2, 3, self.size, self.size), np.uint8),
            np.zeros((2, self.size, self.size), np.int32),
            np.array([True, False]),
            np.array([0, 0], np.int32),
            place=np.array([[1, 2], [0, -1]], np.int32),
            weight=np.ones((2, 2), np.float16),
            captions=("above", "below"),
            grid=Grid("grid336", np.array([[0, -1]], np.int32), np.array([[True, False]]), 4.0),
            counts={"unseen": 3},
            warnings=(f"{record.path}: thin walls.",),
        )


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "a.pcd"
    path.write_bytes(b"cloud")
    return Record(path, True, "part")


@pytest.fixture
def kept(tmp_path):
    Drawer.times = 0
    return keep_views(Drawer(), "clouds", str(tmp_path / "store"))


def same(a, b):
    for name in views.ARRAYS:
        one, other = getattr(a, name), getattr(b, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert [getattr(a, n) for n in views.PLAIN] == [getattr(b, n) for n in views.PLAIN]
    assert_array_equal(a.grid.index, b.grid.index)
    assert_array_equal(a.grid.truth, b.grid.truth)
    assert (a.grid.name, a.grid.sigma) == (b.grid.name, b.grid.sigma)


def test_a_sample_is_drawn_once_and_is_the_same_when_read_back(kept, record):
    first, second = kept.read(record), kept.read(record)
    same(first, second)
    same(first, Drawer().read(record))
    assert Drawer.times == 2  # once by each reader
    assert kept.element == "point" and repr(kept) == repr(Drawer())


def test_another_process_and_another_place_find_it_too(kept, record, tmp_path):
    kept.read(record)
    moved = tmp_path / "elsewhere" / "b.pcd"
    moved.parent.mkdir()
    moved.write_bytes(b"cloud")
    found = pickle.loads(pickle.dumps(kept)).read(Record(moved, True, "part"))
    assert Drawer.times == 1 and found.warnings == (f"{moved}: thin walls.",)


@pytest.mark.parametrize("change", ["content", "label", "options", "version", "frame"])
def test_it_is_drawn_anew_where_anything_it_follows_from_changed(kept, record, change, tmp_path, monkeypatch):
    kept.read(record)
    if change == "content":
        record.path.write_bytes(b"other")
    if change == "label":
        record = Record(record.path, False, "part")
    if change == "options":
        kept = keep_views(Drawer(size=8), "clouds", str(tmp_path / "store"))
    if change == "version":
        monkeypatch.setattr(Drawer, "drawn", "2")
        kept = keep_views(Drawer(), "clouds", str(tmp_path / "store"))
    if change == "frame":
        record = Record(record.path, True, "part", frame=1)
    kept.read(record)
    assert Drawer.times == 2


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_file_is_drawn_anew(kept, record, keep):
    first = kept.read(record)
    path = kept.path(record)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))] if keep < 1 else whole[:keep])
    same(kept.read(record), first)
    assert Drawer.times == 2 and path.read_bytes() == whole


def test_a_full_disk_keeps_nothing(kept, record, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(views.shutil, "disk_usage", lambda folder: usage)
    kept.read(record)
    assert not kept.path(record).exists()


def test_a_missing_file_is_told_in_the_words_of_the_domain(kept, record):
    record.path.unlink()
    with pytest.raises(UnreadableError, match="in the words of the domain"):
        kept.read(record)


def test_domains_that_do_not_ask_for_it_are_left_alone():
    reader = object()
    assert keep_views(reader, "photographs", ".") is reader


def test_a_folder_that_cannot_be_written_is_told_once_and_reading_goes_on(record, tmp_path, capsys, monkeypatch):
    (tmp_path / "store").write_text("a file where the folder belongs")
    kept = keep_views(Drawer(), "clouds", str(tmp_path / "store"))
    for _ in range(2):
        same(kept.read(record), Drawer().read(record))
    said = capsys.readouterr()
    assert (said.out + said.err).count("views are not kept: ") == 1


@dataclass
class Domain(Drawer):
    unit: ClassVar[str] = "object"
    suffixes: ClassVar[tuple[str, ...]] = (".pcd",)

    def save(self, sample, scores, stem):
        return {"map": stem}


def everything(root, split="test"):
    for path in sorted(root.glob("*.pcd")):
        yield Record(path, path.stem == "a", "part")


@pytest.mark.parametrize(("keep", "times"), [(True, 2), (False, 6)])
def test_training_and_testing_read_what_is_kept(record, tmp_path, monkeypatch, keep, times):
    for (kind, name), thing in {("domain", "drawers"): Domain, ("dataset", "drawers/all"): everything}.items():
        monkeypatch.setitem(registry._TABLE, (kind, name), thing)  # here only: other tests list what there is
    (tmp_path / "b.pcd").write_bytes(b"another")
    Drawer.times = 0
    data = DataConfig("drawers", "all", str(tmp_path))
    config = Config("x", train={"a": data}, test={"b": data}, store=StoreConfig(path=str(tmp_path / "s"), views=keep))
    train, test = open_all(config, fit=True)
    for index in (*train, *test, *train):
        samples = RawSamples(index, 16, "base", keep=True)
        assert [samples[(i, 1.0)]["label"] for i in range(2)] == [1.0, 0.0]
    assert Drawer.times == times
