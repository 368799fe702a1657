"""Stage 2: the model and the conversations it is tuned on -> what Lightning trains, and the batches it trains on."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

from framework.data.instruct.talks import GroupedBatches, Measured, Talks, loader
from framework.models.onevision.chat import Chat
from framework.models.onevision.modeling import AnomalyOV
from framework.models.onevision.sharding import shard
from framework.models.onevision.tuned import KEY, MODULES
from framework.reasoning import Reasoning

Inputs = dict[str, Tensor]


class Reason(LightningModule):
    """Tower and expert (frozen), projector and language model (tuned, whole or by adapters) -> the loss of answers.

    Args:
        config: the experiment.
        model: with what is tuned asking for gradients, see ``tuned.prepare``.
        accumulate: micro-batches in a step.
        steps: of the whole training.
        card: what travels inside the checkpoint.
    """

    def __init__(self, config: Reasoning, model: AnomalyOV, accumulate: int, steps: int, card: dict[str, Any]) -> None:
        super().__init__()
        self.config, self.model, self.accumulate, self.steps, self.card = config, model, accumulate, steps, card
        self.strict_loading = False  # what is frozen is not in the checkpoint

    def train(self, mode: bool = True) -> Reason:
        """Only the language model has dropout, so the rest stays as it is asked."""
        super().train(mode)
        self.model.model.vision_tower.eval()
        return self

    def configure_model(self) -> None:
        """Under FSDP2, share the model out over the devices of a node."""
        mesh = getattr(self, "device_mesh", None)
        if mesh is None or getattr(self, "_sharded", False):
            return
        shard(self.model, mesh)
        self._sharded = True

    def on_train_batch_start(self, _: Inputs, number: int) -> None:
        """Dropout that follows from the place in the training, so that a resumed run is an unbroken one."""
        place = (self.config.seed, self.current_epoch, number, self.global_rank)
        torch.manual_seed(int.from_bytes(hashlib.sha256(repr(place).encode()).digest()[:8]))

    def training_step(self, batch: Inputs, _: int) -> Tensor:
        """This micro-batch's part of the loss, scaled so that the mean over ranks and accumulation is the whole."""
        weight = batch.pop("weight")
        losses = self.model.losses(**batch)[0]
        part = (losses * weight).sum() * self.accumulate * self.trainer.world_size
        shown = (losses.detach() * weight).sum() / weight.sum().clamp_min(1e-12)
        self.log("loss", shown, prog_bar=True, on_step=True, on_epoch=True, batch_size=len(weight))
        return part

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW and one cosine after a linear warm-up, as published."""
        o = self.config.optim
        bridge = (MODULES["projector"], MODULES["newline"])
        named = [(n.removeprefix("model."), p) for n, p in self.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for n, p in named if n.startswith(bridge)], "lr": o.projector_lr or o.lr},
            {"params": [p for n, p in named if not n.startswith(bridge)], "lr": o.lr},
        ]
        used = [g for g in groups if g["params"]]
        # Together, as on a GPU else, a step would hold two more copies of all that is tuned.
        optimizer = torch.optim.AdamW(used, lr=o.lr, weight_decay=o.weight_decay, foreach=False)
        schedule = get_cosine_schedule_with_warmup(optimizer, round(o.warmup * self.steps), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is tuned."""
        tuned = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in tuned}
        checkpoint[KEY] = self.card


class TalkData(LightningDataModule):
    """Conversations as micro-batches of this rank.

    Args:
        config: the experiment.
        measured: what to train on.
        chat: of the model.
    """

    def __init__(self, config: Reasoning, measured: list[Measured], chat: Chat) -> None:
        super().__init__()
        self.config, self.measured, self.chat = config, measured, chat

    def batches(self, rank: int, ranks: int) -> GroupedBatches:
        """The sampler of one rank; it starts where an interrupted epoch stopped."""
        o, t = self.config.optim, self.config.tune
        return GroupedBatches(
            self.measured, o.batch_size, t.at_once, self.config.seed, rank, ranks, o.grouped, t.average, self._start
        )

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        t = self.config.tune
        data = Talks(self.measured, self.chat, t.labels, t.unreadable, t.decode)
        return loader(data, self.batches(trainer.global_rank, trainer.world_size), self.config.workers)

    def taken(self, trainer: Trainer) -> int:
        """Micro-batches of an epoch."""
        limit, there = trainer.limit_train_batches, len(self.batches(0, trainer.world_size))
        return min(limit, there) if isinstance(limit, int) else int(limit * there)

    def _start(self) -> tuple[int, int]:
        trainer = self.trainer
        assert trainer is not None
        epoch, done = trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return (epoch, done) if done < self.taken(trainer) else (epoch + 1, 0)  # workers ask before Lightning goes on
