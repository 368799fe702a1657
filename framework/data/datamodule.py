"""Every set an experiment names, as Lightning loaders: one for training, one per set under test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, Dataset

from framework.config import Config
from framework.data.building import Builder
from framework.data.features import Store
from framework.data.index import Index
from framework.data.loading import Joined, RawSamples, StoredSamples, loader
from framework.data.sampling import ListedBatches, ScoringBatches, TrainBatches
from framework.models.experts.traits import Traits


class DomainData(LightningDataModule):
    """Loaders over raw files or, where it pays, over stores of features.

    Args:
        config: the experiment.
        train: sets to train on, may be empty.
        test: sets to test on, may be empty.
        backbone: the frozen backbone that the stores are filled with.
        held: parts of the train sets that are held out to select by, may be empty.
        keep: whether batches of the source carry their samples, where scores are made of maps.
        traits: of the expert: one that reads pixels needs no store, one that is fitted once reads each sample once.
    """

    def __init__(
        self,
        config: Config,
        train: list[Index],
        test: list[Index],
        backbone: nn.Module,
        held: Sequence[Index] = (),
        keep: bool = False,
        traits: Traits = Traits(),  # noqa: B008, frozen
    ) -> None:
        super().__init__()
        self.config, self.train_sets, self.test_sets, self.backbone = config, train, test, backbone
        self.held, self.keep, self.traits = list(held), keep, traits
        self.stores: dict[str, Store] = {}

    def setup(self, stage: str) -> None:
        """Fill the stores, each rank its share. Called on every rank, before any loader is made."""
        if stage == "validate":  # of what was trained on just now, whose stores are there
            return
        stage = "test" if stage == "test" else "fit"  # "predict" is the pass over the training sets, see below
        sets = self.train_sets if stage == "fit" else self.test_sets if self.config.store.test else []
        if not sets or self.config.store.mode == "never" or self.trainer is None or self.traits.reads == "pixels":
            return
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        builder = Builder(
            self.backbone.to(self.trainer.strategy.root_device),
            self.config.model.crops,
            self.config.store,
            self.config.workers,
            rank,
            ranks,
        )
        epochs = self.config.trainer.max_epochs if self.traits.fits == "gradient" else 1
        epochs = epochs if stage == "fit" else 3  # a stored test set serves many experiments
        held = self.held if stage == "fit" else []
        pays = rank == 0 and all(builder.probe(index, epochs) for index in (*sets, *held))
        if not self.trainer.strategy.broadcast(pays):
            return
        self.trainer.strategy.barrier()
        stores = {f"{stage}/{index.name}": builder.build(index) for index in sets}
        stores |= {f"held/{index.name}": builder.build(index) for index in held}
        self.trainer.strategy.barrier()
        for store in stores.values():
            store.refresh()
        self.stores |= stores

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        joined = Joined([self._dataset(index, "fit", keep=False, masks=self.traits.masks) for index in self.train_sets])
        batches = TrainBatches(
            len(joined),
            self.config.optim.batch_size,
            self.config.seed,
            trainer.global_rank,
            trainer.world_size,
            lambda: trainer.current_epoch,
        )
        return loader(joined, batches, self.config.optim.labels, self.config.workers)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """What is held out of the source; once training is over, all of the source where nothing is."""
        assert self.trainer is not None
        if self.trainer.state.fn == "fit" and not self.held:
            return []
        return [self._scoring(i, "held" if self.held else "fit", self.keep) for i in self.held or self.train_sets]

    def predict_dataloader(self) -> DataLoader[Any]:
        """All training sets once, in their order, whole on every rank: for an expert that is fitted by one pass."""
        joined = Joined([self._dataset(index, "fit", keep=False, masks=self.traits.masks) for index in self.train_sets])
        batches = ListedBatches(range(len(joined)), self.config.test_batch_size)
        return loader(joined, batches, self.config.optim.labels, self.config.workers)

    def studying(self, index: Index, positions: list[int]) -> DataLoader[Any]:
        """Some samples of a set under test in their order, whole on every rank and without their truth."""
        batches = ListedBatches(positions, self.config.test_batch_size)
        return loader(self._dataset(index, "test", keep=False), batches, "sample", self.config.workers)

    def test_dataloader(self) -> list[DataLoader[Any]]:
        return [self._scoring(index, "test", keep=True) for index in self.test_sets]

    def _scoring(self, index: Index, stage: str, keep: bool) -> DataLoader[Any]:
        """Every sample of a set once, over all ranks together."""
        assert self.trainer is not None
        size, rank, ranks = self.config.test_batch_size, self.trainer.global_rank, self.trainer.world_size
        batches = ScoringBatches(len(index.records), size, rank, ranks)
        return loader(self._dataset(index, stage, keep), batches, "sample", self.config.workers)

    def _dataset(self, index: Index, stage: str, keep: bool, masks: bool = False) -> Dataset[Any]:
        store, size, mode = self.stores.get(f"{stage}/{index.name}"), self.backbone.image_size, self.config.model.crops
        if store is not None:
            return StoredSamples(index, store, size, mode, keep, masks)
        return RawSamples(index, size, mode, keep, masks)
