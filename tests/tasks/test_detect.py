"""The LightningModule of stage 1 against its equations, on features that are foreseen."""

import dataclasses
import math
from types import SimpleNamespace

import fake
import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.testing import assert_close

from framework.config import Config, StoreConfig
from framework.data.datamodule import DomainData
from framework.data.loading import RawSamples, collate
from framework.models.experts.traits import Traits
from framework.models.trained import KEY
from framework.tasks.detect import Detect
from framework.types import Verdict


class Expert(nn.Module):
    """A view's logit: a weighted sum of the mean of its final map, over its crops."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.linspace(-3, 4, fake.Backbone.width))

    def forward(self, features, crops):
        each = features.final.mean(1) @ self.weights  # (N,)
        logits = torch.stack([part.mean() for part in each.split(crops)])
        maps = features.final.mean(-1).sigmoid().unflatten(1, features.grid)
        return Verdict(logits, maps, features.final, features.final.mean(1))


class Turntable(fake.Reader):
    """Three views of a picture, each darker than the one before; only the first shows the bright square."""

    def read(self, record):
        sample = super().read(record)
        views = np.concatenate([sample.views, sample.views // 2, sample.views // 3])
        return dataclasses.replace(sample, views=views, truth=(views[:, 0] > 200).ravel())


def task(**changes):
    config = Config(name="x", store=StoreConfig(mode="never"))
    config.model.crops = "base"
    for key, value in changes.items():
        group, _, field = key.partition("_")
        setattr(getattr(config, group), field, value)
    made = Detect(config, fake.Backbone(), Expert(), {"schema": 1})
    made.log = lambda *_, **__: None
    return made


def on_ranks(made, ranks=1, totals=None):
    """Let it train as one of so many ranks; the others' class totals are already in ``totals``."""
    strategy = SimpleNamespace(reduce=lambda mine, reduce_op: mine if totals is None else totals)
    made._trainer = SimpleNamespace(world_size=ranks, strategy=strategy)
    return made


@pytest.fixture
def index(tmp_path):
    return dataclasses.replace(fake.pictures(tmp_path / "p", 10), reader=Turntable())


def batch_of(index, keys, labels):
    data = RawSamples(index, 16, "base", keep=False)
    return collate([data[key] for key in keys], labels)


def view_logits(pixels):
    """``(views,)`` float64 by NumPy: what the fake backbone and the expert above compute."""
    pixels = pixels.numpy().astype(np.float64) / 255
    mean = pixels.reshape(len(pixels), 3, 2, 8, 2, 8).mean((3, 5)).reshape(len(pixels), 3, 4)
    final = 3 * np.concatenate([mean, mean**2, mean**3], 1).mean(2)
    return final @ np.linspace(-3, 4, 9)


def loss_by_hand(logits, targets, weights):
    """Both classes weigh one half, whatever their counts."""
    cost = {1: np.log1p(np.exp(-logits)), 0: np.log1p(np.exp(logits))}
    return sum(
        (weights * share * cost[t]).sum() / (weights * share).sum() / 2 for t, share in ((1, targets), (0, 1 - targets))
    )


KEYS = [(0, 1.0), (1, 1.0), (2, 1.0), (4, 1.0), (5, 0.0), (6, 1.0), (7, 1.0)]
LABELS = np.array([0, 1, 0, 0, 1, 0, 1.0])
WEIGHTS = np.array([1, 1, 1, 1, 0, 1, 1.0])


@pytest.mark.parametrize(("rule", "count"), [("max", 1), ("top2", 2), ("mean", 3), ("top9", 3)])
def test_with_labels_of_samples_the_views_are_pooled_and_take_the_samples_label(index, rule, count):
    made = on_ranks(task(optim_labels="sample", model_pool=rule))
    batch = batch_of(index, KEYS, "sample")
    by_view = view_logits(batch.pixels).reshape(-1, 3)
    pooled = np.sort(by_view, 1)[:, -count:].mean(1)
    assert np.ptp(by_view, 1).min() > 0.01  # so that another rule would show
    assert made.training_step(batch, 0).item() == pytest.approx(loss_by_hand(pooled, LABELS, WEIGHTS), rel=1e-5)


def test_with_labels_of_views_every_view_counts_with_its_own(index):
    made = on_ranks(task(optim_labels="view", model_pool="max"))
    batch = batch_of(index, KEYS, "view")
    targets = np.stack([LABELS, 0 * LABELS, 0 * LABELS], 1).ravel()
    wanted = loss_by_hand(view_logits(batch.pixels), targets, WEIGHTS.repeat(3))
    assert made.training_step(batch, 0).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("labels", ["view", "sample"])
def test_the_mean_over_two_ranks_is_the_loss_and_gradient_of_one(index, labels):
    keys = [(i, 1.0) for i in range(7)]
    shares = [keys[0::2], [*keys[1::2], (0, 0.0)]]  # the second rank fills up with weight 0, as TrainBatches does
    whole = on_ranks(task(optim_labels=labels))
    loss = whole.training_step(batch_of(index, keys, labels), 0)
    loss.backward()
    views = 1 if labels == "sample" else 3
    anomalous = 3.0  # samples 1, 3 and 5, and one view of each
    totals = torch.tensor([7.0 * views - anomalous, anomalous])
    parts, gradients = [], []
    for share in shares:
        made = on_ranks(task(optim_labels=labels), ranks=2, totals=totals)
        parts.append(made.training_step(batch_of(index, share, labels), 0))
        parts[-1].backward()
        gradients.append(made.expert.weights.grad)
    assert_close(sum(parts) / 2, loss)  # DDP takes the mean of the ranks' gradients
    assert_close(sum(gradients) / 2, whole.expert.weights.grad)


