"""Blobs at all thresholds at once against labelling them threshold by threshold."""

import numpy as np
import pytest
import torch
from metrics.exact import lone_blobs
from scipy import ndimage

from framework.metrics import axis, superlevel
from framework.metrics.superlevel import alone

KINDS = {
    "plateaus": lambda rng, shape: rng.integers(0, 4, shape) / 4,
    "many levels": lambda rng, shape: rng.random(shape),
    "smooth": lambda rng, shape: ndimage.gaussian_filter(rng.random(shape), 1),
    "all equal": lambda rng, shape: np.full(shape, 0.3),
    "all zero": lambda rng, shape: np.zeros(shape),
    "zero or one": lambda rng, shape: rng.random(shape) < 0.2,
    "below one bin": lambda rng, shape: 0.3 + 1e-9 * rng.random(shape),
}


def agrees(scores, marked):
    blobs = alone(scores, marked)
    left = blobs[::-1].cumsum()[::-1]
    expected = lone_blobs(scores, marked)
    assert {key: left[key] for key in expected} == expected
    assert not blobs[0]
    assert left[0] == left[min(expected, default=0)]  # nothing is born or merged between occupied bins


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0, 0.02, 0.3])
def test_blobs_are_those_of_labelling_at_each_threshold(kind, share, monkeypatch):
    rng = np.random.default_rng(0)
    for shape in [(6, 7, 5), (1, 8, 9), (8, 1, 7), (9, 6, 1), (1, 1, 12), (1, 1, 1), (3, 3, 3)]:
        for slab in (1, 60, 1 << 18):  # a row at a time, two, and all at once
            monkeypatch.setattr(superlevel, "SLAB", slab)
            agrees(KINDS[kind](rng, shape).astype(np.float32), rng.random(shape) < share)


def test_a_path_through_a_maze_is_one_blob():
    """Steepest ascent takes hundreds of steps to its end."""
    scores = np.zeros((1, 21, 41), np.float32)
    scores[0, ::2] = 0.5
    scores[0, 1::4, -1] = scores[0, 3::4, 0] = 0.5
    agrees(scores, np.zeros(scores.shape, bool))
    assert alone(scores, np.zeros(scores.shape, bool)).sum() == 1


def test_two_peaks_are_born_merge_and_reach_a_lesion():
    scores = np.array([[[0.9, 0.2, 0.7, 0.1, 0.05]]], np.float32)
    marked = np.array([[[False, False, False, False, True]]])
    nine, two, seven, last = axis.keys(torch.tensor([0.9, 0.2, 0.7, 0.05]), "probability").tolist()
    found = alone(scores, marked)
    assert {int(key): int(found[key]) for key in np.flatnonzero(found)} == {nine: 1, seven: 1, two: -1, last: -1}


def test_more_maxima_than_an_edge_can_name_are_refused():
    with pytest.raises(ValueError, match="local maxima in one volume"):
        superlevel._forest(np.zeros(0, np.int64), (1 << 23) + 1)
