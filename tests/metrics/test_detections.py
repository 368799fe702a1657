"""Detection in scans against a loop over thresholds that labels blobs, and what the operating point is worth."""

import numpy as np
import pytest
import torch
from metrics.exact import lone_blobs
from scipy import ndimage

from framework.leaderboard.statistics import counts
from framework.metrics import axis, detections
from framework.metrics.detections import Detections, found_coarse, tally
from framework.metrics.regions import components

SHAPE = (9, 11, 7)


def scan(seed, lesions=3, levels=None):
    """Scores with some noise, and the numbers of lesions, of which some score high."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(SHAPE, bool)
    for _ in range(lesions):
        truth[tuple(slice(s := rng.integers(0, n - 1), s + rng.integers(1, 3)) for n in SHAPE)] = True
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1) * 6 + 4 * truth * rng.random(SHAPE) - 3
    scores = 1 / (1 + np.exp(-smooth))
    return (scores if levels is None else np.floor(scores * levels) / levels).astype(np.float32), components(truth)


def tallied(scores, numbers):
    return tally(torch.from_numpy(scores).flatten(), torch.from_numpy(numbers), scores.shape)


def measure(scans):
    metric = Detections(["all"])
    for scores, numbers in scans:
        metric.update(tallied(scores, numbers))
    return metric


def by_loop(scans, limit):
    """Highest share of lesions found over all thresholds that keep to both limits."""
    keys = [axis.keys(torch.from_numpy(s.ravel()), "probability").numpy() for s, _ in scans]
    blobs = [lone_blobs(s, n.reshape(s.shape) > 0) for s, n in scans]
    lesions, best = sum(int(n.max()) for _, n in scans), 0.0
    for t in {key for found in keys for key in found if key > 0}:
        false = sum(found[min(k for k in found if k >= t)] for found in blobs if max(found, default=0) >= t)
        flagged = sum(int((k[n == 0] >= t).sum()) for k, (_, n) in zip(keys, scans, strict=True))
        normal = sum(int((n == 0).sum()) for _, n in scans)
        if false <= limit * len(scans) and flagged <= counts.FLAGGED * normal:
            best = max(best, sum(len(np.unique(n[(k >= t) & (n > 0)])) for k, (_, n) in zip(keys, scans, strict=True)))
    return best / lesions


@pytest.mark.parametrize("levels", [150, 20, 2])
@pytest.mark.parametrize("flagged", [0.01, 0.2, 1])
def test_the_operating_point_is_the_best_of_a_loop_over_thresholds(levels, flagged, monkeypatch):
    monkeypatch.setattr(counts, "FLAGGED", flagged)
    scans = [scan(seed, lesions=(3, 0, 5)[seed], levels=levels) for seed in range(3)]
    found = measure(scans).compute()["all"]
    assert found.lesions == sum(int(n.max()) for _, n in scans) > 4
    assert found.sensitivity == by_loop(scans, 1)


def test_the_threshold_told_gives_the_numbers_told(monkeypatch):
    monkeypatch.setattr(counts, "FLAGGED", 0.1)
    scans = [scan(seed) for seed in range(4)]
    found = measure(scans).compute()["all"]
    hit = false = 0
    for scores, numbers in scans:
        above, lesions = scores >= np.float32(found.threshold), numbers.reshape(SHAPE)
        blobs, count = ndimage.label(above, np.ones((3, 3, 3)))
        false += count - len(np.unique(blobs[(lesions > 0) & above]))
        hit += len(np.unique(lesions[(lesions > 0) & above]))
    assert (hit / found.lesions, false / 4) == (found.sensitivity, found.false_positives)
    assert 0 < found.sensitivity < 1


def test_a_map_that_flags_everything_finds_nothing():
    """One blob that fills the scan touches every lesion and is no false positive; it is no detection either."""
    _, numbers = scan(0)
    for flat in (np.full(SHAPE, 0.4, np.float32), np.ones(SHAPE, np.float32)):
        found = measure([(flat, numbers)]).compute()["all"]
        assert (found.sensitivity, found.threshold, found.false_positives) == (0, None, 0)


def test_the_truth_itself_finds_all():
    scans = [scan(seed) for seed in range(3)]
    found = measure([((n.reshape(SHAPE) > 0).astype(np.float32), n) for _, n in scans]).compute()["all"]
    assert (found.sensitivity, found.threshold, found.false_positives) == (1, 1, 0)


def test_a_lesion_that_was_not_looked_at_is_missed():
    scores, numbers = np.zeros((1, 1, 400), np.float32), np.zeros(400, np.int32)
    numbers[[3, 300]] = 1, 2
    scores[0, 0, 3] = 0.7
    found = measure([(scores, numbers)]).compute()["all"]
    assert (found.lesions, found.sensitivity, found.threshold) == (2, 0.5, pytest.approx(0.7, abs=1e-3))


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_without_lesions_or_scans_there_is_no_sensitivity():
    scores, _ = scan(0)
    metric = measure([(scores, np.zeros(scores.size, np.int32))])
    assert metric.compute()["all"] == detections.Detected(1, 0)
    assert Detections(["a"]).compute()["a"] == detections.Detected(0, 0)
    assert not tally(torch.zeros(0), torch.zeros(0, dtype=torch.int32), (0, 4, 4)).any()


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_scores_count_as_float32_and_lesions_by_any_number(kind):
    scores, numbers = scan(0)
    half = torch.from_numpy(scores).half()
    found = tally(half.to(kind), torch.from_numpy(numbers).long() * 7, SHAPE)
    assert np.array_equal(found, tallied(half.float().numpy(), numbers))
    assert found[:2].sum() == scores.size and found[3].sum() == numbers.max()


@pytest.mark.parametrize(
    ("scores", "shape", "told"),
    [
        (torch.rand(8), (2, 2, 3), "a grid of"),
        (torch.full((8,), 1.5), (2, 2, 2), r"must lie in \[0, 1\]"),
        (torch.full((8,), torch.nan), (2, 2, 2), "NaN"),
    ],
)
def test_what_is_no_scan_is_refused(scores, shape, told):
    with pytest.raises(ValueError, match=told):
        tally(scores, torch.zeros(8, dtype=torch.int32), shape)


def test_order_does_not_matter_and_groups_add_up():
    scans = [scan(seed) for seed in range(5)]
    one, other, parts = measure(scans), measure(scans[::-1]), Detections(["a", "b"])
    for i, (scores, numbers) in enumerate(scans):
        parts.update(tallied(scores, numbers), i % 2)
    assert torch.equal(one.hist, other.hist)
    assert torch.equal(parts.hist.sum(0), one.hist[0])
    assert parts.compute()["b"].scans == 2


def test_the_coarse_part_holds_the_counts_at_its_edges():
    scores, numbers = scan(1)
    found = tallied(scores, numbers)
    rough, edge = found_coarse(found), axis.keys(torch.tensor([0.5]), "probability")
    assert rough.shape == (3, 512)
    assert np.array_equal(rough[:, 256:].sum(1), found[[0, 2, 3]][:, edge:].sum(1))  # at a logit of 0
    assert np.array_equal(rough.sum(1), found[[0, 2, 3]].sum(1))
