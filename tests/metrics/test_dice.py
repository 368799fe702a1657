"""Mean Dice of scans against its definition at each threshold."""

import numpy as np
import pytest
import torch

from framework.metrics.dice import Dice, Overlap, histograms


def scan(seed, size=400, positives=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < positives
    scores = 1 / (1 + np.exp(2 - rng.normal(size=size) - 2.5 * truth * rng.random()))
    return scores.round(3).astype(np.float32), truth


def measure(scans):
    metric = Dice(["all"])
    for scores, truth in scans:
        metric.update(histograms(torch.from_numpy(scores), torch.from_numpy(truth)))
    return metric


def dice(scores, truth, threshold):
    flagged = scores >= np.float32(threshold)
    return 2 * (flagged & truth).sum() / (flagged.sum() + truth.sum())


def test_dice_is_the_mean_over_scans_at_one_threshold():
    scans = [scan(seed, size) for seed, size in enumerate((400, 900, 50, 300))]
    found = measure(scans).compute()["all"]
    means = {t: np.mean([dice(*s, t) for s in scans]) for t in np.unique(np.concatenate([s for s, _ in scans]))}
    best = max(means, key=means.get)
    assert found.dice_best == pytest.approx(means[best], abs=1e-11)
    assert found.threshold == pytest.approx(best, rel=1e-3)
    assert np.mean([dice(*s, found.threshold) for s in scans]) == pytest.approx(found.dice_best, abs=1e-11)
    assert found.dice_fixed == pytest.approx(np.mean([dice(*s, 0.5) for s in scans]), abs=1e-11)
    assert found.dice_fixed < found.dice_best


def test_the_error_covers_thresholds_between_bins():
    rng = np.random.default_rng(0)
    scans = []
    for size in (4000, 9000):  # all scores in a few bins, whose order inside is lost
        truth = rng.random(size) < 0.3
        scores = (0.3 + 2e-4 * (rng.random(size) + truth * rng.random(size))).astype(np.float32)
        scans.append((scores, truth))
    found = measure(scans).compute()["all"]
    every = np.unique(np.concatenate([scores for scores, _ in scans]))
    exact = max(np.mean([dice(*s, t) for s in scans]) for t in every)
    assert found.dice_best < exact - 1e-4  # or the error would have nothing to cover
    assert found.dice_best <= exact <= found.dice_best + found.dice_best_error
    assert found.dice_best_error < 0.2


def test_scores_that_bins_hold_apart_have_no_error():
    scans = [(np.array([0, 0, 0, 1, 1], np.float32), np.array([0, 0, 1, 1, 1], bool))]
    assert measure(scans).compute()["all"].dice_best_error == 0


def test_a_scan_without_lesion_does_not_enter():
    scans = [scan(0), scan(1)]
    extra = (np.full(50, 0.9, np.float32), np.zeros(50, bool))
    assert measure([*scans, extra]).compute() == measure(scans).compute()
    assert measure([extra]).compute()["all"] == Overlap(0)


@pytest.mark.parametrize(
    ("scores", "best", "threshold", "fixed"),
    [
        ([0, 0, 1, 1], 1, 1, 1),
        ([0.5, 0.5, 0.5, 0.5], 2 / 3, 0.5, 2 / 3),  # a score of 0.5 is flagged at 0.5
        ([0, 0, 0, 0], 2 / 3, 0, 0),
    ],
)
def test_small_scans_by_hand(scores, best, threshold, fixed):
    found = measure([(np.array(scores, np.float32), np.array([0, 0, 1, 1], bool))]).compute()["all"]
    assert (found.dice_best, found.threshold, found.dice_fixed) == pytest.approx((best, threshold, fixed))


def test_order_does_not_matter_and_groups_add_up():
    scans = [scan(seed) for seed in range(5)]
    one, parts = measure(scans), Dice(["a", "b"])
    for i, (scores, truth) in enumerate(scans):
        parts.update(histograms(torch.from_numpy(scores), torch.from_numpy(truth)), i % 2)
    assert torch.equal(one.sums, measure(scans[::-1]).sums)
    assert torch.equal(parts.sums.sum(0), one.sums[0])
    assert parts.compute()["a"].scans == 3


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        histograms(torch.rand(3), torch.zeros(4, dtype=torch.bool))
    assert not histograms(torch.rand(0), torch.zeros(0, dtype=torch.bool)).any()
