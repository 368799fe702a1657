"""Answers, labels and groups in; that intervals are those of a bootstrap spelled out, or absent."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from framework.leaderboard.answers import METRICS, answer_interval
from framework.metrics.text.detection import detection

RNG = np.random.default_rng(0)


def spelled_out(labels, answers, groups, categories, metric, resamples=400):
    """Percentiles over draws of whole groups, within strata of equal classes, scored by ``detection`` each time."""
    strata = {}
    for group in dict.fromkeys(groups):
        mine = [i for i, g in enumerate(groups) if g == group]
        key = (categories and categories[mine[0]], frozenset(labels[i] for i in mine))
        strata.setdefault(key, []).append(mine)
    rng, values = np.random.default_rng(1), []
    for _ in range(resamples):
        drawn = [i for s in strata.values() for k in rng.integers(0, len(s), len(s)) for i in s[k]]
        places = categories or ["one"] * len(labels)
        found = detection([labels[i] for i in drawn], [answers[i] for i in drawn], [places[i] for i in drawn])
        values.append(getattr(found.macro if categories else found.pooled, metric))
    return np.percentile(values, [2.5, 97.5])


def data(count=160):
    labels = [bool(i % 2) for i in range(count)]
    answers = [label if RNG.random() < 0.75 else None if RNG.random() < 0.3 else not label for label in labels]
    groups = [f"{i // 4}-{i % 2}" for i in range(count)]  # two samples of one class each
    categories = ["ab"[i // 4 % 2] for i in range(count)]
    return labels, answers, groups, categories


@pytest.mark.parametrize("macro", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_intervals_are_those_of_a_bootstrap_spelled_out(metric, macro):
    labels, answers, groups, categories = data()
    categories = categories if macro else None
    found = answer_interval(labels, answers, groups, categories, metric)
    low, high = spelled_out(labels, answers, groups, categories, metric)
    assert_allclose([found.low, found.high], [low, high], atol=0.02)
    assert found.high - found.low > 0.05
    whole = detection(labels, answers, categories or ["one"] * len(labels))
    assert found.low < getattr(whole.macro if macro else whole.pooled, metric) < found.high


def test_groups_of_many_samples_widen_the_interval():
    labels = [bool(i % 2) for i in range(200)]
    answers = [label if i // 20 % 4 else not label for i, label in enumerate(labels)]
    alone = answer_interval(labels, answers, [str(i) for i in range(200)], None, "accuracy")
    grouped = answer_interval(labels, answers, [f"{i // 20}-{i % 2}" for i in range(200)], None, "accuracy")
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_equal_seeds_give_equal_intervals():
    labels, answers, groups, categories = data()
    first, second = (answer_interval(labels, answers, groups, categories, "f1") for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)


def test_no_answer_is_a_wrong_one():
    labels = [True, False] * 20
    groups = [str(i) for i in range(40)]
    silent = answer_interval(labels, [None] * 40, groups, None, "accuracy")
    assert silent is None  # 40 wrong ones do not say that the next is wrong for certain
    wrong = answer_interval(labels, [not label for label in labels], groups, None, "f1")
    assert wrong is None
    few = answer_interval(labels, [None] * 30 + labels[30:], groups, None, "accuracy")
    assert 0 < few.low < few.centre == 0.25 < few.high


def test_a_class_of_one_group_has_no_interval():
    labels = [True] * 4 + [False] * 4
    assert answer_interval(labels, labels, ["a"] * 4 + list("bcde"), None, "accuracy") is None
