"""Stage 1: fit and test the anomaly expert on frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from framework.config import Config
from framework.errors import UserError
from framework.models.experts import traits
from framework.models.scoring import judge, looked
from framework.models.trained import KEY
from framework.tasks.evaluation import Evaluation
from framework.tasks.pooling import balanced_bce, class_totals, pool, scoring_of
from framework.tasks.report import report
from framework.tasks.selection import MEASURE, SourceScores, best_threshold, sample_logits, source_auroc
from framework.tasks.studying import Studied, study
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
        self.traits = traits.of(expert)
        self.evaluations = nn.ModuleList()
        self.studied: list[Studied] = []  # of each set under test, by a transductive expert
        self.trained = False  # by this process: its checkpoint goes into the run folder
        self.folder: Path | None = None  # of the run, once tested
        self.source = SourceScores()
        self.measured: dict[str, float] = {}  # of the source, by the weights of now

    def forward(self, batch: Batch) -> Verdict:
        """The expert's verdict on all crops of a batch."""
        seen: Features | Tensor | None = batch.features
        if seen is None:
            assert batch.pixels is not None
            seen = batch.pixels
            if self.traits.reads == "features":
                with torch.no_grad():
                    seen = self.backbone(seen)
        return self.expert(seen, batch.crops)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move what the model reads; samples stay where they are."""
        found = batch.features
        if found is not None:
            levels = [level.to(device, non_blocking=True) for level in found.levels]
            batch.features = Features(levels, found.final.to(device, non_blocking=True), found.grid)
        if batch.pixels is not None:
            batch.pixels = batch.pixels.to(device, non_blocking=True)
        batch.targets, batch.weights = batch.targets.to(device), batch.weights.to(device)
        if batch.masks is not None:
            batch.masks = batch.masks.to(device, non_blocking=True)
        return batch

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """This rank's part of the loss, scaled so that the mean over ranks is the whole."""
        part = (self._own(batch) if self.traits.masks else self._balanced(batch)) * self.trainer.world_size
        self.log("loss", part, prog_bar=True, on_step=True, on_epoch=True, sync_dist=True, batch_size=len(batch.views))
        return part

    def _balanced(self, batch: Batch) -> Tensor:
        """This rank's part of the balanced loss of scores."""
        logits = self(batch).logits
        views = torch.tensor(batch.views, device=logits.device)
        targets, weights = batch.targets, batch.weights
        if self.config.optim.labels == "sample":
            logits, targets = pool(logits, batch.views, self.config.model.pool), targets[views.cumsum(0) - views]
        else:
            weights = weights.repeat_interleave(views)
        return balanced_bce(logits, targets, weights, self._summed(class_totals(targets, weights)))

    def _own(self, batch: Batch) -> Tensor:
        """This rank's part of the mean of the expert's own losses of the views of a step."""
        weights = batch.weights.repeat_interleave(torch.tensor(batch.views, device=batch.weights.device))
        return (weights * self.expert.losses(batch.pixels, batch)).sum() / self._summed(weights.sum())

    def _summed(self, totals: Tensor) -> Tensor:
        """Totals of this rank -> of all ranks."""
        return self.trainer.strategy.reduce(totals, reduce_op="sum") if self.trainer.world_size > 1 else totals

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
        if np.isnan(logits).any():
            raise UserError("training has diverged, what it was trained on scores NaN. Lower optim.lr.")
        self.measured = {"auroc": source_auroc(logits, labels), "threshold": best_threshold(logits, labels)}
        self.log(MEASURE, self.measured["auroc"])

    def configure_optimizers(self) -> Any:
        """AdamW and a cosine that restarts, as published: T_0 = half an epoch of steps; or the expert's own."""
        o = self.config.optim
        if self.traits.masks:
            return self.expert.optimizer(o.lr)
        taught = [p for p in self.expert.parameters() if p.requires_grad]  # an expert may hold frozen towers
        optimizer = torch.optim.AdamW(taught, lr=o.lr, weight_decay=o.weight_decay, fused=True)
        steps = self.trainer.estimated_stepping_batches / max(1, self.trainer.max_epochs or 1)
        scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=max(1, round(o.restart * steps)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def predict_step(self, batch: Batch, _: int) -> None:
        """Show an expert that is fitted once a batch of the training sets: the loop of Lightning that has no loss."""
        size, mode = self.backbone.image_size, self.config.model.crops
        for start, end, seen in looked(self.backbone, batch, size, mode, self.traits.reads):
            known = () if batch.masks is None else (batch.masks[sum(batch.crops[:start]) : sum(batch.crops[:end])],)
            self.expert.observe(seen, batch.crops[start:end], batch.targets[start:end], *known)

    def on_predict_end(self) -> None:
        """All training sets were shown."""
        self.expert.settle()

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

    def on_test_start(self) -> None:
        """Let a transductive expert see all sets under test first: every rank comes here, whatever its share."""
        if self.traits.transductive:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            self.studied = [study(self, self.backbone, self.expert, data, index) for index in data.test_sets]

    def test_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Score samples and elements; collectives wait for the end, so ranks need not have equal counts."""
        model, size = self.config.model, self.backbone.image_size
        if self.studied:
            verdict = self.studied[dataloader_idx].of(batch.index)
        else:
            verdict = judge(self.backbone, self.expert, batch, size, model.crops)
        self.evaluations[dataloader_idx].update(batch, verdict, model.pool, size, model.crops, scoring_of(model))

    def on_test_epoch_end(self) -> None:
        """Reduce over ranks, make rows, and let the first process write the run."""
        self.folder = report(self)
