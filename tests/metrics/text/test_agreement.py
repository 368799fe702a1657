"""Agreement of scores: a published example, scikit-learn's kappa, and scores that leave nothing to agree on."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from framework.metrics.text.agreement import agreement

NONE = np.nan
PUBLISHED = np.array(  # Krippendorff (2011), four observers of twelve units; interval alpha 0.849
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
).T


def test_alpha_of_the_published_example():
    found = agreement(PUBLISHED)
    assert found.alpha == pytest.approx(0.849, abs=5e-4)
    assert found.kappa is None


def by_definition(scores):
    """Alpha from the pairs themselves."""
    rows = [row[~np.isnan(row)] for row in scores]
    rows = [row for row in rows if len(row) > 1]
    values = np.concatenate(rows)
    observed = sum(((r[:, None] - r) ** 2).sum() / (len(r) - 1) for r in rows) / len(values)
    return 1 - observed / (((values[:, None] - values) ** 2).sum() / len(values) / (len(values) - 1))


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_definitions(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.integers(1, 11, (60, 1)) + rng.integers(-2, 3, (60, 3)), 1, 10).astype(float)
    scores[rng.random(scores.shape) < 0.2] = NONE
    found = agreement(scores)
    assert found.alpha == pytest.approx(by_definition(scores))
    gaps = [
        abs(row[i] - row[j]) for row in scores for i, j in ((0, 1), (0, 2), (1, 2)) if not np.isnan(row[i] + row[j])
    ]
    assert found.pairs == len(gaps)
    assert found.exact == pytest.approx(np.mean(np.array(gaps) == 0))
    assert found.difference == pytest.approx(np.mean(gaps))
    two = scores[:, :2]
    whole = two[~np.isnan(two).any(1)].astype(int)
    expected = cohen_kappa_score(*whole.T, labels=range(1, 11), weights="quadratic")
    assert agreement(two).kappa == pytest.approx(expected)


def test_full_agreement_and_agreement_by_chance():
    same = np.array([[1, 1], [5, 5], [9, 9]], float)
    assert (agreement(same).alpha, agreement(same).kappa, agreement(same).exact) == (1, 1, 1)
    rng = np.random.default_rng(0)
    random = agreement(rng.integers(1, 11, (5000, 2)).astype(float))
    assert random.alpha == pytest.approx(0, abs=0.05) and random.kappa == pytest.approx(0, abs=0.05)


def test_nothing_to_agree_on_has_no_value():
    constant = agreement(np.full((4, 2), 7.0))
    assert (constant.exact, constant.difference, constant.alpha, constant.kappa) == (1, 0, None, None)
    assert agreement(np.array([[1.0], [2.0]])) is None
    assert agreement(np.array([[1.0, NONE], [NONE, 2.0]])) is None
