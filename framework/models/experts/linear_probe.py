"""Mean patches of labelled training views -> one linear layer, which scores a view and each of its patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from framework.errors import UserError
from framework.types import Features, Verdict

STEPS = 1000  # of L-BFGS at most, as CLIP's probe
FLAT = 1e-6  # spread of a channel below which it says nothing
LEAST = 1e-6  # spread of the patches' logits


class LinearProbe(nn.Module):
    """Logistic regression on the mean patch of a view, and the same layer on its patches as map.

    With z the final patches, standardised by mean and spread of the training views' means, the logit of a view is
    w . mean(z) + b, which is the mean of w . z + b over its patches: each patch's part is its suspicion (a class
    activation map), so no second layer is taught and masks are not used. A map is sigmoid((w . z + b) / s) with s the
    spread of that number over the training patches: which rises strictly and does not saturate.

    w and b minimise the mean of the loss over the training views, both classes weighing the same, plus
    ``l2`` / 2 |w|^2 / M of M views. That is convex: L-BFGS in float64 finds the one minimum, so there is no rate, no
    number of epochs and no seed to choose.

    Source: the probe of CLIP (Radford et al. 2021, arXiv 2103.00020, section 3.2 and appendix A.3: logistic regression
    by L-BFGS on frozen features, at most 1,000 iterations; we balance the classes and fix the L2 weight, since a search
    needs a validation set that small sets lack). Maps: Zhou et al., CVPR 2016, arXiv 1512.04150, equation 2. No class
    token crosses our backbones, so a view's vector is the mean over its patches.

    Args:
        width: channels of the features, C.
        l2: weight of the penalty, scikit-learn's 1 / C.

    Raises:
        UserError: a penalty that is not above 0.
    """

    centre: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor
    scale: Tensor
    _moments: Tensor
    _sums: Tensor
    _count: int

    def __init__(self, width: int, l2: float) -> None:
        super().__init__()
        if not l2 > 0:
            raise UserError(f"model.expert.options.l2: above 0, not {l2}.")
        self.width, self.l2 = width, l2
        for name, value in (("centre", 0.0), ("spread", 1.0), ("weight", 0.0)):
            self.register_buffer(name, torch.full((width,), value))
        for name, value in (("bias", 0.0), ("scale", 1.0)):
            self.register_buffer(name, torch.tensor(value))
        self._begin()

    def forward(self, features: Features, crops: list[int]) -> Verdict:
        """Judge M views from the features of their N crops.

        Args:
            features: its final map, ``(N, P, C)``, is read.
            crops: crops of each of M views; sums to N.

        Returns:
            logits ``(M,)``, maps ``(N, rows, columns)`` in (0, 1), tokens ``(N, 0, C)``, summary ``(M, C)``.
        """
        final = features.final.float()
        known = (self.centre, self.spread, self.weight, self.bias, self.scale)
        centre, spread, weight, bias, scale = (value.float() for value in known)  # whatever it is kept in
        with torch.autocast(final.device.type, enabled=False):
            margins = ((final - centre) / spread) @ weight + bias  # (N, P)
        logits = torch.stack([part.mean() for part in margins.split(crops)])
        summary = torch.stack([part.mean((0, 1)) for part in final.split(crops)])
        maps = (margins / scale).sigmoid().unflatten(1, features.grid)
        return Verdict(logits, maps, final.new_zeros(len(final), 0, self.width), summary)

    def observe(self, features: Features, crops: list[int], targets: Tensor) -> None:
        """Keep the mean patch of each view, and first and second moments of all patches. See ``traits.Once``."""
        final = features.final.double()
        self._means += [part.mean((0, 1)).cpu() for part in final.split(crops)]
        self._targets += targets.tolist()
        patches = final.flatten(0, 1)
        self._moments = self._moments + (patches.T @ patches).cpu()
        self._sums = self._sums + patches.sum(0).cpu()
        self._count += len(patches)

    def settle(self) -> None:
        """Fit the layer.

        Raises:
            UserError: the training views are all normal, or all anomalous.
        """
        targets = torch.tensor(self._targets, dtype=torch.float64)
        totals = torch.stack([(1 - targets).sum(), targets.sum()])
        if not len(targets) or not (totals > 0).all():
            raise UserError(
                "linear_probe needs normal and anomalous samples to train on. Add a train set that has both."
            )
        means = torch.stack(self._means)
        centre, spread = means.mean(0), means.std(0, correction=0)
        spread = torch.where(spread < FLAT, torch.inf, spread)  # such a channel gets no weight
        weight, bias = fitted((means - centre) / spread, targets, self.l2)
        slope = weight / spread
        mean = self._sums / self._count
        variance = slope @ (self._moments / self._count - torch.outer(mean, mean)) @ slope
        scale = variance.clamp_min(0).sqrt().clamp_min(LEAST)
        told = {"centre": centre, "spread": spread, "weight": weight, "bias": bias, "scale": scale}
        for name, value in told.items():
            getattr(self, name).copy_(value)
        self._begin()

    def _begin(self) -> None:
        self._means: list[Tensor] = []
        self._targets: list[float] = []
        self._moments = torch.zeros(self.width, self.width, dtype=torch.float64)
        self._sums = torch.zeros(self.width, dtype=torch.float64)
        self._count = 0


def fitted(means: Tensor, targets: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """The weights and the bias of a balanced, penalised logistic regression.

    Args:
        means: ``(M, C)`` float64, standardised.
        targets: ``(M,)`` in [0, 1], of both classes.
        l2: see ``LinearProbe``.

    Returns:
        ``(C,)`` and a scalar, float64.
    """
    taught = torch.zeros(means.shape[1] + 1, dtype=means.dtype, requires_grad=True)  # weights, then the bias
    anomalous, normal = targets / targets.sum() / 2, (1 - targets) / (1 - targets).sum() / 2
    optimizer = torch.optim.LBFGS(
        [taught], max_iter=STEPS, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = means @ taught[:-1] + taught[-1]
        value = (anomalous * softplus(-logits) + normal * softplus(logits)).sum()
        value = value + l2 / 2 / len(means) * taught[:-1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return taught[:-1].detach(), taught[-1].detach()
