"""Streaming curves against scikit-learn and plain definitions: values, certified errors, and what has no value."""

import numpy as np
import pytest
import torch
from metrics.exact import all_four, pictures

from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import components

METRICS = ("auroc", "ap", "f1_max", "aupro", "aupro_05")
SLACK = 1e-12  # of float64 sums


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FAMILIES = {
    "spread": lambda x: sigmoid(x),
    "saturated": lambda x: sigmoid(12 * x),
    "far": lambda x: sigmoid(60 * x),
    "narrow": lambda x: 0.5 + 0.005 * np.tanh(x),
    "two decimals": lambda x: sigmoid(x).round(2),
    "half precision": lambda x: sigmoid(x).astype(np.float16),
    "mostly zero": lambda x: np.clip(x - 1, 0, 3) / 3,
    "tiny": lambda x: 1e-20 * sigmoid(x),
    "all tied": lambda x: np.full_like(x, 0.3),
    "zero or one": lambda x: x > 1,
}


def measure(truth, scores, kind="probability", **options):
    """Curves of ``(n, H, W)`` pictures, one update each."""
    metric = AnomalyCurves(["all"], kind, regions=True, **options)
    for picture, map_ in zip(truth, scores, strict=True):
        regions = torch.from_numpy(components(picture[None]))
        metric.update(torch.from_numpy(map_.ravel()), torch.from_numpy(picture.ravel()), regions)
    return metric.compute()["all"]


def numbered(truth):
    """Regions of all pictures, numbered without repeats."""
    found, count = [], 0
    for picture in truth:
        numbers = components(picture[None])
        found.append(np.where(numbers > 0, numbers + count, 0))
        count += int(numbers.max())
    return np.concatenate(found)


def expect(truth, scores):
    return all_four(truth.ravel(), scores.astype(np.float32).ravel(), numbered(truth))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bins", [1024, 131072])
def test_the_certified_interval_holds_the_exact_value(family, bins):
    for seed in range(4):
        truth, noise = pictures(seed)
        scores = FAMILIES[family](noise).astype(np.float32)
        found, exact = measure(truth, scores, bins=bins), expect(truth, scores)
        for metric in METRICS:
            value, error = getattr(found, metric), getattr(found, f"{metric}_error")
            assert abs(value - exact[metric]) <= error + SLACK, (family, seed, metric)
        assert exact["f1_max"] >= found.f1_max - SLACK


@pytest.mark.parametrize("family", ["half precision", "zero or one"])
def test_scores_that_the_bins_tell_apart_give_exact_values(family):
    truth, noise = pictures(5)
    scores = FAMILIES[family](noise).astype(np.float32)
    found, exact = measure(truth, scores), expect(truth, scores)
    for metric in METRICS:
        np.testing.assert_allclose(getattr(found, metric), exact[metric], rtol=0, atol=1e-11)


def test_errors_are_certified_to_be_small_at_the_default_bins():
    truth, noise = pictures(1, count=40, side=48)
    for family, bound in {"spread": 3e-4, "saturated": 1e-5}.items():
        found = measure(truth, FAMILIES[family](noise).astype(np.float32))
        assert max(getattr(found, f"{metric}_error") for metric in METRICS) < bound, family


def test_true_ties_at_zero_and_one_are_certified_as_exact():
    truth, noise = pictures(2)
    found = measure(truth, FAMILIES["zero or one"](noise).astype(np.float32))
    assert (found.auroc_error, found.ap_error, found.f1_max_error) == (0.0, 0.0, 0.0)
    assert found.aupro_error < 1e-9


@pytest.mark.parametrize("stretch", [lambda p: p**3, np.sqrt, lambda p: 0.2 + 0.1 * p, lambda p: p / (4 - 3 * p)])
def test_a_monotone_change_of_scores_stays_inside_both_intervals(stretch):
    truth, noise = pictures(3)
    scores = sigmoid(noise)
    one, two = measure(truth, scores), measure(truth, stretch(scores))
    for metric in METRICS:
        room = getattr(one, f"{metric}_error") + getattr(two, f"{metric}_error") + 1e-7  # rounding to float32
        assert abs(getattr(one, metric) - getattr(two, metric)) <= room


def test_logits_and_their_probabilities_give_one_number():
    truth, noise = pictures(4)
    one, two = measure(truth, noise, kind="logit"), measure(truth, sigmoid(noise))
    for metric in METRICS:
        room = getattr(one, f"{metric}_error") + getattr(two, f"{metric}_error") + 1e-7
        assert abs(getattr(one, metric) - getattr(two, metric)) <= room
    np.testing.assert_allclose(one.f1_threshold, two.f1_threshold, atol=1e-3)


def test_scores_beyond_the_unit_interval_are_never_squashed():
    distances = np.random.default_rng(0).uniform(10, 30, 4000).astype(np.float32)
    truth = distances + np.random.default_rng(1).normal(size=4000) * 4 > 26
    metric = AnomalyCurves(["all"], scores="logit")
    metric.update(torch.from_numpy(distances), torch.from_numpy(truth))
    found = metric.compute()["all"]
    exact = all_four(truth, distances, truth.astype(int))
    assert exact["auroc"] > 0.8
    np.testing.assert_allclose([found.auroc, found.ap], [exact["auroc"], exact["ap"]], atol=1e-4)


def test_the_threshold_reaches_the_f1():
    truth, noise = pictures(6)
    scores = sigmoid(noise).astype(np.float32)
    found = measure(truth, scores)
    flagged = scores >= found.f1_threshold
    f1 = 2 * (flagged & truth).sum() / (flagged.sum() + truth.sum())
    np.testing.assert_allclose(f1, found.f1_max, rtol=1e-12)


