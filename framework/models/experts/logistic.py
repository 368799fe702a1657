"""Vectors and what they should score -> a penalised logistic layer, the one minimum of a convex loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

STEPS = 1000  # of L-BFGS at most, as CLIP's probe
FLAT = 1e-6  # spread of a channel below which it says nothing


@dataclass(frozen=True, slots=True)
class Layer:
    """``((x - centre) / spread) . weight + bias`` is the logit of a vector x; all float64.

    Attributes:
        centre: ``(C,)``, mean of the training vectors.
        spread: ``(C,)``, their standard deviation; infinite for a channel that is the same everywhere.
        weight: ``(C,)``.
        bias: scalar.
    """

    centre: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor


def layer(vectors: Tensor, targets: Tensor, penalty: float, weights: Tensor | None = None) -> Layer:
    """Fit one, both classes weighing the same.

    Args:
        vectors: ``(n, C)`` float64.
        targets: ``(n,)`` float64 in [0, 1], with something of both classes; a share counts as that much of each.
        penalty: what |weight|^2 / 2 costs, beside the balanced mean of the loss.
        weights: ``(n,)`` float64 above 0, how many vectors each stands for; None: one.
    """
    counts = torch.ones_like(targets) if weights is None else weights
    counts = counts / counts.sum()
    centre = counts @ vectors
    spread = (counts @ (vectors - centre).square()).sqrt()
    spread = torch.where(spread < FLAT, torch.inf, spread)  # such a channel gets no weight
    return Layer(centre, spread, *_minimum((vectors - centre) / spread, targets, counts, penalty))


def _minimum(vectors: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """The weights ``(C,)`` and the bias, by L-BFGS: no rate, no epochs and no seed."""
    taught = torch.zeros(vectors.shape[1] + 1, dtype=vectors.dtype, requires_grad=True)  # weights, then the bias
    anomalous, normal = counts * targets, counts * (1 - targets)
    anomalous, normal = anomalous / anomalous.sum() / 2, normal / normal.sum() / 2
    optimizer = torch.optim.LBFGS(
        [taught], max_iter=STEPS, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = vectors @ taught[:-1] + taught[-1]
        value = (anomalous * softplus(-logits) + normal * softplus(logits)).sum()
        value = value + penalty / 2 * taught[:-1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return taught[:-1].detach(), taught[-1].detach()
