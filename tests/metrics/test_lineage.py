"""AUPRO as papers print it, against the published steps, from a histogram; and that it is not of the ranking alone."""

import numpy as np
import pytest
import torch
from metrics.exact import pictures
from metrics.test_ranking import numbered, sigmoid
from scipy import ndimage

from framework.metrics.lineage import aupro_lineage
from framework.metrics.ranking import AnomalyCurves


def published(truth, scores, steps=200, limit=0.3):
    """The steps of AnomalyCLIP's ``cal_pro_score``, from which most papers of its line print their AUPRO."""
    rates, covered = [], []
    regions = [ndimage.label(t, np.ones((3, 3))) for t in truth]
    least, highest = float(scores.min()), float(scores.max())
    for k in range(steps):
        above = scores > least + k * (highest - least) / steps
        shares = [a[r == i].mean() for a, (r, n) in zip(above, regions, strict=True) for i in range(1, n + 1)]
        covered.append(np.mean(shares))
        rates.append((above & ~truth).sum() / (~truth).sum())
    rates, covered = np.array(rates), np.array(covered)
    inside = rates < limit
    x = rates[inside]
    return -np.trapezoid(covered[inside], (x - x.min()) / (x.max() - x.min()))


def measure(truth, scores, kind):
    metric = AnomalyCurves(["all"], kind, regions=True)
    parts = (torch.from_numpy(a.ravel()) for a in (scores, truth, numbered(truth)))
    metric.update(*parts)
    return metric.compute()["all"]


FAMILIES = {
    "spread": sigmoid,
    "saturated": lambda x: sigmoid(4 * x),
    "narrow": lambda x: 0.495 + 0.01 * sigmoid(x),
    "cubed": lambda x: sigmoid(x) ** 3,
}


@pytest.mark.parametrize("kind", ["probability", "any"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_certified_interval_holds_the_published_value(family, kind):
    for seed in range(3):
        truth, noise = pictures(seed, count=4, side=32)
        scores = FAMILIES[family](noise).astype(np.float32)
        found, expected = measure(truth, scores, kind), published(truth, scores)
        assert abs(found.aupro_lineage - expected) <= found.aupro_lineage_error + 1e-9, seed
        assert found.aupro_lineage_error < (0.1 if (family, kind) == ("narrow", "probability") else 3e-3)


@pytest.mark.parametrize("make", [lambda x: torch.from_numpy(5 * x).half(), lambda x: torch.from_numpy(x > 1).float()])
def test_scores_of_half_precision_give_the_published_value(make):
    truth, noise = pictures(5, count=4, side=32)
    scores = make(noise).float().numpy()
    found = measure(truth, scores, "any")
    if len(np.unique(scores)) == 2:  # one rate below 0.3: the published code divides by zero
        assert found.aupro_lineage is None and found.aupro is not None
    else:
        assert found.aupro_lineage == pytest.approx(published(truth, scores), abs=1e-9)


def test_a_monotone_change_of_scores_changes_it_and_not_the_others():
    truth, noise = pictures(2, count=4, side=32)
    one, two = (measure(truth, s.astype(np.float32), "any") for s in (noise, np.exp(3 * noise)))
    assert abs(one.aupro_lineage - two.aupro_lineage) > 0.01
    for name in ("aupro", "aupro_05"):
        room = getattr(one, f"{name}_error") + getattr(two, f"{name}_error") + 1e-6
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=room)


def test_without_two_rates_there_is_none():
    edges = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    assert aupro_lineage(np.array([5, 0]), np.array([0, 1.0]), *edges, (0.5, 0.5)) is None
    assert aupro_lineage(np.array([5, 5]), np.array([0, 1.0]), *edges, (-np.inf, 2.0)) is None


def test_a_rate_of_exactly_the_limit_is_beyond_it():
    at = np.array([0.0, 0.5, 1.0])  # the middle one is reached with 3 of 10 normal elements, the highest with none
    assert aupro_lineage(np.array([7, 3, 0]), np.array([0, 0.5, 0.5]), at, at, (0.0, 1.0)) is None
    assert aupro_lineage(np.array([8, 2, 0]), np.array([0, 0.5, 0.5]), at, at, (0.0, 1.0)) is not None
