import dataclasses
import pickle

import fake
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.testing import assert_close

from framework.config import StoreConfig
from framework.data import loading
from framework.data.building import Builder
from framework.data.crops import cut
from framework.data.loading import Collate, Joined, RawSamples, StoredSamples, collate, loader
from framework.data.sampling import ScoringBatches
from framework.types import Record, Sample


class Turntable(fake.Reader):
    """Three views of a picture, the second without its bright square."""

    def read(self, record):
        sample = super().read(record)
        views = sample.views.repeat(3, 0)
        views[1] = views[1].clip(0, 190)
        return Sample(record, views, truth=(views[:, 0] > 200).ravel())


@pytest.fixture
def flat(tmp_path):
    return fake.pictures(tmp_path / "flat", 5)


@pytest.fixture
def turned(tmp_path):
    return dataclasses.replace(fake.pictures(tmp_path / "turned", 4, seed=1), reader=Turntable())


def test_a_sample_is_its_crops_targets_and_weight(turned):
    item = RawSamples(turned, 16, "base", keep=True)[(1, 0.0)]
    views = turned.reader.read(turned.records[1]).views
    assert_array_equal(item["pixels"], np.concatenate([cut(view, 16, "base") for view in views]))
    assert item["crops"] == [1, 1, 1] and item["targets"].tolist() == [1, 0, 1]
    assert (item["position"], item["weight"], item["label"]) == (1, 0.0, 1.0)
    assert_array_equal(item["sample"].views, views)
    assert RawSamples(turned, 16, "base", keep=False)[(1, 1.0)]["sample"] is None
    assert len(RawSamples(turned, 16, "base", keep=False)) == 4


def test_crops_of_many_views_are_cut_later_where_the_sample_is_kept(turned, monkeypatch):
    monkeypatch.setattr(loading, "MANY", 2)
    item = RawSamples(turned, 16, "anyres", keep=True)[(1, 1.0)]
    now = RawSamples(turned, 16, "anyres", keep=False)[(1, 1.0)]
    assert item["pixels"] is None and item["crops"] == now["crops"] and len(now["pixels"]) == sum(now["crops"])
    batch = collate([item, item])
    assert batch.pixels is None and batch.features is None and len(batch.samples) == 2


def test_a_batch_lays_the_crops_of_its_samples_end_to_end(turned):
    data = RawSamples(turned, 16, "anyres", keep=True)
    items = [data[(3, 1.0)], data[(0, 0.0)]]
    batch = collate(items)
    assert_array_equal(batch.pixels.numpy(), np.concatenate([i["pixels"] for i in items]))
    assert batch.pixels.dtype == torch.uint8 and batch.features is None
    crops = items[0]["crops"][0]
    assert crops > 1 and batch.crops == [crops] * 6 and batch.views == [3, 3]
    assert batch.targets.tolist() == [1, 0, 1, 0, 0, 0] and batch.weights.tolist() == [1, 0]
    assert batch.index == [3, 0] and [s.record for s in batch.samples] == [turned.records[3], turned.records[0]]


def test_masks_lie_as_the_crops_do_and_only_where_they_are_asked_for(turned):
    data = RawSamples(turned, 16, "anyres", keep=False, masks=True)
    batch = collate([data[(3, 1.0)], data[(0, 0.0)]])
    assert batch.masks.shape == (sum(batch.crops), 16, 16) and batch.masks.dtype == torch.int8
    by_view = [bool((part > 0).any()) for part in batch.masks.split(batch.crops)]
    assert by_view == [True, False, True, False, False, False]
    assert collate([RawSamples(turned, 16, "anyres", keep=False)[(3, 1.0)]]).masks is None


@pytest.mark.parametrize("mode", ["base", "anyres"])
def test_fast_crops_are_those_of_cut(turned, mode):
    found = RawSamples(turned, 24, f"{mode}-fast", keep=False)[(1, 1.0)]
    views = turned.reader.read(turned.records[1]).views
    assert_array_equal(found["pixels"], np.concatenate([cut(view, 24, f"{mode}-fast") for view in views]))
    gap = np.abs(found["pixels"].astype(int) - RawSamples(turned, 24, mode, keep=False)[(1, 1.0)]["pixels"])
    assert gap.max() <= 2


def tensors(features):
    return [*features.levels, features.final]


