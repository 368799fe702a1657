"""Both layers of the linear probe against scikit-learn's logistic regression, with masks and without."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.experts.linear_probe import LinearProbe
from framework.types import Features

WIDTH, PATCHES, SIDES = 5, 6, (4, 6)  # four pixels a patch


def features(count, seed=0):
    """Final maps whose channels differ in centre and spread; the last channel is the same everywhere."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal([1, -2, 0, 3, 0], [1, 4, 0.1, 2, 0], (count, PATCHES, WIDTH)) + rng.normal(size=(count, 1, 1))
    drawn[..., -1] = 7
    return Features([], torch.from_numpy(drawn).float(), (2, 3))


def fitted(found, crops, targets, l2=0.5, at_once=3, masks=None, most=0):
    probe, view = LinearProbe(WIDTH, l2), 0
    probe._normal.most = probe._touched.most = most or probe._normal.most
    masks = torch.full((sum(crops), *SIDES), -1, dtype=torch.int8) if masks is None else masks
    for part in [crops[i : i + at_once] for i in range(0, len(crops), at_once)]:
        first = sum(crops[:view])
        own = Features([], found.final[first : first + sum(part)], found.grid)
        known = masks[first : first + sum(part)]
        probe.observe(own, part, torch.tensor(targets[view : view + len(part)]), known)
        view += len(part)
    probe.settle()
    return probe


def marked(seed=0):
    """Masks of all crops: of anomalous views a quarter of the pixels, of the last nobody knows, of one in part."""
    masks, crop = torch.zeros(sum(CROPS), *SIDES, dtype=torch.int8), 0
    drawn = torch.from_numpy(np.random.default_rng(seed).random(masks.shape) < 0.25)
    for count, target in zip(CROPS, TARGETS, strict=True):
        if target:
            masks[crop : crop + count] = drawn[crop : crop + count]
        crop += count
    masks[-2:] = -1
    masks[1, 0, 0] = -1
    return masks


def by_scikit_learn(found, masks, l2=0.5):
    """Logits of all patches: every known pixel is a sample that has the features of its patch."""
    pixels = masks.view(-1, 2, 2, 3, 2).permute(0, 1, 3, 2, 4).reshape(-1, 4).numpy()  # (N * P, 4)
    patches = found.final.double().flatten(0, 1).numpy()
    known = (pixels >= 0).all(1)
    inputs = (patches - patches[known].mean(0))[:, :-1] / patches[known].std(0)[:-1]
    rows, labels = np.repeat(inputs[known], 4, axis=0), pixels[known].ravel()
    count = np.bincount(labels)
    each = len(CROPS) / 2 / count[labels]  # scikit-learn sums losses: M of them, half for each class
    fit = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=1000).fit(rows, labels, sample_weight=each)
    return fit.decision_function(inputs)


CROPS = [1, 2, 1, 1, 3, 1, 1, 2]
TARGETS = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_its_logits_are_those_of_scikit_learn():
    found = features(sum(CROPS))
    probe = fitted(found, CROPS, TARGETS)
    means = np.stack([part.mean((0, 1)).double().numpy() for part in found.final.split(CROPS)])
    inputs = (means - means.mean(0))[:, :-1] / means.std(0)[:-1]  # the last channel says nothing
    theirs = LogisticRegression(C=1 / 0.5, class_weight="balanced", tol=1e-10, max_iter=1000).fit(inputs, TARGETS)
    assert_close(probe(found, CROPS).logits.double().numpy(), theirs.decision_function(inputs), atol=2e-5, rtol=1e-4)


def test_maps_taught_by_masks_are_scikit_learns_on_pixels():
    found, masks = features(sum(CROPS)), marked()
    probe = fitted(found, CROPS, TARGETS, masks=masks)
    margins = probe(found, CROPS).maps.double().logit().flatten() * probe.scale
    theirs = by_scikit_learn(found, masks)
    assert_close(margins.numpy(), theirs, atol=1e-5, rtol=1e-4)
    assert_close(float(probe.scale), theirs.std(), atol=1e-4, rtol=1e-4)
    touched = int((torch.nn.functional.max_pool2d(masks[:-2].float(), 2) > 0).sum())
    touched -= int((masks[1, :2, :2] > 0).any())  # a patch that is known in part does not count
    assert probe.told == f"maps taught by masks: {touched} patches with anomalous pixels"
    assert torch.equal(probe(found, CROPS).logits, fitted(found, CROPS, TARGETS)(found, CROPS).logits)


def test_of_many_patches_a_choice_weighs_as_many_as_it_stands_for():
    """Four hundred copies of every view: what is left of them teaches nearly what all do, and the same in any parts."""
    found, masks = features(sum(CROPS)), marked()
    whole = fitted(found, CROPS, TARGETS, masks=masks)
    many = Features([], found.final.repeat(400, 1, 1), found.grid)
    arguments = (many, CROPS * 400, TARGETS * 400, 0.5 * 400)
    some, parts = (fitted(*arguments, at_once=n, masks=masks.repeat(400, 1, 1), most=4000) for n in (100, 800))
    assert torch.equal(some(found, CROPS).maps, parts(found, CROPS).maps)
    gap = some(found, CROPS).maps - whole(found, CROPS).maps
    assert 0 < gap.abs().mean() < 0.012  # 0.021 where none weighs more than itself
    assert some.told.endswith(f"{400 * int(whole.told.split()[4])} patches with anomalous pixels")


def test_masks_of_normal_views_alone_teach_no_map():
    found, masks = features(sum(CROPS)), torch.where(marked() > 0, -1, marked())
    probe = fitted(found, CROPS, TARGETS, masks=masks)
    assert torch.equal(probe(found, CROPS).maps, fitted(found, CROPS, TARGETS)(found, CROPS).maps)
    assert probe.told.startswith("maps: what each patch adds to its view's logit")


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
