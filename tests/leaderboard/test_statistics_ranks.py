"""Holm and shared ranks by hand; seeds and degrees of freedom against scipy.stats and a simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from framework.leaderboard.statistics.ranks import holm, shared_ranks
from framework.leaderboard.statistics.seeds import mean_interval, seed_variance
from framework.leaderboard.statistics.student import joined, p_value, quantile


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.5]) == [0.8, 0.8] and holm([0.9, 0.8]) == [1, 1] and holm([]) == []


def test_those_that_cannot_be_told_apart_share_a_rank():
    assert shared_ranks("abc", {("a", "c"), ("b", "c")}) == {"a": 1, "b": 1, "c": 3}
    assert shared_ranks("abc", {("a", "c")}) == {"a": 1, "b": 1, "c": 2}  # b can be told from neither
    assert shared_ranks("abc", {("a", "b"), ("a", "c"), ("b", "c")}) == {"a": 1, "b": 2, "c": 3}
    assert shared_ranks("abc", {("a", "b"), ("a", "c"), ("b", "c")}, counted="bc") == {"a": 1, "b": 1, "c": 2}


def test_quantiles_and_p_values_are_those_of_scipy():
    assert quantile() == pytest.approx(stats.norm.ppf(0.975)) and quantile(0.9, 3) == pytest.approx(
        stats.t.ppf(0.95, 3)
    )
    assert p_value(-2.0, 1.0) == pytest.approx(2 * stats.norm.sf(2), rel=1e-6)
    assert p_value(2.0, 1.0, 4) == pytest.approx(2 * stats.t.sf(2, 4)) and p_value(0.0, 0.0) == 1
    assert joined([(0.04, 2), (0.05, math.inf)]) == (pytest.approx(0.3), pytest.approx(0.09**2 / (0.04**2 / 2)))
    assert joined([]) == (0, math.inf)


def test_one_seed_keeps_its_interval_and_tells_nothing_of_seeds():
    assert mean_interval([0.7], [0.6], [0.75]) == (pytest.approx(0.6), pytest.approx(0.75))
    assert seed_variance([0.7]) == (0, math.inf) and seed_variance([0.5, 0.7]) == (pytest.approx(0.01), 1)


def test_the_interval_of_a_mean_over_seeds_holds_the_truth_as_often_as_it_says():
    """One test set of error 0.01 that three seeds share, which themselves vary by 0.02."""
    rng, hits, naive = np.random.default_rng(0), 0, 0
    for _ in range(400):
        values = 0.8 + 0.01 * rng.normal() + 0.02 * rng.normal(size=3)
        low, high = mean_interval(values, values - 0.0196, values + 0.0196)
        hits += low <= 0.8 <= high
        naive += abs(values.mean() - 0.8) <= 0.0196
    assert 0.92 * 400 <= hits <= 0.99 * 400 and naive < 0.88 * 400
