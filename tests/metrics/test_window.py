"""Scores of unknown range: certified against exact values, the same bits in any order, and no loss between axes."""

import math

import numpy as np
import pytest
import torch
from metrics.exact import all_four, pictures
from metrics.test_ranking import METRICS, SLACK, numbered, sigmoid

from framework.leaderboard.statistics import element_interval
from framework.metrics import window
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import coarse

FAMILIES = {
    "spread": sigmoid,
    "saturated": lambda x: sigmoid(12 * x),
    "far": lambda x: sigmoid(60 * x),
    "narrow": lambda x: 0.495 + 0.01 * sigmoid(x),
    "narrow below 1": lambda x: 0.95 + 0.005 * np.tanh(x),
    "logits": lambda x: 5 * x,
    "distances": lambda x: 10 + 40 * sigmoid(x),
    "mostly zero": lambda x: np.clip(x - 1, 0, None),
    "two decimals": lambda x: sigmoid(x).round(2),
    "huge": lambda x: 1e30 * x,
    "tiny": lambda x: 1e-30 * x,
    "negative": lambda x: -np.exp(-x),
    "far from zero": lambda x: 1e6 + x,
    "all tied": lambda x: np.full_like(x, 7.3),
    "zero or one": lambda x: x > 1,
}
HALVES = {
    "float16": lambda x: torch.from_numpy(sigmoid(x)).half(),
    "float16 logits": lambda x: torch.from_numpy(5 * x).half(),
    "float16 distances": lambda x: torch.from_numpy(10 + 40 * sigmoid(x)).half(),
    "saturated float16": lambda x: torch.from_numpy(sigmoid(12 * x)).half(),
    "bfloat16": lambda x: torch.from_numpy(sigmoid(x)).bfloat16(),
    "bfloat16 logits": lambda x: torch.from_numpy(1e9 * x).bfloat16(),
}


def measure(truth, scores, order=None, bins=131072):
    """The metric after ``(n, H, W)`` pictures, in updates of one or more of them."""
    metric, regions = AnomalyCurves(["all"], "any", bins, regions=True), numbered(truth).reshape(truth.shape)
    for some in order or [[i] for i in range(len(truth))]:
        parts = torch.as_tensor(scores)[some], torch.from_numpy(truth[some]), torch.from_numpy(regions[some])
        metric.update(*(part.flatten() for part in parts))
    return metric


