import errno
import json
import os

import fake
import fake_process
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from framework.config import StoreConfig
from framework.data import features
from framework.data.building import Builder
from framework.data.features import SHARD, Store, Stored
from framework.data.loading import RawSamples, StoredSamples, collate
from framework.errors import UserError


@pytest.fixture
def index(tmp_path):
    return fake.pictures(tmp_path / "pictures", 2 * SHARD + 5)


def builder(tmp_path, backbone=None, **options):
    config = StoreConfig(mode="always", path=str(tmp_path / "store"), **options)
    return Builder(backbone or fake.Backbone(), "base", config, workers=0)


def test_stored_batches_equal_recomputed_ones(index, tmp_path):
    backbone = fake.Backbone()
    store = builder(tmp_path, backbone, dtype="float32").build(index)
    keys = [(3, 1.0), (SHARD + 2, 1.0), (2 * SHARD + 4, 0.0)]
    stored = collate([StoredSamples(index, store, 16, "base", keep=True)[k] for k in keys])
    raw = collate([RawSamples(index, 16, "base", keep=True)[k] for k in keys])
    found = backbone(raw.pixels)
    for ours, theirs in zip(
        [*stored.features.levels, stored.features.final], [*found.levels, found.final], strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert stored.crops == raw.crops and stored.views == raw.views and stored.index == raw.index
    assert stored.targets.tolist() == raw.targets.tolist() == [1.0, 0.0, 0.0]
    assert stored.weights.tolist() == [1.0, 1.0, 0.0]


def test_half_precision_keeps_three_digits(index, tmp_path):
    store = builder(tmp_path).build(index)
    assert store[0].features.dtype == np.float16
    exact = builder(tmp_path, dtype="float32").build(index)
    assert_allclose(store[5].features, exact[5].features, rtol=1e-3)


def test_a_second_build_computes_nothing(index, tmp_path):
    builder(tmp_path).build(index)
    backbone = fake.Backbone()
    assert builder(tmp_path, backbone).probe(index, epochs=1)
    builder(tmp_path, backbone).build(index)
    assert backbone.calls == 0


def test_a_killed_build_goes_on_and_half_a_shard_is_not_taken_for_a_whole(index, tmp_path):
    code = (
        "import sys, pathlib, fake, os\n"
        "from framework.config import StoreConfig; from framework.data import features\n"
        "from framework.data.building import Builder\n"
        "root = pathlib.Path(sys.argv[1]); index = fake.pictures(root / 'pictures', 37)\n"
        "whole = features.write_whole\n"
        "def killed(path, *parts):\n"
        "    if path.name == 'index-0000016.json': os._exit(9)\n"
        "    whole(path, *parts)\n"
        "features.write_whole = killed\n"
        "Builder(fake.Backbone(), 'base', StoreConfig(path=str(root / 'store')), 0).build(index)\n"
    )
    done = fake_process.run(code, [str(tmp_path)])
    assert done.returncode == 9, done.stderr
    backbone = fake.Backbone()
    found = builder(tmp_path, backbone).open(index)
    assert found.missing() == [SHARD, 2 * SHARD] and len(found) == SHARD
    store = builder(tmp_path, backbone).build(index)
    assert backbone.calls == len(index.records) - SHARD and len(store) == len(index.records)


def test_two_ranks_share_the_work(index, tmp_path):
    backbones = [fake.Backbone(), fake.Backbone()]
    for rank, backbone in enumerate(backbones):
        config = StoreConfig(path=str(tmp_path / "store"))
        Builder(backbone, "base", config, 0, rank=rank, ranks=2).build(index)
    assert sum(b.calls for b in backbones) == len(index.records) and all(b.calls for b in backbones)


@pytest.mark.parametrize("change", ["weights", "content", "crops", "resize", "dtype", "reader"])
def test_whatever_features_depend_on_makes_another_store(index, tmp_path, change):
    before = builder(tmp_path).open(index).folder
    backbone, crops, dtype = fake.Backbone("1" if change == "weights" else "0"), "base", "float16"
    if change == "content":
        index = fake.pictures(tmp_path / "pictures", len(index.records), seed=1)
    if change == "reader":
        index.reader.option = 1
    if change == "crops":
        crops = "anyres"
    if change == "resize":
        crops = "base-fast"
    if change == "dtype":
        dtype = "float32"
    content = features.manifest(index, backbone.identity, crops, dtype)
    assert features.folder_of(tmp_path / "store", content) != before


def test_a_store_of_fast_crops_is_not_read_for_exact_ones(index, tmp_path):
    fast = Builder(fake.Backbone(), "base-fast", StoreConfig(path=str(tmp_path / "store")), 0).build(index)
    assert builder(tmp_path).open(index).missing() == [0, SHARD, 2 * SHARD]
    with pytest.raises(UserError, match="made for crops 'base-fast', this experiment has 'base'"):
        Store(fast.folder, builder(tmp_path).open(index).content)


def test_a_folder_with_another_manifest_is_refused(index, tmp_path):
    store = builder(tmp_path).open(index)
    manifest = store.folder / "manifest.json"
    manifest.write_text(json.dumps(store.content | {"dtype": "float32"}))
    with pytest.raises(UserError, match="made for dtype 'float32', this experiment has 'float16'"):
        builder(tmp_path).open(index)
    manifest.write_text("{")
    with pytest.raises(UserError, match="not a manifest"):
        builder(tmp_path).open(index)


def test_a_shard_cut_short_is_refused(index, tmp_path):
    store = builder(tmp_path).build(index)
    path = next(store.folder.glob("features-*.npy"))
    for left in (path.read_bytes()[:-100], b""):
        path.write_bytes(left)
        with pytest.raises(UserError, match=r"cannot be read .* Delete"):
            builder(tmp_path).open(index)[0]


@pytest.mark.parametrize("left", ["{", "", "[1]", "{}", "3"])
def test_a_damaged_index_is_refused(index, tmp_path, left):
    store = builder(tmp_path).build(index)
    path = next(store.folder.glob("index-*.json"))
    path.write_text(left)
    with pytest.raises(UserError, match=r"index-\d+\.json: not an index of features\. Delete .* and run again\."):
        builder(tmp_path).open(index)


def test_a_full_disk_is_one_line_and_what_was_written_stays(index, tmp_path, monkeypatch):
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # manifest, one shard, one index, then the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full") as error:
        builder(tmp_path).build(index)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    found = builder(tmp_path).open(index)
    assert found.missing() == [SHARD, 2 * SHARD]
    assert not list(found.folder.glob(".partial-*"))


def test_features_that_overflow_are_refused(tmp_path, index):
    content = features.manifest(index, {"name": "x"}, "base", "float16")
    store = Store(tmp_path / "s", content)
    with pytest.raises(UserError, match="do not fit float16"):
        store.add(0, [Stored(np.full((1, 3, 4, 9), 1e6, np.float32), [1], np.zeros(1, np.float32))], (2, 2))


def test_the_plan_is_told_before_the_work(index, tmp_path, capsys):
    assert builder(tmp_path).probe(index, epochs=100)
    told = " ".join(capsys.readouterr().err.split())
    assert "37 samples, about" in told and "ms to compute" in told and "ms to read" in told


def test_no_room_on_the_disk_is_told_before_the_work(index, tmp_path, monkeypatch):
    monkeypatch.setattr("framework.data.building.shutil.disk_usage", lambda _: _Free())
    with pytest.raises(UserError, match="the disk has 10 B free"):
        builder(tmp_path).probe(index, epochs=100)


class _Free:
    free = 10
