"""An estimate, its variances and their degrees of freedom in; a two-sided interval and p value out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import ndtri, stdtr, stdtrit


def quantile(level: float = 0.95, freedom: float = math.inf) -> float:
    """Half-width, in standard errors, of the two-sided interval of a share ``level`` by Student's t, or normal."""
    share = (1 + level) / 2
    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))


def p_value(estimate: float, error: float, freedom: float = math.inf) -> float:
    """How probable an estimate this far from 0 is if the truth is 0, by Student's t; 1 where the error is 0."""
    if error <= 0:
        return 1.0
    return float(2 * stdtr(min(freedom, 1e9), -abs(estimate) / error))


def joined(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Standard error of a sum of independent parts, each a variance and its degrees of freedom, and its own.

    Source: Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    total = math.fsum(variance for variance, _ in parts)
    if total <= 0:
        return 0.0, math.inf
    uncertain = math.fsum(variance**2 / freedom for variance, freedom in parts)
    return math.sqrt(total), total**2 / uncertain if uncertain > 0 else math.inf
