import dataclasses
from types import SimpleNamespace

import fake
import pytest
import torch
from torch.testing import assert_close

from framework.config import Config, StoreConfig
from framework.data.building import Builder
from framework.data.datamodule import DomainData
from framework.data.loading import Joined, RawSamples, StoredSamples
from framework.models.experts.traits import Traits

CPU = torch.device("cpu")


def trainer(rank=0, ranks=1, decides=None):
    """What the data module asks of Lightning's; ``decides`` is what the first process says, None for itself."""
    strategy = SimpleNamespace(
        root_device=CPU, broadcast=lambda mine: mine if decides is None else decides, barrier=lambda: None
    )
    return SimpleNamespace(global_rank=rank, world_size=ranks, current_epoch=0, strategy=strategy)


@pytest.fixture
def sets(tmp_path):
    more = dataclasses.replace(fake.pictures(tmp_path / "second", 4, seed=1), name="more")
    return fake.pictures(tmp_path / "first", 7), more


def module(tmp_path, train, test, mode="always", rank=0, ranks=1, decides=None, store_test=False):
    config = Config(name="x", seed=3, store=StoreConfig(mode=mode, path=str(tmp_path / "store"), test=store_test))
    config.optim.batch_size, config.test_batch_size, config.model.crops = 4, 3, "base"
    data = DomainData(config, list(train), list(test), fake.Backbone())
    data.trainer = trainer(rank, ranks, decides)
    return data


def test_training_reads_the_stores_and_testing_the_files(tmp_path, sets):
    data = module(tmp_path, sets, sets)
    for stage in ("fit", "test"):
        data.setup(stage)
    assert sorted(data.stores) == ["fit/more", "fit/pictures"]
    joined = data.train_dataloader().dataset
    assert isinstance(joined, Joined) and [type(part) for part in joined.parts] == [StoredSamples] * 2
    assert [type(loader.dataset) for loader in data.test_dataloader()] == [RawSamples] * 2


def test_test_sets_are_stored_where_the_experiment_says_so(tmp_path, sets):
    data = module(tmp_path, [], sets, store_test=True)
    data.setup("test")
    assert sorted(data.stores) == ["test/more", "test/pictures"]
    stored = list(data.test_dataloader()[1])
    raw = list(module(tmp_path, [], sets, mode="never").test_dataloader()[1])
    for ours, theirs in zip(stored, raw, strict=True):
        computed = data.backbone(theirs.pixels)
        assert_close(ours.features.levels, computed.levels, atol=2e-3, rtol=0)  # stored as float16
        assert_close(ours.features.final, computed.final, atol=2e-3, rtol=0)
        assert ours.index == theirs.index and len(ours.samples) == len(ours.index)


@pytest.mark.parametrize(("mode", "pays"), [("never", True), ("auto", False)])
def test_without_stores_training_reads_the_files(tmp_path, sets, monkeypatch, mode, pays):
    monkeypatch.setattr(Builder, "probe", lambda *_: pays)
    data = module(tmp_path, sets, [], mode=mode)
    data.setup("fit")
    assert data.stores == {}
    assert [type(part) for part in data.train_dataloader().dataset.parts] == [RawSamples] * 2


def test_every_rank_does_what_the_first_decides(tmp_path, sets, monkeypatch):
    probed = []
    monkeypatch.setattr(Builder, "probe", lambda self, index, epochs: probed.append(index.name) or False)
    data = module(tmp_path, sets, [], rank=1, ranks=2, decides=True)
    data.setup("fit")
    assert probed == [] and sorted(data.stores) == ["fit/more", "fit/pictures"]
    data = module(tmp_path, sets, [], rank=1, ranks=2, decides=False)
    data.setup("fit")
    assert data.stores == {}


def test_an_epoch_has_every_sample_once_with_the_labels_asked_for(tmp_path, sets):
    for labels in ("view", "sample"):
        data = module(tmp_path, sets, [], mode="never")
        data.config.optim.labels = labels
        batches = list(data.train_dataloader())
        assert [len(batch.index) for batch in batches] == [4, 4, 3]
        seen = [
            (path, target)
            for batch in batches
            for path, target in zip(batch.index, batch.targets.tolist(), strict=True)
        ]
        wanted = [(i, float(r.anomalous)) for index in sets for i, r in enumerate(index.records)]
        assert sorted(seen) == sorted(wanted)
        assert all(not batch.samples for batch in batches)


def test_two_ranks_share_a_batch_and_an_epoch_of_its_own_order(tmp_path, sets):
    one = [batch.pixels for batch in module(tmp_path, sets, [], mode="never").train_dataloader()]
    parts = [list(module(tmp_path, sets, [], mode="never", rank=r, ranks=2).train_dataloader()) for r in (0, 1)]
    for whole, mine, theirs in zip(one, *parts, strict=True):
        together = [
            pixels
            for batch in (mine, theirs)
            for pixels, weight in zip(batch.pixels, batch.weights, strict=True)
            if weight
        ]
        key = lambda pixels: pixels.flatten().tolist()  # noqa: E731
        assert sorted(map(key, together)) == sorted(map(key, whole))
    data = module(tmp_path, sets, [], mode="never")
    data.trainer.current_epoch = 1
    again = [batch.pixels for batch in data.train_dataloader()]
    assert not all(torch.equal(a, b) for a, b in zip(one, again, strict=True))


def test_two_ranks_test_every_sample_once(tmp_path, sets):
    for which, index in enumerate(sets):
        loaders = [module(tmp_path, [], sets, rank=r, ranks=2).test_dataloader()[which] for r in (0, 1)]
        seen = [i for loader in loaders for batch in loader for i in batch.index]
        assert sorted(seen) == list(range(len(index.records)))


def test_a_pass_over_the_training_sets_is_whole_and_in_order_on_every_rank(tmp_path, sets):
    for rank in (0, 1):
        data = module(tmp_path, sets, [], mode="never", rank=rank, ranks=2)
        batches = list(data.predict_dataloader())
        assert [batch.index for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3]]
        assert all(batch.weights.tolist() == [1.0] * len(batch.index) for batch in batches)
        studied = list(data.studying(sets[0], [1, 2, 4, 6]))
        assert [batch.index for batch in studied] == [[1, 2, 4], [6]] and studied[0].samples == []


def test_no_store_is_made_for_an_expert_that_reads_pixels_and_one_pass_counts_as_one(tmp_path, sets, monkeypatch):
    probed = []
    monkeypatch.setattr(Builder, "probe", lambda self, index, epochs: probed.append(epochs) or False)
    for traits in (Traits(), Traits("once"), Traits(reads="pixels")):
        data = module(tmp_path, sets, [], mode="auto")
        data.config.trainer.max_epochs, data.traits = 5, traits
        data.setup("fit" if traits.fits == "gradient" else "predict")
    assert probed == [5, 1]
