"""The logistic layer against scikit-learn's, with weights, and with a channel that says nothing."""

import numpy as np
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from framework.models.experts.logistic import layer


def test_weighted_vectors_and_shares_are_what_they_stand_for():
    rng = np.random.default_rng(0)
    vectors = np.c_[rng.normal([1, -2, 50], [1, 4, 0.1], (40, 3)), np.full(40, 7.0)]
    shares, weights = rng.choice([0, 0.25, 1], 40), rng.integers(1, 4, 40)
    found = layer(
        *(torch.from_numpy(x) for x in (vectors, shares.astype(float))), 0.05, torch.from_numpy(1.0 * weights)
    )
    repeated = np.repeat(vectors, 4 * weights, axis=0)[:, :3]
    labels = np.concatenate([np.tile(np.arange(4) < 4 * s, w) for s, w in zip(shares, weights, strict=True)])
    inputs = (repeated - repeated.mean(0)) / repeated.std(0)
    theirs = LogisticRegression(C=1 / (0.05 * len(labels)), class_weight="balanced", tol=1e-10).fit(inputs, labels)
    assert_allclose(found.weight[:3], theirs.coef_[0], atol=1e-5)
    assert_allclose(found.bias, theirs.intercept_[0], atol=1e-5)
    assert_allclose(found.centre[:3], repeated.mean(0))
    assert_allclose(found.spread[:3], repeated.std(0))
    assert found.spread[3] == torch.inf and found.weight[3] == 0