class Taught(Expert):
    """Trains on masks: a view's loss is its logit's distance from the anomalous share of its masks."""

    traits = Traits(reads="pixels", masks=True)

    def losses(self, pixels, batch):
        means = pixels.float().mean((1, 2, 3)) * self.weights.sum() / 255
        shares = (batch.masks > 0).float().mean((1, 2))
        return torch.stack([part.mean() for part in (means - shares).square().split(batch.crops)])

    def optimizer(self, lr):
        return torch.optim.SGD(self.parameters(), lr=lr)


def test_an_expert_with_a_loss_of_its_own_trains_by_it_on_any_number_of_ranks(index):
    data, made = RawSamples(index, 16, "base", keep=False, masks=True), on_ranks(task())
    made.expert, made.traits = Taught(), Taught.traits
    batch = collate([data[key] for key in KEYS], "view")
    loss = made.training_step(batch, 0)
    each = made.expert.losses(batch.pixels, batch).reshape(-1, 3).sum(1)
    assert_close(loss, (each * torch.tensor(WEIGHTS).float()).sum() / (3 * WEIGHTS.sum()))
    parts = []
    for share in (KEYS[:3], KEYS[3:]):
        on_ranks(made, ranks=2, totals=torch.tensor(3 * WEIGHTS.sum()))
        parts.append(made.training_step(collate([data[key] for key in share], "view"), 0))
    assert_close(sum(parts) / 2, loss.double(), check_dtype=False)
    assert isinstance(made.configure_optimizers(), torch.optim.SGD)


class Watch(Callback):
    """The learning rate of every step."""

    def __init__(self):
        self.lr = []

    def on_train_batch_start(self, trainer, *_):
        self.lr.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.optimizer = trainer.optimizers[0]


@pytest.mark.filterwarnings("ignore:You have overridden `transfer_batch_to_device`")
@pytest.mark.parametrize(
    ("batch_size", "restart", "steps", "period"),
    [(2, 0.5, 5, 2), (1, 0.5, 10, 5), (10, 0.5, 1, 1), (2, 2.0, 5, 10), (1, 0.15, 10, 2)],
)
def test_the_learning_rate_follows_a_cosine_that_restarts(index, tmp_path, batch_size, restart, steps, period):
    made = task(optim_lr=3e-3, optim_weight_decay=0.07, optim_restart=restart, optim_batch_size=batch_size)
    watch = Watch()
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, callbacks=[watch], default_root_dir=tmp_path,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    before = made.expert.weights.detach().clone()
    del made.log
    trainer.fit(made, datamodule=DomainData(made.config, [index], [], made.backbone))
    assert len(watch.lr) == 3 * steps
    wanted = [3e-3 / 2 * (1 + math.cos(math.pi * (step % period) / period)) for step in range(3 * steps)]
    np.testing.assert_allclose(watch.lr, wanted, rtol=1e-9)
    assert isinstance(watch.optimizer, torch.optim.AdamW)
    (group,) = watch.optimizer.param_groups
    assert group["weight_decay"] == 0.07 and group["params"] == [made.expert.weights]
    assert (made.expert.weights != before).all()
    assert not made.backbone.place.requires_grad and float(made.backbone.place) == 0  # frozen


def test_a_checkpoint_has_the_expert_and_its_card_and_no_backbone():
    made = task()
    content = {"state_dict": made.state_dict()}
    made.on_save_checkpoint(content)
    assert list(content["state_dict"]) == ["expert.weights"] and content[KEY] == {"schema": 1}


def test_features_from_a_store_are_not_computed_again(index):
    made = task()
    batch = batch_of(index, KEYS, "view")
    found = made(batch)
    assert_close(found.logits.double(), torch.from_numpy(view_logits(batch.pixels)), atol=1e-4, rtol=1e-5)
    batch.features, batch.pixels = made.backbone(batch.pixels), None
    calls = made.backbone.calls
    assert_close(made(batch).logits, found.logits)
    assert made.backbone.calls == calls


def test_what_the_model_reads_is_moved_and_samples_stay(index):
    made, batch = task(), batch_of(index, KEYS, "view")
    batch.features = made.backbone(batch.pixels)
    moved = made.transfer_batch_to_device(batch, torch.device("meta"), 0)
    tensors = [moved.pixels, moved.targets, moved.weights, *moved.features.levels, moved.features.final]
    assert {tensor.device.type for tensor in tensors} == {"meta"} and moved.features.grid == (2, 2)


def test_an_expert_that_reads_pixels_is_trained_on_them(tmp_path):
    made = task()
    made.traits = Traits(reads="pixels")
    made.expert.forward = lambda pixels, crops: (pixels.dtype, pixels.shape[1:], crops)
    index = fake.pictures(tmp_path, 2)
    batch = collate([RawSamples(index, 16, "base", keep=False)[(i, 1.0)] for i in range(2)])
    assert made(batch) == (torch.uint8, (3, 16, 16), [1, 1])


def test_what_an_expert_keeps_frozen_is_not_optimised():
    made = task()
    made.expert.tower = nn.Linear(2, 2).requires_grad_(False)
    made._trainer = SimpleNamespace(estimated_stepping_batches=4, max_epochs=1)
    (group,) = made.configure_optimizers()["optimizer"].param_groups
    assert group["params"] == [made.expert.weights]
