"""F1 at a threshold from elsewhere, counted by hand and by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from framework.metrics.fixed import f1, f1_interval


def test_f1_is_counted():
    flagged, labels = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 1], bool)
    assert f1(flagged, labels) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1)) == f1_score(labels, flagged)
    assert f1(np.zeros(5, bool), labels) == 0
    assert f1(flagged, np.ones(5, bool)) is None and f1(flagged, np.zeros(5, bool)) is None


def test_the_interval_is_of_that_number_and_groups_are_drawn_whole():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2 == 1
    flagged = labels ^ (rng.random(60) < 0.2)
    single = f1_interval(flagged, labels, np.arange(60), None)
    assert single.describes(f1(flagged, labels)) and single.low < f1(flagged, labels) < single.high
    pairs = f1_interval(np.repeat(flagged, 2), np.repeat(labels, 2), np.repeat(np.arange(60), 2), None)
    assert (pairs.low, pairs.high) == pytest.approx((single.low, single.high))  # twins are no new evidence
    assert f1_interval(flagged, labels, labels, None) is None  # each class is of one group


def test_categories_weigh_the_same():
    labels = np.array([0, 0, 1, 1] * 2 + [0, 0, 1, 1], bool)
    flagged = np.array([0, 0, 1, 1] * 2 + [1, 1, 1, 0], bool)
    found = f1_interval(flagged, labels, np.arange(12), ["a"] * 8 + ["b"] * 4)
    assert found.describes((1 + 0.4) / 2)  # 1 of a; of b one of two is found among three that are flagged