def test_the_limit_of_aupro_cuts_inside_a_tie():
    scores = np.array([[[0.9, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1]]], np.float32)
    truth = np.array([[[1, 1, 0, 0, 0, 0, 0, 0]]], bool)  # one region; a tie of 1 anomalous and 2 normal elements
    found = measure(truth, scores)
    np.testing.assert_allclose(found.aupro, (0.5 + 0.95) / 2, atol=1e-9)  # coverage 0.5 at 0, 0.95 at 0.3 of 1/3
    np.testing.assert_allclose(found.aupro, expect(truth, scores)["aupro"], atol=1e-9)


def test_batches_and_order_leave_the_same_bits():
    truth, noise = pictures(7, count=9)
    scores = torch.from_numpy(sigmoid(noise).astype(np.float32)).flatten(1)
    targets = torch.from_numpy(truth).flatten(1)
    regions = torch.from_numpy(numbered(truth)).view_as(targets)
    states = []
    for order in ([[*range(9)]], [[i] for i in range(9)], [[8, 3], [1, 0, 2, 4], [7, 6, 5]]):
        metric = AnomalyCurves(["other", "this"], regions=True)
        for batch in order:
            metric.update(scores[batch].flatten(), targets[batch].flatten(), regions[batch].flatten(), group=1)
        states.append(metric.hist)
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_what_rounds_to_zero_is_zero_in_any_company():
    tiny, zero = torch.tensor([1e-60], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    together, apart = AnomalyCurves(["all"]), AnomalyCurves(["all"])
    together.update(torch.cat([tiny, zero]), torch.tensor([1, 0]))
    apart.update(tiny, torch.tensor([1]))
    apart.update(zero, torch.tensor([0]))
    assert torch.equal(apart.hist, together.hist)
    assert together.compute()["all"].auroc == 0.5


def test_more_elements_than_a_chunk_are_all_counted():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(200_003, generator=generator)
    targets = torch.rand(200_003, generator=generator) < scores
    metric = AnomalyCurves(["all"])
    metric.update(scores, targets)
    found = metric.compute()["all"]
    assert (found.positives, found.negatives) == (int(targets.sum()), int((~targets).sum()))
    exact = all_four(targets.numpy()[:200_003:50], scores.numpy()[:200_003:50], targets.numpy()[::50].astype(int))
    np.testing.assert_allclose(found.auroc, exact["auroc"], atol=0.02)
    assert found.aupro is None


def test_a_group_of_one_class_has_counts_and_no_values():
    metric = AnomalyCurves(["normal", "anomalous", "unseen", "both"], regions=True)
    one = torch.ones(4, dtype=torch.int32)
    metric.update(torch.rand(4), torch.zeros(4), group=0)
    metric.update(torch.rand(4), torch.ones(4), one, group=1)
    metric.update(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0, 0, 1, 1]), one, group=3)
    found = metric.compute()
    for name, counts in {"normal": (4, 0, 0), "anomalous": (0, 4, 1), "unseen": (0, 0, 0)}.items():
        curves = found[name]
        assert (curves.negatives, curves.positives, curves.regions) == counts
        assert all(getattr(curves, m) is None and getattr(curves, f"{m}_error") is None for m in METRICS)
    assert (found["both"].auroc, found["both"].ap, found["both"].aupro) == pytest.approx((1, 1, 1), abs=1e-9)


def test_pooled_throws_the_groups_together():
    truth, noise = pictures(8, count=4)
    scores = torch.from_numpy(sigmoid(noise)).float().flatten(1)
    apart, together = AnomalyCurves(["a", "b"]), AnomalyCurves(["all"])
    for i in range(4):
        apart.update(scores[i], torch.from_numpy(truth[i].ravel()), group=i % 2)
        together.update(scores[i], torch.from_numpy(truth[i].ravel()))
    assert apart.pooled() == together.compute()["all"]
    assert apart.compute()["a"] != apart.compute()["b"]


def test_the_region_count_survives_the_fixed_point():
    truth = np.zeros((1, 64, 64), bool)
    truth[0, ::2, ::2] = True  # 1024 regions of one element
    truth[0, 40:60, 40:60] = True  # swallows 10 x 10 of them and touches the corners of 21 more
    found = measure(truth, np.random.default_rng(0).random(truth.shape))
    assert found.regions == 1024 - 121 + 1


def test_a_state_reset_in_inference_mode_can_be_used_outside():
    metric = AnomalyCurves(["all"])
    with torch.inference_mode():
        metric.update(torch.rand(3), torch.tensor([0, 1, 1]))
        metric.reset()
    metric.update(torch.tensor([0.2, 0.4]), torch.tensor([0, 1]))
    assert metric.compute()["all"].auroc == 1.0


def test_broken_promises_are_refused_and_leave_no_trace():
    metric = AnomalyCurves(["all"], regions=True)
    some = torch.tensor([0.2, 0.4])
    for arguments, message in [
        ((some, torch.tensor([1])), "one length"),
        ((some, torch.tensor([0, 1])), "1 anomalous elements came without"),
        ((some, torch.tensor([0, 1]), torch.tensor([1, 0])), "1 anomalous elements belong to no region"),
        ((some + 1, torch.tensor([0, 1]), torch.tensor([0, 1])), r"got 1\.2\.\.1\.4"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric.update(*arguments)
    assert int(metric.hist.sum()) == 0
    with pytest.raises(ValueError, match="power of two"):
        AnomalyCurves(["all"], bins=1000)
