"""What was trained on -> which epoch is kept and the threshold that goes with it: of source data only.

No test set is looked at: papers that keep the epoch that is best on the target (AdaCLIP train.py, MVFA train_zero.py)
report what nobody can reach who has no labels there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from framework.config import Config, ModelConfig
from framework.data.index import Index
from framework.data.splitting import part_of
from framework.errors import UserError
from framework.leaderboard.statistics import auroc
from framework.metrics.fixed import f1
from framework.models.scoring import OWN, per_sample, view_logits
from framework.tasks.levels import Level
from framework.tasks.pooling import HALVES, pool, score, scoring_of
from framework.types import Batch, Verdict

MEASURE = "source_auroc"  # what epochs are compared by
UNTRAINED = "nothing was trained or selected here"


@dataclass(frozen=True, slots=True)
class Sourced:
    """What the source's threshold gives on one category of a test set."""

    negatives: int
    positives: int
    f1_source: float | None


class SourceScores:
    """Logits and labels of the source's samples, collected batch by batch on every rank."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], tuple[float, bool]] = {}

    def add(self, number: int, batch: Batch, logits: Tensor, labels: Sequence[bool]) -> None:
        """Samples of one batch of set ``number``: ``(B,)`` logits and labels."""
        for position, logit, label in zip(batch.index, logits.tolist(), labels, strict=True):
            self.found[number, position] = (logit, bool(label))

    def gather(self) -> tuple[np.ndarray, np.ndarray]:
        """``(n,)`` float64 logits and ``(n,)`` bool labels over all ranks, each sample once; forgets them."""
        parts: list[Any] = [self.found]
        if dist.is_available() and dist.is_initialized():
            parts = [None] * dist.get_world_size()
            dist.all_gather_object(parts, self.found)
        whole = {key: value for part in parts for key, value in part.items()}
        self.found = {}
        values = [whole[key] for key in sorted(whole)]
        return np.array([v[0] for v in values]), np.array([v[1] for v in values], bool)


def hold_out(config: Config, train: list[Index]) -> tuple[list[Index], list[Index]]:
    """What is trained on, and what is held out to select by; nothing is where nobody asks for it or nothing is trained.

    Raises:
        UserError: one of the two parts lacks a class.
    """
    if config.select.by == "none" or not train:
        return train, []
    cut = 1 - config.select.share
    kept = [replace(index, records=part_of(index.records, 0, cut)) for index in train]
    held = [replace(index, records=part_of(index.records, cut, 1)) for index in train]
    for part, what in ((kept, "leaves"), (held, "holds out")):
        counts = [sum(index.counts[side] for index in part) for side in (0, 1)]
        if 0 in counts:
            raise UserError(
                f"select.share: {config.select.share} {what} {counts[0]} normal and {counts[1]} anomalous samples of "
                f"{', '.join(index.name for index in train)}; both classes are needed. Choose another share."
            )
    return kept, held


def sample_logits(batch: Batch, verdict: Verdict, model: ModelConfig, size: int) -> Tensor:
    """``(B,)``, the logit of each sample as a test gives it.

    Args:
        batch: with its samples where ``needs_maps`` says so.
        verdict: on it.
        model: how views are cut, scored and joined.
        size: side of a crop in pixels.
    """
    if not needs_maps(model):
        return pool(verdict.logits, batch.views, model.pool)
    found, making, own = [], scoring_of(model), verdict.logits.split(batch.views)
    for logits, (sample, maps, elements) in zip(
        own, per_sample(batch, verdict, size, model.crops, making), strict=True
    ):
        found.append(score(view_logits(logits, maps, making), elements, model.pool, sample.say))
    return torch.stack(found)


def needs_maps(model: ModelConfig) -> bool:
    """Whether the score of a sample depends on maps, so that the sample itself is needed."""
    return model.score != OWN or model.pool == HALVES


def source_auroc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Sample AUROC over all training sets in one pot, as the threshold is one for all."""
    return auroc(logits, labels) or 0.0


def best_threshold(logits: np.ndarray, labels: np.ndarray) -> float:
    """The logit at and above which samples are called anomalous for the best F1; of equal ones the highest."""
    order = np.argsort(-logits, kind="stable")
    hits = np.cumsum(labels[order])
    scores = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    last = np.append(np.diff(logits[order]) != 0, True)  # a threshold takes all of a tie or none
    return float(logits[order][np.argmax(np.where(last, scores, -1))])


def words(config: Config, fits: str = "gradient") -> str:
    """For ``Row.selection``: what chose the epoch and the threshold, on which data, of an expert that ``fits`` so."""
    if fits == "never":
        return UNTRAINED
    epochs = config.trainer.max_epochs
    if config.select.by == "none" and fits == "once":
        return "one pass over the training samples, nothing was selected"
    if config.select.by == "none":
        return f"last of {epochs} epochs, none selected; threshold: best F1 on the training samples"
    share = f"{100 * config.select.share:g} % of the source's groups, held out"
    if fits == "once":
        return f"one pass over the training samples; threshold: best F1 on {share}"
    return f"best of {epochs} epochs by sample AUROC on {share}; threshold: best F1 there"


def at_threshold(level: Level, threshold: float) -> Level:
    """The level of samples as the source's threshold cuts it, whose only metric is ``f1_source``."""
    return sourced(level, [line | {"flagged": line["logit"] >= threshold} for line in level.lines])


def sourced(level: Level, lines: list[dict[str, Any]]) -> Level:
    """As ``at_threshold``, of its lines that say whether they are ``flagged``."""
    curves = {}
    for category in level.curves:
        own = [line for line in lines if line["category"] == category]
        calls, labels = (np.array([line[key] for line in own], bool) for key in ("flagged", "label"))
        curves[category] = Sourced(int((~labels).sum()), int(labels.sum()), f1(calls, labels))
    return replace(level, curves=curves, lines=lines, pooled=None)
