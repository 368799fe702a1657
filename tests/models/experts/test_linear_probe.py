"""The linear probe against scikit-learn's logistic regression, and its maps against its logits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.experts.linear_probe import LinearProbe
from framework.types import Features

WIDTH, PATCHES = 5, 6


def features(count, seed=0):
    """Final maps whose channels differ in centre and spread; the last channel is the same everywhere."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal([1, -2, 0, 3, 0], [1, 4, 0.1, 2, 0], (count, PATCHES, WIDTH)) + rng.normal(size=(count, 1, 1))
    drawn[..., -1] = 7
    return Features([], torch.from_numpy(drawn).float(), (2, 3))


def fitted(found, crops, targets, l2=0.5, at_once=3):
    probe, view = LinearProbe(WIDTH, l2), 0
    for part in [crops[i : i + at_once] for i in range(0, len(crops), at_once)]:
        first = sum(crops[:view])
        own = Features([], found.final[first : first + sum(part)], found.grid)
        probe.observe(own, part, torch.tensor(targets[view : view + len(part)]))
        view += len(part)
    probe.settle()
    return probe


CROPS = [1, 2, 1, 1, 3, 1, 1, 2]
TARGETS = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_its_logits_are_those_of_scikit_learn():
    found = features(sum(CROPS))
    probe = fitted(found, CROPS, TARGETS)
    means = np.stack([part.mean((0, 1)).double().numpy() for part in found.final.split(CROPS)])
    inputs = (means - means.mean(0))[:, :-1] / means.std(0)[:-1]  # the last channel says nothing
    theirs = LogisticRegression(C=1 / 0.5, class_weight="balanced", tol=1e-10, max_iter=1000).fit(inputs, TARGETS)
    assert_close(probe(found, CROPS).logits.double().numpy(), theirs.decision_function(inputs), atol=2e-5, rtol=1e-4)


def test_a_logit_is_the_mean_of_its_patches_and_maps_are_their_sigmoid():
    found = features(sum(CROPS))
    probe = fitted(found, CROPS, TARGETS)
    verdict = probe(found, CROPS)
    margins = verdict.maps.double().logit().flatten(1) * probe.scale
    for view, part in enumerate(margins.split(CROPS)):
        assert_close(part.mean().float(), verdict.logits[view], atol=1e-5, rtol=1e-4)
    assert verdict.maps.shape == (sum(CROPS), 2, 3)
    assert_close(margins.std(correction=0).float(), probe.scale, atol=1e-4, rtol=1e-4)  # of the training patches


def test_what_came_in_one_call_changes_nothing():
    found = features(sum(CROPS))
    one, many = (fitted(found, CROPS, TARGETS, at_once=n).state_dict() for n in (1, 8))
    for name, value in one.items():
        assert_close(value, many[name], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("targets", [[0.0] * 8, [1.0] * 8])
def test_one_class_teaches_nothing(targets):
    with pytest.raises(UserError, match="needs normal and anomalous samples"):
        fitted(features(sum(CROPS)), CROPS, targets)
    with pytest.raises(UserError, match=r"options\.l2: above 0, not -1"):
        LinearProbe(WIDTH, -1)
