"""Field values in; that a Row refuses what makes no sense, and that chance levels are those of random scores."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from fake_rows import row

from framework.leaderboard.rows import COLUMNS, SCHEMA, chance_level


def test_a_row_is_flat_frozen_and_has_the_columns_of_schema_1():
    assert SCHEMA == 1 and len(COLUMNS) == 42 and COLUMNS[0] == "run" and COLUMNS[-1] == "transductive"
    with pytest.raises(dataclasses.FrozenInstanceError):
        row().value = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": math.nan}, "value is nan"),
        ({"value": 87.5}, r"value is 87.5, not in \[0, 1\]"),
        ({"low": -0.1}, "low is -0.1"),
        ({"chance": 1.5}, "chance is 1.5"),
        ({"error": math.inf}, "error is inf"),
        ({"error": -0.1}, "error is -0.1"),
        ({"groups": -1}, "groups is -1"),
        ({"low": None}, "two bounds or none"),
        ({"low": 0.9, "high": 0.8}, "upside down"),
        ({"fingerprint": ""}, "fingerprint is empty"),
        ({"metric": "f1"}, "metric of .*auroc"),
        ({"level": "image"}, "metric of .*auroc"),
        ({"element": "pixel"}, "element 'pixel' does not fit level 'sample'"),
        ({"level": "element"}, "element '' does not fit level 'element'"),
        ({"date": "yesterday"}, "not ISO 8601"),
        ({"date": "2026-01-02T03:04:05"}, "not in UTC"),
        ({"date": "2026-01-02T03:04:05+02:00"}, "not in UTC"),
        ({"elements": 10}, "go together"),
        ({"elements": 10, "anomalous_elements": 11}, "11 of 10 elements"),
        ({"overlap": 21, "in_domain": True}, "21 of 20 samples overlap"),
        ({"overlap": 1}, "overlap without in_domain"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_set_metric_and_run(fields, message):
    with pytest.raises(ValueError, match=message) as error:
        row(**fields)
    assert "'parts'" in str(error.value) and "'r1'" in str(error.value)


def test_the_diagonal_is_where_a_training_set_has_the_name_of_the_test_set():
    assert row(trained_on="brains + parts").diagonal
    assert not row(trained_on="spare parts").diagonal


def test_chance_levels_are_what_random_scores_reach():
    rng = np.random.default_rng(0)
    truth = rng.random(400_000) < 0.1
    hits = np.cumsum(truth[rng.permutation(len(truth))])
    flagged = np.arange(1, len(truth) + 1)
    precision, recall = hits / flagged, hits / hits[-1]
    ap = np.sum(np.diff(recall, prepend=0) * precision)
    f1 = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    fpr = (flagged - hits) / (len(truth) - hits[-1])
    inside = fpr <= 0.3
    aupro = np.trapezoid(recall[inside], fpr[inside]) / 0.3  # one region: its coverage is the recall
    np.testing.assert_allclose(chance_level("ap", 0.1), ap, atol=2e-3)
    np.testing.assert_allclose(chance_level("f1_max", 0.1), f1, atol=2e-3)
    np.testing.assert_allclose(chance_level("aupro", 0.1), aupro, atol=2e-3)
    np.testing.assert_allclose(chance_level("auroc", 0.1), np.trapezoid(recall, fpr), atol=4e-3)


def test_the_chance_level_of_aupro_follows_its_limit():
    assert chance_level("aupro", 0.5) == 0.15
    assert chance_level("aupro", 0.5, limit=1.0) == 0.5
    assert chance_level("aupro_05", 0.5) == 0.025
    assert chance_level("aupro_lineage", 0.5) is None


@pytest.mark.parametrize("arguments", [("accuracy", 0.5), ("ap", 1.1), ("ap", math.nan), ("aupro", 0.5, 0.0)])
def test_no_chance_level_without_meaning(arguments):
    with pytest.raises(ValueError, match="no chance level"):
        chance_level(*arguments)


@pytest.mark.parametrize("level", ["answer", "published answer"])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "coverage", "rouge_l", "judge_agreement"])
def test_answers_have_levels_and_metrics_of_their_own(level, metric):
    assert row(level=level, metric=metric).level == level
    with pytest.raises(ValueError, match=r"metric of .*auroc"):
        row(level="sample", metric=metric)
    with pytest.raises(ValueError, match=r"metric of .*rouge_l"):
        row(level=level, metric="auroc")
    with pytest.raises(ValueError, match=f"element 'pixel' does not fit level '{level}'"):
        row(level=level, metric=metric, element="pixel")
