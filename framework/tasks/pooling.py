"""Views -> samples: one logit from the logits of the views (and the map), one loss from both classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from framework.config import ModelConfig
from framework.models.scoring import Scoring

HALVES = "half_max_half_mean"


def scoring_of(model: ModelConfig) -> Scoring:
    """What an experiment, or a checkpoint, says of smoothing and of the scores of views."""
    return Scoring(model.smooth, model.smooth_on, model.score)


def score(logits: Tensor, elements: Tensor, rule: str, say: np.ndarray | None = None) -> Tensor:
    """The logit of one sample.

    Args:
        logits: ``(V,)`` of its views.
        elements: ``(E,)`` scores of its elements, in [0, 1].
        rule: of ``pool``, or "half_max_half_mean": half the highest element score, half the mean probability of the
            views (PointAD, zqhang/PointAD test.py, whose map lies on a smoothed grid; here it is that of the elements).
        say: ``(V,)``, how much each view counts in that mean, see ``Sample.say``; None: all the same.

    Returns:
        A scalar.
    """
    if rule != HALVES:
        return pool(logits, [len(logits)], rule)[0]
    shares = torch.ones_like(logits) if say is None else torch.from_numpy(say).to(logits)
    mean = (logits.double().sigmoid() * shares).sum() / shares.sum()
    probability = (elements.max().double() + mean) / 2
    return probability.logit(eps=1e-9).float()


def pool(logits: Tensor, views: list[int], rule: str) -> Tensor:
    """One logit per sample.

    The published model scores single views; how views join is our choice, stated in every row's ``model``.

    Args:
        logits: ``(M,)``, one per view, samples end to end.
        views: views of each sample; sums to M.
        rule: "max", "mean", or "topK", the mean of the K highest (all where there are fewer); "half_max_half_mean" is
            "mean" where there are only views, as in training.

    Returns:
        ``(B,)``.
    """
    if rule in ("mean", HALVES):
        return torch.stack([part.mean() for part in logits.split(views)])
    count = 1 if rule == "max" else int(rule.removeprefix("top"))
    return torch.stack([part.topk(min(count, len(part))).values.mean() for part in logits.split(views)])


def class_totals(targets: Tensor, weights: Tensor) -> Tensor:
    """``(2,)``: how much normal and how much anomalous target there is; a sum, so ranks can add theirs."""
    return torch.stack([(weights * (1 - targets)).sum(), (weights * targets).sum()])


def balanced_bce(logits: Tensor, targets: Tensor, weights: Tensor, totals: Tensor) -> Tensor:
    """This rank's part of the balanced binary cross-entropy: both classes weigh the same, whatever their counts.

    ``1/2 sum_i t_i softplus(-x_i) / sum t + 1/2 sum_i (1 - t_i) softplus(x_i) / sum (1 - t)``; where a batch has one
    class only, that class alone with weight 1. The paper names a balanced BCE on the image score without its formula
    (section 5.1); public re-implementations use ``pos_weight = n_neg / n_pos`` within the batch, which this equals
    up to a constant factor. On logits, since a saturated sigmoid has no gradient.

    Args:
        logits: ``(M,)``.
        targets: ``(M,)`` in [0, 1].
        weights: ``(M,)``, 0 leaves an entry out.
        totals: ``class_totals`` summed over all ranks.

    Returns:
        A scalar; the parts of all ranks sum to the loss.
    """
    shares = (totals > 0).to(logits.dtype)
    normal, anomalous = shares / shares.sum().clamp(min=1) / totals.clamp(min=1e-12)
    terms = anomalous * targets * softplus(-logits) + normal * (1 - targets) * softplus(logits)
    return (weights * terms).sum()
