import dataclasses
import re
import time

import fake
import numpy as np
import pytest
import torch

from framework.config import StoreConfig
from framework.data import building, crops
from framework.data.building import Builder, ShardBatches
from framework.data.crops import cut
from framework.data.features import SHARD
from framework.errors import UserError

COUNT = 2 * SHARD + 5


@pytest.fixture
def index(tmp_path):
    return fake.pictures(tmp_path / "pictures", COUNT)


def builder(tmp_path, name="store", mode="auto", **options):
    return Builder(fake.Backbone(), "base", StoreConfig(mode=mode, path=str(tmp_path / name)), 0, **options)


def bytes_of(store):
    """Every file of a store with its content."""
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the backbone moves, by a second a sample, and what reading a sample takes."""
    now = [0.0]
    forward = fake.Backbone.forward

    def slow(self, pixels):
        now[0] += len(pixels)
        return forward(self, pixels)

    def read_seconds(seconds):
        monkeypatch.setattr(building, "_read_seconds", lambda _: seconds)

    monkeypatch.setattr(fake.Backbone, "forward", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return read_seconds


def told(capsys):
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("read_s", "epochs", "pays"),
    [
        (0.001, 2, True),
        (0.5, 2, True),  # 2 * 37 to compute twice; 21 to compute the rest once and 37 to read twice
        (0.8, 2, False),  # 21 + 2 * 37 * 0.8 = 80.2
        (0.8, 4, True),  # 21 + 118.4 against 148
        (5.0, 100, False),
        (0.5, 1, False),  # 21 + 18.5 against 37
        (0.4, 1, True),  # 21 + 14.8: the first shard is computed already
    ],
)
def test_auto_stores_where_reading_beats_recomputing(index, tmp_path, capsys, clock, read_s, epochs, pays):
    clock(read_s)
    assert builder(tmp_path).probe(index, epochs) is pays
    line = told(capsys)
    assert f"a sample takes 1000.0 ms to compute and {read_s * 1e3:.1f} ms to read" in line
    assert f"over {epochs} epochs storing {'pays' if pays else 'does not pay'}" in line
    assert builder(tmp_path, mode="always").probe(index, epochs)


def test_a_set_of_one_shard_is_stored_by_the_probe_and_read(tmp_path, clock):
    index = fake.pictures(tmp_path / "few", SHARD - 1)
    clock(0.1)
    assert builder(tmp_path).probe(index, epochs=2)
    assert builder(tmp_path).open(index).missing() == []


def test_the_size_told_is_the_size_of_the_store_built(tmp_path, capsys):
    index = fake.pictures(tmp_path / "many", 4 * SHARD)
    made = builder(tmp_path, mode="always")
    made.probe(index, epochs=2)
    size, unit = re.search(r"64 samples, about (\d+) (\w+) in", told(capsys)).groups()
    store = made.build(index)
    on_disk = sum(path.stat().st_size for path in store.folder.glob("features-*.npy"))
    assert float(size) * {"B": 1, "KB": 1e3, "MB": 1e6}[unit] == pytest.approx(on_disk, rel=0.05)
    assert on_disk == store.size > 64 * 3 * 4 * 9 * 2  # levels and final, patches, channels, bytes
    made.probe(index, epochs=2)
    assert f"stored, {building._bytes(on_disk)} in {store.folder}" in told(capsys)


def test_a_read_is_timed_by_the_sample(index, tmp_path, monkeypatch):
    store = builder(tmp_path).build(index)
    ticks = iter([10.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    assert building._read_seconds(store) == 4 / SHARD


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 KB"), (2.4e6, "2 MB"), (1.25e9, "1.2 GB")]
)
def test_sizes_in_words(count, text):
    assert building._bytes(count) == text


class Disk:
    free = 10


def test_no_room_on_the_disk(index, tmp_path, capsys, monkeypatch, clock):
    clock(0.001)
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: Disk())
    assert builder(tmp_path).probe(index, epochs=100) is False
    assert "the disk has only 10 B free, so they are not stored" in told(capsys)
    with pytest.raises(UserError, match=r"features of pictures need .*, the disk has 10 B free\. Make room"):
        builder(tmp_path, mode="always").probe(index, epochs=100)


class Stops:
    """A reader that is interrupted at one sample."""

    def __init__(self, reader, at):
        self.reader, self.at, self.count = reader, at, 0

    def __repr__(self):
        return repr(self.reader)

    def read(self, record):
        self.count += 1
        if self.count == self.at:
            raise KeyboardInterrupt
        return self.reader.read(record)


@pytest.mark.parametrize("at", [1, SHARD, SHARD + 3, COUNT])
def test_an_interrupted_build_goes_on_and_gives_the_bytes_of_an_unbroken_one(index, tmp_path, at):
    whole = builder(tmp_path, "whole").build(index)
    with pytest.raises(KeyboardInterrupt):
        builder(tmp_path, "broken").build(dataclasses.replace(index, reader=Stops(index.reader, at)))
    again = builder(tmp_path, "broken")
    done = SHARD * ((at - 1) // SHARD)
    assert len(again.open(index)) == done
    found = again.build(index)
    assert again.backbone.calls == COUNT - done
    assert bytes_of(found) == bytes_of(whole)


def test_two_ranks_one_after_the_other_build_the_store_of_one(index, tmp_path):
    whole = builder(tmp_path, "one").build(index)
    parts = [builder(tmp_path, "two", rank=rank, ranks=2) for rank in (0, 1)]
    assert parts[0].build(index).missing() == [SHARD]
    found = parts[1].build(index)
    assert [part.backbone.calls for part in parts] == [SHARD + 5, SHARD]
    assert bytes_of(found) == bytes_of(whole)
    assert found.missing() == [] and len(found) == COUNT


def test_tiles_keep_the_features_of_their_sample(tmp_path):
    """Crops pass through the backbone a few at a time and come back to the sample they were cut from."""
    index = fake.pictures(tmp_path / "wide", 20, side=50)
    made = Builder(fake.Backbone(), "anyres", StoreConfig(path=str(tmp_path / "s"), dtype="float32"), 0)
    store = made.build(index)
    assert made.backbone.calls > 2 * crops.AT_ONCE["cpu"]
    for i, record in enumerate(index.records):
        view = index.reader.read(record).views[0]
        pixels = torch.from_numpy(cut(view, made.backbone.image_size, "anyres"))
        found = fake.Backbone()(pixels)
        wanted = np.stack([*(level.numpy() for level in found.levels), found.final.numpy()], 1)
        np.testing.assert_allclose(store[i].features, wanted, atol=1e-6)
        assert store[i].crops == [len(pixels)] and store[i].targets.tolist() == [float(record.anomalous)]


def test_a_batch_is_a_shard():
    assert list(ShardBatches([0, SHARD], SHARD + 2)) == [
        [(i, 1.0) for i in range(SHARD)],
        [(SHARD, 1.0), (SHARD + 1, 1.0)],
    ]
    assert len(ShardBatches([0, SHARD], SHARD + 2)) == 2


def test_a_first_sample_that_fails_writes_no_empty_line(index, tmp_path, capsys):
    index.records[0].path.write_bytes(b"junk")
    with pytest.raises(Exception, match="cannot identify image"):
        builder(tmp_path).build(index)
    assert capsys.readouterr().err == ""
