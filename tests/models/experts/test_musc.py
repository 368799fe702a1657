"""MuSc against a rewrite of its three steps in plain NumPy, a patch and an image at a time."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logit

from framework.errors import UserError
from framework.models.experts import mutual
from framework.models.experts.musc import MuSc
from framework.types import Features

WIDTH, LEVELS, GRID = 4, 2, (3, 2)
PATCHES = GRID[0] * GRID[1]
DEFAULTS = {"degrees": [1, 3], "share": 0.3, "neighbours": [1, 2, 3], "subsets": 1, "largest": None, "limit_mib": 1}


def features(crops, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(LEVELS + 1, crops, PATCHES, WIDTH, generator=generator)
    return Features(list(drawn[:-1]), drawn[-1] + 1, GRID)


def expert(**options):
    return MuSc(WIDTH, PATCHES, LEVELS, **DEFAULTS | options)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def lnamd(level, degree):
    """(N, P, C): layer norm of each crop, mean of the neighbourhood with zeros beyond the border, unit length."""
    found, half = np.zeros_like(level), degree // 2
    for n, crop in enumerate(level):
        crop = (crop - crop.mean()) / np.sqrt(crop.var() + 1e-5)
        laid = np.pad(crop.reshape(*GRID, WIDTH), ((half, half), (half, half), (0, 0)))
        for row in range(GRID[0]):
            for column in range(GRID[1]):
                found[n, row * GRID[1] + column] = laid[row : row + degree, column : column + degree].mean((0, 1))
    return unit(found)


def msm(found, crops, samples, share):
    """Scores of all patches, by view."""
    bounds = np.cumsum([0, *crops])
    views = [found[a:b].reshape(-1, WIDTH) for a, b in pairwise(bounds)]
    scores = []
    for i, view in enumerate(views):
        others = [v for j, v in enumerate(views) if samples[j] != samples[i]]
        far = np.array([[min(np.linalg.norm(p - q) for q in other) for other in others] for p in view])
        count = max(1, int(share * len(others)))
        scores.append(np.sort(far, axis=1)[:, :count].mean(1))
    return np.concatenate(scores)


def rscin(scores, whole, neighbours):
    """The published matrix: all but the k most similar of a row are 0, rows sum to 1."""
    alike, found = unit(whole) @ unit(whole).T, []
    for k in neighbours:
        kept = np.zeros_like(alike)
        for i, row in enumerate(alike):
            best = np.argsort(-row)[:k]
            kept[i, best] = row[best]
        found.append((kept / kept.sum(1, keepdims=True)) @ scores)
    return np.mean(found, 0)


def by_hand(shown, crops, samples, degrees, share, neighbours):
    levels = [level.double().numpy() for level in shown.levels]
    parts = [msm(lnamd(level, degree), crops, samples, share) for degree in degrees for level in levels]
    maps = np.mean(parts, 0).reshape(-1, PATCHES)
    bounds = np.cumsum([0, *crops])
    spans = list(pairwise(bounds))
    whole = np.stack([shown.final[a:b].double().numpy().mean((0, 1)) for a, b in spans])
    return maps, rscin(np.array([maps[a:b].max() for a, b in spans]), whole, neighbours)


@pytest.mark.parametrize(
    ("crops", "samples", "share"),
    [([1] * 9, list(range(9)), 0.3), ([1, 2, 1, 3, 1], [0, 1, 1, 2, 3], 0.7), ([1, 1], [0, 1], 0.3)],
    ids=["pictures", "views and crops", "two"],
)
def test_it_is_what_the_paper_says(crops, samples, share):
    shown = features(sum(crops))
    maps, scores = by_hand(shown, crops, samples, [1, 3], share, [1, 2, 3])
    made = expert(share=share)
    made.study(shown, crops, samples)
    verdict = made.conclude()
    assert_allclose(verdict.maps.flatten(1), maps / 2, atol=1e-6)
    assert_allclose(verdict.logits, logit(scores / 2), atol=1e-5)
    assert verdict.maps.shape == (sum(crops), *GRID) and verdict.summary.shape == (len(crops), WIDTH)


def test_subsets_are_scored_apart_and_made_consistent_together():
    shown, crops, samples = features(9), [1, 2, 1, 1, 1, 2, 1], [0, 1, 2, 2, 3, 4, 5]
    made, maps = expert(share=0.7, subsets=2), []
    for views in (slice(0, 4), slice(4, 7)):
        first, last = sum(crops[: views.start]), sum(crops[: views.stop])
        part = Features([level[first:last] for level in shown.levels], shown.final[first:last], GRID)
        made.study(part, crops[views], samples[views])
        made.divide()
        maps.append(by_hand(part, crops[views], samples[views], [1, 3], 0.7, [1])[0])
    verdict, joined = made.conclude(), np.concatenate(maps)
    spans = list(pairwise(np.cumsum([0, *crops])))
    whole = np.stack([shown.final[a:b].double().numpy().mean((0, 1)) for a, b in spans])
    scores = rscin(np.array([joined[a:b].max() for a, b in spans]), whole, [1, 2, 3])
    assert_allclose(verdict.maps.flatten(1), joined / 2, atol=1e-6)
    assert_allclose(verdict.logits, logit(scores / 2), atol=1e-5)


def test_a_large_category_has_as_many_parts_as_it_takes():
    assert [expert(largest=250).parts(n) for n in (1, 250, 251, 3000)] == [1, 1, 2, 12]
    assert [expert(subsets=3, largest=250).parts(n) for n in (10, 3000)] == [3, 12]
    assert expert(subsets=3).parts(10**6) == 3


def test_views_of_a_sample_that_lie_apart_do_not_score_each_other():
    shown, crops, samples = features(5), [1] * 5, [0, 1, 0, 2, 1]
    made = expert(share=1.0)
    made.study(shown, crops, samples)
    assert_allclose(made.conclude().maps.flatten(1), by_hand(shown, crops, samples, [1, 3], 1.0, [1])[0] / 2, atol=1e-6)


def test_what_came_in_one_call_and_how_much_is_held_at_once_change_nothing(monkeypatch):
    shown = features(6)
    whole, parts = expert(), expert()
    whole.study(shown, [1] * 6, list(range(6)))
    first = whole.conclude()
    monkeypatch.setattr(mutual, "CHUNK", 50)  # one crop at once
    for n in range(6):
        parts.study(Features([x[n : n + 1] for x in shown.levels], shown.final[n : n + 1], GRID), [1], [n])
    second = parts.conclude()
    assert_allclose(first.maps, second.maps, atol=1e-6)
    assert_allclose(first.logits, second.logits, atol=1e-5)


def test_a_category_is_forgotten_when_it_is_concluded():
    made, alone = expert(), expert()
    made.study(features(3, seed=1), [1] * 3, [0, 1, 2])
    made.conclude()
    for each in (made, alone):
        each.study(features(4), [1] * 4, [0, 1, 2, 3])
    assert torch.equal(made.conclude().maps, alone.conclude().maps)


def test_mistakes_are_told():
    with pytest.raises(UserError, match=r"sides of neighbourhoods are odd.*\[2\]"):
        expert(degrees=[2])
    with pytest.raises(UserError, match=r"share lies in \(0, 1\].*not 0 and"):
        expert(share=0.0)
    with pytest.raises(UserError, match="cannot score one alone"):
        expert()(features(1), [1])
    alone = expert()
    alone.study(features(2), [1, 1], [0, 0])
    with pytest.raises(UserError, match="a single sample"):
        alone.conclude()
    with pytest.raises(UserError, match="subsets is 1 or more, largest 2 or more, not 0 and None"):
        expert(subsets=0)
    with pytest.raises(UserError, match="not 1 and 1"):
        expert(largest=1)
    with pytest.raises(UserError, match=r"more than 1 MiB.*options\.subsets to 2 or more"):
        expert().study(features(6000), [1] * 6000, list(range(6000)))


def test_an_image_is_its_own_nearest_neighbour_whatever_rounding_says():
    whole = torch.tensor([[1 - 2**-23, 0.0], [1.0, 0.0]])  # the second is nearer to the first than that is to itself
    scores = torch.tensor([0.25, 1.5])
    assert torch.equal(mutual.consistent(scores, whole, [1]), scores)