def agrees(found, truth, scores):
    exact = all_four(truth.ravel(), scores.ravel(), numbered(truth))
    for metric in METRICS:
        value, error = getattr(found, metric), getattr(found, f"{metric}_error")
        assert abs(value - exact[metric]) <= error + SLACK, metric
    assert exact["f1_max"] >= found.f1_max - SLACK
    flagged = scores >= found.f1_threshold
    assert 2 * (flagged & truth).sum() / (flagged.sum() + truth.sum()) == pytest.approx(found.f1_max, rel=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bins", [1024, 131072])
def test_the_certified_interval_holds_the_exact_value(family, bins):
    truth, noise = pictures(list(FAMILIES).index(family), side=16)
    scores = FAMILIES[family](noise).astype(np.float32)
    agrees(measure(truth, scores, bins=bins).compute()["all"], truth, scores)


@pytest.mark.parametrize("family", HALVES)
def test_scores_of_half_precision_are_measured_exactly(family):
    truth, noise = pictures(3)
    scores = HALVES[family](noise)
    for given in (scores, scores.float()):
        found = measure(truth, given).compute()["all"]
        assert (found.auroc_error, found.ap_error, found.f1_max_error) == (0.0, 0.0, 0.0)
        assert found.aupro_error < 1e-9
        agrees(found, truth, scores.float().numpy())


def test_errors_are_certified_to_be_small():
    truth, noise = pictures(1, count=40, side=48)
    for family in ("spread", "saturated", "narrow", "logits", "distances"):
        found = measure(truth, FAMILIES[family](noise).astype(np.float32)).compute()["all"]
        assert max(getattr(found, f"{metric}_error") for metric in METRICS) < 1e-4, family


@pytest.mark.parametrize("family", [*FAMILIES, *HALVES])
def test_batches_and_order_leave_the_same_bits(family):
    truth, noise = pictures(7, count=9)
    noise = noise * np.geomspace(0.01, 1, 9)[:, None, None]  # ranges differ by picture
    make = FAMILIES.get(family)
    scores = torch.from_numpy(make(noise).astype(np.float32)) if make else HALVES[family](noise)
    one, *others = (
        measure(truth, scores, order)
        for order in ([[*range(9)]], [[i] for i in range(9)], [[8, 3], [1, 0, 2, 4], [7, 6, 5]])
    )
    for other in others:
        assert torch.equal(one.hist, other.hist)
        assert torch.equal(one.seen[:, : window.FLOOR], other.seen[:, : window.FLOOR])


def test_scores_that_stop_being_shares_or_half_precision_keep_their_certificate():
    truth, noise = pictures(8, count=6, side=14)
    steps = [
        noise[0].astype(np.float16).astype(np.float32) ** 2,  # each picture needs another axis
        *(torch.from_numpy(noise[1] ** 2).bfloat16().float().numpy(), sigmoid(noise[2]), sigmoid(20 * noise[3])),
        *(3 * sigmoid(noise[4]), 50 * noise[5]),
    ]
    for start in range(6):
        scores = np.stack(steps[start:]).astype(np.float32)
        agrees(measure(truth[start:], scores).compute()["all"], truth[start:], scores) if start < 5 else None
    inside_first = measure(truth[2:], np.stack(steps[2:]).astype(np.float32))
    assert window.axis_of(inside_first.seen[0].tolist(), 131072).kind == window.LINE
    assert float(inside_first.seen[0, window.FLOOR]) > window.EMPTY[window.FLOOR]


def test_groups_of_any_ranges_are_pooled():
    truth, noise = pictures(9, count=6, side=14)
    scores = np.stack([0.1 * sigmoid(noise[0]), sigmoid(noise[1]), *(30 * noise[2:])]).astype(np.float32)
    apart = AnomalyCurves(["share", "line"], "any", regions=True)
    regions = numbered(truth).reshape(truth.shape)
    for i in range(6):
        parts = (torch.from_numpy(a[i].ravel()) for a in (scores, truth, regions))
        apart.update(*parts, group=int(i > 1))
    agrees(apart.pooled(), truth, scores)
    alone = measure(truth[2:], scores[2:]).compute()["all"]
    assert apart.compute()["line"] == alone


def test_infinite_scores_are_the_lowest_and_the_highest():
    scores = torch.tensor([-math.inf, -1.0, -0.0, 0.0, 0.5, 2.0, math.inf, math.inf])
    truth = torch.tensor([0, 0, 0, 1, 0, 1, 1, 0])
    for noise in (0.0, 1e-3):  # of half precision, and not
        metric = AnomalyCurves(["all"], "any")
        for i in range(8):
            metric.update(scores[i : i + 1] + noise, truth[i : i + 1])
        found = metric.compute()["all"]
        assert found.auroc == pytest.approx((2.5 + 4 + 4.5) / 15), noise  # of 3 x 5 pairs
        assert found.auroc_error == pytest.approx(noise and 0.5 / 15)  # two of them share a bin: a tie, or not


def test_nan_is_refused_and_leaves_nothing():
    metric = AnomalyCurves(["all"], "any")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        with pytest.raises(ValueError, match="NaN \\(1 of 2\\)"):
            metric.update(torch.tensor([math.nan, 1.0], dtype=dtype), torch.tensor([0, 1]))
    assert not metric.hist.any() and metric.seen[0].tolist() == list(window.EMPTY)


@pytest.mark.parametrize("change", [lambda s: 3 * s + 7, np.exp, lambda s: s.argsort(None).argsort().reshape(s.shape)])
def test_a_monotone_change_of_scores_stays_inside_both_intervals(change):
    truth, noise = pictures(3)
    one, two = (measure(truth, s.astype(np.float32)).compute()["all"] for s in (noise, change(noise)))
    for metric in METRICS:
        room = getattr(one, f"{metric}_error") + getattr(two, f"{metric}_error") + 1e-6  # rounding to float32
        assert abs(getattr(one, metric) - getattr(two, metric)) <= room


def test_edges_are_those_of_the_bins():
    """Every float32 near an edge is counted where its edges say."""
    generator = torch.Generator().manual_seed(0)
    for scores in (torch.rand(20000, generator=generator), torch.randn(20000, generator=generator) * 100):
        seen, _ = window.look(scores, list(window.EMPTY))
        axis = window.axis_of(seen, 4096)
        position, low, top, _ = window.places(axis, 4096)
        place = np.empty(4096 + window.SLOTS, int)
        place[position] = np.arange(len(position))
        near = torch.cat([scores, *(torch.nextafter(scores, torch.tensor(end)) for end in (-0.0, 1.0))])
        near = near[(near >= scores.min()) & (near <= scores.max())]
        bins = place[window.counted(near, axis, 4096).numpy()]
        assert ((low[bins] <= near.numpy()) & ((near.numpy() < top[bins]) | (low[bins] == top[bins]))).all()
        assert (np.diff(low) >= 0).all()


@pytest.mark.parametrize("exponent", [21, 22, 23])
def test_a_bin_is_single_where_it_holds_one_float32(exponent):
    """Around 2^22 of the finest LINE of such scores: halves, ones and twos are what float32 can tell there."""
    start = (1 << exponent) - 2048
    position, low, top, single = window.places(window.Axis(window.LINE, 0, start), 4096)
    ring = position < 4096
    following = np.nextafter(low[ring].astype(np.float32), np.float32(np.inf)).astype(np.float64)
    assert np.array_equal(single[ring], following >= top[ring])


def test_coarse_bins_between_edges_hold_like_shares_of_both_classes():
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(40000) % 4 == 0
    scores = torch.randn(40000, generator=generator) * 3 + 2 * truth
    curves = AnomalyCurves(["all"], "any", regions=True)
    curves.update(scores, truth, truth.int())
    place = np.searchsorted(curves.edges(0, bins=16), scores.numpy(), side="right")
    both = [np.bincount(place[truth == side], minlength=16) / (truth == side).sum().item() for side in (0, 1)]
    np.testing.assert_allclose(np.mean(both, 0), 1 / 16, atol=1e-3)


def test_intervals_of_scores_of_unknown_range_are_those_of_their_probabilities():
    truth, noise = pictures(4, count=24, side=24)
    logits, regions = (6 * noise).astype(np.float32), numbered(truth).reshape(truth.shape)
    curves = measure(truth, 1e4 + logits.astype(np.float64))
    found = curves.compute()["all"]
    edges = curves.edges(0)
    assert len(edges) == 511 and (np.diff(edges) >= 0).all() and np.array_equal(edges, curves.edges())
    ours, theirs = (
        [coarse(s.ravel(), t.ravel(), r.ravel(), **how) for s, t, r in zip(scores, truth, regions, strict=True)]
        for scores, how in ((1e4 + logits.astype(np.float64), {"edges": edges}), (logits, {"scores_kind": "logit"}))
    )
    for metric, limit in (("auroc", 0.3), ("ap", 0.3), ("f1_max", 0.3), ("aupro", 0.3), ("aupro", 0.05)):
        one, two = (
            element_interval(
                *(np.stack([h for h, _ in made]), np.array([n for _, n in made]), [str(i) for i in range(24)], None),
                metric,
                fpr_limit=limit,
            )
            for made in (ours, theirs)
        )
        assert one.describes(getattr(found, "aupro_05" if limit == 0.05 else metric)), metric
        np.testing.assert_allclose([one.low, one.high], [two.low, two.high], atol=0.02)
    with pytest.raises(ValueError, match="need no edges"):
        AnomalyCurves(["all"]).edges()
