"""Stage 1: train and test the anomaly expert on frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from framework.config import Config
from framework.models.scoring import judge
from framework.models.trained import KEY
from framework.tasks.evaluation import Evaluation
from framework.tasks.pooling import balanced_bce, class_totals, pool, scoring_of
from framework.tasks.report import report
from framework.tasks.selection import MEASURE, SourceScores, best_threshold, sample_logits, source_auroc
from framework.types import Batch, Features, Verdict


class Detect(LightningModule):
    """Backbone (frozen) -> expert (trained) -> verdicts, a loss, and what evaluation collects.

    Args:
        config: the experiment.
        backbone: frozen.
        expert: trained, or to be trained.
        card: what travels inside the checkpoint, see ``trained.describe``.
    """

    def __init__(self, config: Config, backbone: nn.Module, expert: nn.Module, card: dict[str, Any]) -> None:
        super().__init__()
        self.config, self.backbone, self.expert, self.card = config, backbone, expert, card
        self.strict_loading = False  # the backbone is not in the checkpoint
        self.evaluations = nn.ModuleList()
        self.trained = False  # by this process: its checkpoint goes into the run folder
        self.folder: Path | None = None  # of the run, once tested
        self.source = SourceScores()
        self.measured: dict[str, float] = {}  # of the source, by the weights of now

    def forward(self, batch: Batch) -> Verdict:
        """The expert's verdict on all crops of a batch."""
        features = batch.features
        if features is None:
            assert batch.pixels is not None
            with torch.no_grad():
                features = self.backbone(batch.pixels)
        return self.expert(features, batch.crops)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move what the model reads; samples stay where they are."""
        found = batch.features
        if found is not None:
            levels = [level.to(device, non_blocking=True) for level in found.levels]
            batch.features = Features(levels, found.final.to(device, non_blocking=True), found.grid)
        if batch.pixels is not None:
            batch.pixels = batch.pixels.to(device, non_blocking=True)
        batch.targets, batch.weights = batch.targets.to(device), batch.weights.to(device)
        return batch

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """This rank's part of the balanced loss, scaled so that the mean over ranks is the whole."""
        logits = self(batch).logits
        views = torch.tensor(batch.views, device=logits.device)
        targets, weights = batch.targets, batch.weights
        if self.config.optim.labels == "sample":
            logits, targets = pool(logits, batch.views, self.config.model.pool), targets[views.cumsum(0) - views]
        else:
            weights = weights.repeat_interleave(views)
        totals = class_totals(targets, weights)
        if self.trainer.world_size > 1:
            totals = self.trainer.strategy.reduce(totals, reduce_op="sum")
        part = balanced_bce(logits, targets, weights, totals) * self.trainer.world_size
        self.log("loss", part, prog_bar=True, on_step=True, on_epoch=True, sync_dist=True, batch_size=len(batch.views))
        return part

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Score samples of the source, to select an epoch and a threshold by."""
        model, size = self.config.model, self.backbone.image_size
        verdict = judge(self.backbone, self.expert, batch, size, model.crops)
        found = batch.targets.split(batch.views)
        labels = [bool(targets[0] > 0) for targets in found]  # of the sample: the loader has been told so
        self.source.add(dataloader_idx, batch, sample_logits(batch, verdict, model, size), labels)

    def on_validation_epoch_end(self) -> None:
        """What the source gives with the weights of now: how well it is told apart, and its best threshold."""
        logits, labels = self.source.gather()
        self.measured = {"auroc": source_auroc(logits, labels), "threshold": best_threshold(logits, labels)}
        self.log(MEASURE, self.measured["auroc"])

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW and a cosine that restarts, as published: T_0 = half an epoch of steps."""
        o = self.config.optim
        optimizer = torch.optim.AdamW(self.expert.parameters(), lr=o.lr, weight_decay=o.weight_decay, fused=True)
        steps = self.trainer.estimated_stepping_batches / max(1, self.trainer.max_epochs or 1)
        scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=max(1, round(o.restart * steps)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the expert and where it comes from; the frozen backbone is named, not copied."""
        kept = {k: v for k, v in checkpoint["state_dict"].items() if k.startswith("expert.")}
        checkpoint["state_dict"] = kept
        checkpoint[KEY] = self.card

    def setup(self, stage: str) -> None:
        """Make the evaluation of every set under test."""
        if stage == "test":
            sets = self.trainer.datamodule.test_sets  # type: ignore[attr-defined]
            self.evaluations = nn.ModuleList(Evaluation(index) for index in sets)

    def test_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Score samples and elements; collectives wait for the end, so ranks need not have equal counts."""
        model, size = self.config.model, self.backbone.image_size
        verdict = judge(self.backbone, self.expert, batch, size, model.crops)
        self.evaluations[dataloader_idx].update(batch, verdict, model.pool, size, model.crops, scoring_of(model))

    def on_test_epoch_end(self) -> None:
        """Reduce over ranks, make rows, and let the first process write the run."""
        self.folder = report(self)