def test_with_labels_of_samples_every_view_takes_its_samples(turned):
    data = RawSamples(turned, 16, "base", keep=False)
    batch = collate([data[(3, 1.0)], data[(0, 1.0)]], labels="sample")
    assert batch.targets.tolist() == [1, 1, 1, 0, 0, 0] and batch.samples == []
    unsure = dataclasses.replace(turned, records=[dataclasses.replace(turned.records[1], probability=0.25)])
    item = RawSamples(unsure, 16, "base", keep=False)[(0, 1.0)]
    assert collate([item], "sample").targets.tolist() == [0.25] * 3


def test_stored_samples_open_no_file_unless_they_are_kept(flat, tmp_path):
    store = Builder(fake.Backbone(), "base", StoreConfig(path=str(tmp_path / "store"), dtype="float32"), 0).build(flat)
    kept, bare = (collate([StoredSamples(flat, store, 16, "base", keep)[(1, 1.0)]]) for keep in (True, False))
    raw = collate([RawSamples(flat, 16, "base", keep=True)[(1, 1.0)]])
    found = fake.Backbone()(raw.pixels)
    for batch in (kept, bare):
        assert_close(tensors(batch.features), tensors(found))
        assert batch.pixels is None and batch.targets.tolist() == [1]
    assert_array_equal(kept.samples[0].views, raw.samples[0].views)
    for path in (tmp_path / "flat").iterdir():
        path.unlink()
    assert_close(tensors(collate([StoredSamples(flat, store, 16, "base", False)[(1, 1.0)]]).features), tensors(found))
    assert len(StoredSamples(flat, store, 16, "base", False)) == 5


def test_stored_samples_have_the_masks_of_raw_ones_and_open_no_file_that_has_none(flat, tmp_path):
    store = Builder(fake.Backbone(), "base", StoreConfig(path=str(tmp_path / "store"), dtype="float32"), 0).build(flat)
    keys = [(1, 1.0), (2, 1.0)]
    raw = collate([RawSamples(flat, 16, "base", keep=False, masks=True)[key] for key in keys])
    stored = collate([StoredSamples(flat, store, 16, "base", keep=False, masks=True)[key] for key in keys])
    assert_array_equal(stored.masks, raw.masks)
    assert stored.masks[0].any() and stored.samples == [] and stored.pixels is None
    bare = dataclasses.replace(flat, records=[dataclasses.replace(r, truth_path=None) for r in flat.records])
    for path in (tmp_path / "flat").iterdir():
        path.unlink()
    data = StoredSamples(bare, store, 16, "base", keep=False, masks=True)
    assert [np.unique(data[key]["masks"]).tolist() for key in keys] == [[-1], [0]]


def test_joined_sets_are_addressed_by_one_position(flat, turned):
    parts = [RawSamples(index, 16, "base", keep=True) for index in (flat, turned)]
    joined = Joined(parts)
    assert len(joined) == 9
    records = [joined[(i, 0.5)]["sample"].record for i in range(9)]
    assert records == [*flat.records, *turned.records]
    assert [joined[(i, 0.5)]["position"] for i in (0, 4, 5, 8)] == [0, 4, 0, 3]
    assert joined[(6, 0.5)]["weight"] == 0.5


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_the_batches_of_its_sampler(flat, workers):
    data = RawSamples(flat, 16, "base", keep=False)
    batches = list(loader(data, ScoringBatches(5, 2, rank=0, ranks=1), "view", workers))
    assert [batch.index for batch in batches] == [[0, 1], [2, 3], [4]]
    wanted = np.concatenate([data[(i, 1.0)]["pixels"] for i in range(5)])
    assert_array_equal(torch.cat([batch.pixels for batch in batches]).numpy(), wanted)


def test_collate_travels_to_a_worker(turned):
    item = RawSamples(turned, 16, "base", keep=False)[(1, 1.0)]
    assert pickle.loads(pickle.dumps(Collate("sample")))([item]).targets.tolist() == [1, 1, 1]


def test_a_record_without_truth_gives_every_view_its_label(tmp_path):
    class Unlabelled(fake.Reader):
        def read(self, record: Record) -> Sample:
            return Sample(record, super().read(record).views.repeat(2, 0))

    index = dataclasses.replace(fake.pictures(tmp_path / "p", 2), reader=Unlabelled())
    data = RawSamples(index, 16, "base", keep=False)
    assert collate([data[(0, 1.0)], data[(1, 1.0)]]).targets.tolist() == [0, 0, 1, 1]
