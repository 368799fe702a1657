"""Patches of labelled training views -> a linear layer that scores views, and where masks teach it one for patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framework.errors import UserError
from framework.models.experts.choice import Choice
from framework.models.experts.logistic import Layer, layer
from framework.types import Features, Verdict

LEAST = 1e-6  # spread of the patches' logits
MOST = 2**14  # patches that are kept of each kind: 64 MiB of 1024 channels
VIEWS, PATCHES = 0, 1  # the two layers


class LinearProbe(nn.Module):
    """Logistic regression on the mean patch of a view for its score, and on patches for its map.

    With x the final patches, the logit of a view is w . z(mean(x)) + b, z standardised by mean and spread of the
    training views' means. What makes the map depends on the training sets:

    - where one has masks, a second layer, fitted to the patches whose pixels are all known. A patch that is anomalous
      in a share t of its pixels counts as t of an anomalous patch and 1 - t of a normal one: the fit to all pixels,
      each with the features of its patch. Of patches with t = 0, and of those with t > 0, at most ``MOST`` are kept, a
      random choice that is the same for every seed, and weigh as many as they stand for;
    - where none has, the first layer on each patch, w . z(x) + b, whose mean over a view is the view's logit: a patch's
      part in it is its suspicion (a class activation map). What was fitted is the mean, so such a map may be upside
      down. ``told`` says which it was, and so do the checkpoint's card and the rows.

    A map is sigmoid(m / s) with m that number and s its spread over the training patches: it rises strictly and does
    not saturate.

    Each layer minimises the mean of the loss, both classes weighing the same, plus ``l2`` / 2 |w|^2 / M of M training
    views; the patches of a view are no witnesses of their own, so for them M is the same. That is convex: L-BFGS in
    float64 finds the one minimum, so there is no rate, no number of epochs and no seed to choose.

    Source: the probe of CLIP (Radford et al. 2021, arXiv 2103.00020, section 3.2 and appendix A.3: logistic regression
    by L-BFGS on frozen features, at most 1,000 iterations; we balance the classes and fix the L2 weight, since a search
    needs a validation set that small sets lack). Maps without masks: Zhou et al., CVPR 2016, arXiv 1512.04150, equation
    2. No class token crosses our backbones, so a view's vector is the mean over its patches.

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
    _normal: Choice
    _touched: Choice

    def __init__(self, width: int, l2: float) -> None:
        super().__init__()
        if not l2 > 0:
            raise UserError(f"model.expert.options.l2: above 0, not {l2}.")
        self.width, self.l2, self.told = width, l2, ""
        for name, value in (("centre", 0.0), ("spread", 1.0), ("weight", 0.0)):
            self.register_buffer(name, torch.full((2, width), value))  # of the layer of views, and of that of patches
        self.register_buffer("bias", torch.zeros(2))
        self.register_buffer("scale", torch.ones(()))
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
        summary = torch.stack([part.mean((0, 1)) for part in final.split(crops)])
        with torch.autocast(final.device.type, enabled=False):
            logits = self._margins(summary, VIEWS)
            maps = (self._margins(final, PATCHES) / self.scale.float()).sigmoid()  # (N, P)
        return Verdict(logits, maps.unflatten(1, features.grid), final.new_zeros(len(final), 0, self.width), summary)

    def observe(self, features: Features, crops: list[int], targets: Tensor, masks: Tensor) -> None:
        """Keep the mean patch of each view, a choice of patches, and moments of all. See ``traits.Once``."""
        final = features.final.double()
        self._means += [part.mean((0, 1)).cpu() for part in final.split(crops)]
        self._targets += targets.tolist()
        patches = final.flatten(0, 1)
        self._moments = self._moments + (patches.T @ patches).cpu()
        self._sums = self._sums + patches.sum(0).cpu()
        self._count += len(patches)
        for found, mask in zip(features.final, masks, strict=True):  # a crop at a time: masks are large
            shares, known = _shares(mask, features.grid)
            for kept, chosen in ((self._normal, known & (shares == 0)), (self._touched, known & (shares > 0))):
                kept.add(found[chosen].float(), shares[chosen])

    def settle(self) -> None:
        """Fit the layers.

        Raises:
            UserError: the training views are all normal, or all anomalous.
        """
        targets = torch.tensor(self._targets, dtype=torch.float64)
        totals = torch.stack([(1 - targets).sum(), targets.sum()])
        if not len(targets) or not (totals > 0).all():
            raise UserError(
                "linear_probe needs normal and anomalous samples to train on. Add a train set that has both."
            )
        penalty = self.l2 / len(targets)
        views = patches = layer(torch.stack(self._means), targets, penalty)
        self.told = (
            "maps: what each patch adds to its view's logit, for no masks tell anomalous patches from normal ones"
        )
        if self._touched.seen and self._normal.seen:
            patches = self._taught(penalty)
            self.told = f"maps taught by masks: {self._touched.seen} patches with anomalous pixels"
        for name in ("centre", "spread", "weight", "bias"):
            getattr(self, name).copy_(torch.stack([getattr(views, name), getattr(patches, name)]))
        self.scale.copy_(self._deviation(patches))
        self._begin()

    def _margins(self, vectors: Tensor, which: int) -> Tensor:
        """``(..., C)`` float32 -> ``(...)``, the logits of one of the layers, whatever it is kept in."""
        known = (self.centre, self.spread, self.weight, self.bias)
        centre, spread, weight, bias = (value[which].float() for value in known)
        return ((vectors - centre) / spread) @ weight + bias

    def _taught(self, penalty: float) -> Layer:
        """The layer of patches."""
        kinds = (self._normal, self._touched)
        taken = [kept.taken() for kept in kinds]
        each = [torch.full((len(own[1]),), kept.seen / len(own[1])) for kept, own in zip(kinds, taken, strict=True)]
        vectors, shares = (torch.cat(parts).double() for parts in zip(*taken, strict=True))
        return layer(vectors, shares, penalty, torch.cat(each).double())

    def _deviation(self, patches: Layer) -> Tensor:
        """The spread of the logits of all training patches, a scalar, float64."""
        slope, mean = patches.weight / patches.spread, self._sums / self._count
        variance = slope @ (self._moments / self._count - torch.outer(mean, mean)) @ slope
        return variance.clamp_min(0).sqrt().clamp_min(LEAST)

    def _begin(self) -> None:
        self._means: list[Tensor] = []
        self._targets: list[float] = []
        self._moments = torch.zeros(self.width, self.width, dtype=torch.float64)
        self._sums = torch.zeros(self.width, dtype=torch.float64)
        self._count = 0
        self._normal, self._touched = Choice(MOST), Choice(MOST)  # patches without, and with anomalous pixels


def _shares(mask: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """``(S, S)`` of 1, 0 and -1 -> ``(P,)`` float32 shares of anomalous pixels, and ``(P,)`` whether all are known."""
    pixels = torch.stack([mask > 0, mask < 0]).float()
    anomalous, unknown = F.adaptive_avg_pool2d(pixels, grid).flatten(1)
    return anomalous, unknown == 0
