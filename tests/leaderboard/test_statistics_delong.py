"""DeLong's variance against placement values written as two loops, and what its intervals promise."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from framework.leaderboard.statistics import delong_interval, independent, sample_interval
from framework.leaderboard.statistics.delong import perfect, placed


def scores(seed, anomalous=20, normal=30, gain=1.5, decimals=9):
    rng = np.random.default_rng(seed)
    labels = np.arange(anomalous + normal) < anomalous
    return (rng.normal(size=len(labels)) + gain * labels).round(decimals), labels


def by_loops(columns, labels):
    """AUROCs and their covariance as in the paper's equations 2 to 6: kernel 1, 1/2, 0 of every pair."""
    areas, v10, v01 = [], [], []
    for own in columns:
        kernel = [[1.0 if x > y else 0.5 if x == y else 0.0 for y in own[~labels]] for x in own[labels]]
        areas.append(np.mean(kernel))
        v10.append(np.mean(kernel, 1))
        v01.append(np.mean(kernel, 0))
    return np.array(areas), np.cov(v10) / labels.sum() + np.cov(v01) / (~labels).sum()


@pytest.mark.parametrize("decimals", [9, 0])
def test_variance_and_covariance_are_those_of_the_paper(decimals):
    first, labels = scores(0, decimals=decimals)
    second = (0.6 * first + scores(1, decimals=decimals)[0]).round(decimals)
    areas, covariance = by_loops([first, second], labels)
    a, b = (placed(own, labels, None) for own in (first, second))
    np.testing.assert_allclose([a.value, b.value], areas, rtol=1e-12)
    found = [[float(x.deviations @ y.deviations) for y in (a, b)] for x in (a, b)]
    np.testing.assert_allclose(found, covariance, rtol=1e-12)
    assert a.value == pytest.approx(roc_auc_score(labels, first)) and a.blind == 0


def test_the_variance_of_a_mean_over_categories_is_the_sum_over_their_number_squared():
    parts = [scores(seed) for seed in range(3)]
    values, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = placed(values, labels, np.repeat(["c", "a", "b"], 50))
    single = [placed(*part, None) for part in parts]
    assert found.value == pytest.approx(np.mean([one.value for one in single]))
    expected = sum(np.square(one.deviations).sum() for one in single) / 9
    assert np.square(found.deviations).sum() == pytest.approx(expected, rel=1e-12)


def test_classes_that_lie_apart_are_not_said_to_be_told_apart_for_certain():
    values, labels = scores(0, gain=50)
    found = delong_interval(values, labels, None)
    assert (found.centre, found.high) == (1, 1) and found.low == pytest.approx(perfect(20, 30))
    assert perfect(5, 5) < perfect(20, 30) < perfect(200, 300) < 1
    a, z = perfect(20, 30), norm.ppf(0.975)  # solves its equation: N = 24
    assert 1 - a == pytest.approx(z**2 * a * (1 + 24 * ((1 - a) / (2 - a) + a / (1 + a))) / 600)
    upside_down = delong_interval(-values, labels, None)
    assert (upside_down.low, upside_down.high) == (0, pytest.approx(1 - found.low))
    assert sample_interval(values, labels, np.arange(50), None, "auroc") is None  # resamples see no error at all


@pytest.mark.parametrize(("anomalous", "normal", "gain"), [(20, 30, 1.5), (20, 30, 2.7), (10, 10, 1.0)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(anomalous, normal, gain):
    truth, hits = norm.cdf(gain / 2**0.5), 0
    for seed in range(300):
        found = delong_interval(*scores(seed, anomalous, normal, gain), None)
        hits += found.low <= truth <= found.high
    assert 0.90 * 300 <= hits <= 0.98 * 300


def test_order_does_not_matter_and_one_sample_of_a_class_has_no_interval():
    values, labels = scores(3)
    order = np.random.default_rng(0).permutation(50)
    one, other = delong_interval(values, labels, None), delong_interval(values[order], labels[order], None)
    np.testing.assert_allclose([one.low, one.high], [other.low, other.high], rtol=1e-12)
    assert "DeLong" in one.how and one.unit_count == 50
    assert delong_interval(values[19:], labels[19:], None) is None
    assert delong_interval(values[:20], labels[:20], None) is None
    with pytest.raises(ValueError, match="1 NaN"):
        delong_interval(np.array([np.nan, 0, 1, 2]), np.array([0, 0, 1, 1]), None)


def test_samples_of_one_group_are_not_independent_but_the_same_name_in_two_categories_is():
    assert independent(["1", "2", "1"], ["a", "a", "b"]) and not independent(["1", "2", "1"], ["a", "a", "a"])


def test_what_a_perfect_category_is_blind_to_weighs_as_its_share_of_the_mean():
    parts = [scores(0, gain=50), scores(1)]
    values, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = placed(values, labels, np.repeat(["a", "b"], 50))
    assert found.blind == pytest.approx(placed(*parts[0], None).blind / 4) and found.blind > 0
