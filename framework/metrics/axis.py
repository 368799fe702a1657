"""Scores -> bin numbers on one fixed axis, and back: what histograms count. The same on any device and batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Kind = Literal["probability", "logit"]
Scores = Literal["probability", "logit", "any"]
BINS = 131072
OCTAVES = 64  # of odds that the probability axis spans
LOWEST_OCTAVE = -39  # odds below 2^-39 share a bin; the highest odds below infinity of a float32 are near 2^24
TINY = 2.0**-100
LIMIT = 32.0  # the logit axis spans -32..32


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Bins in the order of scores.

    Attributes:
        low, top: ``(K,)`` float64 edges, in scores; a bin holds its lower one, and not its upper one but where equal.
        single: ``(K,)`` bool: no two different float32 scores share the bin.
        kind: what scores are; only "probability" and "logit" have thresholds other than ``low``.
    """

    low: np.ndarray
    top: np.ndarray
    single: np.ndarray
    kind: Scores = "any"

    def threshold(self, key: int) -> float:
        """The lowest score in bin ``key`` or a higher one; of logits its probability."""
        return float(self.low[key]) if self.kind == "any" else threshold(key, self.kind, len(self.low))


def check(scores: Tensor, kind: Kind) -> tuple[float, float]:
    """Refuse what is no score.

    Args:
        scores: ``(E,)`` floating point, E > 0.
        kind: "probability": in [0, 1]; "logit": any number, infinities too.

    Returns:
        The least and the highest score. Below ``TINY`` one may be 0 once it is a float32, for ``keys``.

    Raises:
        ValueError: a score is NaN, or a probability lies outside [0, 1].
    """
    low, high = (float(x) for x in torch.aminmax(scores))
    if low != low or high != high:
        raise ValueError(f"scores hold NaN ({int(scores.isnan().sum())} of {scores.numel()})")
    if kind == "probability" and not 0 <= low <= high <= 1:
        raise ValueError(f"probabilities must lie in [0, 1], got {low:g}..{high:g}; pass scores='logit' for logits")
    return low, high


def keys(scores: Tensor, kind: Kind, bins: int = BINS, zeros: bool = True) -> Tensor:
    """The bin of each score. A higher score never has a lower bin.

    "probability": the float32 bits of the odds p / (1 - p) without their last ones. This is a logarithmic axis that is
    linear inside an octave: as fine as a linear axis of logits, but made of one subtraction and one division, which
    IEEE 754 rounds alike everywhere, where logarithms differ in the last bit between devices and memory layouts.
    0 and 1 have a bin of their own. "logit": linear over -32..32, both end bins are open.

    Args:
        scores: ``(E,)`` float32 that passed ``check``.
        kind: which axis.
        bins: of the axis, a power of two of at least 1024.
        zeros: False where no score is 0, which saves a pass.

    Returns:
        ``(E,)`` int32 in [0, bins).
    """
    if kind == "logit":
        return scores.add(LIMIT).mul_(bins / (2 * LIMIT)).clamp_(0, bins - 1).to(torch.int32)
    shift, base = _layout(bins)
    odds = 1 - scores
    torch.div(scores, odds, out=odds)
    found = odds.view(torch.int32).bitwise_right_shift_(shift).sub_(base).clamp_(1, bins - 1)
    return found.masked_fill_(scores == 0, 0) if zeros else found


def single(kind: Kind, bins: int = BINS) -> np.ndarray:
    """``(bins,)`` bool: bins that no two different float32 scores share, so what ties there is truly tied.

    These are the bins of 0, of 1, and of q = 1 - p so small that the spacing of float32 below 1, 2^-24, exceeds the
    width of a bin, which is at most odds * 64 / bins.
    """
    if kind == "logit":
        return np.zeros(bins, bool)
    found = _odds(bins) >= 4 * 2.0**24 * OCTAVES / bins
    found[[0, -1]] = True
    return found


@lru_cache(maxsize=8)
def scale(kind: Kind, bins: int = BINS) -> Scale:
    """The fixed axes; the outer bins reach to the ends of what scores can be."""
    if kind == "logit":
        low = logits(kind, bins)
        return Scale(np.append(-np.inf, low[1:]), np.append(low[1:], np.inf), single(kind, bins), kind)
    odds = _odds(bins)
    low = np.append([0.0, 0.0], odds[2:] / (1 + odds[2:]))
    low[-1] = 1
    return Scale(low, np.append([0.0], np.append(low[2:], 1.0)), single(kind, bins), kind)


def threshold(key: int, kind: Kind, bins: int = BINS) -> float:
    """The lowest probability whose bin is ``key`` or higher: ``score >= threshold`` selects these bins, no others.

    Exact for float32 scores of kind "probability"; for "logit" the sigmoid of the bin's lower edge.
    """
    if key == 0:
        return 0.0
    if kind == "logit":
        return float(1 / (1 + np.exp(LIMIT - key * 2 * LIMIT / bins)))
    odds = 2.0**-149 if key == 1 else _odds(bins)[key]
    near = np.float32(1 / (1 + 1 / odds)).view(np.int32) + np.arange(-4, 5, dtype=np.int32)
    candidates = torch.from_numpy(near.clip(1, np.float32(1).view(np.int32)).view(np.float32))
    return float(candidates[keys(candidates, kind, bins) >= key][0])


def logits(kind: Kind, bins: int = BINS) -> np.ndarray:
    """``(bins,)`` float64, ascending: the logit at the lower edge of each bin."""
    if kind == "logit":
        return np.arange(bins) * (2 * LIMIT / bins) - LIMIT
    return np.log(_odds(bins))


def _layout(bins: int) -> tuple[int, int]:
    """How many bits of a float32 to drop, and what to subtract so that the lowest octave starts at bin 2."""
    if bins < 1024 or bins & (bins - 1):
        raise ValueError(f"bins must be a power of two of at least 1024, got {bins}")
    mantissa = (bins // OCTAVES).bit_length() - 1
    return 23 - mantissa, ((127 + LOWEST_OCTAVE) << mantissa) - 2


def _odds(bins: int) -> np.ndarray:
    """``(bins,)`` float64, lower edges of the bins in odds; those of the bins of 0 and of odds near 0 are nominal."""
    shift, base = _layout(bins)
    return ((np.arange(bins, dtype=np.int32) + base) << shift).view(np.float32).astype(np.float64)
